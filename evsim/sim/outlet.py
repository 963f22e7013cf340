"""The way out: from a node that publishes to the broker that stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evsim.sim.broker.base import Broker, Message
    from evsim.sim.world import World


class Outlet:
    """Publishes events from one node to one broker, asking for no answer: records, and sends."""

    def __init__(self, world: World, node: str, broker: Broker, message: Message | None = None) -> None:
        self._world = world
        self.store_of = broker.chooser(node, message)
        self._link = world.link(node, broker.name)
        self._published = world.history.code("published", node, broker.name)

    def publish(self, event: int) -> None:
        """Record an event as published and send it on its way."""
        self._world.record(self._world.now, self._published, event, 0)
        self.forward(event)

    def forward(self, event: int) -> None:
        """Send an event on its way without publishing it anew."""
        stem, number = self._world.history.key_parts(event)
        self._link.send(self.store_of(stem, number), event, event)
