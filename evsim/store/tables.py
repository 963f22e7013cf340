"""A store that keeps its events in tables of a database, whichever database that is."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from evsim.errors import BadFile
from evsim.event import Event
from evsim.store.body import event_of
from evsim.store.connection import Done
from evsim.store.memory import used_already
from evsim.store.recorder import (
    START,
    Appended,
    Conflict,
    Expected,
    Head,
    Recorded,
    Store,
    a_category,
    a_text,
    a_version,
    chained,
    described,
    fits,
    named,
)

Row = tuple[int, str, int, str, str | None, str, bytes]
"""Position, stream, version, id, correlation, body and link of an event."""
KNOWN_MAX = 100_000
"""Of so many streams the last version is remembered."""
PIECE = 1000
"""So many events are read at a time."""
_SELECT = "select position, stream, version, body from"
_SHOWN = """and (not exists (select 1 from streams where hidden > 0)
    or version >= coalesce((select hidden from streams s where s.stream = e.stream), 0))"""


class Taken(Exception):
    """A row could not be inserted: its position, its place in the stream or its id is taken."""


class Tables(Store):
    """A store with the tables ``events`` and ``streams``.

    What finds events by their stream, id or conversation may be another table or a view with the same columns.
    An append is one insert, made as if nobody else were there: the position that it takes is the next one that we know
    of. If somebody has taken it, or if anything else does not fit, we look, alone, before we write.
    """

    _by_stream = _by_id = _by_correlation = "events"
    _odd: str
    """What finds the first event whose columns are not those of its body."""

    def __init__(self) -> None:
        self._forget()

    @abstractmethod
    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """What a statement gives; a question mark stands for each value."""

    @abstractmethod
    def _insert(self, rows: Sequence[Row]) -> None:
        """Insert all of these events or none, in a transaction of their own if there is none; raises Taken."""

    @abstractmethod
    def _alone(self, act: Callable[[], Done]) -> Done:
        """Do something in a transaction in which nobody else can write."""

    @abstractmethod
    def _end_left_over(self) -> None:
        """Take back a transaction that an interrupt has left open."""

    # ---------------------------------------------------------------- write

    def _append(self, stream: str, events: list[Event], bodies: list[str], expected: Expected) -> Appended:
        self._end_left_over()
        try:
            return self._write_or_look(stream, events, bodies, expected)
        except BaseException:
            self._forget()  # an interrupt may come anywhere
            raise

    def _write_or_look(self, stream: str, events: list[Event], bodies: list[str], expected: Expected) -> Appended:
        actual = self._versions.get(stream)
        if actual is None:
            actual = self.version(stream)
        if self._last is not None and fits(expected, actual):
            try:
                return self._write(stream, actual, events, bodies)
            except Taken:
                pass  # somebody was quicker, or knows these events: we look
        self._forget()
        try:
            return self._alone(lambda: self._look_and_write(stream, events, bodies, expected))
        except Taken:
            raise BadFile("the tables of this store do not fit together; verify() says what was changed") from None

    def _forget(self) -> None:
        """Believe nothing about the tables any more."""
        self._last: tuple[int, bytes] | None = None
        self._versions: dict[str, int] = {}

    def _look_and_write(self, stream: str, events: list[Event], bodies: list[str], expected: Expected) -> Appended:
        again = self._again(stream, events, bodies)
        if again is not None:
            return again
        actual = self.version(stream)
        if not fits(expected, actual):
            raise Conflict(stream, expected, actual)
        self._last = self._end()
        return self._write(stream, actual, events, bodies)

    def _end(self) -> tuple[int, bytes]:
        """The last event of all: its position and its link."""
        found = self._rows("select position, link from events order by position desc limit 1")
        return (found[0][0], bytes(found[0][1])) if found else (0, START)

    def _head(self) -> tuple[int, str]:
        position, link = self._end()
        return position, link.hex()

    def _write(self, stream: str, actual: int, events: list[Event], bodies: list[str]) -> Appended:
        """Write behind the last event that we know of, whole or not at all."""
        position, link = self._last or (0, START)
        version, rows = actual, []
        for event, body in zip(events, bodies, strict=True):
            position, version = position + 1, version + 1
            link = chained(link, position, stream, version, body)
            rows.append((position, stream, version, event.id, event.correlation_id, body, link))
        self._insert(rows)
        if len(self._versions) >= KNOWN_MAX:
            self._versions.clear()
        self._versions[stream] = version
        self._last = (position, link)  # last: whoever is interrupted before it finds his position taken, and looks
        return Appended(position, version)

    def _again(self, stream: str, events: list[Event], bodies: list[str]) -> Appended | None:
        """The append that these events have led to before, if they are all here as they are given."""
        one = f"select stream, version, body, position from {self._by_id} where id = ?"  # noqa: S608 - a name of ours
        found: list[Any] = [next(iter(self._rows(one, (event.id,))), None) for event in events]
        if not any(found):
            return None
        first = next(row for row in found if row)
        for n, (row, body) in enumerate(zip(found, bodies, strict=True)):
            if row is None or tuple(row[:3]) != (stream, first[1] + n, body):
                raise used_already(next(e.id for e, row in zip(events, found, strict=True) if row))
        return Appended(found[-1][3], found[-1][1], again=True)

    def truncate(self, stream: str, before: int) -> None:
        """Hide the events of a stream that come before this version."""
        upto = min(a_version(before), self.version(named(stream)) + 1)
        self._end_left_over()
        self._rows(
            "insert into streams (stream, hidden) values (?, ?) "
            "on conflict (stream) do update set hidden = excluded.hidden where excluded.hidden > streams.hidden",
            (stream, upto),
        )

    def delete(self, stream: str) -> None:
        """Hide all events of a stream."""
        self.truncate(stream, self.version(named(stream)) + 1)

    def describe(self, stream: str, metadata: Mapping[str, Any]) -> None:
        """Keep some JSON about a stream."""
        kept = described(metadata)
        self._end_left_over()
        self._rows(
            "insert into streams (stream, metadata) values (?, ?) "
            "on conflict (stream) do update set metadata = excluded.metadata",
            (named(stream), kept),
        )

    def metadata(self, stream: str) -> dict[str, Any]:
        """What is kept about a stream."""
        rows = self._rows("select metadata from streams where stream = ?", (named(stream),))
        found: dict[str, Any] = json.loads(rows[0][0]) if rows else {}
        return found

    def verify(self, head: Head | None = None) -> int:
        """Follow the chain, and hold the columns by which events are found against the events."""
        count = super().verify(head)
        for (position,) in self._rows(self._odd):
            raise BadFile(
                f"at position {position} the column id or correlation is not that of the event, which is as it was "
                "written; somebody has changed the table"
            )
        return count

    # ---------------------------------------------------------------- read

    def read(
        self, stream: str, start: int | None = None, limit: int | None = None, *, backwards: bool = False
    ) -> Iterator[Recorded]:
        """The events of a stream."""
        return self._pieces(
            f"{self._by_stream} e where stream = ? and", "version", (named(stream),), start, limit, backwards=backwards
        )

    def read_all(
        self, start: int | None = None, limit: int | None = None, *, backwards: bool = False
    ) -> Iterator[Recorded]:
        """The events of all streams."""
        return self._pieces("events e where", "position", (), start, limit, backwards=backwards)

    def read_category(self, category: str, start: int = 1, limit: int | None = None) -> Iterator[Recorded]:
        """The events of a category."""
        name = a_category(category)
        values = (name, f"{name}-", f"{name}.")  # a dot is what comes after a dash
        these = "events e where (stream = ? or (stream >= ? and stream < ?)) and"
        return self._pieces(these, "position", values, start, limit)

    def read_correlated(self, correlation_id: str, start: int = 1, limit: int | None = None) -> Iterator[Recorded]:
        """The events of one conversation."""
        these = f"{self._by_correlation} e where correlation = ? and"
        return self._pieces(these, "position", (a_text(correlation_id),), start, limit)

    def _pieces(
        self, these: str, by: str, values: tuple[Any, ...], start: int | None, limit: int | None, *,
        backwards: bool = False,
    ) -> Iterator[Recorded]:  # fmt: skip
        """Piece by piece, each a query of its own, so that a slow reader holds nothing up."""
        compare, order = ("<=", "desc") if backwards else (">=", "asc")
        here = (2**62 if backwards else 0) if start is None else start
        left, column = 2**62 if limit is None else limit, 0 if by == "position" else 2
        while left > 0:
            sql = f"{_SELECT} {these} {by} {compare} ? {_SHOWN} order by {by} {order} limit ?"
            rows = self._rows(sql, (*values, here, min(PIECE, left)))
            for position, stream, version, body in rows:
                yield Recorded(position, stream, version, event_of(body, position))
            if len(rows) < min(PIECE, left):
                return
            left -= len(rows)
            here = rows[-1][column] + (-1 if backwards else 1)

    def find(self, event_id: str) -> Recorded | None:
        """The event of this id."""
        for position, stream, version, body in self._rows(f"{_SELECT} {self._by_id} where id = ?", (a_text(event_id),)):
            return Recorded(position, stream, version, event_of(body, position))
        return None

    def version(self, stream: str) -> int:
        """The version of a stream's last event."""
        last = f"select version from {self._by_stream} where stream = ? order by version desc limit 1"  # noqa: S608
        found = self._rows(last, (named(stream),))
        return int(found[0][0]) if found else -1

    @property
    def position(self) -> int:
        """The position of the last event of all."""
        return int(self._rows("select coalesce(max(position), 0) from events")[0][0])
