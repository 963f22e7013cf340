"""Change capture: every change of a SQLite table, by whomever, as a row of another table, in the same transaction.

Triggers write what Debezium would read from the database's log: before and after, and a number for each change of a
row. Nobody who changes the table has to know; nothing is captured that was rolled back, and nothing is committed
without being captured.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from typing import Any, NamedTuple

from evsim.errors import BadFile
from evsim.patterns.replica import Change

_TRIGGER = """create trigger if not exists {table}_{act}_captured after {act} on {table} begin
    insert into {table}_changes (key, version, before, after) values (
        {key}, 1 + coalesce((select max(version) from {table}_changes where key = {key}), 0), {before}, {after}); end"""
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]{0,59}")


class Captured(NamedTuple):
    """A change as it was captured: its number among all, the row's key and version, and the row before and after."""

    number: int
    key: str
    version: int
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    @property
    def change(self) -> Change:
        """The same for a replica: the new value, or None when the row was deleted."""
        return Change(self.key, self.version, self.after)


def capture(db: sqlite3.Connection, table: str, key: str = "id") -> None:
    """From now on every change of ``table`` is captured in ``<table>_changes``; ``key`` is the column that names a row.

    Raises BadFile when there is no such table or column.
    """
    for name in (table, key):
        if not _NAME.fullmatch(name):
            raise BadFile(f"{name!r} is no name of a table or column; expected letters, digits and _")
    columns = [row[1] for row in db.execute(f"pragma table_info({table})")]
    if not columns:
        raise BadFile(f"there is no table {table!r} to capture; create it first")
    if key not in columns:
        raise BadFile(f"table {table!r} has no column {key!r}; it has {', '.join(columns)}")
    db.execute(
        f"create table if not exists {table}_changes (number integer primary key autoincrement, key text not null, "
        "version integer not null, before text, after text)"
    )
    for act, before, after in (("insert", None, "new"), ("update", "old", "new"), ("delete", "old", None)):
        row = after or before
        words = {"act": act, "table": table, "key": f"{row}.{key}"}
        words |= {"before": _object(columns, before), "after": _object(columns, after)}
        db.execute(_TRIGGER.format(**words))
    db.execute(f"create index if not exists {table}_changes_by_key on {table}_changes (key, version)")


def _object(columns: list[str], row: str | None) -> str:
    if row is None:
        return "null"
    fields = ", ".join(f"'{column}', {row}.\"{column}\"" for column in columns)
    return f"json_object({fields})"


def captured(db: sqlite3.Connection, table: str, after: int = 0) -> Iterator[Captured]:
    """The changes of a table that come after this number, in their order."""
    if not _NAME.fullmatch(table):
        raise BadFile(f"{table!r} is no name of a table; expected letters, digits and _")
    sql = f"select number, key, version, before, after from {table}_changes where number > ? order by number"  # noqa: S608
    for number, key, version, before, now in db.execute(sql, (after,)):
        yield Captured(number, str(key), version, _row(before), _row(now))


def _row(text: str | None) -> dict[str, Any] | None:
    found: dict[str, Any] | None = None if text is None else json.loads(text)
    return found
