"""One partition of a log: events by offset, of which the oldest may be gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from evsim.sim.broker.compaction import GAP

if TYPE_CHECKING:
    from evsim.sim.broker.log import LiveLog
    from evsim.sim.group import LiveGroup
    from evsim.sim.member import LiveMember


class Partition:
    """One partition: events by offset, of which the first ``start`` are gone."""

    __slots__ = (
        "_log",
        "_record",
        "_stored",
        "_world",
        "events",
        "groups",
        "index",
        "place",
        "readers",
        "start",
        "times",
    )

    offline: ClassVar[bool] = False
    """Whether nobody can read or write it now, though the log is up."""

    def __init__(self, log: LiveLog, index: int) -> None:
        self.index, self.place = index, f"{log.name}/{index}"
        self._log, self._world, self._record = log, log.world, log.world.record
        self._stored = log.world.history.code("stored", log.name, self.place)
        self.events: list[int] = []
        self.times: list[float] = []
        self.start = 0
        self.groups: list[LiveGroup] = []
        self.readers: list[LiveMember] = []

    @property
    def end(self) -> int:
        """The offset that the next event will get."""
        return self.start + len(self.events)

    def store(self, event: int) -> None:
        """Append an event and ring for those who wait; a log that is down loses what reaches it."""
        log = self._log
        if not log.up:
            log.turn_away(self, event)
            return
        events, now = self.events, self._world._now
        self._record(now, self._stored, event, self.start + len(events))
        events.append(event)
        if log.retains:
            self.times.append(now)
            log.expire(self)
        for member in self.readers:
            if member.idle:
                member.look()

    def clear(self, offset: int) -> None:
        """Compaction has removed what stood at this offset."""
        self.events[offset - self.start] = GAP

    def forget_before(self, offset: int) -> None:
        """Retention has deleted what lies before this offset."""
