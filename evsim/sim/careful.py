"""A member that reads only what is committed: up to the last stable offset, and past what was aborted."""

from __future__ import annotations

from typing import ClassVar

from evsim.sim.member import Cursor, LiveMember


class CarefulMember(LiveMember):
    """A member with ``isolation="read_committed"``."""

    __slots__ = ()
    sees_all: ClassVar[bool] = False

    def visible(self, cursor: Cursor) -> int:
        """How many events of the partition we may see: those before the last stable offset."""
        partition = cursor.partition
        return self._log.isolation.stable(partition) - partition.start

    def _begin(self) -> None:
        cursor = self.cursor
        if self._log.isolation.aborted(cursor.partition, cursor.position):
            self.event = self.batch[self.at]
            self._record(self.world.now, cursor.skipped, self.event, cursor.position)
            self.world.call_in(0.0, self._skipped, self.epoch)
            return
        super()._begin()
