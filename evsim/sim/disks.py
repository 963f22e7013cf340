"""A disk that is full: what brokers do when they cannot store any more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from evsim.sim.faults import OnPart, nodes_of
from evsim.sim.part import Part

if TYPE_CHECKING:
    from evsim.sim.world import World


class DiskFull(OnPart):
    """``DiskFull("orders", at_s=30, for_s=60)``: nothing can be stored there until there is room again.

    A log's broker goes offline, as Kafka's does when its only log directory fails: ``DiskFull("orders-2", …)`` is one
    machine of several, and another leads meanwhile. A queue blocks who publishes, and goes on giving out what it has
    (RabbitMQ's disk alarm): nothing is lost, and everything comes late.
    """

    part: str
    at_s: float = Field(ge=0)
    for_s: float | None = Field(None, gt=0)
    kind: Literal["disk_full"] = "disk_full"

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """Only who stores has a disk."""
        yield from self.check_part(parts, ("log", "queue"))

    def begin(self, world: World) -> None:
        """Schedule the day on which the disk is full, and the one on which it is not."""
        world.plan_at(max(self.at_s, world.now), self._fill, world)

    def _fill(self, world: World) -> None:
        for node in nodes_of(world, self.part):
            node.note("filled")
            blocks = hasattr(node, "block")
            (node.block if blocks else node.crash)()
            if self.for_s is not None:
                world.plan_in(self.for_s, self._make_room, (node, node.unblock if blocks else node.restart))

    @staticmethod
    def _make_room(found: tuple[Any, Any]) -> None:
        node, mend = found
        node.note("healed")
        mend()
