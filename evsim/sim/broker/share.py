"""A share group: the records of a log given out one by one, to more members than there are partitions.

Semantics and defaults follow Kafka's share groups (KIP-932, https://kafka.apache.org/documentation/#shareconsumerconfigs):
a record is acquired under a lock, and then accepted, released, or rejected by itself. What is released, or not dealt
with before its lock runs out, is available again, until it has been given out ``delivery_limit`` times. A process that
dies has its locks run out; one that closes its session gives back at once what it had. Order is not promised.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from evsim.sim.broker.base import Delivery, Subscription
from evsim.sim.broker.compaction import GAP
from evsim.sim.consumer import Share

if TYPE_CHECKING:
    from evsim.sim.broker.log import LiveLog
    from evsim.sim.broker.partition import Partition
    from evsim.sim.consumer import Consumer
    from evsim.sim.worker import LiveWorker
    from evsim.sim.world import World

MAX_LOCKS = 2000
"""The most records of a partition between the first that is not done and the last that was given out
(group.share.partition.max.record.locks)."""
_STEPS = ("requeued", "rejected", "exhausted", "expired", "missed", "compacted")


class Record:
    """A record that was given out: how often, and to whom; nobody has it while it is available again."""

    __slots__ = ("count", "delivery", "event")

    def __init__(self, event: int) -> None:
        self.event, self.count = event, 0
        self.delivery: Delivery | None = None


class SharePartition:
    """What a share group knows of one partition. All before ``next`` has been given out; ``records`` are not done."""

    __slots__ = ("available", "codes", "next", "partition", "records")

    def __init__(self, partition: Partition, start: int, codes: dict[str, int]) -> None:
        self.partition, self.next, self.codes = partition, start, codes
        self.records: dict[int, Record] = {}
        self.available: list[int] = []

    @property
    def start(self) -> int:
        """The offset of the first record that is not done (Kafka's share-partition start offset)."""
        return next(iter(self.records), self.next)

    def take(self) -> int | None:
        """The next record to give out: one that came back, else a new one."""
        partition = self.partition
        if partition.offline:
            return None
        while self.available:
            offset = heappop(self.available)
            if offset in self.records:
                return offset
        self.next = max(self.next, partition.start)
        while self.next < partition.end and self.next - self.start < MAX_LOCKS:
            offset, self.next = self.next, self.next + 1
            event = partition.events[offset - partition.start]
            if event != GAP:
                self.records[offset] = Record(event)
                return offset
        return None


class Bell:
    """What a log rings when there is something new, or when it is back: it stands among the readers of partitions."""

    __slots__ = ("group",)

    idle = True

    def __init__(self, group: ShareSubscription) -> None:
        self.group = group

    def look(self) -> None:
        """Something new has been stored."""
        self.group.pump()

    fetch = look

    def commit_again(self) -> None:
        """The log has crashed and is back: it knows what is done, but not who had what."""
        self.group.unlock_all()


class ShareSubscription(Subscription):
    """The members of one share group at a log. What it knows of the records is kept at the broker."""

    broker: LiveLog

    def __init__(self, world: World, value: Consumer, broker: LiveLog) -> None:
        super().__init__(world, value, broker)
        self.terms = value.share or Share()
        self.shares: list[SharePartition] = []
        self._automatic = value.commit == "before"
        self._here: deque[LiveWorker] = deque()
        self._deadlines: deque[tuple[float, SharePartition, Delivery]] = deque()
        self._turn = 0
        self._bell = Bell(self)
        self.members = {value.name: self._bell}
        reader: Any = self
        broker.enlist(reader)
        for partition in broker.partitions:
            self._share(partition, partition.end)

    def _share(self, partition: Partition, start: int) -> SharePartition:
        code, reader = self.world.history.code, self._bell
        codes = {step: code(step, self.value.name, partition.place) for step in _STEPS}
        share = SharePartition(partition, start, codes)
        self.shares.append(share)
        readers: list[Any] = partition.readers
        readers.append(reader)
        return share

    # ---------------------------------------------------------------- members come and go

    def attach(self, worker: LiveWorker) -> None:
        """A member asks for records."""
        worker.unacked = 0
        if worker not in self._here:
            self._here.append(worker)
        self.pump()

    def heard(self, worker: LiveWorker) -> None:
        """A member asks for records again."""
        self.pump()

    def gone(self, worker: LiveWorker) -> None:
        """A member has died: its locks run out in their time, not before."""
        if worker in self._here:
            self._here.remove(worker)
        worker.unacked = 0

    def left(self, worker: LiveWorker) -> None:
        """A member has closed its session: what it had is released at once."""
        self.gone(worker)
        for share, offset, record in self._acquired():
            if record.delivery is not None and record.delivery.worker is worker:
                self._release(share, offset)
        self.pump()

    def _acquired(self) -> list[tuple[SharePartition, int, Record]]:
        return [
            (share, offset, record)
            for share in self.shares
            for offset, record in share.records.items()
            if record.delivery is not None
        ]

    # ---------------------------------------------------------------- who gets what

    def pump(self) -> None:
        """Give out what there is to those who have a free hand."""
        while self.broker.up and (worker := self._free()) is not None and (found := self._take()) is not None:
            self._give(worker, *found)

    def _free(self) -> LiveWorker | None:
        """The member that has waited longest of those who have a free hand."""
        for worker in self._here:
            room = worker.prefetch is None or self._automatic or worker.unacked < worker.prefetch
            if room and not worker.is_silent:
                return worker
        return None

    def _take(self) -> tuple[SharePartition, int] | None:
        """The next record, from the partitions in turn."""
        for _ in self.shares:
            share = self.shares[self._turn]
            self._turn = (self._turn + 1) % len(self.shares)
            offset = share.take()
            if offset is not None:
                return share, offset
        return None

    def _give(self, worker: LiveWorker, share: SharePartition, offset: int) -> None:
        """Acquire a record for a member, and hand it over."""
        self._here.remove(worker)
        self._here.append(worker)
        record, place, now = share.records[offset], share.partition.place, self.world.now
        record.count += 1
        delivery = Delivery(record.event, place, offset, record.count, worker, share)
        if self._automatic:
            del share.records[offset]
            worker.push(delivery)
            self.world.record(now, worker.codes(place).acked, record.event, offset)
            return
        worker.unacked += 1
        record.delivery = delivery
        if not self._deadlines:
            self.world.plan_in(self.terms.lock_s, self._ring)
        self._deadlines.append((now + self.terms.lock_s, share, delivery))
        worker.push(delivery)

    # ---------------------------------------------------------------- answers

    def ack(self, delivery: Delivery) -> None:
        """Accept: this record is done, unless its lock has run out meanwhile."""
        if self.broker.frozen:
            self.broker.hold(self.ack, delivery)
            return
        share = self._let_go(delivery)
        if self.broker.up and self._has(share, delivery):
            del share.records[delivery.number]
            code = delivery.worker.codes(delivery.place).acked
            self.world.record(self.world.now, code, delivery.event, delivery.number)
        self.pump()

    def nack(self, delivery: Delivery, requeue: bool) -> None:
        """Release this record for another delivery, or reject it for good."""
        if self.broker.frozen:
            self.broker.hold(lambda told: self.nack(*told), (delivery, requeue))
            return
        share = self._let_go(delivery)
        if self.broker.up and self._has(share, delivery):
            if requeue:
                self._release(share, delivery.number)
            else:
                self._end(share, delivery.number, "rejected")
        self.pump()

    def _let_go(self, delivery: Delivery) -> SharePartition:
        """The member has a hand free again."""
        share, worker = delivery.entry, delivery.worker
        if delivery.epoch == worker.epoch:
            worker.unacked -= 1
        return share

    def _has(self, share: SharePartition, delivery: Delivery) -> bool:
        """Whether the lock of this delivery still holds; else its answer is refused (INVALID_RECORD_STATE)."""
        record = share.records.get(delivery.number)
        if record is not None and record.delivery is delivery:
            return True
        delivery.worker.note("fenced", delivery.place, delivery.number)
        return False

    def _release(self, share: SharePartition, offset: int) -> None:
        """Make a record available again, unless it was given out often enough, or is deleted."""
        record = share.records[offset]
        record.delivery = None
        if offset < share.partition.start:
            self._end(share, offset, "expired")
        elif record.count >= self.terms.delivery_limit:
            self._end(share, offset, "exhausted")
        else:
            self.world.record(self.world.now, share.codes["requeued"], record.event, offset)
            heappush(share.available, offset)

    def _end(self, share: SharePartition, offset: int, step: str) -> None:
        """This record will not be given out again."""
        record = share.records.pop(offset)
        self.world.record(self.world.now, share.codes[step], record.event, offset)

    # ---------------------------------------------------------------- locks

    def _ring(self, _: Any = None) -> None:
        """The oldest lock may have run out."""
        if not self.broker.up:
            self.world.plan_in(self.terms.lock_s, self._ring)
            return
        while self._deadlines and self._deadlines[0][0] <= self.world.now:
            _due, share, delivery = self._deadlines.popleft()
            record = share.records.get(delivery.number)
            if record is not None and record.delivery is delivery:
                self._release(share, delivery.number)
        if self._deadlines:
            self.world.plan_at(self._deadlines[0][0], self._ring)
        self.pump()

    def unlock_all(self) -> None:
        """Nobody has anything any more: what was acquired is available again."""
        for share, offset, _record in self._acquired():
            self._release(share, offset)
        self.pump()

    # ---------------------------------------------------------------- what befalls the log

    def discover(self, new: list[Partition]) -> None:
        """New partitions have been noticed: share them out too, from where ``auto_offset_reset`` says."""
        latest = self.value.auto_offset_reset == "latest"
        for partition in new:
            share = self._share(partition, partition.end if latest else partition.start)
            for offset, event in enumerate(partition.events if latest else (), start=partition.start):
                self.world.record(self.world.now, share.codes["missed"], event, offset)
            groups: list[Any] = partition.groups
            groups.append(self)
        self.pump()

    def _of(self, partition: Partition) -> SharePartition:
        return self.shares[partition.index]

    def truncated(self, partition: Partition, end: int) -> None:
        """The partition ends earlier now: what lay behind is lost."""
        share = self._of(partition)
        share.next = min(share.next, end)
        share.records = {offset: record for offset, record in share.records.items() if offset < end}

    def miss(self, partition: Partition, gone: int) -> None:
        """Retention is about to delete the oldest ``gone`` events; what somebody has in hand may still be accepted."""
        share, first = self._of(partition), partition.start + gone
        for offset in [offset for offset, each in share.records.items() if offset < first and each.delivery is None]:
            self._end(share, offset, "expired")
        for offset in range(max(share.next, partition.start), first):
            event = partition.events[offset - partition.start]
            if event != GAP:
                self.world.record(self.world.now, share.codes["expired"], event, offset)
        share.next = max(share.next, first)

    def has_in_hand(self, partition: Partition, offset: int) -> bool:
        """Whether this record was given out, and is not done."""
        return offset in self._of(partition).records

    def superseded(self, partition: Partition, offset: int) -> None:
        """Compaction is about to remove a record: note it if nobody has had it."""
        share = self._of(partition)
        if offset >= share.next:
            event = partition.events[offset - partition.start]
            self.world.record(self.world.now, share.codes["compacted"], event, offset)

    def begin_at_the_end(self) -> None:
        """A group that comes late, with ``auto_offset_reset="latest"``."""
        for share in self.shares:
            share.next = share.partition.end
