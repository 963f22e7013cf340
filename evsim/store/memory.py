"""An event store in memory: the plainest one, and what the others are compared with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from evsim.errors import BadEvent
from evsim.event import Event
from evsim.store.recorder import (
    START,
    Appended,
    Conflict,
    Expected,
    Recorded,
    Store,
    a_category,
    a_text,
    a_version,
    category_of,
    chained,
    described,
    fits,
    named,
)


class MemoryStore(Store):
    """A store that is gone with its process."""

    def __init__(self) -> None:
        self._all: list[tuple[Recorded, str, bytes]] = []
        self._streams: dict[str, list[int]] = {}
        self._known: dict[str, int] = {}
        self._hidden: dict[str, int] = {}
        self._metadata: dict[str, str] = {}

    def _append(self, stream: str, events: list[Event], bodies: list[str], expected: Expected) -> Appended:
        again = self._again(stream, events, bodies)
        if again is not None:
            return again
        actual = self.version(stream)
        if not fits(expected, actual):
            raise Conflict(stream, expected, actual)
        places = self._streams.setdefault(stream, [])
        for event, body in zip(events, bodies, strict=True):
            position, version = len(self._all) + 1, len(places)
            link = chained(self._all[-1][2] if self._all else START, position, stream, version, body)
            self._all.append((Recorded(position, stream, version, event), body, link))
            places.append(position)
            self._known[event.id] = position
        return Appended(len(self._all), len(places) - 1)

    def _again(self, stream: str, events: list[Event], bodies: list[str]) -> Appended | None:
        """The append that these events have led to before, if they are all here as they are given."""
        known = [self._known.get(event.id) for event in events]
        if not any(known):
            return None
        found = [self._all[position - 1] for position in known if position]
        first = found[0][0]
        same = len(found) == len(events) and all(
            recorded.stream == stream and recorded.version == first.version + n and body == bodies[n]
            for n, (recorded, body, _) in enumerate(found)
        )
        if not same:
            raise used_already(next(event.id for event in events if event.id in self._known))
        return Appended(found[-1][0].position, found[-1][0].version, again=True)

    def truncate(self, stream: str, before: int) -> None:
        """Hide the events of a stream that come before this version."""
        self._hidden[named(stream)] = max(self._hidden.get(stream, 0), min(a_version(before), self.version(stream) + 1))

    def delete(self, stream: str) -> None:
        """Hide all events of a stream."""
        self.truncate(stream, self.version(named(stream)) + 1)

    def describe(self, stream: str, metadata: Mapping[str, Any]) -> None:
        """Keep some JSON about a stream."""
        self._metadata[named(stream)] = described(metadata)

    def metadata(self, stream: str) -> dict[str, Any]:
        """What is kept about a stream."""
        found: dict[str, Any] = json.loads(self._metadata.get(named(stream), "{}"))
        return found

    def read(
        self, stream: str, start: int | None = None, limit: int | None = None, *, backwards: bool = False
    ) -> Iterator[Recorded]:
        """The events of a stream."""
        places, first = self._streams.get(named(stream), []), self._hidden.get(stream, 0)
        if backwards:
            last = len(places) - 1 if start is None else min(start, len(places) - 1)
            versions = range(last, first - 1, -1)
        else:
            versions = range(max(start or 0, first), len(places))
        return islice((self._all[places[version] - 1][0] for version in versions), limit)

    def read_all(
        self, start: int | None = None, limit: int | None = None, *, backwards: bool = False
    ) -> Iterator[Recorded]:
        """The events of all streams."""
        last = self.position if start is None else min(start, self.position)
        positions = range(last, 0, -1) if backwards else range(max(start or 1, 1), self.position + 1)
        return islice(self._seen(positions), limit)

    def read_category(self, category: str, start: int = 1, limit: int | None = None) -> Iterator[Recorded]:
        """The events of a category."""
        wanted, found = a_category(category), self._seen(range(max(start, 1), self.position + 1))
        return islice((each for each in found if category_of(each.stream) == wanted), limit)

    def read_correlated(self, correlation_id: str, start: int = 1, limit: int | None = None) -> Iterator[Recorded]:
        """The events of one conversation."""
        wanted, found = a_text(correlation_id), self._seen(range(max(start, 1), self.position + 1))
        return islice((each for each in found if each.event.correlation_id == wanted), limit)

    def _seen(self, positions: range) -> Iterator[Recorded]:
        for position in positions:
            recorded = self._all[position - 1][0]
            if recorded.version >= self._hidden.get(recorded.stream, 0):
                yield recorded

    def find(self, event_id: str) -> Recorded | None:
        """The event of this id."""
        position = self._known.get(a_text(event_id))
        return None if position is None else self._all[position - 1][0]

    def version(self, stream: str) -> int:
        """The version of a stream's last event."""
        return len(self._streams.get(named(stream), ())) - 1

    @property
    def position(self) -> int:
        """The position of the last event of all."""
        return len(self._all)

    def _head(self) -> tuple[int, str]:
        return (len(self._all), self._all[-1][2].hex()) if self._all else (0, START.hex())

    def _links(self) -> Iterator[tuple[int, str, int, str, bytes]]:
        for (position, stream, version, _), body, link in self._all:
            yield position, stream, version, body, link


def used_already(event_id: str) -> BadEvent:
    """What is said to somebody who uses an id again for something else."""
    return BadEvent(
        f"event id {event_id!r} is taken by another event, or by the same one elsewhere; give every event an id of its "
        "own, and append a retry exactly as it was"
    )
