"""A campaign: faults without end, drawn from the seed, as a system meets them over the years."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from evsim.laws import Duration, Exponential
from evsim.sim.faults import Fault, nodes_of
from evsim.sim.network import part_of_known
from evsim.sim.part import NODES, Part

if TYPE_CHECKING:
    from evsim.sim.node import Node
    from evsim.sim.world import World


class Campaign(Fault):
    """``Campaign("billing", up_s=Exponential(60), down_s=Exponential(5))``: each node of it fails again and again.

    ``up_s`` is the time to the next failure (its mean is the MTTF), ``down_s`` the time to repair (the MTTR); ``how``
    is what a failure is. A node is available MTTF / (MTTF + MTTR) of the time. ``until_s`` ends the campaign.
    """

    part: str
    up_s: Duration = Exponential(60.0)
    down_s: Duration = Exponential(5.0)
    how: Literal["crash", "pause"] = "crash"
    until_s: float | None = Field(None, gt=0)
    kind: Literal["campaign"] = "campaign"

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """The part must exist."""
        yield from self.refer("part", part_of_known(self.part, parts), NODES, parts)

    def begin(self, world: World) -> None:
        """Schedule the first failure of each node."""
        for node in nodes_of(world, self.part):
            _Fate(self, world, node).live()


class _Fate:
    """The ups and downs of one node."""

    def __init__(self, value: Campaign, world: World, node: Node) -> None:
        self.value, self.world, self.node = value, world, node
        self._up = world.draws(f"{value!r} on {node.name}: up", value.up_s)
        self._down = world.draws(f"{value!r} on {node.name}: down", value.down_s)

    def live(self) -> None:
        """Be well for a while."""
        self.world.plan_in(self._up(), self._fail)

    def _fail(self, _: None) -> None:
        value, node = self.value, self.node
        if value.until_s is not None and self.world.now >= value.until_s:
            return
        (node.crash if value.how == "crash" else node.pause)()
        self.world.plan_in(self._down(), self._heal)

    def _heal(self, _: None) -> None:
        (self.node.restart if self.value.how == "crash" else self.node.resume)()
        self.live()
