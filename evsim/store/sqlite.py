"""An event store in one SQLite file, safe under several processes (https://www.sqlite.org/wal.html).

Every append is one transaction that takes the write lock at its beginning, so that positions have no gap and no order
but that of the commits. ``durability`` is what an append waits for: ``"none"`` for nothing (a crash of the machine may
lose appends, or the file), ``"flush"`` for the operating system (a killed process loses nothing, a power cut the last
appends), ``"sync"`` for the disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from evsim.errors import BadFile
from evsim.event import Event
from evsim.store.memory import used_already
from evsim.store.recorder import (
    START,
    Appended,
    Conflict,
    Expected,
    chained,
    fits,
)
from evsim.store.tables import Tables

Durability = Literal["none", "flush", "sync"]
APPLICATION = 0x65767374
"""``evst``: says in the header of a file that it is a store."""
WAIT_S = 30.0
"""So long a writer waits for another one."""
PAGE = 2048
"""Bytes of a page of a new file: a commit writes whole pages, so that small ones make appends cheaper."""
DURABILITIES = {"none": "OFF", "flush": "NORMAL", "sync": "FULL"}
_SCHEMA = """
create table events (
    position integer primary key, stream text not null, version integer not null, id text not null unique,
    correlation text, body text not null, link blob not null, unique (stream, version)
);
create index events_by_correlation on events (correlation, position) where correlation is not null;
create view readable as select position, stream, version, id, json_extract(body, '$.type') as type,
    strftime('%Y-%m-%dT%H:%M:%fZ', 1767225600 + json_extract(body, '$.timestamp'), 'unixepoch') as timestamp,
    json_extract(body, '$.data') as data
    from events;
create table streams (stream text primary key, hidden integer not null default 0, metadata text not null default '{}');
"""
_INSERT = "insert into events values (?, ?, ?, ?, ?, ?, ?)"
KNOWN_MAX = 100_000
"""Of so many streams the last version is remembered."""


class SQLiteStore(Tables):
    """A store in a file. One object belongs to one thread; each process opens its own."""

    def __init__(self, path: str | Path, durability: Durability = "flush") -> None:
        if durability not in DURABILITIES:
            raise BadFile(f"durability={durability!r} is refused; expected none, flush or sync")
        self.path = Path(path)
        self._db = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None)
        self._forget()
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
        if not tables:
            db.execute("begin immediate")
            if not db.execute("select count(*) from sqlite_master").fetchone()[0]:
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    db.execute(statement)
                db.execute(f"pragma application_id = {APPLICATION}")
            db.execute("commit")

    # ---------------------------------------------------------------- write

    def _append(self, stream: str, events: list[Event], bodies: list[str], expected: Expected) -> Appended:
        """At once, as if nobody else were there; if somebody is, a key is taken, and we look before we write."""
        actual = self._versions.get(stream)
        if actual is None:
            actual = self.version(stream)
        if self._last is not None and fits(expected, actual):
            try:
                return self._insert(stream, actual, events, bodies)
            except sqlite3.IntegrityError:
                if self._db.in_transaction:
                    self._db.execute("rollback")
        self._forget()
        return self._look_and_append(stream, events, bodies, expected)

    def _forget(self) -> None:
        """Believe nothing about the file any more."""
        self._last: tuple[int, bytes] | None = None
        self._versions: dict[str, int] = {}

    def _look_and_append(self, stream: str, events: list[Event], bodies: list[str], expected: Expected) -> Appended:
        """In one transaction that nobody else can write in: what is there, and what is to be."""
        db = self._db
        db.execute("begin immediate")
        try:
            appended = self._again(stream, events, bodies) or self._write(stream, events, bodies, expected)
            db.execute("commit")
        except BaseException:
            self._forget()
            db.execute("rollback")
            raise
        return appended

    def _write(self, stream: str, events: list[Event], bodies: list[str], expected: Expected) -> Appended:
        db = self._db
        actual = self.version(stream)
        if not fits(expected, actual):
            raise Conflict(stream, expected, actual)
        self._last = db.execute("select position, link from events order by position desc limit 1").fetchone()
        return self._insert(stream, actual, events, bodies)

    def _insert(self, stream: str, actual: int, events: list[Event], bodies: list[str]) -> Appended:
        """Write the rows behind the last one that we know of, whole or not at all."""
        db = self._db
        position, link = self._last or (0, START)
        rows = []
        for version, (event, body) in enumerate(zip(events, bodies, strict=True), start=actual + 1):
            position += 1
            link = chained(link, position, stream, version, body)
            rows.append((position, stream, version, event.id, event.correlation_id, body, link))
        if len(rows) == 1:
            db.execute(_INSERT, rows[0])
        elif db.in_transaction:
            db.executemany(_INSERT, rows)
        else:
            db.execute("begin immediate")
            db.executemany(_INSERT, rows)
            db.execute("commit")
        if len(self._versions) >= KNOWN_MAX:
            self._versions.clear()
        self._last, self._versions[stream] = (position, link), actual + len(events)
        return Appended(position, actual + len(events))

    def _again(self, stream: str, events: list[Event], bodies: list[str]) -> Appended | None:
        """The append that these events have led to before, if they are all here as they are given."""
        one = "select stream, version, body, position from events where id = ?"
        found = [self._db.execute(one, (event.id,)).fetchone() for event in events]
        if not any(found):
            return None
        first = next(row for row in found if row)
        for n, (row, body) in enumerate(zip(found, bodies, strict=True)):
            if row is None or row[:3] != (stream, first[1] + n, body):
                raise used_already(next(e.id for e, row in zip(events, found, strict=True) if row))
        return Appended(found[-1][3], found[-1][1], again=True)

    # ---------------------------------------------------------------- read

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        return self._db.execute(sql, values).fetchall()

    def _links(self) -> Iterator[tuple[int, str, int, str, bytes]]:
        yield from self._db.execute("select position, stream, version, body, link from events order by position")

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()
