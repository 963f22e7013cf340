"""Real-time analytics: real flights in windows, the same at any speed and after any crash; late events, old prices."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import evsim as ev
from evsim import catalog
from evsim.lab.analytics import results, stale_share
from evsim.lab.analytics_steps import HOUR_S, board_with
from evsim.patterns.window import Session, Tumbling, Windows, late_share, windowing

ANALYTICS, JOIN = catalog.get("analytics"), catalog.get("join")


def counted(until_arrival_s=np.inf):
    """Departures by airport and scheduled hour, straight from the data."""
    found = Counter()
    for arrival in ev.data.load("flights").arrivals:
        event = arrival.event
        if event.type == "flight.departed":
            found[event.data["origin"], event.timestamp // HOUR_S * HOUR_S] += 1
    return found


def test_with_a_long_bound_every_flight_is_counted_in_its_hour():
    patient = ANALYTICS.replace("board", on={"flight.departed": board_with(86_400.0)})
    found, right = results(patient.run(until_s=400, seed=1).history), counted()
    assert len(found) > 500
    assert all(right[cell] == value for cell, value in found.items())


@pytest.mark.parametrize("speed", [900.0, 36_000.0])
def test_the_results_are_the_same_at_any_replay_speed(speed):
    one = results(ANALYTICS.run(until_s=400, seed=1).history)
    other = results(ANALYTICS.replace("airports", speed=speed).run(until_s=400 * 3600 / speed, seed=2).history)
    assert one == other != {}


@pytest.mark.parametrize("step", ["handled", "saved"])
def test_a_crash_changes_no_result(step):
    careful = ANALYTICS.replace("board", inbox=True, outbox=True)
    crash = ev.Crash("board", after=step, type="flight.departed", nth=700, down_s=5)
    crashed = careful.plus(crash).run(until_s=400, seed=1)
    assert len(crashed.history.of("crashed")) == 1
    assert results(crashed.history) == results(careful.run(until_s=400, seed=1).history)


def test_what_is_late_is_put_aside_or_corrects_and_nothing_is_gone_without_a_word():
    aside = ANALYTICS.run(until_s=400, seed=1).history
    late = [event for event in aside.events if event.type == "event.missed"]
    assert late
    updating = board_with(1800.0, late="update", lateness_s=86_400.0)
    corrected = results(ANALYTICS.replace("board", on={"flight.departed": updating}).run(until_s=400, seed=1).history)
    right = counted()
    assert all(right[cell] == value for cell, value in corrected.items())
    kept = results(aside)
    missed = Counter()
    for event in late:
        missed[event.key, event.data["start_s"]] += event.data["value"]
    assert all(kept[cell] + missed[cell] == right[cell] for cell in kept)


@pytest.mark.parametrize(("bound_s", "mean_s", "size_s"), [(3.0, 2.0, 0.5), (1.0, 1.0, 2.0), (6.0, 2.0, 0.3)])
def test_how_many_are_late_in_the_simulator(bound_s, mean_s, size_s):
    """S5: e^(−L/m), with what the window and the watermark's own lag add; over seeds."""
    count = windowing(Windows(Tumbling(size_s), bound_s=bound_s, late="side"), key=lambda event: "all")
    shares = []
    for seed in range(1, 6):
        history = ev.Scenario(
            ev.Publisher("shop", to="orders", rate=100, count=8000),
            ev.Link("shop", "orders", delay_s=ev.Exponential(mean_s), ordered=False),
            ev.Log("orders"), ev.Consumer("board", of="orders", on={"order.placed": count}, to="said"), ev.Log("said"),
        ).run(until_s=120, seed=seed).history  # fmt: skip
        settled = [event for event in history.events if event.type == "order.placed" and 15 < event.timestamp < 60]
        missed = [event for event in history.events if event.type == "event.missed" and 15 < event.data["start_s"] < 60]
        shares.append(len(missed) / len(settled))
    expected = late_share(bound_s, mean_s, size_s, rate=100)
    assert np.mean(shares) == pytest.approx(expected, rel=0.03)


def test_a_consumer_may_have_two_kinds_of_windows_and_they_do_not_mix():
    def all_of_them(event):
        return "all"

    minutes = windowing(Windows(Tumbling(10)), key=all_of_them)
    visits = windowing(Windows(Session(1)), key=all_of_them, says="session.closed")
    history = ev.Scenario(
        ev.Publisher("shop", to="bus", gap_s=ev.Constant(0.5), count=100),
        ev.Publisher("till", to="bus", gap_s=ev.Constant(3.0), count=15, type="order.paid"),
        ev.Log("bus"), ev.Log("said"),
        ev.Consumer("board", of="bus", on={"order.placed": minutes, "order.paid": visits}, to="said"),
    ).run(until_s=60, seed=1).history  # fmt: skip
    assert results(history) == {("all", 10.0 * n): 19 + (n > 0) for n in range(5)}
    assert results(history, "session.closed") == {("all", 3.0 * n): 1 for n in range(1, 15)}


@pytest.mark.parametrize(("rate", "mean_s"), [(2.0, 0.25), (1.0, 1.0)])
def test_how_many_orders_are_joined_with_an_old_price(rate, mean_s):
    """λm / (1 + λm): the newest price has not come yet."""
    shares = []
    for seed in range(1, 13):
        slow = ev.Link("prices", "bus", delay_s=ev.Exponential(mean_s), ordered=False)
        parts = [slow if part.name == "prices>bus" else part for part in JOIN.parts]
        scenario = ev.Scenario(*parts).replace("prices", rate=rate)
        shares.append(stale_share(scenario.run(until_s=400, seed=seed).history))
    assert np.mean(shares) == pytest.approx(rate * mean_s / (1 + rate * mean_s), rel=0.03)
