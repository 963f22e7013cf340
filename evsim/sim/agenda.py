"""What is planned for later and seldom: faults, timeouts, timers. Kept apart, so that the main heap stays small."""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evsim.sim.world import World


class Agenda:
    """A second heap of light calls, of which only the next one stands in the world's own heap.

    Every message passes the main heap four times and pays for its depth; dozens of timers that wait for tens of seconds
    made that a tenth slower.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._plans: list[tuple[float, int, Callable[[Any], Any], Any]] = []
        self._order = count()
        self._armed = math.inf

    def add(self, time: float, fn: Callable[[Any], Any], arg: Any = None) -> None:
        """Call ``fn(arg)`` at this time; ties break by the order of adding."""
        heappush(self._plans, (time, next(self._order), fn, arg))
        if time < self._armed:
            self._arm(time)

    def _arm(self, time: float) -> None:
        self._armed = time
        self._world.call_at(time, self._ring, time)

    def _ring(self, time: float) -> None:
        if time != self._armed:
            return
        self._armed = math.inf
        while self._plans and self._plans[0][0] <= time:
            _, _, fn, arg = heappop(self._plans)
            fn(arg)
        if self._plans and self._plans[0][0] < self._armed:
            self._arm(self._plans[0][0])
