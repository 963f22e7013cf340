"""An outbox that names a log is in one database with the state: both are there, or neither, and nothing is lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evsim as ev
from evsim import BadScenario, catalog
from evsim.lab.syncing import COPIES, in_step
from evsim.sim.database import Database

SYNC = catalog.get("sync")
FLUSHED = SYNC.replace("changes", flush_every_s=1.0)
IN_STEP = ["ok"] * 3


def states(scenario, seed):
    run = scenario.run(until_s=150, seed=seed)
    return [verdict.state for verdict in run.check(*map(in_step, COPIES))]


# -------------------------------------------------------------------- the copies of the catalogue


@pytest.mark.parametrize("scenario", [SYNC, FLUSHED], ids=["sync", "flush"])
@pytest.mark.parametrize("seed", [3, 4])
def test_copies_stay_in_step_when_the_change_log_is_down_for_a_while(scenario, seed):
    assert states(scenario.plus(ev.Crash("changes", at_s=20, down_s=4)), seed) == IN_STEP


_AWAY = {
    "crash": lambda at_s, for_s: ev.Crash("changes", at_s=at_s, down_s=for_s),
    "pause": lambda at_s, for_s: ev.Pause("changes", at_s=at_s, for_s=for_s),
    "partition": lambda at_s, for_s: ev.Partition("crm", "changes", at_s=at_s, for_s=for_s),
    "the answer is cut off": lambda at_s, for_s: ev.Partition("changes", "crm", at_s=at_s, for_s=for_s, one_way=True),
}


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(sorted(_AWAY)), st.floats(1, 60), st.floats(0.1, 20), st.integers(1, 99))
def test_whenever_and_however_the_change_log_is_away_the_copies_come_to_be_in_step(how, at_s, for_s, seed):
    assert states(SYNC.plus(_AWAY[how](at_s, for_s)), seed) == IN_STEP


@pytest.mark.parametrize("how", sorted(_AWAY))
def test_what_cannot_be_saved_is_not_handled(how):
    history = SYNC.plus(_AWAY[how](20, 4)).run(until_s=150, seed=3).history
    assert not [row for row in history.of("handled", node="crm") if 20 < row.time < 24]
    assert len(history.of("handled", node="crm")) == len(history.of("saved", node="crm")) == 200
    assert len(history.of("published", node="crm")) == len(history.of("stored", node="changes"))


def test_a_crash_of_the_source_while_it_waits_loses_nothing_either():
    faults = (
        ev.Crash("changes", at_s=20, down_s=6),
        ev.Crash("crm", at_s=22, down_s=2),
        ev.Pause("crm", at_s=25, for_s=3),
    )
    assert all(states(SYNC.plus(*faults), seed) == IN_STEP for seed in range(1, 6))


def drops_what_it_cannot_write(patch):
    """The state is saved although the outbox is away."""
    patch.setattr(Database, "is_there_for", lambda database, member: True)


def test_the_check_notices_an_outbox_that_drops(monkeypatch):
    drops_what_it_cannot_write(monkeypatch)
    crashed = SYNC.plus(ev.Crash("changes", at_s=20, down_s=4))
    assert all(states(crashed, seed) == ["VIOLATED"] * 3 for seed in (3, 4))


# -------------------------------------------------------------------- all who handle


def pay(event, ctx):
    ctx.state["paid"] = ctx.state.get("paid", 0) + 1
    ctx.emit("order.paid", {"number": ctx.state["paid"]})


async def pay_slowly(event, ctx):
    ctx.effect("card charged")
    await ctx.sleep(0.4)
    pay(event, ctx)


def shop(*faults, way=ev.Log, rows=None, on=pay, **payment):
    return ev.Scenario(
        ev.Publisher("shop", to="orders", rate=4, count=60),
        way("orders"),
        ev.Consumer("payment", of="orders", on={"order.placed": on}, inbox=True, outbox="rows", **payment),
        rows or ev.Log("rows"),
        *faults,
    )


def numbers(run):
    """What the outbox holds: how many were paid each time, as the state had it."""
    history = run.history
    return sorted(history.event_at(event).data["number"] for event in history.of("stored", node="rows").event.tolist())


SLOW = {"service_s": ev.Exponential(0.3)}


@pytest.mark.parametrize(
    ("way", "payment"),
    [(ev.Log, {}), (ev.Log, {"parallel": 4} | SLOW), (ev.Queue, {"members": 3} | SLOW)],
    ids=["member", "hands", "workers"],
)
@pytest.mark.parametrize("at_s", [3.0, 5.25, 8.0])
def test_state_and_outbox_agree_whoever_handles(way, payment, at_s):
    """As many rows as the state has counted: none is missing, and none is there twice."""
    run = shop(ev.Crash("rows", at_s=at_s, down_s=3), way=way, **payment).run(until_s=120, seed=2)
    assert numbers(run) == list(range(1, 61))


def test_a_handler_that_was_waiting_when_the_database_went_away_is_called_again():
    """Its transaction was rolled back; what it did in the outside world was done."""
    run = shop(ev.Crash("rows", at_s=5.0, down_s=2), on=pay_slowly).run(until_s=120, seed=2)
    again = run.history.of("failed", node="payment")
    assert numbers(run) == list(range(1, 61))
    assert len(again) == 1
    assert len(run.history.of("effect")) == 61


def test_a_database_of_several_machines_is_away_until_it_has_a_leader():
    rows = ev.Log("rows", replicas=3)
    run = shop(ev.Crash("rows-1", at_s=5, down_s=30), rows=rows).run(until_s=120, seed=2)
    assert not len(run.history.of("dropped"))
    assert len(run.history.of("stored", node="rows")) == 60
    assert not [row for row in run.history.of("saved", node="payment") if 5 < row.time < 6]


def test_a_database_that_never_comes_back_saves_nothing_more():
    run = shop(ev.Crash("rows", at_s=5, down_s=None)).run(until_s=60, seed=2)
    assert max(row.time for row in run.history.of("saved", node="payment")) < 5
    assert not len(run.history.of("dropped"))


def test_an_outbox_that_would_keep_its_rows_in_line_is_refused():
    with pytest.raises(BadScenario, match="written in the act that saves the state, but 'rows' lets it stand in line"):
        shop(rows=ev.Log("rows", request_s=0.1)).check()
