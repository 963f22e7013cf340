"""The line before a broker's machine: a request takes time, whatever is in it, and so does each event in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from evsim.chance import on_grid

if TYPE_CHECKING:
    from evsim.sim.node import Node
    from evsim.sim.world import World


class Line:
    """One after the other, as they come: ``request_s`` for each request and ``record_s`` for each event in it.

    What stands in line when the broker crashes is forgotten; when it freezes, it goes on afterwards.
    """

    def __init__(self, world: World, broker: Node, request_s: float, record_s: float) -> None:
        self._world, self._broker = world, broker
        self._request_s, self._record_s = on_grid(request_s), on_grid(record_s)
        self._free_at = 0.0

    def enter(self, fn: Callable[[Any], Any], arg: Any, events: int = 1) -> None:
        """Call ``fn(arg)`` when its turn has come and the work is done."""
        self._free_at = max(self._free_at, self._world.now) + self._request_s + events * self._record_s
        self._world.call_at(self._free_at, self._done, (fn, arg, self._broker.epoch))

    def _done(self, told: tuple[Callable[[Any], Any], Any, int]) -> None:
        fn, arg, life = told
        if self._broker.frozen:
            self._broker.hold(self._done, told)
        elif life == self._broker.epoch:
            fn(arg)

    def reset(self) -> None:
        """Nobody stands in line any more."""
        self._free_at = 0.0
