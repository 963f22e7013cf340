"""Known-bad versions of indexes that come behind: two writers on a file, held against a store in memory, catch each."""

from __future__ import annotations

import sqlite3

import pytest
from test_indexes_behind import agree

from evsim.store import ANY, indexes, sqlite
from evsim.store.tables import Tables, Taken


def forgets_the_last_ids(patch):
    """Whoever opens a file knows no id that is in no index yet."""
    patch.setattr(indexes, "waiting", lambda db: set())


def asks_no_index_for_ids(patch):
    """An id that is in an index may be used again."""
    patch.setattr(sqlite, "_INSERT", "insert into events values (?, ?, ?, ?, ?, ?, ?)")


def takes_any_position(patch):
    """Who was slower writes behind the quicker one, with what he knew before."""

    def broken(self, rows):
        for row in rows:
            [[last]] = self._db.execute("select coalesce(max(position), 0) from events")
            self._db.execute("insert into events values (?, ?, ?, ?, ?, ?, ?)", (last + 1, *row[1:]))

    patch.setattr(sqlite.SQLiteStore, "_add", broken)


def looks_only_into_the_indexes(patch):
    """Readers do not see the last events."""
    patch.setattr(indexes, "VIEWS", {name: select.partition("union all")[0] for name, select in indexes.VIEWS.items()})


def says_more_than_it_has_brought_in(patch):
    """The mark is set one event too far."""
    *found, _ = indexes._BRING_UP
    too_far = "update indexed set upto = (select coalesce(max(position), 0) + 1 from events)"
    patch.setattr(indexes, "_BRING_UP", (*found, too_far))


def forgets_to_set_the_mark(patch):
    """What is in the indexes is found a second time among the last events."""
    patch.setattr(indexes, "_BRING_UP", indexes._BRING_UP[:-1])


def believes_what_it_knew(patch):
    """Who was too slow looks again with the versions that he had in mind."""
    forget = sqlite.SQLiteStore._forget

    def broken(self):
        versions = getattr(self, "_versions", {})
        forget(self)
        self._versions = versions

    patch.setattr(sqlite.SQLiteStore, "_forget", broken)
    patch.setattr(
        sqlite.SQLiteStore, "version", lambda self, stream: self._versions.get(stream, _version(self, stream))
    )


_version = Tables.version


def takes_half_of_an_append(patch):
    """An append of which one event is known already leaves the others there."""

    def broken(self, rows):
        try:
            added = self._db.executemany(sqlite._INSERT, rows).rowcount
        except sqlite3.IntegrityError:
            raise Taken from None
        if not added:
            raise Taken

    patch.setattr(sqlite.SQLiteStore, "_add", broken)


ANN, BOB = 0, 1
TURNS = [(n % 2, "ab"[n % 2], [n], ANY) for n in range(8)]
RUSH = [(ANN, "a", [0], ANY), (BOB, "a", [1], ANY), (ANN, "a", [2], 0), (ANN, "a", [3], 1), (BOB, "a", [4], 2)]
CASES = [
    (forgets_the_last_ids, [(ANN, "a", [0], ANY), (BOB, "b", [1], ANY), (BOB, "b", [0], ANY)]),
    (asks_no_index_for_ids, [*TURNS, (BOB, "c", [0], ANY)]),
    (takes_any_position, RUSH),
    (looks_only_into_the_indexes, TURNS),
    (says_more_than_it_has_brought_in, TURNS),
    (forgets_to_set_the_mark, TURNS),
    (believes_what_it_knew, RUSH),
    (takes_half_of_an_append, [*TURNS, (BOB, "c", [9, 0, 10], ANY)]),
]


@pytest.mark.parametrize(("mutant", "plan"), CASES, ids=[mutant.__name__ for mutant, _ in CASES])
def test_a_broken_store_does_something_else(mutant, plan, tmp_path, monkeypatch):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    agree(whole, plan)
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        agree(broken, plan)
