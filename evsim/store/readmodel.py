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
from evsim.kinds import kind_of
from evsim.patterns.projection import checked

Apply = Callable[["Rows", Event], None]
"""What an event means for the tables: ``(rows, event)`` writes what it changes."""
TYPES = ("text", "integer", "real", "blob")
WAIT_S = 30.0
"""So long a writer waits for another one."""
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
        return (self.key,) if isinstance(self.key, str) else self.key

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
        self._write(table, columns, "coalesce({1}.{0}, 0) + excluded.{0}")

    def get(self, table: str, **key: Any) -> dict[str, Any] | None:
        """The row with this key, or None."""
        sql = f"select * from {self._place(table)} where {self._where(table, key)}"  # noqa: S608 - names are known
        row = self._run(sql, key).fetchone()
        return None if row is None else dict(zip(self._tables[table].columns, row, strict=True))

    def remove(self, table: str, **key: Any) -> None:
        """Take away the row with this key, if there is one."""
        sql = f"delete from {self._place(table)} where {self._where(table, key)}"  # noqa: S608 - names are known
        self._run(sql, key)

    def _run(self, sql: str, values: Mapping[str, Any]) -> sqlite3.Cursor:
        try:
            return self._db.execute(sql, [*values.values()])
        except (sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError, OverflowError):
            told = ", ".join(f"{name}={shown(value)}" for name, value in values.items())
            raise BadScenario(
                f"a row with {told} cannot be kept; expected text, numbers below 2**63, bytes, or None outside the key"
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
        self._run(f"{sql} on conflict ({keys}) {action}", columns)

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
        if not isinstance(name, str) or not name:
            raise BadScenario(f"{shown(name)} is no name of a read model; expected text such as 'totals'")
        if not isinstance(tables, Mapping) or not tables:
            raise BadScenario(f"read model {name!r} has no table; give tables={{'totals': Table(…)}}")
        for table, shape in tables.items():
            if not isinstance(shape, Table):
                raise BadScenario(f"table {shown(table)} is {shown(shape)}; expected Table({{…}}, key=…)")
            shape.check(table)
        for event_type in on:
            if kind_of(event_type) == "command":
                raise BadScenario(f"{name} projects {event_type!r}, which is a wish; a read model follows facts")
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise BadScenario(f"version={shown(version)} is refused; expected a whole number from 1")
        self.name: str = name
        self.tables: dict[str, Table] = dict(tables)
        self.on, self.version = dict(on), version
        try:
            self._db = sqlite3.connect(":memory:" if path is None else path, timeout=WAIT_S, isolation_level=None)
        except sqlite3.Error as problem:
            raise BadFile(f"{path}: {problem}; give a file in a folder that is there") from None
        try:
            self._open()
        except (sqlite3.DatabaseError, BadFile) as problem:
            self._db.close()
            if isinstance(problem, BadFile):
                raise
            raise BadFile(f"{path} holds no read model ({problem}); give a new file, or one of evsim's") from None
        self._rows = Rows(self._db, self.tables, version)

    def _open(self) -> None:
        db = self._db
        db.execute("pragma journal_mode = wal")
        db.execute("pragma synchronous = normal")
        self._alone(lambda: self._make(db))

    def _make(self, db: sqlite3.Connection) -> None:
        db.execute(_SCHEMA)
        db.execute(_OWNERS)
        for table, shape in self.tables.items():
            self._own(db, table)
            columns = [
                f"{_quoted(column)} {kind}{' not null' if column in shape.keys else ''}"
                for column, kind in shape.columns.items()
            ]
            keys = ", ".join(map(_quoted, shape.keys))
            place = _quoted(f"{table}__{self.version}")
            db.execute(f"create table if not exists {place} ({', '.join(columns)}, primary key ({keys}))")
            there = [each[1] for each in db.execute(f"pragma table_info({place})")]
            if there != list(shape.columns):
                raise BadFile(
                    f"table {table!r} of version {self.version} has the columns {', '.join(there)} in this file, not "
                    f"{', '.join(shape.columns)}; give the changed read model another version"
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
        """Let this version answer."""
        for table in self.tables:
            db.execute(f"drop view if exists {_quoted(table)}")
            place = _quoted(f"{table}__{self.version}")
            db.execute(f"create view {_quoted(table)} as select * from {place}")  # noqa: S608 - names are known
        db.execute("update evsim_models set live = (version = ?) where model = ?", [self.version, self.name])

    def _alone(self, act: Callable[[], Any]) -> Any:
        self._db.execute("begin immediate")
        try:
            found = act()
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")
        return found

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
            where = [self.name, self.version]
            self._db.execute(
                "update evsim_models set checkpoint = ? where model = ? and version = ?", [checkpoint, *where]
            )
            return new

        return int(self._alone(act))

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

        self._db.set_authorizer(reads_only)
        try:
            found = self._db.execute(sql, values)
            names = [each[0] for each in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
        except (sqlite3.Error, OverflowError) as problem:
            hint = "a query may only read" if "authorized" in str(problem) else str(problem)
            raise BadScenario(f"{shown(sql)} was refused: {hint}") from None
        finally:
            self._db.set_authorizer(None)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()


def _quoted(name: str) -> str:
    return f'"{name}"'
