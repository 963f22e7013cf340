"""Transactions at a log: what is open, what was aborted, and up to where one may read what is committed.

Semantics follow Kafka (https://kafka.apache.org/documentation/#consumerconfigs_isolation.level and KIP-98): a reader of
committed events sees a partition up to the last stable offset, which is that of the oldest open transaction, and passes
over what was aborted. Kafka's end markers take up an offset of their own; here they do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evsim.sim.broker.base import Answer, Request

if TYPE_CHECKING:
    from evsim.sim.broker.log import LiveLog
    from evsim.sim.broker.partition import Partition

TIMEOUT_S = 60.0
"""An open transaction is aborted after this time (Kafka's transaction.timeout.ms)."""
Key = tuple[str, int, int]
"""A transaction: its producer, the producer's epoch, its number."""
_FENCED = Answer(False, "fenced")


class Isolation:
    """The transactions of one log, and what readers of committed events may see of its partitions."""

    def __init__(self, log: LiveLog) -> None:
        self.log, self.world = log, log.world
        self._epochs: dict[str, int] = {}
        self._open: dict[Key, list[tuple[Partition, int, int]]] = {}
        self._first: dict[int, dict[Key, int]] = {}
        self._aborted: dict[int, set[int]] = {}

    # ---------------------------------------------------------------- what readers ask

    def stable(self, partition: Partition) -> int:
        """The last stable offset: nothing at or behind it may be read yet by those who read what is committed."""
        return min([partition.end, *self._first.get(partition.index, {}).values()])

    def aborted(self, partition: Partition, offset: int) -> bool:
        """Whether what lies there was aborted."""
        return offset in self._aborted.get(partition.index, ())

    # ---------------------------------------------------------------- what producers do

    def admits(self, request: Request) -> bool:
        """Whether the request comes from the newest life of its producer; an older one is fenced."""
        newest = self._epochs.get(request.producer, -1)
        if request.epoch < newest:
            request.reply(_FENCED)
            return False
        if request.epoch > newest:
            self._epochs[request.producer] = request.epoch
            for key in [key for key in self._open if key[0] == request.producer and key[1] < request.epoch]:
                self._end(key, commit=False)
        return True

    def wrote(self, request: Request, partition: Partition, start: int, count: int) -> None:
        """These offsets belong to the request's transaction, which is open until its marker comes."""
        key = (request.producer, request.epoch, request.transaction)
        if key not in self._open:
            self._open[key] = []
            self.world.plan_in(TIMEOUT_S, self._overdue, key)
        self._open[key].append((partition, start, count))
        self._first.setdefault(partition.index, {}).setdefault(key, start)

    def mark(self, request: Request) -> None:
        """End a transaction everywhere, and confirm it."""
        self._end((request.producer, request.epoch, request.transaction), commit=request.marker == "commit")
        request.reply(Answer(True))

    def _overdue(self, key: Key) -> None:
        self._end(key, commit=False)

    def _end(self, key: Key, *, commit: bool) -> None:
        for partition, start, count in self._open.pop(key, []):
            if not commit:
                self._aborted.setdefault(partition.index, set()).update(range(start, start + count))
            self._first.get(partition.index, {}).pop(key, None)
            _ring(partition)


def _ring(partition: Any) -> None:
    for member in partition.readers:
        if member.idle:
            member.look()
