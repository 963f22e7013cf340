"""What goes wrong, as values: when, to whom, for how long. Each leaves its rows in the history as ground truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from evsim.errors import a_or_an
from evsim.laws import Constant, Duration
from evsim.sim.network import part_of_known
from evsim.sim.part import BROKERS, NODES, STEPPING, Part

if TYPE_CHECKING:
    from evsim.sim.network import LiveLink
    from evsim.sim.world import World

Named = Literal["polled", "delivered", "handled", "saved", "sent", "acked"]


class Fault(Part):
    """Something that goes wrong. Faults have no name; they name what they hit."""

    name: ClassVar[None] = None

    @property
    def title(self) -> str:
        """How the fault is called in a sentence."""
        return repr(self)

    def build(self, world: World) -> Starter:
        """Wait until all parts stand, then begin."""
        return Starter(self, world)

    def begin(self, world: World) -> None:
        """Schedule the fault in this world."""
        raise NotImplementedError


class Starter:
    """Begins a fault when every part stands."""

    late = True

    def __init__(self, fault: Fault, world: World) -> None:
        self.fault, self.world = fault, world

    def start(self) -> None:
        """Begin at the first moment of the run, after all parts have started."""
        self.fault.begin(self.world)


def nodes_of(world: World, name: str) -> list[Any]:
    """The nodes that a name means: the members of a consumer, or the one node."""
    live = world.find(name)
    return live.nodes() if hasattr(live, "nodes") else [live]


def _call(act: Callable[[], Any]) -> None:
    act()


class OnPart(Fault):
    """A fault of a part, or of one member of a consumer (``"billing-2"``)."""

    part: str

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """The part must exist, and the member too."""
        yield from self.check_part(parts, NODES)

    def check_part(self, parts: Mapping[str, Part], kinds: tuple[str, ...]) -> Iterator[str]:
        """The part must exist, be of one of these kinds, and have the member that is named."""
        owner = part_of_known(self.part, parts)
        yield from self.refer("part", owner, kinds, parts)
        members = getattr(parts.get(owner), "member_names", [owner])
        if owner in parts and self.part != owner and self.part not in members:
            yield f"{self.title}: no member called {self.part!r}; known: {', '.join(members[:8])}"


class Crash(OnPart):
    """``Crash("payment", at_s=5)``: the memory is lost, the disk is not; back after ``down_s`` seconds.

    Or after a named step: ``Crash("payment", after="saved", type="take.payment", nth=3)`` strikes the member that has
    just passed this step with the third event of this type; ``polled`` is the arrival of what a log was asked for.
    With ``owns=0`` only the passages count of whoever owns partition 0 at that moment. ``down_s=None``: it never comes
    back. With ``power`` the whole machine of a log or an event store loses its power: what it had not flushed to the
    disk is gone too.
    """

    part: str
    at_s: float | None = Field(None, ge=0)
    after: Named | None = None
    type: str | None = None
    nth: int = Field(1, ge=1)
    down_s: float | None = Field(5.0, ge=0)
    power: bool = False
    owns: int | None = Field(None, ge=0)
    kind: Literal["crash"] = "crash"

    def model_post_init(self, _: Any, /) -> None:
        """At a time, or after a step."""
        if (self.at_s is None) == (self.after is None):
            raise ValueError(f"the crash of {self.part!r} needs exactly one of at_s= (a time) and after= (a step)")

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """Only a consumer passes the five steps."""
        yield from super().check(parts)
        owner = parts.get(part_of_known(self.part, parts))
        if self.after is not None and owner is not None and owner.kind not in STEPPING:
            what = f"only a consumer passes the step {self.after!r}, but {self.part!r} is {a_or_an(owner.kind)}"
            yield f"{self.title}: {what}; use at_s="
        if self.after == "polled" or self.owns is not None:
            yield from self._check_polls(parts, owner)
        if self.power and owner is not None and not getattr(owner, "is_replicated", owner.kind == "event_store"):
            yield (
                f"{self.title}: power=True is about what a log has not flushed, but {owner.name!r} does not say when "
                "it flushes; give it flush_every_s=30, which is what Linux does by itself"
            )

    def _check_polls(self, parts: Mapping[str, Part], owner: Any) -> Iterator[str]:
        """Only members of a group at a log poll, and own partitions."""
        log: Any = parts.get(getattr(owner, "of", ""))
        word = "after='polled'" if self.owns is None else f"owns={self.owns}"
        if self.after is None:
            yield f"{self.title}: {word} counts how often a step is passed; give after='polled' or another step"
        elif log is not None and (log.kind != "log" or getattr(owner, "share", None) is not None):
            what = "a share group" if log.kind == "log" else a_or_an(log.kind)
            yield f"{self.title}: {word} is for who owns partitions of a log, but {owner.name!r} takes from {what}"
        elif log is not None and self.owns is not None and self.owns >= log.partitions:
            yield f"{self.title}: {log.name!r} has the partitions 0 to {log.partitions - 1}, not {self.owns}"

    def begin(self, world: World) -> None:
        """Schedule the crash, or lie in wait."""
        if self.at_s is not None:
            world.plan_at(max(self.at_s, world.now), self._strike, world)
            return
        trap = _Trap(self, world)
        for member in nodes_of(world, self.part):
            trap.lie_in_wait(member)

    def _strike(self, world: World) -> None:
        for node in nodes_of(world, self.part):
            self.hit(world, node)

    def hit(self, world: World, node: Any) -> None:
        """Crash one node and schedule its return."""
        node.crash()
        if self.power:
            node.lose_power()
        if self.down_s is not None:
            world.plan_in(self.down_s, _call, node.restart)


class _Trap:
    """A crash that waits for the nth passage of a step."""

    def __init__(self, crash: Crash, world: World) -> None:
        self.crash, self.world = crash, world
        self.left = crash.nth

    def lie_in_wait(self, member: Any) -> None:
        """Watch the steps of this member too."""
        member.traps = [*member.traps, self]
        if self.crash.after == "polled":
            member.watch_arrivals()

    def springs(self, step: str, member: Any, event: int) -> bool:
        """Count a passage; True when the crash has struck."""
        crash = self.crash
        if step != crash.after or self.left == 0:
            return False
        if crash.owns is not None and member.cursor.partition.index != crash.owns:
            return False
        if crash.type is not None and self.world.history.type_of(event) != crash.type:
            return False
        self.left -= 1
        if self.left:
            return False
        crash.hit(self.world, member)
        return True


class Pause(OnPart):
    """``Pause("billing", at_s=10, for_s=30)``: frozen (SIGSTOP, a long garbage collection); nothing is lost."""

    part: str
    at_s: float = Field(ge=0)
    for_s: float = Field(gt=0)
    kind: Literal["pause"] = "pause"

    def begin(self, world: World) -> None:
        """Schedule the pause."""
        world.plan_at(max(self.at_s, world.now), self._freeze, world)

    def _freeze(self, world: World) -> None:
        for node in nodes_of(world, self.part):
            node.pause()
            world.plan_in(self.for_s, _call, node.resume)


class Join(Fault):
    """``Join("billing", at_s=10)``: one more member joins the consumer."""

    part: str
    at_s: float = Field(ge=0)
    kind: Literal["join"] = "join"

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """Only a consumer has members."""
        yield from self.refer("part", self.part, ("consumer", "projection"), parts)

    def begin(self, world: World) -> None:
        """Schedule the newcomer."""
        world.plan_at(max(self.at_s, world.now), _call, world.find(self.part).join)


class Leave(OnPart):
    """``Leave("billing-2", at_s=20)``: a member finishes what it has in hand, says goodbye, and is gone."""

    part: str
    at_s: float = Field(ge=0)
    kind: Literal["leave"] = "leave"

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """Only a consumer has members."""
        yield from self.refer("part", part_of_known(self.part, parts), ("consumer", "projection"), parts)

    def begin(self, world: World) -> None:
        """Schedule the farewell."""
        world.plan_at(max(self.at_s, world.now), self._say_goodbye, world)

    def _say_goodbye(self, world: World) -> None:
        for node in nodes_of(world, self.part):
            node.leave()


class OnLink(Fault):
    """A fault of the way from one part to another, for a while."""

    start: str
    end: str

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """Both ends must exist."""
        for field in ("start", "end"):
            yield from self.refer(field, part_of_known(getattr(self, field), parts), NODES, parts)

    def meets(self, link: LiveLink) -> bool:
        """Whether this link is one of those that the fault is on."""
        return link.joins(self.start, self.end)

    def begin(self, world: World) -> None:
        """Schedule the beginning, and the end if there is one."""
        at_s, for_s = getattr(self, "at_s", 0.0), getattr(self, "for_s", None)
        live = LiveLinkFault(self, world)
        world.plan_at(max(at_s, world.now), live.begin)
        if for_s is not None:
            world.plan_at(max(at_s, world.now) + for_s, live.end)

    def set_on(self, world: World, link: LiveLink) -> None:
        """From now on this link is hit."""
        link.faults.append(self.at_work(world, link))

    def end_on(self, world: World, link: LiveLink) -> None:
        """No longer."""
        link.faults = [fault for fault in link.faults if fault.value is not self]

    def at_work(self, world: World, link: LiveLink) -> Any:
        """The fault at work on one link."""
        raise NotImplementedError


class LiveLinkFault:
    """A fault of links at work: on those that are there, and on those that are made while it lasts."""

    def __init__(self, value: OnLink, world: World) -> None:
        self.value, self.world = value, world
        self.hit: list[LiveLink] = []

    def begin(self, _: None) -> None:
        """From now on."""
        self.world.link_faults.append(self)
        self.world.link(self.value.start, self.value.end)
        for link in self.world.links:
            self.meet(link)

    def meet(self, link: LiveLink) -> None:
        """Hit this link, if it is one of ours."""
        if self.value.meets(link) and link not in self.hit:
            self.hit.append(link)
            self.value.set_on(self.world, link)
            link.settle()

    def end(self, _: None) -> None:
        """No longer."""
        self.world.link_faults.remove(self)
        for link in self.hit:
            self.value.end_on(self.world, link)
            link.settle()


class _Lottery:
    """Decides by chance which events a link fault meets."""

    def __init__(self, world: World, link: LiveLink, value: Any) -> None:
        self.value, self.world = value, world
        self._draw = world.chance.uniforms(f"{value!r} on {link.name}")

    def hits(self) -> bool:
        return self._draw() < self.value.share


class _Dropping(_Lottery):
    def meet(self, link: LiveLink, event: int, copies: int, extra_s: float) -> tuple[int, float]:
        return (0 if self.hits() else copies), extra_s


class _Doubling(_Lottery):
    def meet(self, link: LiveLink, event: int, copies: int, extra_s: float) -> tuple[int, float]:
        if copies and self.hits():
            link.note("duplicated", event)
            copies += 1
        return copies, extra_s


class _Delaying(_Lottery):
    def __init__(self, world: World, link: LiveLink, value: Delay) -> None:
        super().__init__(world, link, value)
        self._extra = world.draws(f"{value!r} on {link.name}: how long", value.extra_s)

    def meet(self, link: LiveLink, event: int, copies: int, extra_s: float) -> tuple[int, float]:
        if copies and self.hits():
            link.note("delayed", event)
            extra_s += self._extra()
        return copies, extra_s


class Drop(OnLink):
    """``Drop("shop", "orders", share=0.01)``: this share of what travels is lost, from ``at_s``, for ``for_s``."""

    start: str
    end: str
    share: float = Field(0.01, ge=0, le=1)
    at_s: float = Field(0.0, ge=0)
    for_s: float | None = Field(None, gt=0)
    kind: Literal["drop"] = "drop"

    def at_work(self, world: World, link: LiveLink) -> Any:
        """The fault at work on one link."""
        return _Dropping(world, link, self)


class Duplicate(OnLink):
    """``Duplicate("shop", "orders", share=0.01)``: this share arrives twice (a publisher's blind retry).

    Only on the way into a broker: what a log sends carries its offset, and a consumer knows it when it comes twice.
    """

    start: str
    end: str
    share: float = Field(0.01, ge=0, le=1)
    at_s: float = Field(0.0, ge=0)
    for_s: float | None = Field(None, gt=0)
    kind: Literal["duplicate"] = "duplicate"

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """The end must be a broker."""
        yield from super().check(parts)
        end = parts.get(self.end)
        if end is not None and end.kind not in BROKERS:
            yield f"{self.title}: only what is sent to a broker can be doubled, but {self.end!r} is {a_or_an(end.kind)}"

    def at_work(self, world: World, link: LiveLink) -> Any:
        """The fault at work on one link."""
        return _Doubling(world, link, self)


class Delay(OnLink):
    """``Delay("shop", "orders", extra_s=0.5)``: this share of what travels takes ``extra_s`` longer."""

    start: str
    end: str
    extra_s: Duration = Constant(0.1)
    share: float = Field(1.0, ge=0, le=1)
    at_s: float = Field(0.0, ge=0)
    for_s: float | None = Field(None, gt=0)
    kind: Literal["delay"] = "delay"

    def at_work(self, world: World, link: LiveLink) -> Any:
        """The fault at work on one link."""
        return _Delaying(world, link, self)


class Partition(OnLink):
    """``Partition("orders", "billing", at_s=10, for_s=20)``: nothing gets through, one way or (default) both."""

    start: str
    end: str
    at_s: float = Field(ge=0)
    for_s: float | None = Field(None, gt=0)
    one_way: bool = False
    kind: Literal["partition"] = "partition"

    def meets(self, link: LiveLink) -> bool:
        """The way there, and back unless ``one_way``."""
        return super().meets(link) or (not self.one_way and link.joins(self.end, self.start))

    def set_on(self, world: World, link: LiveLink) -> None:
        """Cut the link; a group hears nothing more of a member behind it."""
        link.cut += 1
        link.note("cut")
        for node in _members_at(world, link):
            node.cut()

    def end_on(self, world: World, link: LiveLink) -> None:
        """Join what was cut."""
        link.cut -= 1
        link.note("healed")
        for node in _members_at(world, link):
            node.healed()


def _members_at(world: World, link: LiveLink) -> list[Any]:
    """The member at one end of this link, if there is one."""
    nodes = [node for name in (link.start, link.end) if name in world.live for node in nodes_of(world, name)]
    return [node for node in nodes if hasattr(node, "healed") and node.name in {link.start, link.end}]
