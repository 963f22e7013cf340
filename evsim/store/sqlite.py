"""An event store in one SQLite file, safe under several processes (https://www.sqlite.org/wal.html).

Every append is one transaction that takes the write lock at its beginning, so that positions have no gap and no order
but that of the commits. ``durability`` is what an append waits for: ``"none"`` for nothing (a crash of the machine may
lose appends, or the file), ``"flush"`` for the operating system (a killed process loses nothing, a power cut the last
appends), ``"sync"`` for the disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from evsim.errors import BadFile
from evsim.store.tables import Row, Tables, Taken

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


class SQLiteStore(Tables):
    """A store in a file. One object belongs to one thread; each process opens its own."""

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
        if not tables:
            db.execute("begin immediate")
            if not db.execute("select count(*) from sqlite_master").fetchone()[0]:
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    db.execute(statement)
                db.execute(f"pragma application_id = {APPLICATION}")
            db.execute("commit")

    # ---------------------------------------------------------------- what the tables need

    def _insert(self, rows: Sequence[Row]) -> None:
        db = self._db
        try:
            if len(rows) == 1:
                db.execute(_INSERT, rows[0])
            elif db.in_transaction:
                db.executemany(_INSERT, rows)
            else:
                with self._alone():
                    db.executemany(_INSERT, rows)
        except sqlite3.IntegrityError:
            raise Taken from None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._db.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        return self._db.execute(sql, values).fetchall()

    def _links(self) -> Iterator[tuple[int, str, int, str, bytes]]:
        yield from self._db.execute("select position, stream, version, body, link from events order by position")

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()
