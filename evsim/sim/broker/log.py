"""A partitioned log: what was stored stays, each group reads at its own pace.

Semantics and names follow Kafka (https://kafka.apache.org/documentation/): order is promised within a partition; a
key always goes to the same partition; committed offsets belong to the group and survive its members.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from evsim.keys import Partitioner
from evsim.sim.node import Node
from evsim.sim.part import Part

if TYPE_CHECKING:
    from evsim.sim.group import LiveGroup
    from evsim.sim.world import World


class Log(Part):
    """A log of ``partitions`` partitions: ``Log("orders", partitions=8)``.

    ``retention_s`` deletes what is older (Kafka's default is seven days; here None keeps everything), ``retention_events``
    what exceeds that many events in a partition. A log that crashes keeps what it has stored.
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

    __slots__ = ("events", "groups", "index", "place", "start", "stored", "times")

    def __init__(self, index: int, place: str, stored: int) -> None:
        self.index, self.place, self.stored = index, place, stored
        self.events: list[int] = []
        self.times: list[float] = []
        self.start = 0
        self.groups: list[LiveGroup] = []

    @property
    def end(self) -> int:
        """The offset that the next event will get."""
        return self.start + len(self.events)


class LiveLog(Node):
    """A log at work. It owns its events; a delivery in flight does not take them away."""

    def __init__(self, world: World, value: Log) -> None:
        super().__init__(world, value.name)
        self.value = value
        code = world.history.code
        places = [f"{value.name}/{index}" for index in range(value.partitions)]
        self.partitions = [Partition(i, place, code("stored", value.name, place)) for i, place in enumerate(places)]
        self.partitioner = Partitioner(value.partitions)
        self.groups: list[LiveGroup] = []
        self._retained = value.retention_s is not None or value.retention_events is not None
        self._record = world.record
        world.live[value.name] = self

    def subscribe(self, group: LiveGroup) -> None:
        """Tell this group of every event that is stored from now on."""
        self.groups.append(group)
        for partition in self.partitions:
            partition.groups.append(group)

    def store(self, parcel: tuple[int, int]) -> None:
        """Append an event, ``(partition, event)``; a log that is down loses what reaches it."""
        if self.down or self.frozen:
            self._turn_away(parcel)
            return
        index, event = parcel
        partition = self.partitions[index]
        events = partition.events
        now = self.world._now  # noqa: SLF001 - the hot path of every event
        self._record(now, partition.stored, event, partition.start + len(events))
        events.append(event)
        if self._retained:
            partition.times.append(now)
            self.expire(partition)
        for group in partition.groups:
            member = group.owners[index]
            if member is not None and member.idle:
                member.fetch()

    def _turn_away(self, parcel: tuple[int, int]) -> None:
        if self.frozen:
            self.hold(self.store, parcel)
        else:
            code = self.world.history.code("dropped", self.name)
            self._record(self.world.now, code, parcel[1], 0)

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

    def resumed(self, pause_s: float, held: list[Any]) -> None:
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
