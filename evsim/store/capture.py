"""Change capture: every change of a SQLite table, by whomever, as a row of another table, in the same transaction.

Triggers write what Debezium would read from the database's log: before and after, and a number for each change of a
row. Nobody who changes the table has to know; nothing is captured that was rolled back, and nothing is committed
without being captured. One thing is asked of a table that is unique in more than its key: ``replace`` deletes rows
there, and SQLite tells triggers of it only on connections with ``pragma recursive_triggers = on``.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any, NamedTuple

from evsim.errors import BadFile, did_you_mean, shown
from evsim.patterns.replica import Change

_CHANGE = """insert into {changes} (key, version, before, after) select
    {key}, 1 + coalesce((select max(version) from {changes} where key = {key}), 0), {before}, {after} {when};"""
_UNIQUE = """select i.name, c.name from pragma_index_list(?) i, pragma_index_info(i.name) c where i."unique" """
_JSON = """case typeof({0}) when 'blob' then json_quote(hex({0}))
    when 'real' then case {0} when 9e999 then '9e999' when -9e999 then '-9e999' else printf('%!.17g', {0}) end
    else json_quote({0}) end"""
_KEY = "coalesce(case typeof({0}) when 'blob' then hex({0}) else cast({0} as text) end, 'null')"


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

    A row that gets another key is a row that is deleted and another one that is new. Blobs are captured as hexadecimal
    text, and rows whose key is NULL share the name ``null``. After ``alter table``, capture again. Raises BadFile when
    there is no such table or column, or when ``replace`` could delete rows in silence (see above).
    """
    try:
        db.execute("savepoint capture")
        try:
            _make(db, table, key)
        except BaseException:
            db.execute("rollback to capture")
            raise
        finally:
            db.execute("release capture")
    except (sqlite3.Error, UnicodeError) as problem:
        raise BadFile(f"{shown(table)} cannot be captured ({problem}); give a table of this database") from None


def _make(db: sqlite3.Connection, table: str, key: str) -> None:
    columns = [name for (name,) in db.execute("select name from pragma_table_info(?)", (table,))]
    if not columns:
        raise BadFile(f"there is no table {shown(table)} to capture; create it first")
    if key not in columns:
        raise BadFile(f"table {table!r} has no column {shown(key)}{did_you_mean(key, columns)}")
    _refuse_silence(db, table, key)
    changes = _quoted(f"{table}_changes")
    db.execute(
        f"create table if not exists {changes} (number integer primary key autoincrement, key text not null, "
        "version integer not null, before text, after text)"
    )
    for act, body in _bodies(changes, columns, key).items():
        trigger = _quoted(f"{table}_{act}_captured")
        db.execute(f"drop trigger if exists {trigger}")
        db.execute(f"create trigger {trigger} after {act} on {_quoted(table)} begin {body} end")
    db.execute(f"create index if not exists {_quoted(f'{table}_changes_by_key')} on {changes} (key, version)")


def _refuse_silence(db: sqlite3.Connection, table: str, key: str) -> None:
    """BadFile when ``replace`` would delete a row of another key without a trigger."""
    unique: dict[str, list[str]] = {}
    for index, column in db.execute(_UNIQUE, (table,)):
        unique.setdefault(index, []).append(column or "an expression")
    primary = [name for (name,) in db.execute("select name from pragma_table_info(?) where pk order by pk", (table,))]
    other = next((each for each in (primary, *unique.values()) if each and each != [key]), None)
    if other and not db.execute("pragma recursive_triggers").fetchone()[0]:
        raise BadFile(
            f"table {table!r} is unique in {', '.join(other)} too, where replace deletes a row of another key and no "
            "trigger knows; execute 'pragma recursive_triggers = on' on every connection that writes, and capture then"
        )


def _bodies(changes: str, columns: list[str], key: str) -> dict[str, str]:
    """What each trigger does."""
    old, new = (_KEY.format(f"{row}.{_quoted(key)}") for row in ("old", "new"))
    before, after = _object("old", columns), _object("new", columns)

    def change(key: str, before: str = "null", after: str = "null", when: str = "") -> str:
        return _CHANGE.format(changes=changes, key=key, before=before, after=after, when=when)

    same = f"case when {old} = {new} then {before} end"
    return {
        "insert": change(new, after=after),
        "update": change(old, before, when=f"where {old} <> {new}") + change(new, same, after),
        "delete": change(old, before),
    }


def _object(row: str, columns: list[str]) -> str:
    """The row as the text of a JSON object."""
    fields = [f"{_text(json.dumps(name) + ': ')} || {_JSON.format(f'{row}.{_quoted(name)}')}" for name in columns]
    return f"""'{{' || {" || ', ' || ".join(fields)} || '}}'"""


def _quoted(name: str) -> str:
    return '"' + str(name).replace('"', '""') + '"'


def _text(words: str) -> str:
    return "'" + words.replace("'", "''") + "'"


def captured(db: sqlite3.Connection, table: str, after: int = 0) -> Iterator[Captured]:
    """The changes of a table that come after this number, in their order; BadFile when it is not captured."""
    changes = _quoted(f"{table}_changes")
    sql = f"select number, key, version, before, after from {changes} where number > ? order by number"  # noqa: S608
    try:
        found = db.execute(sql, (after,))
    except (sqlite3.Error, UnicodeError) as problem:
        raise BadFile(f"nothing of {shown(table)} was captured ({problem}); call capture first") from None
    return (Captured(number, str(key), version, _row(before), _row(now)) for number, key, version, before, now in found)


def _row(text: str | None) -> dict[str, Any] | None:
    found: dict[str, Any] | None = None if text is None else json.loads(text)
    return found
