"""Order, and what is left of it: a resequencer that closes gaps, and clocks that know who has led to whom.

A resequencer is Hohpe and Woolf's (*Enterprise Integration Patterns*): it holds back what came too early, until what is
missing has come or has been waited for long enough. Logical clocks are Lamport's (*Time, Clocks, and the Ordering of
Events in a Distributed System*, 1978) and Fidge's and Mattern's vectors (1988); causal delivery is that of Birman,
Schiper and Stephenson (1991).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from evsim.errors import BadEvent, BadScenario, shown

Fate = Literal["passed", "held", "known", "late"]


class Taken(NamedTuple):
    """What a resequencer did with an item: its fate, and what may go on now, in order (itself too, if it passed)."""

    fate: Fate
    released: list[Any]


@dataclass(slots=True)
class Line:
    """The items of one key: the number that is next, those held back with their time, and runs of numbers given up."""

    next: int = 1
    held: dict[int, tuple[float, Any]] = field(default_factory=dict)
    given_up: list[range] = field(default_factory=list)

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
        self.given_up.append(range(self.next, first))
        self.next = first
        return self.release()

    def take_back(self, number: int) -> bool:
        """Whether this number was given up; if so, it is not any more."""
        place = bisect_right(self.given_up, number, key=lambda run: run.start) - 1
        if place < 0 or number not in self.given_up[place]:
            return False
        run = self.given_up[place]
        parts = range(run.start, number), range(number + 1, run.stop)
        self.given_up[place : place + 1] = [part for part in parts if part]
        return True


class Resequencer:
    """Puts numbered items of each key into order: ``take(key, number, item, now)``, and ``due(now)`` from time to time.

    Numbers count from 1. What is missing is given up ``gap_timeout_s`` after the first item that waits for it came
    (None: never), or as soon as ``capacity`` items of a key wait. What was given up and comes after all is ``late`` and
    released at once, out of order; what has passed before is ``known`` and not released again.
    """

    def __init__(self, gap_timeout_s: float | None = None, capacity: int | None = None) -> None:
        if gap_timeout_s is not None and not (_is_number(gap_timeout_s) and gap_timeout_s >= 0):
            what = shown(gap_timeout_s)
            raise BadScenario(f"gap_timeout_s={what} is no time to wait; expected seconds from 0, or None")
        if capacity is not None and not _is_count(capacity):
            raise BadScenario(f"capacity={shown(capacity)} holds nothing back; expected a number from 1, or None")
        self.gap_timeout_s, self.capacity = gap_timeout_s, capacity
        self.lines: dict[Hashable, Line] = {}
        self._waiting: dict[Hashable, Line] = {}

    def take(self, key: Hashable, number: int, item: Any, now: float) -> Taken:
        """Take an item."""
        if not _is_count(number):
            raise BadEvent(f"number={shown(number)} is no place in a line; expected a whole number from 1")
        line = self.lines.setdefault(key, Line())
        if line.take_back(number):
            return Taken("late", [item])
        if number < line.next or number in line.held:
            return Taken("known", [])
        line.held[number] = now, item
        released = line.release()
        if self.capacity is not None:
            while len(line.held) > self.capacity:
                released += line.skip()
        self._note(key, line)
        return Taken("passed" if number < line.next else "held", released)

    def due(self, now: float) -> list[Any]:
        """What goes on because its gap has been waited for long enough, line by line."""
        released: list[Any] = []
        for key, line in list(self._waiting.items()):
            while line.held and self._due_s(line) <= now:
                released += line.skip()
            self._note(key, line)
        return released

    @property
    def next_due_s(self) -> float:
        """When ``due`` will have something to release; infinity if nothing is held, or held for ever."""
        return min((self._due_s(line) for line in self._waiting.values()), default=math.inf)

    def _note(self, key: Hashable, line: Line) -> None:
        """Remember the line while something waits in it: of many keys, few do."""
        if line.held:
            self._waiting[key] = line
        else:
            self._waiting.pop(key, None)

    def _due_s(self, line: Line) -> float:
        if self.gap_timeout_s is None:
            return math.inf
        return min(since for since, _ in line.held.values()) + self.gap_timeout_s

    @property
    def held(self) -> int:
        """How many items wait."""
        return sum(len(line.held) for line in self._waiting.values())


def _is_number(given: Any) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool)


def _is_count(given: Any, least: int = 1) -> bool:
    return isinstance(given, int) and not isinstance(given, bool) and given >= least


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
        if not _is_count(time, least=0):
            raise BadEvent(f"time={shown(time)} is nothing that a Lamport clock says; expected a whole number from 0")
        self.time = max(self.time, time) + 1
        return self.time


@dataclass(frozen=True)
class Vector:
    """A vector clock: how many events of each process one knows of. ``a < b`` if and only if a has led to b.

    ``a | b`` knows what either knows, ``a.after("shop")`` is one more event of the shop; neither ``a < b`` nor
    ``b < a`` nor equal: concurrent.
    """

    counts: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given: Any = self.counts
        good = isinstance(given, Mapping) and all(isinstance(name, str) for name in given)
        if not good or not all(_is_count(count, least=0) for count in given.values()):
            what = shown(given)
            raise BadEvent(f"{what} is no vector clock; expected names of processes with whole numbers from 0")
        object.__setattr__(self, "counts", dict(given))  # what is given may change, a clock does not

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
        self._waiting: dict[str, dict[int, tuple[Vector, Any]]] = {}

    def take(self, sender: str, clock: Vector, item: Any) -> list[Any]:
        """Take a message; what can be delivered now, in order."""
        given: Any = clock
        if not isinstance(given, Vector) or not given[sender]:
            what = shown(given)
            raise BadEvent(f"{what} does not count this message of {shown(sender)}; expected a Vector, .after(sender)")
        if clock[sender] > self.seen[sender]:
            self._waiting.setdefault(sender, {}).setdefault(clock[sender], (clock, item))
        delivered = []
        while (ready := next((each for each in self._waiting if self._is_next(each)), None)) is not None:
            clock, item = self._waiting[ready].pop(self.seen[ready] + 1)
            self.seen |= clock
            delivered.append(item)
        return delivered

    def _is_next(self, sender: str) -> bool:
        """Whether the sender's next message has come, and all that it knew of."""
        clock, _ = self._waiting[sender].get(self.seen[sender] + 1, (None, None))
        if clock is None:
            return False
        return all(count <= self.seen[process] for process, count in clock.counts.items() if process != sender)

    @property
    def held(self) -> int:
        """How many messages wait for what has led to them."""
        return sum(map(len, self._waiting.values()))
