"""Where a log has each event: the position that it acknowledges a write with, and that a reader may ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from evsim.sim.broker.compaction import GAP

if TYPE_CHECKING:
    from evsim.sim.broker.log import LiveLog
    from evsim.sim.broker.partition import Partition
    from evsim.sim.world import World

Key = tuple[str | None, int]


class Position(NamedTuple):
    """An offset in a partition."""

    place: str
    offset: int


class Reached:
    """How far one has come with one key: to which offset in each partition that has held it, mostly one."""

    __slots__ = ("_offsets",)

    def __init__(self) -> None:
        self._offsets: dict[str, int] = {}

    def advance(self, place: str, offset: int) -> None:
        """Come to this offset; a lower one than before changes nothing."""
        self._offsets[place] = max(offset, self._offsets.get(place, -1))

    def join(self, other: Reached) -> None:
        """Come as far as another one, too."""
        for place, offset in other._offsets.items():
            self.advance(place, offset)

    def covers(self, position: Position) -> bool:
        """Whether we have come to this position."""
        return self._offsets.get(position.place, -1) >= position.offset

    def includes(self, other: Reached) -> bool:
        """Whether we have come as far as another one."""
        return all(self.covers(Position(*each)) for each in other._offsets.items())


class Positions:
    """What one log holds, read from it bit by bit: nobody's clock, and no order but its own."""

    def __init__(self, world: World, log: LiveLog) -> None:
        self._history, self._log = world.history, log
        self._read: dict[int, int] = {}
        self._of: dict[int, Position] = {}
        self._newest: dict[Key, Reached] = {}

    def of(self, event: int) -> Position | None:
        """Where the log has this event; None while it has not come."""
        self._catch_up()
        return self._of.get(event)

    def newest(self, event: int) -> Reached:
        """How far the log has come with the key of this event."""
        self._catch_up()
        return self._newest.get(self._history.key_parts(event), Reached())

    def _catch_up(self) -> None:
        for partition in self._log.partitions:
            self._read_on(partition)

    def _read_on(self, partition: Partition) -> None:
        first = max(self._read.get(partition.index, 0), partition.start)
        for offset, event in enumerate(partition.events[first - partition.start :], start=first):
            if event != GAP:
                self._of[event] = Position(partition.place, offset)
                key = self._history.key_parts(event)
                self._newest.setdefault(key, Reached()).advance(partition.place, offset)
        self._read[partition.index] = partition.end
