"""A projection follows an event store by position: once each, in order, whatever crashes, is cut, or pauses."""

from __future__ import annotations

import pytest
from shops import run

import evsim as ev
from evsim.view import staleness
from evsim.view.little import little


async def keep(event, ctx):
    await ctx.append("store", str(event.key), ("order.placed", {}))


def shop(**settings):
    return (
        ev.Publisher("web", to="wishes", rate=8, type="place.order", key=ev.Zipf(10, 0.5, stem="customer")),
        ev.Queue("wishes"),
        ev.Consumer("desk", of="wishes", on={"place.order": keep}, retry=ev.Retry(100, ev.Backoff(0.1, cap_s=1))),
        ev.EventStore("store", append_s=0.002, **settings),
        ev.Projection("view", of="store", service_s=ev.Exponential(0.05)),
    )


def numbers(history, step):
    return [record.number for record in history.of(step) if record.node == "view"]


FAULTS = {
    "no fault": (),
    **{
        f"the projection crashes after {step}": (ev.Crash("view", after=step, nth=30, down_s=3),)
        for step in ("delivered", "handled", "saved", "sent", "acked")
    },
    "the store crashes": (ev.Crash("store", at_s=10, down_s=3),),
    "both crash": (ev.Crash("store", at_s=10, down_s=3), ev.Crash("view", at_s=11, down_s=4)),
    "the projection pauses": (ev.Pause("view", at_s=10, for_s=5),),
    "the store pauses": (ev.Pause("store", at_s=10, for_s=5),),
    "the link is cut": (ev.Partition("store", "view", at_s=10, for_s=5),),
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_each_event_is_applied_once_and_in_order(faults):
    history = run(*shop(), *faults, until_s=60)
    saved = numbers(history, "saved")
    assert saved == list(range(1, len(saved) + 1))
    stored = sum(record.node == "store" for record in history.of("stored"))
    assert stored > 350
    assert len(saved) >= stored - 20
    assert ev.applied_once().judge(history).state == "ok"
    assert ev.nothing_lost().judge(history).state == "ok"
    assert little(history, "view").holds, little(history, "view").reason


def test_a_read_model_lags_behind_its_store():
    history = run(*shop(), until_s=400)
    assert staleness.quantile_s(history, 0.5) == pytest.approx(0.055, abs=0.02)
    assert staleness.whole_way_s(history, 0.5) > staleness.quantile_s(history, 0.5)
    assert staleness.versions_behind(history)[0] > 0.9


def test_who_did_not_write_its_checkpoint_applies_twice():
    *rest, view = shop()
    doubles = view.but(checkpoint="after")
    history = run(*rest, doubles, ev.Crash("view", after="saved", nth=30, down_s=3), until_s=30)
    assert "applied it again" in ev.applied_once().judge(history).lines[0]


def test_one_reader_at_a_time():
    *rest, view = shop()
    with pytest.raises(ev.BadScenario, match="leave out members="):
        ev.Scenario(*rest, view.but(members=2)).run(until_s=1, seed=1)


def test_it_is_drawn_and_told():
    scenario = ev.Scenario(*shop())
    assert "reads store" in scenario.explain()
    drawn = scenario.run(until_s=20, seed=1)
    for figure in (drawn.topology(), drawn.staleness(), drawn.heads(), drawn.timeline()):
        assert figure.png().startswith(b"\x89PNG")
    assert "view saved its state" in drawn.story("web.3")
    assert drawn.summary()


@pytest.mark.parametrize(("durability", "state"), [("sync", "ok"), ("flush", "VIOLATED"), ("none", "VIOLATED")])
def test_a_store_that_forgets_takes_what_comes_next_from_its_read_models(durability, state):
    """After a power cut it gives positions again that the projection has passed already."""
    waits = {"sync_s": 0.005} if durability == "sync" else {}
    cut = ev.Crash("store", at_s=10.3, down_s=2, power=True)
    history = run(*shop(durability=durability, **waits), cut, until_s=40, seed=1)
    verdict = ev.applied_once().judge(history)
    assert verdict.state == state
    assert all("never applied" in line for line in verdict.lines)
