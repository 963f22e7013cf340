"""Something that can crash: its disk survives, its memory does not. Or that can freeze, which loses nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evsim.sim.world import World


class Node:
    """A live thing with a name that may be down or frozen.

    Whatever waits for a node carries the node's ``epoch``; a crash starts a new epoch, so that what was under way
    before it is ignored. What falls due while the node is frozen is held until it resumes: work under way goes on for
    the time that it still needed, while alarms (which the clock of a stopped process keeps) ring at once.
    """

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.down = False
        self.frozen = False
        self.epoch = 0
        self._frozen_at = 0.0
        self._held: list[tuple[Callable[[Any], None], Any, float]] = []

    @property
    def up(self) -> bool:
        """Neither down nor frozen."""
        return not (self.down or self.frozen)

    def note(self, step: str, place: str = "", number: int = 0) -> None:
        """Record something that befell this node."""
        self.world.record(self.world.now, self.world.history.code(step, self.name, place), -1, number)

    def crash(self) -> None:
        """Lose the memory and be down until ``restart``."""
        if self.down:
            return
        self.note("crashed")
        self.down, self.frozen = True, False
        self.epoch += 1
        self._held.clear()
        self.crashed()

    def restart(self) -> None:
        """Come back with what the disk holds."""
        if not self.down:
            return
        self.down = False
        self.note("restarted")
        self.restarted()

    def pause(self) -> None:
        """Freeze: nothing is done and nothing is lost until ``resume``."""
        if self.up:
            self.note("paused")
            self.frozen, self._frozen_at = True, self.world.now
            self.paused()

    def resume(self) -> None:
        """Go on where ``pause`` stopped."""
        if not self.frozen:
            return
        self.frozen = False
        self.note("resumed")
        held, self._held = self._held, []
        for fn, arg, left_s in held:
            self.world.call_in(left_s, fn, arg)
        self.resumed(self.world.now - self._frozen_at, [arg for _, arg, left_s in held if left_s])

    def hold(self, fn: Callable[[Any], None], arg: Any, *, work: bool = False) -> None:
        """Keep what fell due while frozen: work still needs its rest, an arrival or an alarm is due at once."""
        self._held.append((fn, arg, self.world.now - self._frozen_at if work else 0.0))

    def crashed(self) -> None:
        """What else a crash does to this node."""

    def restarted(self) -> None:
        """What else a restart does to this node."""

    def paused(self) -> None:
        """What else a pause does to this node."""

    def resumed(self, pause_s: float, held: list[Any]) -> None:
        """What else a resume does to this node: work under way that is not ``held`` still owes the pause."""
