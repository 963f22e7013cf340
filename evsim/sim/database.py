"""The database of a consumer whose outbox is a log: its state and this log are there together, or away together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from evsim.sim.broker.log import LiveLog
    from evsim.sim.handling import Member
    from evsim.sim.world import World

TRY_AGAIN_S = 0.5
"""Who finds the database away looks again after this time."""


class _Waiting(NamedTuple):
    """Who waits for the database, since which life of it, and what it does then."""

    member: Member
    epoch: int
    then: Callable[[], None]


class Database:
    """Where state and outbox are written in one act, by all members of a consumer."""

    def __init__(self, world: World, outbox: str) -> None:
        self._world, self._name = world, outbox
        self._doors: dict[str, Callable[[str | None, int], Callable[[int], Any]]] = {}

    @property
    def _log(self) -> LiveLog:
        log: LiveLog = self._world.find(self._name)
        return log

    def is_there_for(self, member: Member) -> bool:
        """Whether a transaction of this member can be begun, and can be ended."""
        link, log = self._world.link, self._log
        if not log.up or any(partition.offline for partition in log.partitions):
            return False
        return not (link(member.name, self._name).cut or link(self._name, member.name).cut)

    def wait(self, member: Member, then: Callable[[], None]) -> None:
        """Call this when the database is there again; a member that has crashed meanwhile has forgotten it."""
        self._world.call_in(TRY_AGAIN_S, self._look, _Waiting(member, member.epoch, then))

    def _look(self, waiting: _Waiting) -> None:
        member = waiting.member
        if waiting.epoch != member.epoch:
            return
        if member.frozen:
            member.hold(self._look, waiting)
        elif self.is_there_for(member):
            waiting.then()
        else:
            self.wait(member, waiting.then)

    def enter(self, member: Member, events: list[int]) -> None:
        """Write events into the outbox, in the act that saves the state."""
        world, door = self._world, self._doors.get(member.name)
        if door is None:
            door = self._doors[member.name] = self._log.chooser(member.name)
        published = world.history.code("published", member.name, self._name)
        for event in events:
            world.record(world.now, published, event, 0)
            door(*world.history.key_parts(event))(event)
