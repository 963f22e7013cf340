"""What a stream keeps: events in the order of their sequence numbers, until retention deletes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from evsim.sim.broker.base import Answer

if TYPE_CHECKING:
    from evsim.sim.broker.pubsub import PubSub
    from evsim.sim.world import World

EXPECTED_LAST = "Nats-Expected-Last-Sequence"
EXPECTED_LAST_OF_SUBJECT = "Nats-Expected-Last-Subject-Sequence"
_STORED, _DUPLICATE = Answer(True), Answer(True, "duplicate")
_STALE = Answer(False, "wrong_last_sequence")


class Kept:
    """Events with their subjects and times. The first has the sequence number ``first``, the next will get ``end``."""

    def __init__(self, world: World, value: PubSub) -> None:
        self.world, self.value = world, value
        self.first = 1
        self.events: list[int] = []
        self.subjects: list[str] = []
        self.times: list[float] = []
        self.last_of: dict[str, int] = {}
        self._known: dict[str, tuple[float, int]] = {}
        code = world.history.code
        self._stored = code("stored", value.name, value.name)
        self._deduplicated = code("deduplicated", value.name, value.name)

    @property
    def end(self) -> int:
        """The sequence number that the next event will get."""
        return self.first + len(self.events)

    def event(self, sequence: int) -> int:
        """The event with this sequence number."""
        return self.events[sequence - self.first]

    def subject(self, sequence: int) -> str:
        """The subject of the event with this sequence number."""
        return self.subjects[sequence - self.first]

    def store(self, event: int, subject: str, headers: Mapping[str, Any], readers: Iterable[Any]) -> Answer:
        """Append an event, unless it is known already, or another was stored where the message expects none.

        The window counts from when an id was first stored; a duplicate does not extend it (measured with NATS 2.15).
        """
        now = self.world.now
        known = self._recall(event, now)
        if known is not None:
            self.world.record(now, self._deduplicated, event, known)
            return _DUPLICATE
        if headers and self._is_stale(subject, headers):
            return _STALE
        sequence = self.end
        self.world.record(now, self._stored, event, sequence)
        self.events.append(event)
        self.subjects.append(subject)
        self.times.append(now)
        self.last_of[subject] = sequence
        if self.value.deduplication_s:
            self._known[self.world.history.id_of(event)] = now, sequence
        self.expire(readers)
        return _STORED

    def _recall(self, event: int, now: float) -> int | None:
        """The sequence number under which this id was stored within the window, if it was."""
        known, since = self._known, now - self.value.deduplication_s
        while known:
            oldest = next(iter(known))
            if known[oldest][0] > since:
                break
            del known[oldest]
        found = known.get(self.world.history.id_of(event)) if known else None
        return None if found is None else found[1]

    def _is_stale(self, subject: str, headers: Mapping[str, Any]) -> bool:
        """Whether the message expects another last sequence number, of the stream or of its subject, than there is."""
        last, last_of = headers.get(EXPECTED_LAST), headers.get(EXPECTED_LAST_OF_SUBJECT)
        wrong = last is not None and int(last) != self.end - 1
        return wrong or (last_of is not None and int(last_of) != self.last_of.get(subject, 0))

    def expire(self, readers: Iterable[Any]) -> None:
        """Delete what retention has passed, and tell those who had not read it."""
        value, gone = self.value, 0
        if value.retention_events is not None:
            gone = max(0, len(self.events) - value.retention_events)
        if value.retention_s is not None:
            oldest = self.world.now - value.retention_s
            while gone < len(self.times) and self.times[gone] < oldest:
                gone += 1
        if gone:
            for reader in readers:
                reader.miss(self.first + gone)
            del self.events[:gone], self.subjects[:gone], self.times[:gone]
            self.first += gone

    def since(self, start_s: float) -> int:
        """The sequence number of the first event that was stored at this time or later."""
        return next((self.first + n for n, time in enumerate(self.times) if time >= start_s), self.end)

    def lasts(self, wants: Any) -> Iterator[int]:
        """The last event of each subject that is wanted, in the order of their sequence numbers."""
        found = (sequence for subject, sequence in self.last_of.items() if wants(subject) and sequence >= self.first)
        return iter(sorted(found))
