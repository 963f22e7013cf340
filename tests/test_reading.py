"""The read model of the catalogue is right whatever crashes, and a checkpoint in a wrong place is found out."""

from __future__ import annotations

import pytest

import evsim as ev
from evsim import catalog
from evsim.lab.search import Covered

SHOP = catalog.get("read-model")


@pytest.mark.parametrize("step", ["delivered", "handled", "saved", "sent"])
def test_a_crash_at_any_step_applies_nothing_twice_and_forgets_nothing(step):
    run = SHOP.plus(ev.Crash("orders-view", after=step, nth=40, down_s=2)).run(until_s=60, seed=3)
    assert len(run.history.of("crashed")) == 1
    assert run.check(ev.applied_once())[0].state == "ok"
    assert len(run.history.of("saved")) > 300


def test_a_search_finds_nothing_in_the_right_one():
    assert isinstance(SHOP.search(ev.applied_once(), budget=60, until_s=20, progress=False), Covered)


@pytest.mark.parametrize(
    ("name", "step", "said"),
    [("read-model-forgets", "handled", "never applied"), ("read-model-doubles", "saved", "applied it again")],
)
def test_a_search_finds_the_planted_ones(name, step, said):
    found = catalog.get(name).search(ev.applied_once(), budget=500, until_s=20, progress=False)
    assert found.verdict.state == "VIOLATED"
    assert said in found.verdict.lines[0]
    run = catalog.get(name).plus(ev.Crash("orders-view", after=step, nth=5, down_s=2)).run(until_s=20, seed=1)
    assert run.check(ev.applied_once("orders-view"))[0].state == "VIOLATED"


def test_without_a_checkpoint_the_log_alone_does_not_help():
    shop = SHOP.replace("orders-view", checkpoint="none", inbox=False)
    run = shop.plus(ev.Crash("orders-view", after="saved", nth=5, down_s=2)).run(until_s=20, seed=1)
    assert "applied it again" in run.check(ev.applied_once())[0].lines[0]


def test_own_rows_are_kept_in_the_same_act():
    """A read model of one's own: what is counted is what was applied, whatever crashes."""

    def count(event, ctx):
        ctx.state["orders"] = ctx.state.get("orders", 0) + 1
        ctx.effect("counted", n=ctx.state["orders"])

    shop = SHOP.replace("orders-view", on={"order.placed": count})
    crashes = [ev.Crash("orders-view", after="saved", nth=nth, down_s=1) for nth in (5, 9, 17)]
    run = shop.plus(*crashes).run(until_s=40, seed=2)
    counted = [note["n"] for note in run.history.notes if "n" in note]
    assert counted == list(range(1, len(counted) + 1))
    assert run.check(ev.applied_once())[0].state == "ok"


def test_without_a_projection_nothing_is_said():
    assert catalog.get("hello").run(until_s=5, seed=1).check(ev.applied_once())[0].state == "unknown"
    silent = SHOP.replace("customers", rate=1e-6)
    assert silent.run(until_s=5, seed=1).check(ev.applied_once())[0].state == "unknown"


def test_it_is_explained_and_kept_in_a_file():
    told = SHOP.explain()
    assert "200 ms later they read orders-view" in told
    assert "offered 8/s, capacity 10/s, utilisation 80 %" in told
    assert ev.Scenario.from_yaml(SHOP.to_yaml()) == SHOP
    assert ev.Scenario.from_yaml(SHOP.to_yaml()) != SHOP.replace("customers", cure="token")


@pytest.mark.parametrize("cure", ["wait", "write_side", "sticky", "token"])
def test_every_cure_is_explained(cure):
    assert "later they" in SHOP.replace("customers", cure=cure).explain()


def test_mistakes_are_said_before_the_run():
    with pytest.raises(ev.BadScenario, match="one position a partition"):
        SHOP.replace("orders-view", parallel=4).run(until_s=1, seed=1)
    with pytest.raises(ev.BadScenario, match="expected a projection"):
        SHOP.replace("customers", views=("orders",)).run(until_s=1, seed=1)
    with pytest.raises(ev.BadScenario, match="did you mean 'orders-view'"):
        SHOP.replace("customers", views=("order-view",)).run(until_s=1, seed=1)


def test_clients_crash_and_come_back():
    run = SHOP.plus(ev.Crash("customers", at_s=5, down_s=5), ev.Pause("customers", at_s=15, for_s=2)).run(
        until_s=30, seed=1
    )
    times = run.history.of("published").time
    assert not ((times > 5) & (times < 10)).any()
    assert not ((times > 15) & (times < 17)).any()
    assert (times > 20).sum() > 50


def test_a_member_that_slept_and_was_replaced_applies_nothing_again():
    """The one that wakes up has an event in hand that another one has applied long ago."""
    shop = SHOP.replace("orders-view", members=2, session_timeout_s=3)
    for seed in range(6):
        run = shop.plus(ev.Pause("orders-view-1", at_s=10, for_s=10)).run(until_s=60, seed=seed)
        assert run.check(ev.applied_once())[0].state == "ok"
    zombie = shop.replace("orders-view", checkpoint="after", inbox=False)
    zombie = zombie.plus(ev.Pause("orders-view-1", at_s=10, for_s=10))
    states = {zombie.run(until_s=60, seed=seed).check(ev.applied_once())[0].state for seed in range(6)}
    assert "VIOLATED" in states


@pytest.mark.parametrize(
    "fault",
    [
        ev.Slow("orders-view", factor=3, at_s=10, for_s=5),
        ev.Join("orders-view", at_s=10),
        ev.Leave("orders-view-1", at_s=10),
    ],
)
def test_a_projection_is_hit_like_any_consumer(fault):
    shop = SHOP.replace("orders", partitions=3).replace("orders-view", members=2, dead_letter="dead")
    dead = ev.Log("dead")
    assert shop.plus(dead, fault).run(until_s=40, seed=1).check(ev.applied_once())[0].state == "ok"
    poisoned = shop.plus(dead, fault, ev.Poison("orders-view", nth=10)).run(until_s=40, seed=1)
    assert "never applied" in poisoned.check(ev.applied_once())[0].lines[0]


def test_what_the_log_has_twice_only_an_inbox_knows():
    """Two offsets are two events to a checkpoint, even if they are one to whoever wrote it."""
    twice = SHOP.replace("orders-view", inbox=False).plus(ev.Duplicate("customers", "orders", share=0.2))
    assert "applied it again" in twice.run(until_s=20, seed=1).check(ev.applied_once())[0].lines[0]
    run = twice.replace("orders-view", inbox=True).run(until_s=20, seed=1)
    assert run.check(ev.applied_once())[0].state == "ok"
