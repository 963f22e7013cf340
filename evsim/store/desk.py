"""A desk: the inbox, the state and the outbox of one service in one SQLite file, written in one transaction.

The same handlers and the same ``Inbox`` as in the simulator, on a database that can really be killed. What a handler
emits lies in the outbox until a relay has published it: ``send`` polls, ``rows(after)`` is for a relay that tails.
"""

from __future__ import annotations

import inspect
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from evsim.errors import BadFile, BadScenario, shown
from evsim.event import Event, freeze, seconds_of, thaw
from evsim.patterns.inbox import Inbox
from evsim.store.connection import WAIT_S, alone

Handler = Callable[[Event, Any], Any]
_OWN_KEY: Any = object()
_SCHEMA = (
    "create table if not exists desk_state (name text primary key, value text not null)",
    "create table if not exists desk_inbox (known text primary key, at_s real not null)",
    "create index if not exists desk_inbox_by_age on desk_inbox (at_s)",
    """create table if not exists desk_outbox (
        number integer primary key autoincrement, event text not null, at_s real not null, sent integer not null
    )""",
)


class Row(NamedTuple):
    """A row of the outbox: its number, which grows in the order of the transactions, the event, and if it was sent."""

    number: int
    event: Event
    sent: bool


class Desk:
    """``Desk("payment.db", "payment", on={"order.placed": pay})``: ``handle`` an event, then ``send`` what came of it.

    ``path`` is a file, None for memory, or a ``sqlite3.Connection`` with ``isolation_level=None``, whose other tables a
    handler may write in the same transaction. ``act(name, facts)`` is the outside world: it is called at once and not
    undone, whatever becomes of the transaction. ``clock`` gives seconds since EPOCH.
    """

    def __init__(
        self,
        path: str | Path | sqlite3.Connection | None,
        name: str,
        *,
        on: Mapping[str, Handler],
        inbox: Inbox | bool = True,
        act: Callable[[str, Mapping[str, Any]], Any] | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        for event_type, handler in on.items():
            if inspect.iscoroutinefunction(handler):
                raise BadScenario(
                    f"the handler of {event_type!r} waits, and a transaction must not; give {name!r} one without async"
                )
        self.inbox = Inbox() if inbox is True else inbox or None
        if self.inbox and self.inbox.bloom_error is not None:
            raise BadScenario(
                f"the inbox of {name!r} is a Bloom filter, which lives in memory; here it is a table: leave out "
                "bloom_error, or give ttl_s or capacity"
            )
        self.name, self.on = name, dict(on)
        self._act = act or (lambda _name, _facts: None)
        self._clock = clock or (lambda: seconds_of(datetime.now(UTC)))
        self._db = path if isinstance(path, sqlite3.Connection) else _opened(path)
        if self._db.isolation_level is not None:
            raise BadScenario("the connection begins transactions of its own; open it with isolation_level=None")
        alone(self._db, self._make)

    def _make(self) -> None:
        for statement in _SCHEMA:
            self._db.execute(statement)

    # ---------------------------------------------------------------- what comes in

    def handle(self, event: Event, attempt: int = 1) -> bool:
        """Handle an event, and say whether it was new: state, inbox and outbox change together, or not at all.

        With an inbox that is written ``"before"`` or ``"after"``, or is not ``unique``, they do not: these are there
        to see what it costs. What the handler raises comes out here, and nothing has changed.
        """
        handler = self.on.get(event.type)
        if handler is None:
            return False
        inbox = self.inbox
        if inbox is None or (inbox.written == "with" and inbox.unique):
            return alone(self._db, lambda: self._handled_at_once(handler, event, attempt))
        if self._knows(inbox, event):
            return False
        self._remember(inbox if inbox.written == "before" else None, event)
        work = _Work(self, event, attempt)
        work.run(handler)

        def save() -> None:
            work.save()
            self._remember(inbox if inbox.written == "with" else None, event)

        alone(self._db, save)
        self._remember(inbox if inbox.written == "after" else None, event)
        return True

    def _handled_at_once(self, handler: Handler, event: Event, attempt: int) -> bool:
        if self.inbox is not None and self._knows(self.inbox, event):
            return False
        _Work(self, event, attempt).done(handler)
        self._remember(self.inbox, event)
        return True

    def _knows(self, inbox: Inbox, event: Event) -> bool:
        row = self._db.execute("select at_s from desk_inbox where known = ?", [inbox.key_of(event)]).fetchone()
        return row is not None and (inbox.ttl_s is None or self._clock() - row[0] < inbox.ttl_s)

    def _remember(self, inbox: Inbox | None, event: Event) -> None:
        """Write the key down, and forget what is too old, or one too many."""
        if inbox is None:
            return
        now = self._clock()
        self._db.execute("insert or replace into desk_inbox values (?, ?)", [inbox.key_of(event), now])
        if inbox.ttl_s is not None:
            self._db.execute("delete from desk_inbox where at_s <= ?", [now - inbox.ttl_s])
        if inbox.capacity is not None:
            self._db.execute(
                "delete from desk_inbox where rowid not in (select rowid from desk_inbox order by rowid desc limit ?)",
                [inbox.capacity],
            )

    # ---------------------------------------------------------------- what goes out

    def send(self, publish: Callable[[Event], Any], mark: Literal["after", "before"] = "after") -> int:
        """Publish what is not sent, oldest first, and mark each row ``"after"`` it, or ``"before"``; say how many.

        Marked after, a crash in between publishes one event again; marked before, it loses one.
        """
        if mark not in ("after", "before"):
            raise BadScenario(f"mark={shown(mark)} is refused; expected 'after' or 'before'")
        waiting = [row for row in self.rows() if not row.sent]
        for row in waiting:
            if mark == "before":
                self._mark(row)
            publish(row.event)
            if mark == "after":
                self._mark(row)
        return len(waiting)

    def _mark(self, row: Row) -> None:
        self._db.execute("update desk_outbox set sent = 1 where number = ?", [row.number])

    def rows(self, after: int = 0) -> list[Row]:
        """What lies in the outbox behind this number: a relay that tails keeps the last number that it has published.

        One writes at a time, so that no row can appear behind one that was read already.
        """
        sql = "select number, event, sent from desk_outbox where number > ? order by number"
        return [Row(number, Event.from_json(text), bool(sent)) for number, text, sent in self._db.execute(sql, [after])]

    def clean(self, older_s: float = 0.0, *, up_to: int | None = None) -> int:
        """Throw away sent rows (and all ``up_to`` a number that a tailing relay has published) of that age."""
        sql = "delete from desk_outbox where (sent or number <= ?) and at_s <= ?"
        return self._db.execute(sql, [-1 if up_to is None else up_to, self._clock() - older_s]).rowcount

    # ---------------------------------------------------------------- what is kept

    @property
    def state(self) -> dict[str, Any]:
        """All that the handlers have saved."""
        return {name: json.loads(value) for name, value in self._db.execute("select * from desk_state order by name")}

    @property
    def remembered(self) -> int:
        """How many keys the inbox holds."""
        return int(self._db.execute("select count(*) from desk_inbox").fetchone()[0])

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()


def _opened(path: str | Path | None) -> sqlite3.Connection:
    try:
        db = sqlite3.connect(":memory:" if path is None else path, timeout=WAIT_S, isolation_level=None)
        db.execute("pragma journal_mode = wal")
        db.execute("pragma synchronous = normal")
    except sqlite3.Error as problem:
        raise BadFile(f"{path} cannot be a desk ({problem}); give a new file in a folder that is there") from None
    return db


class _State(MutableMapping[str, Any]):
    """What a handler sees of the table; its changes stay in memory until they are saved."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._seen: dict[str, Any] = {}
        self._gone: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        if name not in self._seen:
            row = self._db.execute("select value from desk_state where name = ?", [name]).fetchone()
            if row is None or name in self._gone:
                raise KeyError(name)
            self._seen[name] = json.loads(row[0])
        return self._seen[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._seen[name] = value
        self._gone.discard(name)

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self._seen.pop(name)
        self._gone.add(name)

    def __iter__(self) -> Iterator[str]:
        kept = [name for (name,) in self._db.execute("select name from desk_state order by name")]
        yield from (name for name in kept if name not in self._gone)
        yield from (name for name in list(self._seen) if name not in kept)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def save(self) -> None:
        self._db.executemany("delete from desk_state where name = ?", [[name] for name in sorted(self._gone)])
        rows = [[name, json.dumps(thaw(value), ensure_ascii=False)] for name, value in self._seen.items()]
        self._db.executemany("insert or replace into desk_state values (?, ?)", rows)


class _Work:
    """One event in hand: the context that its handler is given."""

    def __init__(self, desk: Desk, event: Event, attempt: int) -> None:
        self._desk, self.event, self.attempt = desk, event, attempt
        self.state = _State(desk._db)
        self.emitted: list[Event] = []

    @property
    def now(self) -> float:
        """Seconds since EPOCH."""
        return self._desk._clock()

    def effect(self, name: str, **facts: Any) -> None:
        """Act on the outside world, at once; it cannot be undone."""
        self._desk._act(name, facts)

    def emit(self, type: str, data: Mapping[str, Any] | None = None, *, key: str | None = _OWN_KEY) -> None:  # noqa: A002
        """Put an event into the outbox. Its id comes from its cause: what is handled again emits the same one."""
        cause, place = self.event, len(self.emitted) + 1
        number = f"{self._desk.name}:{cause.id}" + (f":{place}" if place > 1 else "")
        self.emitted.append(
            Event(
                number, type, self.now, self._desk.name, freeze(data or {}), key=cause.key if key is _OWN_KEY else key,
                correlation_id=cause.correlation_id or cause.id, causation_id=cause.id,
            )
        )  # fmt: skip

    def run(self, handler: Handler) -> None:
        handler(self.event, self)

    def save(self) -> None:
        self.state.save()
        now = self.now
        rows = [[event.to_json(), now] for event in self.emitted]
        self._desk._db.executemany("insert into desk_outbox (event, at_s, sent) values (?, ?, 0)", rows)

    def done(self, handler: Handler) -> None:
        self.run(handler)
        self.save()
