"""Redrive: bring dead letters back to where they came from, slowly, and without losing one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from evsim.chance import on_grid
from evsim.sim.broker.base import Answer, Request
from evsim.sim.node import Node
from evsim.sim.part import BROKERS, Part

if TYPE_CHECKING:
    from evsim.sim.world import World

ASK_AGAIN_S = 1.0
"""What was not confirmed within this time is sent again."""


class Redrive(Part):
    """``Redrive("again", of="aside", to="orders", at_s=60, rate=10)``: from ``at_s`` on, what lies in ``of``, a
    log or a queue, is published again to ``to``, ``rate`` a second.

    Events keep their id, so that an inbox knows them and their attempts go on counting. The position in a log moves,
    and a message of a queue is acknowledged, only when ``to`` has confirmed: a crash or a lost message makes duplicates
    and never a loss. With ``once`` it takes what lay there at ``at_s`` and no more; what fails again then stays, and
    does not go round in circles.
    """

    name: str
    of: str
    to: str
    at_s: float = Field(0.0, ge=0)
    rate: float = Field(10.0, gt=0)
    once: bool = True
    kind: Literal["redrive"] = "redrive"
    refers: ClassVar[Mapping[str, tuple[str, ...]]] = {"of": ("log", "queue"), "to": BROKERS}

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """Not into itself."""
        yield from super().check(parts)
        if self.of == self.to:
            yield f"{self.title}: 'of' and 'to' are both {self.of!r}; give as 'to' the place that the events came from"

    def build(self, world: World) -> Any:
        """Bring it to life."""
        source = world.parts.get(self.of)
        if source is not None and source.kind == "queue":
            from evsim.sim.returning import LiveReturn

            return LiveReturn(world, self)
        return LiveRedrive(world, self)


class LiveRedrive(Node):
    """A redrive at work. Its positions are durable."""

    def __init__(self, world: World, value: Redrive) -> None:
        super().__init__(world, value.name)
        self.value = value
        self._gap_s = on_grid(1.0 / value.rate)
        self._ticket = 0
        self._ends: list[int] | None = None
        world.live[value.name] = self

    def start(self) -> None:
        """Wait until it is time."""
        value, world = self.value, self.world
        self._source, self._target = world.find(value.of), world.find(value.to)
        self._positions = [partition.start for partition in self._source.partitions]
        self._way = world.link(self.name, value.to)
        self._back = world.link(value.to, self.name)
        self._published = world.history.code("published", self.name, value.to)
        world.plan_at(max(value.at_s, world.now), self._go, self.epoch)

    def _go(self, epoch: int) -> None:
        """Send the next dead letter, or look again later."""
        if epoch != self.epoch:
            return
        if self.frozen:
            self.hold(self._go, epoch)
            return
        if self._ends is None and self.value.once:
            self._ends = [partition.end for partition in self._source.partitions]
        found = self._next()
        if found is None:
            if not self.value.once:
                self.world.call_in(self._gap_s, self._go, epoch)
            return
        self._send(found)

    def _next(self) -> tuple[int, int] | None:
        """The partition and the event that come next."""
        for index, partition in enumerate(self._source.partitions):
            position = self._positions[index] = max(self._positions[index], partition.start)
            end = partition.end if self._ends is None else min(partition.end, self._ends[index])
            if position < end and self._source.up:
                return index, partition.events[position - partition.start]
        return None

    def _send(self, found: tuple[int, int]) -> None:
        _, event = found
        self._ticket += 1
        ticket = self._ticket
        self.world.record(self.world.now, self._published, event, 0)

        def at_the_target(_: Any) -> None:
            self._target.take(Request([event], answer, partition=self._partition(event), producer=self.name))

        def answer(given: Answer) -> None:
            self._back.send(lambda _: self._confirmed(ticket, found, given), None, event)

        self._way.send(at_the_target, None, event)
        self.world.call_in(ASK_AGAIN_S, self._unheard, (ticket, found))

    def _partition(self, event: int) -> int | None:
        """Where the event belongs, if the target is a log."""
        partitioner = getattr(self._target, "partitioner", None)
        stem, number = self.world.history.key_parts(event)
        return None if partitioner is None else 0 if stem is None else int(partitioner.of(stem, number))

    def _confirmed(self, ticket: int, found: tuple[int, int], given: Answer) -> None:
        index, event = found
        if ticket != self._ticket or not given.ok:
            return
        if self.frozen:
            self.hold(lambda _: self._confirmed(ticket, found, given), None)
            return
        self._ticket += 1
        place = f"{self.value.of}/{index}"
        self.world.record(
            self.world.now, self.world.history.code("redriven", self.name, place), event, self._positions[index]
        )
        self._positions[index] += 1
        self.world.call_in(self._gap_s, self._go, self.epoch)

    def _unheard(self, sent: tuple[int, tuple[int, int]]) -> None:
        ticket, found = sent
        if ticket != self._ticket:
            return
        if self.frozen:
            self.hold(self._unheard, sent)
            return
        self._send(found)

    def crashed(self) -> None:
        """What was under way is not known to be confirmed: it will be sent again."""
        self._ticket += 1

    def restarted(self) -> None:
        """Go on where the last confirmation stood."""
        if self.world.now >= self.value.at_s:
            self.world.call_in(0.0, self._go, self.epoch)
        else:
            self.world.plan_at(self.value.at_s, self._go, self.epoch)
