"""When to take a snapshot of an aggregate: after so many events, or when loading has cost as much as one would."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from numbers import Real
from typing import Any

from evsim.errors import BadScenario, shown


def best_every(write_s: float, loads: float, event_s: float) -> int:
    """The number of events between two snapshots that costs least: √(2w / (q r)), to a whole number.

    A snapshot takes ``write_s`` to write, an event ``event_s`` to replay, and ``loads`` loads come with each event: an
    event costs w/N + q r (N − 1)/2, for a load finds (N − 1)/2 events behind the newest snapshot on average.
    """

    def cost_s(every: int) -> float:
        return write_s / every + loads * event_s * (every - 1) / 2

    low = max(1, math.floor(best_interval(write_s, loads, event_s)))
    return min(low, low + 1, key=cost_s)


def best_interval(write_s: float, loads: float, event_s: float) -> float:
    """√(2w / (q r)) itself: where writing costs as much as loading, but for half an event."""
    if not (is_cost(write_s) and is_cost(loads) and is_cost(event_s)):
        raise BadScenario(
            f"write_s={shown(write_s)}, loads={shown(loads)} and event_s={shown(event_s)} are refused; "
            "expected what a snapshot costs, how many loads come with an event and what it costs, all above 0"
        )
    try:
        best = math.sqrt(2 * write_s / (loads * event_s))
    except (OverflowError, ZeroDivisionError):
        best = math.inf
    if math.isinf(best):
        raise BadScenario(
            f"write_s={write_s:g} is too much beside loads={loads:g} and event_s={event_s:g}: "
            "no interval is long enough; expected costs that can be compared"
        )
    return best


def is_cost(value: Any) -> bool:
    """Whether this is a number above 0 and below infinity."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    return number and 0 < value <= sys.float_info.max


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
        if not (is_cost(self.write_s) and is_cost(self.event_s)):
            raise BadScenario(
                f"write_s={shown(self.write_s)} and event_s={shown(self.event_s)} are refused; "
                "WhenCostly needs what a snapshot and an event cost, in seconds above 0"
            )

    def is_due(self, behind: int, replayed: int) -> bool:
        """Whether a snapshot is due: ``behind`` events lie behind the newest, ``replayed`` were replayed since."""
        return behind > 0 and replayed * self.event_s >= self.write_s


Policy = Every | WhenCostly
