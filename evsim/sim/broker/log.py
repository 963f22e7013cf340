"""A partitioned log: what was stored stays, each group reads at its own pace.

Semantics and names follow Kafka (https://kafka.apache.org/documentation/): order is promised within a partition; a
key always goes to the same partition; committed offsets belong to the group and survive its members.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from evsim.keys import Partitioner
from evsim.laws import Constant, Duration
from evsim.sim.broker.base import DISCONNECTED, Answer
from evsim.sim.broker.compaction import GAP, Cleaner
from evsim.sim.broker.isolation import Isolation
from evsim.sim.broker.line import Line
from evsim.sim.broker.partition import Partition
from evsim.sim.broker.replicas import Known, Machine, ReplicatedPartition
from evsim.sim.node import Node
from evsim.sim.part import Part

if TYPE_CHECKING:
    from evsim.sim.broker.base import Request
    from evsim.sim.group import LiveGroup
    from evsim.sim.world import World

_CONFIRMED = Answer(True)
_NO_KEY = Answer(False, "invalid_record")


class Log(Part):
    """A log of ``partitions`` partitions: ``Log("orders", partitions=8)``.

    ``retention_s`` deletes what is older (Kafka's default is seven days; here None keeps everything),
    ``retention_events`` what exceeds that many events in a partition, ``retention_bytes`` what exceeds that many bytes,
    at ``event_bytes`` an event. A log that crashes keeps what it has stored.

    With ``replicas`` it lies on machines ``orders-1``, ``orders-2``…, which can crash one by one. Followers have what
    the leader has after ``replication_s``; one that has not been caught up for ``replica_lag_time_max_s`` leaves the
    in-sync set, and a machine that is silent for ``failover_s`` is given up (KRaft's broker.session.timeout.ms). A
    publisher's ``acks="all"`` is refused with fewer than ``min_insync_replicas`` in sync. With
    ``unclean_leader_election`` a replica that is not in sync may lead, and what only others had is lost.
    ``flush_every_s`` and ``flush_every_events`` say when a machine writes its page cache to the disk: what is not
    flushed is lost when its power fails (``Crash(…, power=True)``), not when its process dies.

    With ``compaction`` every ``clean_every_s`` (log.cleaner.backoff.ms) what a later event of the same key has replaced
    is removed, once it is older than ``min_compaction_lag_s``; events of the types in ``tombstones`` delete their key,
    and go after ``delete_retention_s``. An event without a key is refused.

    The broker needs ``request_s`` for each request and ``record_s`` for each event in it, one request after the other.
    """

    name: str
    partitions: int = Field(1, ge=1, le=100_000)
    retention_s: float | None = Field(None, gt=0)
    retention_events: int | None = Field(None, ge=1)
    replicas: int = Field(1, ge=1, le=9)
    min_insync_replicas: int = Field(1, ge=1)
    replication_s: Duration = Constant(0.001)
    replica_lag_time_max_s: float = Field(30.0, gt=0)
    failover_s: float = Field(9.0, ge=0)
    unclean_leader_election: bool = False
    flush_every_s: float | None = Field(None, gt=0)
    flush_every_events: int | None = Field(None, ge=1)
    request_s: float = Field(0.0, ge=0)
    record_s: float = Field(0.0, ge=0)
    retention_bytes: int | None = Field(None, ge=1)
    event_bytes: int = Field(1000, ge=1)
    compaction: bool = False
    clean_every_s: float = Field(15.0, gt=0)
    min_compaction_lag_s: float = Field(0.0, ge=0)
    delete_retention_s: float = Field(86_400.0, ge=0)
    tombstones: tuple[str, ...] = ()
    kind: Literal["log"] = "log"

    @property
    def most_events(self) -> int | None:
        """How many events a partition keeps, by number and by bytes."""
        by_bytes = None if self.retention_bytes is None else max(1, self.retention_bytes // self.event_bytes)
        return min((most for most in (self.retention_events, by_bytes) if most is not None), default=None)

    @property
    def is_replicated(self) -> bool:
        """Whether its machines matter one by one."""
        return self.replicas > 1 or self.flush_every_s is not None or self.flush_every_events is not None

    @property
    def member_names(self) -> list[str]:
        """The names of its machines; its own when there is only one."""
        return [f"{self.name}-{n}" for n in range(1, self.replicas + 1)] if self.is_replicated else [self.name]

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """What can never be satisfied."""
        yield from super().check(parts)
        if self.min_insync_replicas > self.replicas:
            yield (
                f"{self.title}: min_insync_replicas={self.min_insync_replicas} can never be in sync with "
                f"replicas={self.replicas}; give replicas={self.min_insync_replicas} or more"
            )

    def build(self, world: World) -> LiveLog:
        """Bring the log to life."""
        return LiveLog(world, self)


class LiveLog(Node):
    """A log at work. It owns its events; a delivery in flight does not take them away."""

    def __init__(self, world: World, value: Log) -> None:
        super().__init__(world, value.name)
        self.value = value
        limits = (value.retention_s, value.retention_events, value.retention_bytes)
        self.retains = value.compaction or any(limit is not None for limit in limits)
        self.machines: list[Machine] = []
        self.replicated: list[ReplicatedPartition] = []
        self.partitions: list[Partition] = self._make_partitions()
        self.partitioner = Partitioner(value.partitions)
        self.groups: list[LiveGroup] = []
        costly = value.request_s > 0 or value.record_s > 0
        self.line = Line(world, self, value.request_s, value.record_s) if costly else None
        self.stores = [self._way_in(partition) for partition in self.partitions]
        self.isolation = Isolation(self)
        self.sequences: dict[Known, int] = {}
        if value.compaction:
            Cleaner(self)
        world.live[value.name] = self

    def _way_in(self, partition: Partition) -> Callable[[int], None]:
        """What stores an event in this partition: at once, or when its turn has come."""
        store = self._keyed(partition.store) if self.value.compaction else partition.store
        return store if self.line is None else self._in_line(store)

    def _keyed(self, store: Callable[[int], None]) -> Callable[[int], None]:
        """What stores an event that has a key, and turns any other away."""

        def keyed(event: int) -> None:
            if self.has_key(event):
                store(event)
            else:
                self.world.record(self.world.now, self.world.history.code("dropped", self.name), event, 0)

        return keyed

    def has_key(self, event: int) -> bool:
        """Whether compaction would know what this event replaces."""
        return self.world.history.key_parts(event)[0] is not None

    def add_partitions(self, to: int) -> list[Partition]:
        """Have ``to`` partitions from now on; the new ones are empty, and no group knows of them yet."""
        indexes = range(len(self.partitions), to)
        kind = ReplicatedPartition if self.replicated else Partition
        new = [kind(self, index) for index in indexes]
        self.partitions += new
        self.replicated += [partition for partition in new if isinstance(partition, ReplicatedPartition)]
        self.stores += [self._way_in(partition) for partition in new]
        self.partitioner.grow(to)
        return new

    def _make_partitions(self) -> list[Partition]:
        indexes = range(self.value.partitions)
        if not self.value.is_replicated:
            return [Partition(self, index) for index in indexes]
        self.machines = [Machine(self, number) for number in range(1, self.value.replicas + 1)]
        self.replicated = [ReplicatedPartition(self, index) for index in indexes]
        return list(self.replicated)

    def nodes(self) -> list[Any]:
        """What a fault that names the log hits: its machines, or the log itself when there is only one."""
        return list(self.machines) or [self]

    def chooser(self, node: str, _message: Any = None) -> Callable[[str | None, int], Callable[[int], None]]:
        """What stores an event with this key, given as stem and number, in its partition.

        The producer chooses the partition, as Kafka's does: murmur2 of the key, or any partition when there is no key
        (Kafka's sticky partitioner keeps to one until a batch is full; here a batch is one event).
        """
        stores, of = self.stores, self.partitioner.of
        anyone = self.world.chance.uniforms(f"{node} spread over {self.name}")

        def store_of(stem: str | None, number: int) -> Callable[[int], None]:
            return stores[of(stem, number)] if stem is not None else stores[int(anyone() * len(stores))]

        return store_of

    def take(self, request: Request) -> None:
        """Store a batch in its partition and confirm it; a repeated or early sequence number stores nothing."""
        if not self.up:
            if self.frozen:
                self.hold(self.take, request)
            elif request.acks == "none":
                for event in request.events:
                    self.turn_away(self.partitions[request.partition or 0], event)
            else:
                request.reply(DISCONNECTED)
            return
        if request.transaction >= 0 and not self.isolation.admits(request):
            return
        if request.marker:
            self.isolation.mark(request)
            return
        if self.line is not None:
            self.line.enter(self._append, request, len(request.events))
        else:
            self._append(request)

    def _in_line(self, store: Callable[[int], None]) -> Callable[[int], None]:
        """What stores an event when its turn has come; to a log that is down, nobody stands in line."""
        line = self.line
        return lambda event: line.enter(store, event) if line is not None and self.up else store(event)

    def _append(self, request: Request) -> None:
        """Store a batch whose turn has come."""
        if self.value.compaction and not all(map(self.has_key, request.events)):
            request.reply(_NO_KEY)
            return
        known, first = (request.producer, request.partition, request.epoch), request.sequence
        expected = self.sequences.get(known, 0)
        if first > expected:
            request.reply(Answer(False, "out_of_order_sequence"))
            return
        if first < 0 or first == expected:
            if first >= 0:
                self.sequences[known] = first + len(request.events)
            if self.replicated:
                self._take_replicated(request, known)
                return
            partition = self.partitions[request.partition or 0]
            if request.transaction >= 0:
                self.isolation.wrote(request, partition, partition.end, len(request.events))
            for event in request.events:
                partition.store(event)
        elif self.replicated and request.acks == "all":
            self.replicated[request.partition or 0].await_replicas(request)
            return
        request.reply(_CONFIRMED)

    def _take_replicated(self, request: Request, known: Known) -> None:
        """Let the partition's leader take it; a batch that was not appended has not used up its sequence numbers."""
        partition = self.replicated[request.partition or 0]
        before, start = partition.appended, partition.leader_end
        partition.take(request)
        if partition.appended == before and request.sequence >= 0:
            self.sequences[known] = request.sequence
        elif partition.appended > before and request.transaction >= 0:
            self.isolation.wrote(request, partition, start, len(request.events))

    def enlist(self, group: LiveGroup) -> None:
        """Tell this group of every event that is stored from now on."""
        self.groups.append(group)
        for partition in self.partitions:
            partition.groups.append(group)

    def turn_away(self, partition: Partition, event: int) -> None:
        """An event has come while the log is frozen (it waits) or down (it is lost)."""
        if self.frozen:
            self.hold(partition.store, event, came=True)
        else:
            self.world.record(self.world.now, self.world.history.code("dropped", self.name), event, 0)

    def expire(self, partition: Partition) -> None:
        """Delete what retention has passed."""
        value, gone = self.value, 0
        if value.most_events is not None:
            gone = _beyond(partition.events, value.most_events, compacted=value.compaction)
        if value.retention_s is not None:
            oldest = self.world.now - value.retention_s
            while gone < len(partition.times) and partition.times[gone] < oldest:
                gone += 1
        if gone:
            for group in partition.groups:
                group.miss(partition, gone)
            del partition.events[:gone], partition.times[:gone]
            partition.start += gone
            partition.forget_before(partition.start)

    def restarted(self) -> None:
        """Those who waited for the log ask again, and say again how far they have come."""
        if self.line is not None:
            self.line.reset()
        for group in self.groups:
            for member in group.members.values():
                member.commit_again()
        self._ring()

    def resumed(self) -> None:
        """Those who waited for the log are answered."""
        self._ring()

    def _ring(self) -> None:
        for group in self.groups:
            for member in group.members.values():
                if member.idle:
                    member.fetch()

    def backlog(self, group: Any) -> list[int]:
        """How many events of each partition the group has not yet committed."""
        return [p.end - group.committed[p.index] for p in self.partitions]


def _beyond(events: list[int], most: int, *, compacted: bool) -> int:
    """How many of the oldest offsets have to go, so that no more than ``most`` events are left."""
    too_many = (len(events) - events.count(GAP) if compacted else len(events)) - most
    if too_many <= 0 or not compacted:
        return max(0, too_many)
    real = (skip for skip, event in enumerate(events) if event != GAP)
    return next(itertools.islice(real, too_many - 1, None)) + 1
