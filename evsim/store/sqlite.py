"""An event store in one SQLite file, safe under several processes (https://www.sqlite.org/wal.html).

An append is one insert behind the last event that its writer has seen. If the position is taken, somebody else was
quicker; if it is free, all that the writer knew of streams and ids still holds. So positions have no gap and no order
but that of the commits, and the indexes may come behind. ``durability`` is what an append waits for: ``"none"`` for
nothing (a crash of the machine may lose appends, or the file), ``"flush"`` for the operating system (a killed process
loses nothing, a power cut the last appends), ``"sync"`` for the disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from evsim.errors import BadFile
from evsim.event import Event
from evsim.store import indexes
from evsim.store.recorder import Appended, Expected, Head
from evsim.store.tables import Row, Tables, Taken

Durability = Literal["none", "flush", "sync"]
APPLICATION = 0x65767374
"""``evst``: says in the header of a file that it is a store."""
WAIT_S = 30.0
"""So long a writer waits for another one."""
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
    _behind: set[str] | None

    def __init__(self, path: str | Path, durability: Durability = "flush") -> None:
        if durability not in DURABILITIES:
            raise BadFile(f"durability={durability!r} is refused; expected none, flush or sync")
        self.path = Path(path)
        self._db = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None)
        super().__init__()
        try:
            self._open(durability)
        except sqlite3.Error as problem:
            self._db.close()
            raise BadFile(f"{self.path} is no event store ({problem}); expected a file that evsim has made") from None
        except BadFile:
            self._db.close()
            raise

    def _open(self, durability: Durability) -> None:
        db = self._db
        [made_by], [tables] = (
            db.execute("pragma application_id").fetchone(),
            db.execute("select count(*) from sqlite_master").fetchone(),
        )
        if tables and made_by != APPLICATION:
            raise BadFile(f"{self.path} is a database of something else; give a new file, or one that evsim has made")
        db.execute(f"pragma page_size = {PAGE}")
        db.execute("pragma journal_mode = wal")
        db.execute(f"pragma synchronous = {DURABILITIES[durability]}")
        if not {"events", "indexed"} <= self._tables():
            with self._alone():
                self._make()

    def _tables(self) -> set[str]:
        return {name for (name,) in self._db.execute("select name from sqlite_master where type = 'table'")}

    def _make(self) -> None:
        """Make the tables that are missing: all in a new file, the indexes in one that was made before they were."""
        there = self._tables()
        for table, schema in (("events", _EVENTS), ("indexed", indexes.TABLES)):
            if table not in there:
                for statement in filter(str.strip, schema.split(";")):
                    self._db.execute(statement)
        self._db.execute(f"pragma application_id = {APPLICATION}")
        indexes.bring_up(self._db)

    # ---------------------------------------------------------------- the indexes

    def _append(self, stream: str, events: list[Event], bodies: list[str], expected: Expected) -> Appended:
        done = super()._append(stream, events, bodies, expected)
        if self._behind is not None and len(self._behind) >= BEHIND:
            with suppress(sqlite3.OperationalError), self._alone():  # what cannot be done now, the next append does
                indexes.bring_up(self._db)
                self._behind = None
        return done

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
            with self._alone():
                self._add(rows)
        behind.update(ids)

    def _add(self, rows: Sequence[Row]) -> None:
        try:
            added = self._db.executemany(_INSERT, rows).rowcount
        except sqlite3.IntegrityError:  # the position
            raise Taken from None
        if added < len(rows):  # an id
            raise Taken

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._db.execute("begin immediate")
        try:
            yield
            self._db.execute("commit")
        except BaseException:
            if self._db.in_transaction:  # a full disk has rolled it back already
                self._db.execute("rollback")
            raise

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        return self._db.execute(sql, values).fetchall()

    def _links(self) -> Iterator[tuple[int, str, int, str, bytes]]:
        yield from self._db.execute("select position, stream, version, body, link from events order by position")

    def verify(self, head: Head | None = None) -> int:
        """Follow the chain, and hold the indexes against the events, so that nobody hides an event by changing them."""
        count = super().verify(head)
        changed = indexes.changed(self._db)
        if changed:
            raise BadFile(
                f"the events of {self.path} are as they were written, but the table {changed} shows others than these; "
                "reindex() makes it anew from the events"
            )
        return count

    def reindex(self) -> None:
        """Make the indexes anew from the events."""
        with self._alone():
            indexes.rebuild(self._db)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()
