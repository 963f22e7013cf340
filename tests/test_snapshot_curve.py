"""What snapshots cost and save, measured in the simulator and set beside the formula; and what durability costs."""

from __future__ import annotations

import math

import pytest
from test_figures import assert_tidy

from evsim.errors import BadScenario
from evsim.lab.durability import append_times
from evsim.lab.scenario import Scenario
from evsim.patterns.snapshot import best_every
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.event_store import EventStore
from evsim.sim.publisher import Publisher
from evsim.view.plots.durability import durability_price
from evsim.view.plots.snapshots import snapshot_curve
from evsim.view.snapshots import Snapshots

WRITE_S, LOADS, EVENT_S = 0.002, 5, 10e-6


def spent(every, seed, until_s=1000.0):
    """Seconds for each event: for snapshots written, and for events replayed by loads at any moment."""
    took_s = {"written": 0.0, "loaded": 0.0}

    async def pay(event, ctx):
        appended = await ctx.append("store", "account-7", ("money.withdrawn", {}))
        if (appended.version + 1) % every == 0:
            before = ctx.now
            await ctx.append("store", "snapshots-7", ("account.remembered", {"upto": appended.version}))
            took_s["written"] += ctx.now - before

    async def look(event, ctx):
        newest = await ctx.read("store", "snapshots-7", backwards=True, limit=1)
        since = newest[0].event.data["upto"] + 1 if newest else 0
        before = ctx.now
        await ctx.read("store", "account-7", since)
        took_s["loaded"] += ctx.now - before

    shop = Scenario(
        Publisher("bank", to="commands", rate=1, type="withdraw.money"),
        Publisher("customers", to="questions", rate=LOADS, type="read.account"),
        Log("commands"),
        Log("questions"),
        Consumer("accounts", of="commands", on={"withdraw.money": pay}),
        Consumer("balances", of="questions", on={"read.account": look}),
        EventStore("store", append_s=WRITE_S, read_event_s=EVENT_S),
        name="snapshots",
    )
    history = shop.run(until_s=until_s, seed=seed).history
    return sum(took_s.values()) / len(history.of("handled", node="accounts"))


@pytest.mark.parametrize("every", [2, 9, 40])
def test_the_cost_of_an_event_is_what_the_formula_says(every):
    """w/N + q r (N - 1) / 2, within 3 %."""
    found = [spent(every, seed) for seed in range(5)]
    assert sum(found) / 5 == pytest.approx(Snapshots(WRITE_S, LOADS, EVENT_S).cost_s(every), rel=0.03)


def test_the_best_interval_is_a_square_root():
    law = Snapshots(WRITE_S, LOADS, EVENT_S)
    assert law.best == pytest.approx(8.94, abs=0.005)
    assert law.best_every == best_every(WRITE_S, LOADS, EVENT_S) == 9 == min(range(1, 1000), key=law.cost_s)
    low, high = law.near(0.1)
    assert {every for every in range(1, 1000) if law.cost_s(every) <= 1.1 * law.cost_s(9)} == set(range(low, high + 1))
    assert Snapshots(1e-6, 1000, 1.0).best_every == 1
    assert Snapshots(2.0, 1, 1e-6).best_every == 2000
    with pytest.raises(BadScenario, match="write_s=0"):
        Snapshots(0, 1, 1)


def test_the_curve_tells_the_measured_and_the_best():
    law = Snapshots(WRITE_S, LOADS, EVENT_S)
    drawn = snapshot_curve(
        {every: [0.98 * law.cost_s(every), 1.02 * law.cost_s(every)] for every in (1, 9, 40)},
        write_s=WRITE_S, loads=LOADS, event_s=EVENT_S,
    )  # fmt: skip
    assert drawn.claim == "A snapshot every 9 events is best, and anything from 6 to 13 nearly as good"
    assert "8.94" in drawn.facts["best by formula"]
    assert drawn.facts["best measured"] == "every 9, 422 µs an event"
    assert drawn.png("dark") != drawn.png("light")
    with pytest.raises(BadScenario, match="nothing was measured"):
        snapshot_curve({}, write_s=1, loads=1, event_s=1)
    with pytest.raises(BadScenario, match="whole number"):
        snapshot_curve({0: 1.0}, write_s=1, loads=1, event_s=1)


def test_one_point_is_enough_to_draw():
    drawn = snapshot_curve({1: 0.5}, write_s=0.001, loads=2.5, event_s=1.0)
    assert "each event is best" in drawn.claim
    assert "2.5 loads" in drawn.subtitle
    assert drawn.png()


def test_the_price_of_durability_is_measured_and_drawn(tmp_path):
    found = append_times(appends=3, rounds=2, folder=tmp_path)
    assert list(found) == ["none", "flush", "sync"]
    assert all(len(times) == 2 and min(times) > 0 for times in found.values())
    assert not list(tmp_path.iterdir()), "the files are gone"
    assert durability_price(found).png()
    with pytest.raises(BadScenario):
        append_times(appends=0)


@pytest.mark.parametrize("sync_s", [30e-6, 200e-6, 3e-3, 40e-3, 2.0])
def test_the_prices_keep_apart_on_quick_and_on_slow_disks(sync_s):
    drawn = durability_price({"none": [15e-6, 45e-6], "flush": [20e-6], "sync": [0.3 * sync_s, 1.7 * sync_s]})
    assert_tidy(drawn, "light")
    assert_tidy(durability_price({"sync": [sync_s]}), "dark")


@pytest.mark.parametrize(("write_s", "loads", "event_s"), [(0.002, 5, 1e-5), (1e-6, 900, 0.1), (30.0, 0.25, 2e-6)])
@pytest.mark.parametrize("everies", [(1,), (1, 9, 40), (2, 3, 5, 100_000)])
def test_the_curve_keeps_its_words_apart(write_s, loads, event_s, everies):
    law = Snapshots(write_s, loads, event_s)
    points = {every: [0.9 * law.cost_s(every), 1.1 * law.cost_s(every)] for every in everies}
    drawn = snapshot_curve(points, write_s=write_s, loads=loads, event_s=event_s)
    assert_tidy(drawn, "light")
    assert len(drawn.claim) <= 75


def test_the_figure_says_what_an_acknowledgement_is_worth():
    drawn = durability_price({"sync": [200e-6, 220e-6], "flush": [19e-6, 23e-6], "none": [15e-6, 15e-6]})
    assert drawn.claim == "Waiting for the disk costs 10 times as much as waiting for the operating system"
    assert list(drawn.facts) == ["none", "flush", "sync"]
    assert "with the power: the last appends" in drawn.facts["flush"]
    assert drawn.facts["sync"].endswith("lost with the process: nothing, with the power: nothing")
    assert math.isfinite(len(drawn.png("dark")))
    with pytest.raises(BadScenario, match="did you mean 'flush'"):
        durability_price({"flsh": [1.0]})
    with pytest.raises(BadScenario, match="nothing was measured"):
        durability_price({})
