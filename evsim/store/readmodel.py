"""A read model in SQLite: tables that one asks with SQL, and the checkpoint in the same transaction as their rows.

So a process that dies at any point leaves rows and checkpoint that fit each other, and what comes again is known. Each
version of a read model has tables of its own; views with the plain names show the version that answers.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from evsim.errors import BadFile, BadScenario, UnknownName, did_you_mean, shown
from evsim.event import Event
from evsim.patterns.projection import checked, followed
from evsim.store.connection import Done, alone, connected, use_wal

Apply = Callable[["Rows", Event], None]
"""What an event means for the tables: ``(rows, event)`` writes what it changes."""
NUMBERS = ("integer", "real")
TYPES = ("text", *NUMBERS, "blob")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
_SCHEMA = """create table if not exists evsim_models (
    model text not null, version integer not null, checkpoint integer not null default 0,
    live integer not null default 0, primary key (model, version)
)"""
_OWNERS = "create table if not exists evsim_tables (name text primary key, model text not null)"
_ASK = "select checkpoint, live from evsim_models where model = ? and version = ?"
_READS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}


@dataclass(frozen=True)
class Table:
    """A table: ``Table({"customer": "text", "spent": "real"}, key="customer")``; a key may have several columns."""

    columns: Mapping[str, str]
    key: str | tuple[str, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns of the key."""
        return (self.key,) if isinstance(self.key, str) else tuple(dict.fromkeys(self.key))

    def __str__(self) -> str:
        columns = ", ".join(f"{column} {kind}" for column, kind in self.columns.items())
        return f"{columns} with the key {', '.join(self.keys)}"

    @property
    def schema(self) -> str:
        """What stands in its parentheses; a column takes its own type and no other."""
        columns = [
            f'"{column}" {kind}{" not null" if column in self.keys else ""} '
            f"check (typeof(\"{column}\") in ('{kind}', 'null'))"
            for column, kind in self.columns.items()
        ]
        return f"{', '.join(columns)}, primary key ({', '.join(map(_quoted, self.keys))})"

    def check(self, name: str) -> None:
        """BadScenario when this cannot be a table."""
        columns, key = cast(Any, self.columns), cast(Any, self.key)
        if not isinstance(columns, Mapping):
            raise BadScenario(f"table {shown(name)} has {shown(columns)} for columns; expected {{'customer': 'text'}}")
        known: tuple[Any, ...] = (name, *self.columns)
        for each in known:
            if not isinstance(each, str) or not _NAME.fullmatch(each) or each.startswith(("sqlite_", "evsim_")):
                raise BadScenario(
                    f"{shown(each)} is no name of a table or column; expected small letters, digits and _, "
                    "beginning with a letter, such as 'total_spent'"
                )
        for column, kind in self.columns.items():
            if kind not in TYPES:
                raise BadScenario(f"column {column!r} of {name!r} is {shown(kind)}; expected {', '.join(TYPES)}")
        if not isinstance(key, str | tuple) or not key:
            raise BadScenario(f"table {name!r} has {shown(key)} for a key; expected a column, or several: ('a', 'b')")
        for column in self.keys:
            if column not in self.columns:
                raise BadScenario(f"{name!r} has no column {column!r} for its key{did_you_mean(column, self.columns)}")


