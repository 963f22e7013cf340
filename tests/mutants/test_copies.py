"""Broken copies: each is noticed by the check that a copy says what its source says."""

from __future__ import annotations

import pytest

import evsim as ev
from evsim import catalog
from evsim.lab import sync_steps
from evsim.lab.syncing import COPIES, in_step
from evsim.patterns import replica
from evsim.patterns.replica import by_version


def forgets_tombstones(rows, change):
    """A deleted row is gone, and with it the number that would tell a late update."""
    done = by_version(rows, change)
    if done and change.value is None:
        del rows[change.key]
    return done


def takes_equal_for_newer(rows, change):
    """An older change is ignored only when it is much older."""
    known = rows.get(change.key)
    if known is not None and known["version"] > change.version + 1:
        return False
    rows[change.key] = change.row
    return True


def skips_deletions(rows, change):
    """Deletions are left to the garbage collector."""
    return change.value is not None and by_version(rows, change)


def never_looks_back(rows, change):
    """Only rows that are new are taken."""
    return change.key not in rows and by_version(rows, change)


@pytest.mark.parametrize("mutant", [forgets_tombstones, takes_equal_for_newer, skips_deletions, never_looks_back])
def test_a_broken_copy_is_noticed(mutant, monkeypatch):
    table = {**replica.APPLY, "version": mutant}
    monkeypatch.setattr(sync_steps, "APPLY", table)
    sync = catalog.get("sync")
    verdicts = (v for seed in range(1, 101) for v in sync.run(until_s=120, seed=seed).check(*map(in_step, COPIES)))
    assert any(verdict.state == "VIOLATED" for verdict in verdicts)


def test_a_reconciliation_that_trusts_an_old_list_is_noticed():
    """It mends also what is younger than the list: rows that were made meanwhile are thrown away."""

    def trusting(event, ctx):
        source = {key: dict(row) for key, row in event.data["rows"].items()}
        for change in sync_steps.repairs(source, {key: ctx.state[key] for key in ctx.state}):
            ctx.state[change.key] = change.row
            seen = None if change.value is None else change.version
            ctx.effect("billing row", key=change.key, version=seen)

    night = ev.Publisher("night", to="edits", type="list.customers", gap_s=ev.Constant(7), key="all customers", count=6)
    sync = catalog.get("sync").plus(night)
    on = {**sync["billing"].on, "customers.listed": trusting}
    broken = sync.replace("billing", on=on)
    states = [
        [s.run(until_s=150, seed=seed).check(in_step("billing"))[0].state for seed in range(1, 13)]
        for s in (sync, broken)
    ]
    assert set(states[0]) == {"ok"}
    assert "VIOLATED" in states[1]
