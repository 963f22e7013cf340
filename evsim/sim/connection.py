"""A connection: one direction of a link on which nothing is lost and nothing overtakes, as on TCP."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evsim.sim.network import LiveLink
    from evsim.sim.world import World

SEND_AGAIN_S = 0.2
"""What the link has lost is sent again after this time: the least retransmission timeout of common TCP stacks."""


class Connection:
    """Sends over a link until it gets through; what comes later waits behind it. ``reset`` forgets what waits."""

    __slots__ = ("_send", "_waiting", "_world")

    def __init__(self, world: World, link: LiveLink) -> None:
        self._world, self._send = world, link.send
        self._waiting: deque[tuple[Callable[[Any], Any], Any, int]] = deque()

    def send(self, fn: Callable[[Any], Any], arg: Any, event: int = -1) -> None:
        """Let ``fn(arg)`` be called at the other end."""
        if self._waiting:
            self._waiting.append((fn, arg, event))
        elif not self._send(fn, arg, event):
            self._waiting.append((fn, arg, event))
            self._world.call_in(SEND_AGAIN_S, self._again, self._waiting)

    def _again(self, waiting: deque[Any]) -> None:
        if waiting is not self._waiting:
            return
        while waiting:
            if not self._send(*waiting[0]):
                self._world.call_in(SEND_AGAIN_S, self._again, waiting)
                return
            waiting.popleft()

    def reset(self) -> None:
        """The connection has ended, and what was on its way with it."""
        self._waiting = deque()
