"""An event store in a PostgreSQL database: a schema with two tables, and a function that appends in one round trip.

Writers queue for a lock that lasts as long as their transaction, so that positions have no gap and no order but that of
the commits (https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS). ``durability="none"`` is
``synchronous_commit = off``: a crash of the server may lose the last appends, never the tables. PostgreSQL knows
nothing between that and the disk, so that ``"flush"`` and ``"sync"`` are the same here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from evsim.errors import BadFile, EvsimError
from evsim.event import Event
from evsim.store.memory import used_already
from evsim.store.recorder import ANY, EXISTS, NONE, Appended, Conflict, Expected
from evsim.store.sqlite import DURABILITIES, Durability
from evsim.store.tables import Tables

SCHEMA = "evsim"
"""The PostgreSQL schema of a store that is given no name."""
MADE_BY = "an event store of evsim"
"""The comment that tells our schemas from others."""
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]{0,59}")
_CODES: dict[Any, int] = {ANY: -1, NONE: -2, EXISTS: -3}
_TABLES = """
create table events (
    position bigint primary key, stream text collate "C" not null, version integer not null, id text not null unique,
    correlation text, body text not null, link bytea not null, unique (stream, version)
);
create index events_by_correlation on events (correlation, position) where correlation is not null;
create table streams (
    stream text collate "C" primary key, hidden integer not null default 0, metadata text not null default '{}'
);
create view readable as select position, stream, version, id, body::jsonb ->> 'type' as type,
    to_timestamp(1767225600 + (body::jsonb ->> 'timestamp')::float8) as timestamp, body::jsonb -> 'data' as data
    from events;
create function append_events(
    wanted text, expected integer, ids text[], correlations text[], bodies text[],
    out last_position bigint, out last_version integer, out again boolean, out taken text
) language plpgsql as $$
declare
    many constant integer := array_length(ids, 1);
    known integer;
    link_before bytea;
begin
    perform pg_advisory_xact_lock('events'::regclass::oid::bigint);
    again := false;
    select count(*), min(e.id) into known, taken from events e where e.id = any(ids);
    if known > 0 then
        select count(*), max(e.position), max(e.version) into known, last_position, last_version
            from unnest(ids, bodies) with ordinality as g (id, body, nth)
            join events e on e.id = g.id and e.body = g.body and e.stream = wanted
            where e.version - g.nth = (select f.version - 1 from events f where f.id = ids[1]);
        again := known = many;
        if again then
            taken := null;
        end if;
        return;
    end if;
    select coalesce(max(e.version), -1) into last_version from events e where e.stream = wanted;
    if not (expected = -1 or (expected = -2 and last_version < 0) or (expected = -3 and last_version >= 0)
            or (expected >= 0 and expected = last_version)) then
        return;
    end if;
    select e.position, e.link into last_position, link_before from events e order by e.position desc limit 1;
    if last_position is null then
        last_position := 0;
        link_before := decode(repeat('00', 32), 'hex');
    end if;
    for nth in 1..many loop
        last_position := last_position + 1;
        last_version := last_version + 1;
        link_before := sha256(link_before || convert_to(
            last_position || E'\\n' || wanted || E'\\n' || last_version || E'\\n' || bodies[nth], 'UTF8'));
        insert into events values (
            last_position, wanted, last_version, ids[nth], correlations[nth], bodies[nth], link_before);
    end loop;
end $$;
"""
_APPEND = "select * from append_events(%s, %s, %s, %s, %s)"


class PostgresStore(Tables):
    """A store in a schema of a PostgreSQL database. One object belongs to one thread; each process opens its own."""

    def __init__(self, url: str, durability: Durability = "flush", schema: str = SCHEMA) -> None:
        psycopg = _driver()
        if durability not in DURABILITIES:
            raise BadFile(f"durability={durability!r} is refused; expected none, flush or sync")
        if not _NAME.fullmatch(schema):
            raise BadFile(
                f"{schema!r} is no name for a schema; expected up to 60 letters, digits and _, such as 'shop'"
            )
        try:
            self._db: Any = psycopg.connect(url, autocommit=True)
        except psycopg.Error as problem:
            reason = str(problem).strip().splitlines()[-1]
            raise BadFile(f"no PostgreSQL answers there ({reason}); start one, or mend the address") from None
        try:
            self._open(schema.lower(), durability)
        except BaseException:
            self._db.close()
            raise

    def _open(self, schema: str, durability: Durability) -> None:
        db = self._db
        with db.transaction():
            db.execute("select pg_advisory_xact_lock(%s)", (0x65767374,))
            comment = "select obj_description(oid, 'pg_namespace') from pg_namespace where nspname = %s"
            found = db.execute(comment, (schema,)).fetchone()
            if found is not None and found[0] != MADE_BY:
                raise BadFile(f"schema {schema!r} holds something else; give another name, such as schema='events'")
            if found is None:
                db.execute(f"create schema {schema}")
            db.execute(f"set search_path to {schema}")
            if found is None:
                db.execute(_TABLES)
                db.execute(f"comment on schema {schema} is '{MADE_BY}'")
        db.execute(f"set synchronous_commit to {'off' if durability == 'none' else 'on'}")

    def _append(self, stream: str, events: list[Event], bodies: list[str], expected: Expected) -> Appended:
        values = (
            stream, _CODES.get(expected, expected), [event.id for event in events],
            [event.correlation_id for event in events], bodies,
        )  # fmt: skip
        [(position, version, again, taken)] = self._asked(_APPEND, values)
        if taken is not None:
            raise used_already(next(event.id for event in events if self._knows(event.id)))
        if position is None:
            raise Conflict(stream, expected, version)
        return Appended(position, version, again)

    def _knows(self, event_id: str) -> bool:
        return bool(self._rows("select 1 from events where id = ?", (event_id,)))

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        return self._asked(sql.replace("?", "%s"), values)

    def _asked(self, sql: str, values: Sequence[Any]) -> list[Any]:
        psycopg = _driver()
        try:
            cursor = self._db.execute(sql, values)
        except psycopg.OperationalError as problem:
            raise EvsimError(
                f"the PostgreSQL server has hung up ({str(problem).strip().splitlines()[0]}); open the store again, "
                "and append again what was not acknowledged: it is taken once"
            ) from None
        return cursor.fetchall() if cursor.description else []

    def _links(self) -> Iterator[tuple[int, str, int, str, bytes]]:
        with self._db.transaction(), self._db.cursor("links") as cursor:
            cursor.execute("select position, stream, version, body, link from events order by position")
            yield from cursor

    def close(self) -> None:
        """Let go of the connection."""
        self._db.close()


def _driver() -> Any:
    """The psycopg package, which is an optional one."""
    try:
        import psycopg
    except ImportError:
        raise BadFile('a store in PostgreSQL needs psycopg; install it with pip install "evsim[postgres]"') from None
    return psycopg
