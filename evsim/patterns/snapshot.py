"""When to take a snapshot of an aggregate: after so many events, or when loading has cost as much as one would."""

from __future__ import annotations

import math
from dataclasses import dataclass

from evsim.errors import BadScenario


def best_every(write_s: float, loads: float, event_s: float) -> int:
    """The number of events between two snapshots that costs least: √(2w / (q r)), to a whole number.

    A snapshot takes ``write_s`` to write, an event ``event_s`` to replay, and ``loads`` loads come with each event: an
    event costs w/N + q r (N − 1)/2, for a load finds (N − 1)/2 events behind the newest snapshot on average.
    """
    if min(write_s, loads, event_s) <= 0:
        raise BadScenario("best_every needs a cost of writing, a number of loads and a cost of an event, all above 0")

    def cost_s(every: int) -> float:
        return write_s / every + loads * event_s * (every - 1) / 2

    low = max(1, math.floor(math.sqrt(2 * write_s / (loads * event_s))))
    return min(low, low + 1, key=cost_s)


@dataclass(frozen=True)
class Every:
    """A snapshot as soon as this many events lie behind the newest one."""

    events: int

    def __post_init__(self) -> None:
        if not (type(self.events) is int and self.events >= 1):
            raise BadScenario(f"a snapshot every {self.events!r} events is refused; expected a whole number from 1")

    def is_due(self, behind: int, replayed: int) -> bool:
        """Whether a snapshot is due: ``behind`` events lie behind the newest, ``replayed`` were replayed since."""
        return behind >= self.events


@dataclass(frozen=True)
class WhenCostly:
    """A snapshot as soon as replaying has cost as much as a snapshot would: nobody has to know how often one loads.

    ``write_s`` is what a snapshot costs, ``event_s`` an event that is replayed. It is the rule of those who rent skis
    and buy them when the rent has reached the price.
    """

    write_s: float
    event_s: float

    def __post_init__(self) -> None:
        if not (0 < self.write_s < math.inf and 0 < self.event_s < math.inf):
            raise BadScenario("WhenCostly needs what a snapshot and an event cost, in seconds above 0")

    def is_due(self, behind: int, replayed: int) -> bool:
        """Whether a snapshot is due: ``behind`` events lie behind the newest, ``replayed`` were replayed since."""
        return behind > 0 and replayed * self.event_s >= self.write_s


Policy = Every | WhenCostly
