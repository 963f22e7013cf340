"""Something that can crash: its disk survives, its memory does not. Or that can freeze, which loses nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from evsim.chance import on_grid

if TYPE_CHECKING:
    from evsim.sim.world import World


class Node:
    """A live thing with a name that is ``up``, or else ``down`` or ``frozen``.

    Whatever waits for a node carries the node's ``epoch``; a crash starts a new epoch, so that what was under way
    before it is ignored. What comes while the node is frozen is held until it resumes, and so are alarms, which the
    clock of a stopped process keeps. Work under way takes as much longer as the pause.
    """

    if TYPE_CHECKING:
        _service: Callable[[], float]

    __slots__ = ("_held", "down", "epoch", "frozen", "name", "up", "world")

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.up = True
        self.down = False
        self.frozen = False
        self.epoch = 0
        self._held: list[tuple[Callable[[Any], Any], Any, bool]] = []

    def note(self, step: str, place: str = "", number: int = 0) -> None:
        """Record something that befell this node."""
        self.world.record(self.world.now, self.world.history.code(step, self.name, place), -1, number)

    def crash(self) -> None:
        """Lose the memory and be down until ``restart``."""
        if self.down:
            return
        self.note("crashed")
        self.up, self.down, self.frozen = False, True, False
        self.epoch += 1
        held, self._held = self._held, []
        self.crashed()
        for fn, arg, came in held:
            if came:
                fn(arg)

    def restart(self) -> None:
        """Come back with what the disk holds."""
        if not self.down:
            return
        self.up, self.down = True, False
        self.note("restarted")
        self.restarted()

    def pause(self) -> None:
        """Freeze: nothing is done and nothing is lost until ``resume``."""
        if self.up:
            self.note("paused")
            self.up, self.frozen = False, True
            self.paused()

    def resume(self) -> None:
        """Go on where ``pause`` stopped."""
        if not self.frozen:
            return
        self.up, self.frozen = True, False
        self.note("resumed")
        held, self._held = self._held, []
        for fn, arg, _ in held:
            self.world.call_in(0.0, fn, arg)
        self.resumed()

    def slow(self, factor: float) -> Callable[[], None]:
        """What this node begins from now on takes ``factor`` times as long; the answer, when called, ends that."""
        usual: Callable[[], float] = self._service

        def slowed() -> float:
            return on_grid(factor * usual())

        def heal() -> None:
            self._service = usual

        self._service = slowed
        return heal

    def hold(self, fn: Callable[[Any], Any], arg: Any, *, came: bool = False) -> None:
        """Keep what has come, or an alarm that has rung, until the node resumes.

        Should it crash instead, what ``came`` from elsewhere is called then, to record that it was turned away.
        """
        self._held.append((fn, arg, came))

    def crashed(self) -> None:
        """What else a crash does to this node."""

    def restarted(self) -> None:
        """What else a restart does to this node."""

    def paused(self) -> None:
        """What else a pause does to this node."""

    def resumed(self) -> None:
        """What else a resume does to this node."""
