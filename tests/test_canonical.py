"""Published formulas that no other room holds the simulator to: overtaking, repeats after a crash, chains of calls."""

from __future__ import annotations

import math
import statistics

import pytest

import evsim as ev


@pytest.mark.parametrize(("apart_s", "mean_s"), [(0.05, 0.1), (0.1, 0.1), (0.02, 0.2)])
def test_the_second_overtakes_the_first_on_another_path_as_often_as_the_formula_says(apart_s, mean_s):
    """S1: half of e^(−Δ/m), when both ways take an exponential time of mean m."""
    pairs = 50_000

    def path(name, starts_at_s):
        gap_s = ev.Constant(20 * mean_s)
        return (
            ev.Publisher(name, to=f"{name} log", gap_s=gap_s, count=pairs, starts_at_s=starts_at_s),
            ev.Link(name, f"{name} log", delay_s=ev.Exponential(mean_s), ordered=False),
            ev.Log(f"{name} log"),
        )

    history = ev.Scenario(*path("first", 1.0), *path("second", 1.0 + apart_s)).run(20 * mean_s * pairs + 60, 5).history
    came = {}
    for name in ("first", "second"):
        rows = history.of("stored", node=f"{name} log")
        came[name] = [time for _, time in sorted(zip(rows.event.tolist(), rows.time.tolist(), strict=True))]
    overtaken = sum(b < a for a, b in zip(came["first"], came["second"], strict=True)) / pairs
    assert len(came["first"]) == pairs
    assert overtaken == pytest.approx(0.5 * math.exp(-apart_s / mean_s), rel=0.03)


@pytest.mark.parametrize(("rate", "every_s", "crashes"), [(200, 5.0, 60), (100, 2.0, 150), (400, 1.0, 80)])
def test_a_crash_repeats_what_came_since_the_last_timed_commit(rate, every_s, crashes):
    """S8: half of rate times interval on average, for a crash at any moment of the interval."""
    repeats = []
    for n in range(crashes):
        at_s = 2 * every_s + (n + 0.5) / crashes * every_s
        shop = ev.Scenario(
            ev.Publisher("shop", to="orders", rate=rate),
            ev.Log("orders"),
            ev.Consumer("billing", of="orders", commit=ev.Timed(every_s), service_s=ev.Constant(1e-4)),
            ev.Crash("billing", at_s=at_s, down_s=0.5),
        )
        history = shop.run(at_s + 1 + every_s, seed=n).history
        handled = history.of("handled").event.tolist()
        repeats.append(len(handled) - len(set(handled)))
    assert statistics.fmean(repeats) == pytest.approx(rate * every_s / 2, rel=0.03)


@pytest.mark.parametrize(("n", "there"), [(1, 0.9), (3, 0.95), (5, 0.99)])
def test_a_chain_of_calls_is_there_when_all_of_it_is_and_takes_as_long_as_all_of_it(n, there):
    """Availability to the power of n, and the sum of the means."""
    mean_s = 0.02
    services = [
        ev.Service(
            f"service {k}", service_s=ev.Exponential(mean_s), availability=there,
            calls=(f"service {k + 1}",) if k < n else (),
        )
        for k in range(1, n + 1)
    ]  # fmt: skip
    asked = 20_000
    history = (
        ev.Scenario(ev.Publisher("web", to="service 1", rate=50, count=asked), *services)
        .run(asked / 50 + 60, seed=3)
        .history
    )
    answered = history.of("answered", node="service 1")
    assert len(answered) / asked == pytest.approx(there**n, rel=0.01)
    took_s = [
        time - history.event_at(event).timestamp
        for event, time in zip(answered.event.tolist(), answered.time.tolist(), strict=True)
    ]
    assert statistics.fmean(took_s) == pytest.approx(n * mean_s, rel=0.03)