class Rows:
    """What an event may do to the tables. Values may be anything; names are those of the tables, and no others."""

    def __init__(self, db: sqlite3.Connection, tables: Mapping[str, Table], version: int) -> None:
        self._db, self._tables, self._version = db, tables, version

    def put(self, table: str, **columns: Any) -> None:
        """Write these columns of a row, which is made if there is none with this key."""
        self._write(table, columns, "excluded.{0}")

    def add(self, table: str, **columns: Any) -> None:
        """Add to these columns of a row, which is made if there is none with this key."""
        self._place(table)
        shape = self._known(table, columns)
        for name, value in columns.items():
            if name not in shape.keys and (value is None or shape.columns[name] not in NUMBERS):
                raise BadScenario(
                    f"{name}={shown(value)} cannot be added to the {shape.columns[name]} {name!r} of {table!r}; "
                    f"add numbers to columns of {' or '.join(NUMBERS)}, or put"
                )
        self._write(table, columns, "coalesce({1}.{0}, 0) + excluded.{0}")

    def get(self, table: str, **key: Any) -> dict[str, Any] | None:
        """The row with this key, or None."""
        sql = f"select * from {self._place(table)} where {self._where(table, key)}"  # noqa: S608 - names are known
        row = self._run(table, sql, key).fetchone()
        return None if row is None else dict(zip(self._tables[table].columns, row, strict=True))

    def remove(self, table: str, **key: Any) -> None:
        """Take away the row with this key, if there is one."""
        sql = f"delete from {self._place(table)} where {self._where(table, key)}"  # noqa: S608 - names are known
        self._run(table, sql, key)

    def _run(self, table: str, sql: str, values: Mapping[str, Any]) -> sqlite3.Cursor:
        try:
            return self._db.execute(sql, [*values.values()])
        except (sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError, OverflowError, UnicodeError):
            told = ", ".join(f"{name}={shown(value)}" for name, value in values.items())
            raise BadScenario(
                f"a row of {table!r} with {told} cannot be kept; expected {self._tables[table]}, numbers below 2**63, "
                "whole characters, and None outside the key only"
            ) from None

    def _write(self, table: str, columns: Mapping[str, Any], change: str) -> None:
        place, shape = self._place(table), self._known(table, columns)
        missing = [name for name in shape.keys if name not in columns]
        if missing:
            raise BadScenario(f"a row of {table!r} was written without its key {missing[0]!r}; give {missing[0]}=…")
        names = [f'"{name}"' for name in columns]
        changes = [f'"{name}" = {change.format(_quoted(name), place)}' for name in columns if name not in shape.keys]
        keys = ", ".join(map(_quoted, shape.keys))
        action = f"do update set {', '.join(changes)}" if changes else "do nothing"
        marks = ", ".join("?" * len(names))
        sql = f"insert into {place} ({', '.join(names)}) values ({marks})"  # noqa: S608 - names are known
        self._run(table, f"{sql} on conflict ({keys}) {action}", columns)

    def _place(self, table: str) -> str:
        if table not in self._tables:
            raise UnknownName(f"no table called {table!r}{did_you_mean(table, self._tables)}")
        return _quoted(f"{table}__{self._version}")

    def _known(self, table: str, columns: Iterable[str]) -> Table:
        shape = self._tables[table]
        for name in columns:
            if name not in shape.columns:
                raise UnknownName(f"{table!r} has no column {name!r}{did_you_mean(name, shape.columns)}")
        return shape

    def _where(self, table: str, key: Mapping[str, Any]) -> str:
        self._place(table)
        shape = self._known(table, key)
        if set(key) != set(shape.keys):
            raise BadScenario(f"a row of {table!r} is found by {', '.join(shape.keys)}, not by {', '.join(key) or '∅'}")
        return " and ".join(f"{_quoted(name)} is ?" for name in key)


