"""How a store is read that keeps its events in tables of a database, whichever database that is."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from evsim.store.body import event_of
from evsim.store.recorder import Recorded, Store, named

PIECE = 1000
"""So many events are read at a time."""
_SELECT = "select position, stream, version, body from events e where"
_SHOWN = "and version >= coalesce((select hidden from streams s where s.stream = e.stream), 0)"


class Tables(Store):
    """A store with the tables ``events`` and ``streams``."""

    @abstractmethod
    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """What a statement gives; a question mark stands for each value."""

    # ---------------------------------------------------------------- write

    def truncate(self, stream: str, before: int) -> None:
        """Hide the events of a stream that come before this version."""
        upto = min(before, self.version(named(stream)) + 1)
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
        self._rows(
            "insert into streams (stream, metadata) values (?, ?) "
            "on conflict (stream) do update set metadata = excluded.metadata",
            (named(stream), json.dumps(dict(metadata), allow_nan=False)),
        )

    def metadata(self, stream: str) -> dict[str, Any]:
        """What is kept about a stream."""
        rows = self._rows("select metadata from streams where stream = ?", (named(stream),))
        found: dict[str, Any] = json.loads(rows[0][0]) if rows else {}
        return found

    # ---------------------------------------------------------------- read

    def read(
        self, stream: str, start: int | None = None, limit: int | None = None, *, backwards: bool = False
    ) -> Iterator[Recorded]:
        """The events of a stream."""
        return self._pieces("stream = ? and", "version", (named(stream),), start, limit, backwards=backwards)

    def read_all(
        self, start: int | None = None, limit: int | None = None, *, backwards: bool = False
    ) -> Iterator[Recorded]:
        """The events of all streams."""
        return self._pieces("", "position", (), start, limit, backwards=backwards)

    def read_category(self, category: str, start: int = 1, limit: int | None = None) -> Iterator[Recorded]:
        """The events of a category."""
        values = (category, f"{category}-", f"{category}.")  # a dot is what comes after a dash
        return self._pieces("(stream = ? or (stream > ? and stream < ?)) and", "position", values, start, limit)

    def read_correlated(self, correlation_id: str, start: int = 1, limit: int | None = None) -> Iterator[Recorded]:
        """The events of one conversation."""
        return self._pieces("correlation = ? and", "position", (correlation_id,), start, limit)

    def _pieces(
        self, where: str, by: str, values: tuple[Any, ...], start: int | None, limit: int | None, *,
        backwards: bool = False,
    ) -> Iterator[Recorded]:  # fmt: skip
        """Piece by piece, each a query of its own, so that a slow reader holds nothing up."""
        compare, order = ("<=", "desc") if backwards else (">=", "asc")
        here = (2**62 if backwards else 0) if start is None else start
        left, column = 2**62 if limit is None else limit, 0 if by == "position" else 2
        while left > 0:
            shown = _SHOWN if self._hides else ""
            sql = f"{_SELECT} {where} {by} {compare} ? {shown} order by {by} {order} limit ?"
            rows = self._rows(sql, (*values, here, min(PIECE, left)))
            for position, stream, version, body in rows:
                yield Recorded(position, stream, version, event_of(body, position))
            if len(rows) < min(PIECE, left):
                return
            left -= len(rows)
            here = rows[-1][column] + (-1 if backwards else 1)

    @property
    def _hides(self) -> bool:
        """Whether anything was truncated or deleted."""
        return bool(self._rows("select 1 from streams where hidden > 0 limit 1"))

    def version(self, stream: str) -> int:
        """The version of a stream's last event."""
        [[found]] = self._rows("select max(version) from events where stream = ?", (named(stream),))
        return -1 if found is None else int(found)

    @property
    def position(self) -> int:
        """The position of the last event of all."""
        return int(self._rows("select coalesce(max(position), 0) from events")[0][0])
