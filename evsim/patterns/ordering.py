"""Order, and what is left of it: a resequencer that closes gaps, and clocks that know who has led to whom.

A resequencer is Hohpe and Woolf's (*Enterprise Integration Patterns*): it holds back what came too early, until what is
missing has come or has been waited for long enough. Logical clocks are Lamport's (*Time, Clocks, and the Ordering of
Events in a Distributed System*, 1978) and Fidge's and Mattern's vectors (1988); causal delivery is that of Birman,
Schiper and Stephenson (1991).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from evsim.errors import BadScenario

Fate = Literal["passed", "held", "known", "late"]


class Taken(NamedTuple):
    """What a resequencer did with an item: its fate, and what may go on now, in order (itself too, if it passed)."""

    fate: Fate
    released: list[Any]


@dataclass(slots=True)
class Line:
    """The items of one key: the number that is next, those held back with their time, and numbers given up."""

    next: int = 1
    held: dict[int, tuple[float, Any]] = field(default_factory=dict)
    given_up: set[int] = field(default_factory=set)

    def release(self) -> list[Any]:
        """All that follow without a gap."""
        released = []
        while self.next in self.held:
            released.append(self.held.pop(self.next)[1])
            self.next += 1
        return released

    def skip(self) -> list[Any]:
        """Give up what is missing before the first that is held; it and its followers go on."""
        first = min(self.held)
        self.given_up.update(range(self.next, first))
        self.next = first
        return self.release()


class Resequencer:
    """Puts numbered items of each key into order: ``take(key, number, item, now)``, and ``due(now)`` from time to time.

    Numbers count from 1. What is missing is given up ``gap_timeout_s`` after the first item that waits for it came
    (None: never), or as soon as ``capacity`` items of a key wait. What was given up and comes after all is ``late`` and
    released at once, out of order; what has passed before is ``known`` and not released again.
    """

    def __init__(self, gap_timeout_s: float | None = None, capacity: int | None = None) -> None:
        if gap_timeout_s is not None and not gap_timeout_s >= 0:
            raise BadScenario(f"gap_timeout_s={gap_timeout_s!r} is no time to wait; expected seconds from 0, or None")
        if capacity is not None and capacity < 1:
            raise BadScenario(f"capacity={capacity!r} holds nothing back; expected a number from 1, or None")
        self.gap_timeout_s, self.capacity = gap_timeout_s, capacity
        self.lines: dict[Hashable, Line] = {}

    def take(self, key: Hashable, number: int, item: Any, now: float) -> Taken:
        """Take an item."""
        line = self.lines.setdefault(key, Line())
        if number in line.given_up:
            line.given_up.remove(number)
            return Taken("late", [item])
        if number < line.next or number in line.held:
            return Taken("known", [])
        line.held[number] = now, item
        released = line.release()
        if self.capacity is not None:
            while len(line.held) > self.capacity:
                released += line.skip()
        return Taken("passed" if number < line.next else "held", released)

    def due(self, now: float) -> list[Any]:
        """What goes on because its gap has been waited for long enough, line by line."""
        released: list[Any] = []
        for line in self.lines.values():
            while line.held and self._due_s(line) <= now:
                released += line.skip()
        return released

    @property
    def next_due_s(self) -> float:
        """When ``due`` will have something to release; infinity if nothing is held, or held for ever."""
        return min((self._due_s(line) for line in self.lines.values() if line.held), default=math.inf)

    def _due_s(self, line: Line) -> float:
        if self.gap_timeout_s is None:
            return math.inf
        return min(since for since, _ in line.held.values()) + self.gap_timeout_s

    @property
    def held(self) -> int:
        """How many items wait."""
        return sum(len(line.held) for line in self.lines.values())


# ---------------------------------------------------------------- logical clocks


class Lamport:
    """Lamport's clock: ``tick()`` before anything happens here, ``hear(time)`` when a message with a time comes.

    If one event has led to another, its time is smaller. The other way round nothing follows.
    """

    def __init__(self) -> None:
        self.time = 0

    def tick(self) -> int:
        """The time of what happens now."""
        self.time += 1
        return self.time

    def hear(self, time: int) -> int:
        """The time of a receipt: after all that the sender knew."""
        self.time = max(self.time, time) + 1
        return self.time


@dataclass(frozen=True)
class Vector:
    """A vector clock: how many events of each process one knows of. ``a < b`` if and only if a has led to b.

    ``a | b`` knows what either knows, ``a.after("shop")`` is one more event of the shop; neither ``a < b`` nor
    ``b < a`` nor equal: concurrent.
    """

    counts: Mapping[str, int] = field(default_factory=dict)

    def __getitem__(self, process: str) -> int:
        return self.counts.get(process, 0)

    def after(self, process: str) -> Vector:
        """The clock of this process's next event."""
        return Vector({**self.counts, process: self[process] + 1})

    def __or__(self, other: Vector) -> Vector:
        return Vector({process: max(self[process], other[process]) for process in {**self.counts, **other.counts}})

    def __le__(self, other: Vector) -> bool:
        return all(count <= other[process] for process, count in self.counts.items())

    def __lt__(self, other: Vector) -> bool:
        return self <= other and not other <= self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vector) and self <= other <= self

    def __hash__(self) -> int:
        return hash(frozenset((process, count) for process, count in self.counts.items() if count))

    def is_concurrent(self, other: Vector) -> bool:
        """Whether neither has led to the other."""
        return not self <= other and not other <= self


class CausalDelivery:
    """Delivers each process's messages, and what has led to them, in order: ``take(sender, clock, item)``.

    ``clock`` is the sender's vector with this message counted. A message waits until all that its sender knew of has
    been delivered here. Needs every message of every sender; one that is lost holds up all that follow from it.
    """

    def __init__(self) -> None:
        self.seen = Vector()
        self._waiting: list[tuple[str, Vector, Any]] = []

    def take(self, sender: str, clock: Vector, item: Any) -> list[Any]:
        """Take a message; what can be delivered now, in order."""
        if clock[sender] > self.seen[sender]:
            self._waiting.append((sender, clock, item))
        delivered = []
        while (ready := next((each for each in self._waiting if self._is_next(*each[:2])), None)) is not None:
            self._waiting = [
                each for each in self._waiting if each[1][each[0]] != ready[1][ready[0]] or each[0] != ready[0]
            ]
            self.seen |= ready[1]
            delivered.append(ready[2])
        return delivered

    def _is_next(self, sender: str, clock: Vector) -> bool:
        if clock[sender] != self.seen[sender] + 1:
            return False
        return all(count <= self.seen[process] for process, count in clock.counts.items() if process != sender)

    @property
    def held(self) -> int:
        """How many messages wait for what has led to them."""
        return len(self._waiting)
