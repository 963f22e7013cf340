"""An event store in one SQLite file, safe under several processes (https://www.sqlite.org/wal.html).

An append is one insert behind the last event that its writer has seen. If the position is taken, somebody else was
quicker; if it is free, all that the writer knew of streams and ids still holds. So positions have no gap and no order
but that of the commits, and the indexes may come behind. ``durability`` is what an append waits for: ``"none"`` for
nothing (a crash of the machine may lose appends, or the file), ``"flush"`` for the operating system (a killed process
loses nothing, a power cut the last appends), ``"sync"`` for the disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from evsim.errors import BadFile, EvsimError
from evsim.event import Event
from evsim.store import indexes
from evsim.store.connection import Done, alone, connected, end_left_over, refusal, use_wal
from evsim.store.recorder import Appended, Expected, Head
from evsim.store.tables import Row, Tables, Taken

Durability = Literal["none", "flush", "sync"]
APPLICATION = 0x65767374
"""``evst``: says in the header of a file that it is a store."""
PAGE = 2048
"""Bytes of a page of a new file: a commit writes whole pages, so that small ones make appends cheaper."""
DURABILITIES = {"none": "OFF", "flush": "NORMAL", "sync": "FULL"}
BEHIND = 500
"""So many events may wait for the indexes: they are brought in in a millisecond, and looked through in 20 µs."""
_EVENTS = """
create table events (
    position integer primary key, stream text not null, version integer not null, id text not null,
    correlation text, body text not null, link blob not null
);
create view readable as select position, stream, version, id, json_extract(body, '$.type') as type,
    strftime('%Y-%m-%dT%H:%M:%fZ', 1767225600 + json_extract(body, '$.timestamp'), 'unixepoch') as timestamp,
    json_extract(body, '$.data') as data
    from events;
create table streams (stream text primary key, hidden integer not null default 0, metadata text not null default '{}');
"""
_INSERT = """
insert into events select * from (select ?, ?, ?, ? as id, ?, ?, ?) new
    where not exists (select 1 from ids where ids.id = new.id)
"""


class SQLiteStore(Tables):
    """A store in a file. One object belongs to one thread; each process opens its own."""

    _by_stream, _by_id, _by_correlation = "by_stream", "by_id", "by_correlation"
    _odd = (
        "select position from events where id is not json_extract(body, '$.id') "
        "or correlation is not json_extract(body, '$.correlation_id') order by position limit 1"
    )
    _behind: set[str] | None

    def __init__(self, path: str | Path, durability: Durability = "flush") -> None:
        if durability not in DURABILITIES:
            raise BadFile(f"durability={durability!r} is refused; expected none, flush or sync")
        self.path = Path(path)
        self._db = connected(self.path)
        super().__init__()
        try:
            self._open(durability)
        except sqlite3.Error as problem:
            self._db.close()
            if isinstance(problem, sqlite3.OperationalError):
                raise refusal(problem, self.path) from None
            raise BadFile(f"{self.path} is no event store ({problem}); expected a file that evsim has made") from None
        except BadFile:
            self._db.close()
            raise

    def _open(self, durability: Durability) -> None:
        db = self._db
        made_by, tables = db.execute(  # at one moment, for somebody else may be making the file now
            "select application_id, (select count(*) from sqlite_master) from pragma_application_id"
        ).fetchone()
        if tables and made_by != APPLICATION:
            raise BadFile(f"{self.path} is a database of something else; give a new file, or one that evsim has made")
        db.execute(f"pragma page_size = {PAGE}")
        use_wal(db)
        db.execute(f"pragma synchronous = {DURABILITIES[durability]}")
        if not {"events", "indexed"} <= self._tables():
            alone(db, self._make)

    def _tables(self) -> set[str]:
        return {name for (name,) in self._db.execute("select name from sqlite_master where type = 'table'")}

    def _make(self) -> None:
        """Make the tables that are missing: all in a new file, the indexes in one that was made before they were."""
        there = self._tables()
        if "events" not in there:
            for statement in filter(str.strip, _EVENTS.split(";")):
                self._db.execute(statement)
        if "indexed" not in there:
            indexes.make(self._db)
        self._db.execute(f"pragma application_id = {APPLICATION}")

    # ---------------------------------------------------------------- the indexes

    def _append(self, stream: str, events: list[Event], bodies: list[str], expected: Expected) -> Appended:
        done = super()._append(stream, events, bodies, expected)
        if self._behind is not None and len(self._behind) >= BEHIND:
            with suppress(EvsimError):  # what cannot be done now, the next append does
                self._alone(lambda: indexes.bring_up(self._db))
                self._behind = None
        return done

    def _look_and_write(self, stream: str, events: list[Event], bodies: list[str], expected: Expected) -> Appended:
        self._behind = indexes.waiting(self._db)
        if len(self._behind) >= BEHIND:
            indexes.bring_up(self._db)
            self._behind = set()
        return super()._look_and_write(stream, events, bodies, expected)

    def _forget(self) -> None:
        super()._forget()
        self._behind = None  # the ids that no index knows, when we have looked

    # ---------------------------------------------------------------- what the tables need

    def _insert(self, rows: Sequence[Row]) -> None:
        behind, ids = self._behind, [row[3] for row in rows]
        if behind is None:
            behind = self._behind = indexes.waiting(self._db)
        if not behind.isdisjoint(ids):
            raise Taken
        if len(rows) == 1 or self._db.in_transaction:
            self._add(rows)
        else:
            self._alone(lambda: self._add(rows))
        behind.update(ids)

    def _add(self, rows: Sequence[Row]) -> None:
        try:
            added = self._db.executemany(_INSERT, rows).rowcount
        except sqlite3.IntegrityError:  # the position
            raise Taken from None
        except sqlite3.Error as problem:
            raise refusal(problem, self.path) from None
        if added < len(rows):  # an id
            raise Taken

    def _alone(self, act: Callable[[], Done]) -> Done:
        try:
            return alone(self._db, act)
        except sqlite3.Error as problem:
            raise refusal(problem, self.path) from None

    def _end_left_over(self) -> None:
        try:
            if self._db.in_transaction:
                end_left_over(self._db)
                self._forget()
        except sqlite3.Error as problem:
            raise refusal(problem, self.path) from None

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as problem:
            raise refusal(problem, self.path) from None

    def _links(self) -> Iterator[tuple[int, str, int, str, bytes]]:
        try:
            yield from self._db.execute("select position, stream, version, body, link from events order by position")
        except sqlite3.Error as problem:
            raise refusal(problem, self.path) from None

    def verify(self, head: Head | None = None) -> int:
        """Follow the chain, and hold all by which events are found against the events.

        So nobody hides an event by changing an index or a view. What ``truncate`` and ``delete`` hide is not looked at.
        """
        count = super().verify(head)
        changed = indexes.changed(self._db)
        if changed:
            raise BadFile(
                f"the events of {self.path} are as they were written, but {changed} was changed and shows others than "
                "these; reindex() makes it anew from the events"
            )
        return count

    def reindex(self) -> None:
        """Make the indexes anew from the events."""
        self._alone(lambda: indexes.rebuild(self._db))

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()
