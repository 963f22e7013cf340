"""Audit logging: complete, once and in order under faults; and tampering with the file is found out."""

from __future__ import annotations

import sqlite3

import pytest

import evsim as ev
from evsim import catalog, store
from evsim.lab.auditing import audited
from evsim.lab.search import Covered

AUDIT = catalog.get("audit")


def test_everything_on_the_bus_is_kept_once_and_in_the_order_of_its_key():
    run = AUDIT.run(until_s=60, seed=7)
    assert run.check(audited)[0].state == "ok"
    kept = [record for record in run.history.of("stored") if record.node == "ledger"]
    assert len(kept) > 500
    by_key = {}
    for record in kept:
        event = run.history.event_at(run.history.index(record.event_id))
        by_key.setdefault(event.key, []).append(event.timestamp)
    assert all(times == sorted(times) for times in by_key.values())


@pytest.mark.parametrize("step", ["delivered", "handled", "saved", "sent"])
def test_a_crash_of_the_audit_at_any_step_costs_and_doubles_nothing(step):
    run = AUDIT.plus(ev.Crash("audit", after=step, nth=40, down_s=3)).run(until_s=60, seed=3)
    assert len(run.history.of("crashed")) == 1
    assert run.check(audited)[0].state == "ok"


def test_a_power_cut_of_the_ledger_costs_nothing_that_was_acknowledged():
    run = AUDIT.plus(ev.Crash("ledger", at_s=20, down_s=3, power=True)).run(until_s=60, seed=3)
    assert run.check(audited)[0].state == "ok"
    flushed = AUDIT.replace("ledger", durability="flush", sync_s=ev.Constant(0)).plus(
        ev.Crash("ledger", at_s=20, down_s=3, power=True)
    )
    assert flushed.run(until_s=60, seed=3).check(audited)[0].state == "VIOLATED"


def test_a_search_finds_nothing_in_the_right_one():
    assert isinstance(AUDIT.search(audited, budget=60, progress=False), Covered)


@pytest.mark.parametrize("name", ["audit-forgets", "audit-copies"])
def test_a_search_finds_the_planted_ones(name):
    found = catalog.get(name).search(audited, budget=500, progress=False)
    assert found.verdict.state == "VIOLATED"


def test_without_a_bus_nothing_is_said():
    assert catalog.get("hello").run(until_s=5, seed=1).check(audited)[0].state == "unknown"


def test_the_ledger_as_a_file_tells_who_tampered_with_it_and_answers_questions(tmp_path):
    """The events of a run in a real file: who changed the limit of this customer, and what did they order then?"""
    run = AUDIT.run(until_s=30, seed=7)
    kept = [run.history.event_at(run.history.index(r.event_id)) for r in run.history.of("stored") if r.node == "ledger"]
    with store.open(tmp_path / "ledger.db") as ledger:
        for event in kept:
            ledger.append(event.key, event)
        assert ledger.verify() == len(kept)
        customer = next(event.key for event in kept if event.type == "limit.changed")
        limits = [each.event for each in ledger.read(customer) if each.event.type == "limit.changed"]
        assert limits
        assert all(event.source == "support" for event in limits)
    thief = sqlite3.connect(tmp_path / "ledger.db")
    thief.execute(
        "update events set body = replace(body, 'support', 'nobody!') where position = 3 or id = ?", (limits[0].id,)
    )
    thief.commit()
    [(first,)] = thief.execute("select min(position) from events where body like '%nobody!%'").fetchall()
    thief.close()
    with store.open(tmp_path / "ledger.db") as ledger, pytest.raises(ev.BadFile, match=f"breaks at position {first}"):
        ledger.verify()
