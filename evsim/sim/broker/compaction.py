"""Compaction: a log forgets what a later event of the same key has replaced, and in the end what was deleted.

Semantics follow Kafka (https://kafka.apache.org/documentation/#compaction): offsets never change, and order stays; a
reader that begins at the start sees at least the last event of each key. A tombstone, Kafka's record without a value,
is here an event of a type that the log names; it deletes its key, and goes itself ``delete_retention_s`` after the
cleaner has first met it (KIP-534). Kafka leaves the segment alone that is being written; here ``min_compaction_lag_s``
is all that protects what is new. What a group has read and not acknowledged is left for the next round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evsim.sim.broker.log import LiveLog
    from evsim.sim.broker.partition import Partition

GAP = -1
"""What stands at an offset whose event is gone."""
Key = tuple[str | None, int]


class Cleaner:
    """The cleaner of one log, at work every ``clean_every_s``."""

    def __init__(self, log: LiveLog) -> None:
        self.log, self.world, self.value = log, log.world, log.value
        self._types = set(log.value.tombstones)
        self._upto: dict[int, int] = {}
        self._newest: dict[tuple[int, Key], int] = {}
        self._old: dict[int, list[int]] = {}
        self._tombs: dict[int, list[tuple[float, int]]] = {}
        self.world.plan_in(self.value.clean_every_s, self._round)

    def _round(self, _: Any) -> None:
        if self.log.up:
            for partition in self.log.partitions:
                self._read(partition)
                self._forget(partition)
        self.world.plan_in(self.value.clean_every_s, self._round)

    def _read(self, partition: Partition) -> None:
        """Find what has been replaced since the last round, and the tombstones that have come."""
        index, history, isolation = partition.index, self.world.history, self.log.isolation
        first, last = max(self._upto.get(index, 0), partition.start), self._last(partition)
        for offset in range(first, last):
            event = partition.events[offset - partition.start]
            key = history.key_parts(event)
            if key[0] is None or isolation.aborted(partition, offset):
                continue
            older = self._newest.get((index, key), -1)
            self._newest[index, key] = offset
            if older >= 0:
                self._old.setdefault(index, []).append(older)
            if history.type_of(event) in self._types:
                due = self.world.now + self.value.delete_retention_s
                self._tombs.setdefault(index, []).append((due, offset))
        self._upto[index] = max(first, last)

    def _last(self, partition: Partition) -> int:
        """The offset before which everything is committed, and old enough."""
        last, times = self.log.isolation.stable(partition), partition.times
        young_s = self.world.now - self.value.min_compaction_lag_s
        while last > partition.start and times[last - 1 - partition.start] > young_s:
            last -= 1
        return last

    def _forget(self, partition: Partition) -> None:
        """Clear what has been replaced, and the tombstones whose time is over."""
        index, now = partition.index, self.world.now
        self._old[index] = [offset for offset in self._old.get(index, ()) if not self._clear(partition, offset)]
        tombs = self._tombs.get(index, ())
        self._tombs[index] = [(due, at) for due, at in tombs if due > now or not self._clear(partition, at)]

    def _clear(self, partition: Partition, offset: int) -> bool:
        """Whether nothing stands at this offset any more."""
        skip = offset - partition.start
        if skip < 0 or skip >= len(partition.events) or partition.events[skip] == GAP:
            return True
        if any(group.has_in_hand(partition, offset) for group in partition.groups):
            return False
        for group in partition.groups:
            group.superseded(partition, offset)
        partition.clear(offset)
        return True
