"""A transaction that an interrupt may leave open is noticed: what is acknowledged afterwards would be lost."""

from __future__ import annotations

import pytest
from test_store_troubles import ACTS
from test_store_troubles import test_after_an_interrupt_anywhere_what_is_acknowledged_is_there as play

from evsim import EvsimError
from evsim.store import sqlite


def begins_outside(db, act):
    """``begin`` stands before the part that takes everything back."""
    db.execute("begin immediate")
    try:
        done = act()
    except BaseException:
        db.execute("rollback")
        raise
    db.execute("commit")
    return done


def test_a_transaction_that_stays_open_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "alone", begins_outside)
    monkeypatch.setattr(sqlite.SQLiteStore, "_end_left_over", lambda self: None)
    with pytest.raises((AssertionError, EvsimError)):
        play("sqlite", ACTS["some events"], tmp_path, monkeypatch)
