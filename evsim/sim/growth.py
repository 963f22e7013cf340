"""A log gets more partitions while it is in use, and what that does to keys and to consumers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from evsim.sim.faults import Fault
from evsim.sim.part import Part

if TYPE_CHECKING:
    from evsim.sim.world import World


class AddPartitions(Fault):
    """``AddPartitions("orders", to=8, at_s=60)``: from then on the log has ``to`` partitions.

    Most keys move to another partition, so that events of one key can be handled out of order around that time. Groups
    notice after ``noticed_s`` (Kafka's metadata.max.age.ms, five minutes), and then share the partitions out anew.
    """

    part: str
    to: int = Field(ge=1, le=100_000)
    at_s: float = Field(ge=0)
    noticed_s: float = Field(300.0, ge=0)
    kind: Literal["add_partitions"] = "add_partitions"

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """A log can only grow."""
        yield from self.refer("part", self.part, ("log",), parts)
        log: Any = parts.get(self.part)
        if log is not None and log.kind == "log" and self.to <= log.partitions:
            yield f"{self.title}: {self.part!r} has {log.partitions} already, and partitions cannot be taken away"

    def begin(self, world: World) -> None:
        """Schedule the growth."""
        world.plan_at(max(self.at_s, world.now), self._grow, world)

    def _grow(self, world: World) -> None:
        log = world.find(self.part)
        new = log.add_partitions(self.to)
        log.note("expanded", "", self.to)
        world.plan_in(self.noticed_s, self._notice, (log, new))

    @staticmethod
    def _notice(found: tuple[Any, list[Any]]) -> None:
        log, new = found
        for group in log.groups:
            group.discover(new)
