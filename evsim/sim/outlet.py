"""The way out: from a node that publishes to the log that stores."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evsim.sim.broker.log import LiveLog
    from evsim.sim.world import World


class Outlet:
    """Publishes events from one node to one log: chooses the partition, records, and sends.

    The producer chooses the partition, as Kafka's does: murmur2 of the key, or any partition when there is no key
    (Kafka's sticky partitioner keeps to one until a batch is full; here a batch is one event).
    """

    def __init__(self, world: World, node: str, log: LiveLog) -> None:
        self._world, self._log, self._node = world, log, node
        self._of = log.partitioner.of
        self._link = world.link(node, log.name)
        self._published = world.history.code("published", node, log.name)
        self._spread: Callable[[], float] | None = None

    def publish(self, event: int) -> None:
        """Record an event as published and send it on its way."""
        self._world.record(self._world.now, self._published, event, 0)
        self.forward(event)

    def forward(self, event: int) -> None:
        """Send an event on its way without publishing it anew."""
        stem, number = self._world.history.key_parts(event)
        self._link.send(self._log.store, (self.partition(stem, number), event), event)

    def partition(self, stem: str | None, number: int) -> int:
        """The partition of a key, given as stem and number."""
        if stem is None:
            return self.any_partition()
        return self._of(stem, number)

    def any_partition(self) -> int:
        """A partition for an event that has no key."""
        count = len(self._log.partitions)
        if count == 1:
            return 0
        if self._spread is None:
            self._spread = self._world.chance.uniforms(f"{self._node} spread over {self._log.name}")
        return int(self._spread() * count)