class SQLReadModel:
    """``SQLReadModel("shop.views", "customers", tables={…}, on={"order.placed": function})``, kept up by ``catch_up``.

    A new ``version`` lives beside the one that answers, until it ``take_over``. Without a path it lives in memory.
    """

    def __init__(
        self,
        path: str | Path | None,
        name: Any,
        *,
        tables: Any,
        on: Mapping[str, Apply],
        version: Any = 1,
    ) -> None:
        if not isinstance(name, str) or not name or not name.isprintable():
            raise BadScenario(f"{shown(name)} is no name of a read model; expected text such as 'totals'")
        if not isinstance(tables, Mapping) or not tables:
            raise BadScenario(f"read model {name!r} has no table; give tables={{'totals': Table(…)}}")
        for table, shape in tables.items():
            if not isinstance(shape, Table):
                raise BadScenario(f"table {shown(table)} is {shown(shape)}; expected Table({{…}}, key=…)")
            shape.check(table)
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise BadScenario(f"version={shown(version)} is refused; expected a whole number from 1")
        self.name: str = name
        self.tables: dict[str, Table] = dict(tables)
        self.on: dict[str, Apply] = followed(name, on)
        self.version: int = version
        self._closed = self._busy = False
        self._connection = connected(":memory:" if path is None else path)
        try:
            self._open()
        except (sqlite3.DatabaseError, BadFile) as problem:
            self.close()
            if isinstance(problem, BadFile):
                raise
            raise BadFile(f"{path} holds no read model ({problem}); give a new file, or one of evsim's") from None
        self._rows = Rows(self._db, self.tables, version)

    @property
    def _db(self) -> sqlite3.Connection:
        if self._closed:
            raise BadScenario(f"the read model {self.name!r} is closed; make it again with SQLReadModel(…)")
        return self._connection

    def _open(self) -> None:
        db = self._db
        use_wal(db)
        db.execute("pragma synchronous = normal")
        self._alone(lambda: self._make(db))

    def _make(self, db: sqlite3.Connection) -> None:
        db.execute(_SCHEMA)
        db.execute(_OWNERS)
        for table, shape in self.tables.items():
            self._own(db, table)
            place = _quoted(f"{table}__{self.version}")
            db.execute(f"create table if not exists {place} ({shape.schema})")
            there = _table_in(db, place)
            if (list(there.columns.items()), there.keys) != (list(shape.columns.items()), shape.keys):
                raise BadFile(
                    f"table {table!r} of version {self.version} has the columns {there} in this file, not {shape}; "
                    "give the changed read model another version"
                )
        known = db.execute("select count(*) from evsim_models where model = ?", [self.name]).fetchone()[0]
        db.execute("insert or ignore into evsim_models (model, version) values (?, ?)", [self.name, self.version])
        if not known:
            self._show(db)

    def _own(self, db: sqlite3.Connection, table: str) -> None:
        """BadFile when this table is another read model's: both would write to its rows."""
        db.execute("insert or ignore into evsim_tables values (?, ?)", [table, self.name])
        (owner,) = db.execute("select model from evsim_tables where name = ?", [table]).fetchone()
        if owner != self.name:
            raise BadFile(
                f"table {table!r} belongs to the read model {owner!r} in this file; give it another name here, or "
                "give the two read models a file each"
            )

    def _show(self, db: sqlite3.Connection) -> None:
        """Let this version answer; what only others have answers no more, for nobody keeps it up to date."""
        for (table,) in db.execute("select name from evsim_tables where model = ?", [self.name]).fetchall():
            db.execute(f"drop view if exists {_quoted(table)}")
        for table in self.tables:
            place = _quoted(f"{table}__{self.version}")
            db.execute(f"create view {_quoted(table)} as select * from {place}")  # noqa: S608 - names are known
        db.execute("update evsim_models set live = (version = ?) where model = ?", [self.version, self.name])

    def _alone(self, act: Callable[[], Done]) -> Done:
        """Do this in a transaction in which nobody else can write, whole or not at all."""
        if self._busy:
            raise BadScenario(f"{self.name!r} is being written to; a function of on= writes with its rows only")
        try:
            self._busy = True
            return alone(self._db, act)
        finally:
            self._busy = False

    # ---------------------------------------------------------------- taking

    @property
    def checkpoint(self) -> int:
        """The position of the last event that its tables know of."""
        return int(self._db.execute(_ASK, [self.name, self.version]).fetchone()[0])

    @property
    def is_live(self) -> bool:
        """Whether this version answers queries."""
        return bool(self._db.execute(_ASK, [self.name, self.version]).fetchone()[1])

    def take(self, events: Iterable[tuple[int, Event]]) -> int:
        """Take these events, all in one transaction with the checkpoint, and say how many were new."""
        given = list(events)

        def act() -> int:
            checkpoint, new = self.checkpoint, 0
            for position, event in given:
                if checked(position) <= checkpoint:
                    continue
                apply = self.on.get(event.type)
                if apply is not None:
                    apply(self._rows, event)
                checkpoint, new = position, new + 1
            self._keep(checkpoint)
            return new

        return self._alone(act)

    def reach(self, position: int) -> None:
        """Move the checkpoint to here, never back."""
        self._alone(lambda: self._keep(position))

    def _keep(self, checkpoint: int) -> None:
        where = [self.name, self.version]
        self._db.execute(
            "update evsim_models set checkpoint = max(checkpoint, ?) where model = ? and version = ?",
            [checkpoint, *where],
        )

    def take_over(self) -> None:
        """Let this version answer from now on; BadScenario while it is behind the one that does."""

        def act() -> None:
            behind = self._db.execute(
                "select max(checkpoint) from evsim_models where model = ? and live", [self.name]
            ).fetchone()[0]
            if behind is not None and behind > self.checkpoint:
                raise BadScenario(
                    f"version {self.version} of {self.name!r} is {behind - self.checkpoint} positions behind the one "
                    "that answers; let it catch up, and take over then"
                )
            self._show(self._db)

        self._alone(act)

    # ---------------------------------------------------------------- asking

    def query(self, sql: Any, *values: Any) -> list[dict[str, Any]]:
        """The rows that a ``select`` finds, with ``?`` for each value; anything that would write is refused."""
        if not isinstance(sql, str):
            raise BadScenario(f"{shown(sql)} is no query; expected text that begins with 'select'")

        def reads_only(action: int, *_: Any) -> int:
            return sqlite3.SQLITE_OK if action in _READS else sqlite3.SQLITE_DENY

        db = self._db
        db.set_authorizer(reads_only)
        try:
            found = db.execute(sql, values)
            names = [each[0] for each in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        except (sqlite3.Error, OverflowError, UnicodeError) as problem:
            hint = "a query may only read" if "authorized" in str(problem) else str(problem)
            raise BadScenario(f"{shown(sql)} was refused: {hint}") from None
        finally:
            db.set_authorizer(None)

    def close(self) -> None:
        """Let go of the file."""
        self._closed = True
        self._connection.close()


def _table_in(db: sqlite3.Connection, place: str) -> Table:
    """A table as it is in the file."""
    columns = db.execute(f"pragma table_info({place})").fetchall()
    keys = sorted((key, name) for _, name, _, _, _, key in columns if key)
    return Table({name: kind.lower() for _, name, kind, *_ in columns}, tuple(name for _, name in keys))


def _quoted(name: str) -> str:
    return f'"{name}"'
