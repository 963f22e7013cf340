"""The indexes of a store in SQLite, which come behind its events.

An index costs a page of every commit, and finds nothing that a look at the last few hundred events would not find as
well. So a commit writes the event alone; now and then the last ones are brought into the indexes together. The views
``by_stream``, ``by_id`` and ``by_correlation`` look into both, as log-structured merge trees do (O'Neil et al. 1996).
"""

from __future__ import annotations

import sqlite3

_TABLES = """
create table places (stream text, version integer, position integer not null, primary key (stream, version))
    without rowid;
create table ids (id text primary key, position integer not null) without rowid;
create table conversations (correlation text, position integer, primary key (correlation, position)) without rowid;
create table indexed (upto integer not null);
insert into indexed values (0)
"""
VIEWS = {
    "by_stream": """select e.position, i.stream, i.version, e.body
    from places i cross join events e on e.position = i.position
    union all select position, stream, version, body from events where position > (select upto from indexed)""",
    "by_id": """select e.position, e.stream, e.version, e.body, i.id
    from ids i cross join events e on e.position = i.position
    union all select position, stream, version, body, id from events where position > (select upto from indexed)""",
    "by_correlation": """select i.position, e.stream, e.version, e.body, i.correlation
    from conversations i cross join events e on e.position = i.position
    union all select position, stream, version, body, correlation from events
    where position > (select upto from indexed)""",
}
_LAST = "from events where position > (select upto from indexed)"
_BRING_UP = (
    f"insert or ignore into places select stream, version, position {_LAST} order by stream, version",
    f"insert or ignore into ids select id, position {_LAST} order by id",
    f"insert or ignore into conversations select correlation, position {_LAST} and correlation is not null",
    "update indexed set upto = (select coalesce(max(position), 0) from events)",
)
_RIGHT = {
    "places": ("stream", "e.stream = i.stream and e.version = i.version"),
    "ids": ("id", "e.id = i.id"),
    "conversations": ("correlation", "e.correlation = i.correlation"),
}
"""What each index finds, and when an entry of it is right."""
_COUNTS = """
select (select count(*) from {index}),
    (select count(*) from {index} i cross join events e on e.position = i.position and {right}),
    (select count({found}) from events where position <= (select upto from indexed)),
    (select count(*) from indexed where upto <= (select coalesce(max(position), 0) from events))
"""


def make(db: sqlite3.Connection) -> None:
    """Make the indexes of the events that are there."""
    for statement in _TABLES.split(";"):
        db.execute(statement)
    _make_views(db)
    bring_up(db)


def _make_views(db: sqlite3.Connection) -> None:
    for name, select in VIEWS.items():
        db.execute(f"drop view if exists {name}")
        db.execute(f"create view {name} as {select}")


def bring_up(db: sqlite3.Connection) -> None:
    """Bring the last events into the indexes."""
    for statement in _BRING_UP:
        db.execute(statement)


def waiting(db: sqlite3.Connection) -> set[str]:
    """The ids of the events that are in no index yet."""
    return {event_id for (event_id,) in db.execute(f"select id {_LAST}")}


def changed(db: sqlite3.Connection) -> str | None:
    """The index or view that shows something else than the events, as it can only do when somebody has changed it."""
    for index, (found, right) in _RIGHT.items():
        entries, good, due, ends = db.execute(_COUNTS.format(index=index, found=found, right=right)).fetchone()
        if not (entries == good == due and ends == 1):
            return f"the table {index}"
    made = dict(db.execute("select name, sql from sqlite_master where type = 'view'"))
    for name, select in VIEWS.items():
        if made.get(name) != f"CREATE VIEW {name} as {select}":
            return f"the view {name}"
    return None


def rebuild(db: sqlite3.Connection) -> None:
    """Make the indexes anew from the events."""
    for table in (*_RIGHT, "indexed"):
        db.execute(f"delete from {table}")  # noqa: S608 - a name of ours
    db.execute("insert into indexed values (0)")
    _make_views(db)
    bring_up(db)
