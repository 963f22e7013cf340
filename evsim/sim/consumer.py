"""Those who consume: a group of members that share the partitions of a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from evsim.kinds import kind_of
from evsim.laws import Constant, Duration
from evsim.sim.group import LiveGroup
from evsim.sim.handling import Handling
from evsim.sim.member import LiveMember
from evsim.sim.part import Part
from evsim.value import Value

if TYPE_CHECKING:
    from evsim.sim.world import World

Handler = Callable[..., Any]


class Timed(Value):
    """Commit on a timer, every ``every_s`` seconds (Kafka's ``auto.commit.interval.ms``, 5 s by default)."""

    every_s: float = Field(5.0, gt=0)
    kind: Literal["timed"] = "timed"


class Consumer(Part):
    """A consumer group: ``Consumer("billing", of="orders", members=4, service_s=Exponential(0.03))``.

    ``service_s`` is the time that the handling of one event takes; ``on`` maps event types to handlers ``(event,
    ctx)``, other types are skipped. ``types`` lets a consumer without handlers do the same. ``commit`` says when the
    position is acknowledged: ``"after"`` each event (at least once), ``"before"`` a batch is handled (at most once),
    after each ``"batch"``, or ``Timed(every_s)``. ``prefetch`` is the most events that one fetch brings (Kafka's
    ``max.poll.records``). A member that is silent for ``session_timeout_s`` (Kafka: 45 s) loses its partitions, which
    are handed over after ``rebalance_s``. ``turnaround_s`` is the time from an acknowledgement to the next fetch.
    ``context`` names the bounded context that the consumer belongs to. What handlers emit goes to ``to``, which is
    ``of`` when not given; what they fail on goes to ``dead_letter``.
    """

    name: str
    of: str
    group: str | None = None
    members: int = Field(1, ge=1, le=10_000)
    service_s: Duration = Constant(0.0)
    on: Mapping[str, Handler] | None = None
    types: tuple[str, ...] | None = None
    prefetch: int = Field(1, ge=1, le=1_000_000)
    commit: Literal["after", "before", "batch"] | Timed = "after"
    session_timeout_s: float = Field(45.0, gt=0)
    rebalance_s: float = Field(0.0, ge=0)
    turnaround_s: Duration = Constant(0.0)
    auto_offset_reset: Literal["latest", "earliest"] = "latest"
    to: str | None = None
    inbox: bool = False
    outbox: bool = False
    dead_letter: str | None = None
    context: str | None = None
    kind: Literal["consumer"] = "consumer"
    refers: ClassVar[Mapping[str, tuple[str, ...]]] = {"of": ("log",), "to": ("log",), "dead_letter": ("log",)}

    @property
    def has_turnaround(self) -> bool:
        """Whether the way from one event to the next takes time."""
        return self.turnaround_s != Constant(0.0)

    @property
    def member_names(self) -> list[str]:
        """The names of the members: the part's own when there is one, else numbered from 1."""
        return [self.name] if self.members == 1 else [f"{self.name}-{n}" for n in range(1, self.members + 1)]

    def takes(self, event_type: str) -> bool:
        """Whether events of this type are handled here."""
        handled = self.types if self.on is None else self.on
        return handled is None or event_type in handled

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """What is wrong with this consumer among these parts."""
        yield from super().check(parts)
        for event_type in [*(self.on or ()), *(self.types or ())]:
            try:
                kind_of(event_type)
            except ValueError as problem:
                yield f"{self.title}: {problem}"
        twins = [
            p for p in parts.values() if isinstance(p, Consumer) and p.of == self.of and p.group_name == self.group_name
        ]
        if twins and twins[0] is not self and self in twins:
            taken = f"group {self.group_name!r} of {self.of!r} is taken by consumer {twins[0].name!r}"
            yield f"{self.title}: {taken}; use members=… or another group"

    @property
    def group_name(self) -> str:
        """The group's name: the part's own unless given."""
        return self.group or self.name

    def build(self, world: World) -> LiveConsumer:
        """Bring the consumer to life."""
        return LiveConsumer(world, self)


class LiveConsumer:
    """A Consumer part at work: its group and its members."""

    def __init__(self, world: World, value: Consumer) -> None:
        self.world, self.value, self.name = world, value, value.name
        self.members: list[LiveMember] = []
        world.live[value.name] = self

    def start(self) -> None:
        """Let all members join."""
        world, value = self.world, self.value
        log = world.find(value.of)
        self.group = LiveGroup(world, value, log)
        needs_handling = value.on is not None or value.types is not None or value.inbox or value.outbox
        self.handling = Handling(world, value, self.group) if needs_handling else None
        for number, name in enumerate(value.member_names, start=1):
            self._add(name, number)
        self.group.enroll(self.members)

    def _add(self, name: str, number: int) -> LiveMember:
        member = LiveMember(self.world, name, number, self.group, self.handling)
        self.members.append(member)
        if name == self.name:
            self.world.live[name] = self
        return member

    def join(self) -> LiveMember:
        """One more member joins the group."""
        number = max(member.number for member in self.members) + 1
        member = self._add(f"{self.name}-{number}", number)
        member.traps = self.members[0].traps
        if not member.is_silent:  # who is cut off joins when the link is whole again
            self.group.join(member)
        return member

    def trap(self, trap: Any) -> None:
        """Let a fault wait at a step, whichever member comes to it."""
        for member in self.members:
            member.traps.append(trap)

    def nodes(self) -> list[LiveMember]:
        """The members: what a fault that names the whole part hits."""
        return self.members
