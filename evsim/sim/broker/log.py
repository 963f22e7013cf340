"""A partitioned log: what was stored stays, each group reads at its own pace.

Semantics and names follow Kafka (https://kafka.apache.org/documentation/): order is promised within a partition; a
key always goes to the same partition; committed offsets belong to the group and survive its members.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from evsim.keys import Partitioner
from evsim.sim.broker.base import Answer
from evsim.sim.node import Node
from evsim.sim.part import Part

if TYPE_CHECKING:
    from evsim.sim.broker.base import Request
    from evsim.sim.group import LiveGroup
    from evsim.sim.member import LiveMember
    from evsim.sim.world import World

_CONFIRMED = Answer(True)


class Log(Part):
    """A log of ``partitions`` partitions: ``Log("orders", partitions=8)``.

    ``retention_s`` deletes what is older (Kafka's default is seven days; here None keeps everything),
    ``retention_events`` what exceeds that many events in a partition. A log that crashes keeps what it has stored.
    """

    name: str
    partitions: int = Field(1, ge=1, le=100_000)
    retention_s: float | None = Field(None, gt=0)
    retention_events: int | None = Field(None, ge=1)
    replicas: Literal[1] = 1
    kind: Literal["log"] = "log"

    def build(self, world: World) -> LiveLog:
        """Bring the log to life."""
        return LiveLog(world, self)


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


class LiveLog(Node):
    """A log at work. It owns its events; a delivery in flight does not take them away."""

    def __init__(self, world: World, value: Log) -> None:
        super().__init__(world, value.name)
        self.value = value
        self.partitions = [Partition(self, index) for index in range(value.partitions)]
        self.partitioner = Partitioner(value.partitions)
        self.groups: list[LiveGroup] = []
        self._stores = [partition.store for partition in self.partitions]
        self._sequences: dict[tuple[str, int | None, int], int] = {}
        self.retains = value.retention_s is not None or value.retention_events is not None
        world.live[value.name] = self

    def chooser(self, node: str, _message: Any = None) -> Callable[[str | None, int], Callable[[int], None]]:
        """What stores an event with this key, given as stem and number, in its partition.

        The producer chooses the partition, as Kafka's does: murmur2 of the key, or any partition when there is no key
        (Kafka's sticky partitioner keeps to one until a batch is full; here a batch is one event).
        """
        stores, of = self._stores, self.partitioner.of
        anyone = self.world.chance.uniforms(f"{node} spread over {self.name}")

        def store_of(stem: str | None, number: int) -> Callable[[int], None]:
            return stores[of(stem, number)] if stem is not None else stores[int(anyone() * len(stores))]

        return store_of

    def take(self, request: Request) -> None:
        """Store a batch in its partition and confirm it; a repeated or early sequence number stores nothing."""
        if not self.up:
            if self.frozen:
                self.hold(self.take, request)
            return
        known, first = (request.producer, request.partition, request.epoch), request.sequence
        expected = self._sequences.get(known, 0)
        if first > expected:
            request.reply(Answer(False, "out_of_order_sequence"))
            return
        if first < 0 or first == expected:
            if first >= 0:
                self._sequences[known] = first + len(request.events)
            for event in request.events:
                self._stores[request.partition or 0](event)
        request.reply(_CONFIRMED)

    def enlist(self, group: LiveGroup) -> None:
        """Tell this group of every event that is stored from now on."""
        self.groups.append(group)
        for partition in self.partitions:
            partition.groups.append(group)

    def turn_away(self, partition: Partition, event: int) -> None:
        """An event has come while the log is frozen (it waits) or down (it is lost)."""
        if self.frozen:
            self.hold(partition.store, event)
        else:
            self.world.record(self.world.now, self.world.history.code("dropped", self.name), event, 0)

    def expire(self, partition: Partition) -> None:
        """Delete what retention has passed."""
        value, gone = self.value, 0
        if value.retention_events is not None:
            gone = max(0, len(partition.events) - value.retention_events)
        if value.retention_s is not None:
            oldest = self.world.now - value.retention_s
            while gone < len(partition.times) and partition.times[gone] < oldest:
                gone += 1
        if gone:
            for group in partition.groups:
                group.miss(partition, gone)
            del partition.events[:gone], partition.times[:gone]
            partition.start += gone

    def restarted(self) -> None:
        """Those who waited for the log ask again."""
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
