"""An event store in a PostgreSQL database: a schema with two tables, where an append is one round trip.

Two writers cannot take the same position: the second waits for the first (a unique index sees to it), then looks again
with the table locked (https://www.postgresql.org/docs/current/explicit-locking.html). So positions have no gap, and no
order but that of the commits. ``durability="none"`` is
``synchronous_commit = off``: a crash of the server may lose the last appends, never the tables. PostgreSQL knows
nothing between that and the disk, so that ``"flush"`` and ``"sync"`` are the same here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from evsim.errors import BadFile, EvsimError
from evsim.store.connection import Done
from evsim.store.sqlite import DURABILITIES, Durability
from evsim.store.tables import Row, Tables, Taken

SCHEMA = "evsim"
"""The PostgreSQL schema of a store that is given no name."""
MADE_BY = "an event store of evsim"
"""The comment that tells our schemas from others."""
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]{0,59}")
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
"""
_IDLE = 0
"""The transaction status of a connection that has none (libpq's PQTRANS_IDLE)."""
_ONE = "insert into events values (%s, %s, %s, %s, %s, %s, %s)"


class PostgresStore(Tables):
    """A store in a schema of a PostgreSQL database. One object belongs to one thread; each process opens its own."""

    _odd = (
        "select position from events where id is distinct from body::jsonb ->> 'id' "
        "or correlation is distinct from body::jsonb ->> 'correlation_id' order by position limit 1"
    )

    def __init__(self, url: str, durability: Durability = "flush", schema: str = SCHEMA) -> None:
        super().__init__()
        psycopg = self._psycopg = _driver()
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
            self._cursor = self._db.cursor()
        except BaseException:
            self._db.close()
            raise

    def _open(self, schema: str, durability: Durability) -> None:
        db = self._db
        with self._refusals(), db.transaction():
            db.execute("select pg_advisory_xact_lock(%s)", (0x65767374,))
            comment = "select obj_description(oid, 'pg_namespace') from pg_namespace where nspname = %s"
            found = db.execute(comment, (schema,)).fetchone()
            if found is not None and found[0] != MADE_BY:
                raise BadFile(f"schema {schema!r} holds something else; give another name, such as schema='events'")
            if found is None:
                db.execute(f'create schema "{schema}"')
            db.execute(f'set search_path to "{schema}"')
            if found is None:
                db.execute(_TABLES)
                db.execute(f"comment on schema \"{schema}\" is '{MADE_BY}'")
        db.execute(f"set synchronous_commit to {'off' if durability == 'none' else 'on'}")

    # ---------------------------------------------------------------- what the tables need

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        cursor = self._asked(sql.replace("?", "%s"), values)
        return cursor.fetchall() if cursor.description else []

    def _insert(self, rows: Sequence[Row]) -> None:
        if len(rows) == 1:
            self._asked(_ONE, rows[0])
            return
        with self._refusals(), self._db.cursor() as cursor, cursor.copy("copy events from stdin") as copy:
            for row in rows:
                copy.write_row(row)

    def _alone(self, act: Callable[[], Done]) -> Done:
        with self._refusals(), self._db.transaction():
            self._asked("lock table events in exclusive mode", ())
            return act()

    def _end_left_over(self) -> None:
        status = self._db.info.transaction_status
        if status == _IDLE:
            return
        self._forget()
        with self._refusals():
            self._db.rollback()

    def _asked(self, sql: str, values: Sequence[Any]) -> Any:
        with self._refusals():
            return self._cursor.execute(sql, values)  # one for all is a tenth of an append quicker than one for each

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """What the server may answer, in our words."""
        try:
            yield
        except self._psycopg.errors.UniqueViolation:
            raise Taken from None
        except self._psycopg.errors.QueryCanceled as problem:
            raise EvsimError(
                f"the PostgreSQL server has stopped the question ({_first_line(problem)}); ask again"
            ) from None
        except self._psycopg.OperationalError as problem:
            raise EvsimError(
                f"the PostgreSQL server has hung up ({_first_line(problem)}); open the store again, "
                "and append again what was not acknowledged: it is taken once"
            ) from None
        except self._psycopg.Error as problem:
            raise EvsimError(
                f"the PostgreSQL server refuses ({_first_line(problem)}); nothing was written, give it what it asks for"
            ) from None

    def _links(self) -> Iterator[tuple[int, str, int, str, bytes]]:
        with self._refusals(), self._db.transaction(), self._db.cursor("links") as cursor:
            cursor.execute("select position, stream, version, body, link from events order by position")
            yield from cursor

    def close(self) -> None:
        """Let go of the connection."""
        self._db.close()


def _first_line(problem: Exception) -> str:
    return (str(problem).strip() or type(problem).__name__).splitlines()[0]


def _driver() -> Any:
    """The psycopg package, which is an optional one."""
    try:
        import psycopg
    except ImportError:
        raise BadFile('a store in PostgreSQL needs psycopg; install it with pip install "evsim[postgres]"') from None
    return psycopg
