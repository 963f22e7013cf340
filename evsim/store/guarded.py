"""A store with a registry at its door: what breaks its schema is refused before it is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evsim.event import Event
from evsim.store.recorder import ANY, Appended, Expected, Head, Recorded, Store, category_of, checked, named
from evsim.store.repository import SNAPSHOTS, TAKEN

if TYPE_CHECKING:
    from evsim.schema import Registry


class Guarded(Store):
    """``Guarded(store, registry)``: the same store, which appends only payloads of registered types and versions.

    All events of an append are looked at first; BadEvent when one is not what its type and version promise, and the
    store is unchanged. Snapshots pass: they are a cache of the reader's own, and promised to nobody.
    """

    def __init__(self, store: Store, registry: Registry) -> None:
        self.store, self.registry = store, registry

    def append(self, stream: str, events: Event | Sequence[Event], expected: Expected = ANY) -> Appended:
        """Append events to a stream, all or none, when each is a payload of its version."""
        category, some = category_of(named(stream)), [events] if isinstance(events, Event) else checked(events)
        for event in some:
            if event.type != TAKEN or category != SNAPSHOTS:
                self.registry.check(event)
        return self.store.append(stream, some, expected)

    # ---------------------------------------------------------------- all else is the store's own

    def _append(self, stream: str, events: list[Event], bodies: list[str], expected: Expected) -> Appended:
        return self.store._append(stream, events, bodies, expected)

    def truncate(self, stream: str, before: int) -> None:
        """Hide the events of a stream that come before this version."""
        self.store.truncate(stream, before)

    def delete(self, stream: str) -> None:
        """Hide all events of a stream."""
        self.store.delete(stream)

    def describe(self, stream: str, metadata: Mapping[str, Any]) -> None:
        """Keep some JSON about a stream."""
        self.store.describe(stream, metadata)

    def metadata(self, stream: str) -> dict[str, Any]:
        """What is kept about a stream."""
        return self.store.metadata(stream)

    def read(
        self, stream: str, start: int | None = None, limit: int | None = None, *, backwards: bool = False
    ) -> Iterator[Recorded]:
        """The events of a stream."""
        return self.store.read(stream, start, limit, backwards=backwards)

    def read_all(
        self, start: int | None = None, limit: int | None = None, *, backwards: bool = False
    ) -> Iterator[Recorded]:
        """The events of all streams."""
        return self.store.read_all(start, limit, backwards=backwards)

    def read_category(self, category: str, start: int = 1, limit: int | None = None) -> Iterator[Recorded]:
        """The events of a category."""
        return self.store.read_category(category, start, limit)

    def read_correlated(self, correlation_id: str, start: int = 1, limit: int | None = None) -> Iterator[Recorded]:
        """The events of one conversation."""
        return self.store.read_correlated(correlation_id, start, limit)

    def find(self, event_id: str) -> Recorded | None:
        """The event of this id."""
        return self.store.find(event_id)

    def version(self, stream: str) -> int:
        """The version of a stream's last event."""
        return self.store.version(stream)

    @property
    def position(self) -> int:
        """The position of the last event of all."""
        return self.store.position

    def _links(self) -> Iterator[tuple[int, str, int, str, bytes]]:
        return self.store._links()

    def _head(self) -> tuple[int, str]:
        return self.store._head()

    def verify(self, head: Head | None = None) -> int:
        """Follow the chain as the store itself does, which may look at more than the chain."""
        return self.store.verify(head)

    def close(self) -> None:
        """Let go of what the store holds."""
        self.store.close()
