"""Gray failures: nothing is down, and yet something is wrong. A node is slow, a link reorders or corrupts, an event is
poison.

Gray failure: P. Huang et al., "Gray Failure: The Achilles' Heel of Cloud-Scale Systems", HotOS 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from evsim.laws import Constant, Duration
from evsim.sim.faults import Fault, OnLink, OnPart, nodes_of
from evsim.sim.handling import Handling
from evsim.sim.part import Part

if TYPE_CHECKING:
    from evsim.sim.network import LiveLink
    from evsim.sim.world import World


class Slow(OnPart):
    """``Slow("billing", factor=10, at_s=20, for_s=30)``: what it begins to handle takes ``factor`` times as long."""

    part: str
    factor: float = Field(10.0, gt=0)
    at_s: float = Field(0.0, ge=0)
    for_s: float | None = Field(None, gt=0)
    kind: Literal["slow"] = "slow"

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """Only who works can be slow."""
        yield from self.check_part(parts, ("consumer", "service", "projection", "event_store"))

    def begin(self, world: World) -> None:
        """Schedule the change, and its end if there is one."""
        world.plan_at(max(self.at_s, world.now), self._slow, world)

    def _slow(self, world: World) -> None:
        for node in nodes_of(world, self.part):
            node.note("slowed")
            usual = node.slow(self.factor)
            if self.for_s is not None:
                world.plan_in(self.for_s, self._heal, (node, usual))

    @staticmethod
    def _heal(slowed: tuple[Any, Callable[[], None]]) -> None:
        node, usual = slowed
        usual()
        node.note("healed")


class Reorder(OnLink):
    """``Reorder("shop", "orders", share=0.1, extra_s=0.5)``: this share is held up and others overtake it.

    What TCP prevents within one connection happens where there are several: pools, reconnections, several brokers.
    """

    start: str
    end: str
    share: float = Field(0.1, ge=0, le=1)
    extra_s: Duration = Constant(0.1)
    at_s: float = Field(0.0, ge=0)
    for_s: float | None = Field(None, gt=0)
    kind: Literal["reorder"] = "reorder"

    def set_on(self, world: World, link: LiveLink) -> None:
        """From now on the link keeps no order."""
        super().set_on(world, link)
        link.keep_order(False)

    def end_on(self, world: World, link: LiveLink) -> None:
        """It does again."""
        super().end_on(world, link)
        link.keep_order(True)

    def at_work(self, world: World, link: LiveLink) -> Any:
        """The fault at work on one link."""
        return _Overtaken(world, link, self)


class Corrupt(OnLink):
    """``Corrupt("shop", "orders", share=0.01)``: this share arrives damaged; the receiver sees it and throws it away.

    A broker compares a checksum (Kafka: CRC-32C of each batch) and refuses what does not match.
    """

    start: str
    end: str
    share: float = Field(0.01, ge=0, le=1)
    at_s: float = Field(0.0, ge=0)
    for_s: float | None = Field(None, gt=0)
    kind: Literal["corrupt"] = "corrupt"

    def at_work(self, world: World, link: LiveLink) -> Any:
        """The fault at work on one link."""
        return _Corrupting(world, link, self)


class Poison(Fault):
    """``Poison("billing", nth=3)``: this consumer's handling of the ``nth`` event it meets fails, whenever it is tried.

    ``type`` counts events of one type only; ``key`` poisons every event of that key instead.
    """

    part: str
    nth: int = Field(1, ge=1)
    type: str | None = None
    key: str | None = None
    kind: Literal["poison"] = "poison"

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """Only a consumer handles events."""
        yield from self.refer("part", self.part, ("consumer", "projection"), parts)

    def begin(self, world: World) -> None:
        """Have the consumer look at each event before it handles it."""
        consumer = world.find(self.part)
        if consumer.handling is None:
            consumer.handling = Handling(world, consumer.value, consumer.group)
            for member in consumer.members:
                member.handling = consumer.handling
        consumer.handling.poisons.append(_Poisoned(self, world))


class _Poisoned:
    """Knows which events are poison."""

    def __init__(self, value: Poison, world: World) -> None:
        self.value, self.world = value, world
        self.met: dict[int, int] = {}

    def spoils(self, event: int) -> bool:
        """Whether the handling of this event must fail."""
        value, history = self.value, self.world.history
        if value.type is not None and history.type_of(event) != value.type:
            return False
        if value.key is not None:
            return history.key_of(event) == value.key
        return self.met.setdefault(event, len(self.met) + 1) == value.nth


class _Lottery:
    """Decides by chance which events a fault meets."""

    def __init__(self, world: World, link: LiveLink, value: Any) -> None:
        self.value = value
        self._draw = world.chance.uniforms(f"{value!r} on {link.name}")

    def hits(self) -> bool:
        return self._draw() < self.value.share


class _Overtaken(_Lottery):
    def __init__(self, world: World, link: LiveLink, value: Reorder) -> None:
        super().__init__(world, link, value)
        self._extra = world.draws(f"{value!r} on {link.name}: how long", value.extra_s)

    def meet(self, link: LiveLink, event: int, copies: int, extra_s: float) -> tuple[int, float]:
        if copies and self.hits():
            link.note("delayed", event)
            extra_s += self._extra()
        return copies, extra_s


class _Corrupting(_Lottery):
    def meet(self, link: LiveLink, event: int, copies: int, extra_s: float) -> tuple[int, float]:
        if copies and self.hits():
            link.note("corrupted", event)
            copies = 0
        return copies, extra_s
