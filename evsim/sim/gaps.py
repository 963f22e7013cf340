"""A member that reads a compacted log: it passes over the offsets at which nothing stands any more."""

from __future__ import annotations

from evsim.sim.broker.compaction import GAP
from evsim.sim.member import LiveMember


class GapMember(LiveMember):
    """A member of a group at a log with ``compaction=True``."""

    __slots__ = ()

    def look(self) -> None:
        """Fetch from behind the gaps, and not the gaps at the end of what is fetched."""
        for cursor in self.cursors:
            events, start = cursor.partition.events, cursor.partition.start
            skip = cursor.position - start
            if skip < 0:
                skip = self._reset(cursor)
            while skip < len(events) and events[skip] == GAP:
                skip += 1
                cursor.position = start + skip
        super().look()
        while self.busy and self.batch[-1] == GAP:
            self.batch.pop()

    def _begin(self) -> None:
        while self.batch[self.at] == GAP:
            self.at += 1
            self.cursor.position += 1
        super()._begin()
