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
        self._stores = [partition.store for partition in log.partitions]
        self._of = log.partitioner.of
        self._link = world.link(node, log.name)
        self._published = world.history.code("published", node, log.name)
        self._any = world.chance.uniforms(f"{node} spread over {log.name}")

    def publish(self, event: int) -> None:
        """Record an event as published and send it on its way."""
        self._world.record(self._world.now, self._published, event, 0)
        self.forward(event)

    def forward(self, event: int) -> None:
        """Send an event on its way without publishing it anew."""
        stem, number = self._world.history.key_parts(event)
        self._link.send(self.store_of(stem, number), event, event)

    def store_of(self, stem: str | None, number: int) -> Callable[[int], None]:
        """What stores an event with this key, given as stem and number, in its partition."""
        if stem is not None:
            return self._stores[self._of(stem, number)]
        return self._stores[int(self._any() * len(self._stores))]
