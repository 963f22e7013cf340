"""Those who pass events on: a router sends each where its content belongs, a wiretap sends a copy of all.

The event that is passed on stays the same event: it keeps its id, and is ``published`` once more, by the router. See
Hohpe and Woolf, *Enterprise Integration Patterns*: Content-Based Router, Recipient List, Wire Tap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from evsim.errors import did_you_mean, shown
from evsim.laws import Constant, Duration
from evsim.patterns.matching import topic_matcher, topic_problem
from evsim.sim.broker.base import Message
from evsim.sim.consumer import Consumer, Durable, LiveConsumer
from evsim.sim.handling import Handling
from evsim.sim.node import Node
from evsim.sim.outlet import Outlet
from evsim.sim.part import BROKERS, SOURCES, Part

if TYPE_CHECKING:
    from evsim.event import Event
    from evsim.sim.handling import Member
    from evsim.sim.world import World

Route = str | tuple[str, ...] | Mapping[str, Any]
Test = Callable[["Event", Mapping[str, Any]], bool]

_PLAIN = Message()

COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "ge": lambda given, bound: given >= bound,
    "gt": lambda given, bound: given > bound,
    "le": lambda given, bound: given <= bound,
    "lt": lambda given, bound: given < bound,
    "ne": lambda given, bound: given != bound,
}
"""What a route may ask of a field beside being equal: ``{"amount": {"ge": 100}}``."""

_ENVELOPE = ("id", "type", "source", "version", "key", "correlation_id", "causation_id")
_HEADER = "header."
_TAPPED = {"queue", "exchange"}


class _Forwarder(Part):
    """What takes events from one broker and publishes them at others."""

    if TYPE_CHECKING:

        @property
        def of(self) -> Any: ...
        @property
        def members(self) -> Any: ...

    def consumer(self) -> Consumer:
        """The consumer that a forwarder is to the broker it takes from."""
        given = {field: getattr(self, field) for field in Consumer.model_fields if field in type(self).model_fields}
        return Consumer(**given | {"kind": "consumer"})

    @property
    def targets(self) -> list[str]:
        """The brokers that events may be sent to."""
        raise NotImplementedError

    @property
    def member_names(self) -> list[str]:
        """The names of the members, as a consumer's."""
        return self.consumer().member_names

    @property
    def group_name(self) -> str:
        """The group that its members are: its own."""
        return str(self.name)

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """What is wrong with this forwarder among these parts."""
        yield from super().check(parts)
        if self.of in self.targets:
            yield f"{self.title}: sends to {self.of!r} what it takes from it, round and round; send it elsewhere"

    def forward(self, event: Event, headers: Mapping[str, Any]) -> list[str]:
        """Where this event goes."""
        raise NotImplementedError

    def build(self, world: World) -> LiveForwarder | LiveTap:
        """Bring the forwarder to life."""
        return LiveForwarder(world, self)


class Router(_Forwarder):
    """A content-based router: ``Router("sorter", of="orders", routes={"express": {"vip": True}, "bulk": "order.#"})``.

    ``routes`` says for each target which events go there: a topic pattern that the type fits (or several), or values
    that fields of the data have, nested ones by a path such as ``"address.country"``. A list of values asks for one of
    them, ``{"ge": 100}`` compares (ge, gt, le, lt, ne), None asks only that the field is there; ``"x-match": "any"``
    makes one field enough. A name such as ``"header.source"`` is looked up in the message's headers and the envelope.
    An event goes to the ``"first"`` target that it fits, or with ``match="all"`` to each (a recipient list); one that
    fits none goes to ``default``, and without that it is recorded as unroutable and gone.
    """

    name: str
    of: str
    routes: Mapping[str, Route]
    default: str | None = None
    match: Literal["first", "all"] = "first"
    members: int = Field(1, ge=1, le=10_000)
    service_s: Duration = Constant(0.0)
    prefetch: int | None = Field(1, ge=1, le=1_000_000)
    subjects: tuple[str, ...] | None = None
    durable: Durable | None = None
    context: str | None = None
    kind: Literal["router"] = "router"
    refers: ClassVar[Mapping[str, tuple[str, ...]]] = {"of": SOURCES, "routes": BROKERS, "default": BROKERS}

    @property
    def targets(self) -> list[str]:
        """The brokers that events may be sent to."""
        return list(dict.fromkeys([*self.routes, *([self.default] if self.default else [])]))

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """What is wrong with this router among these parts."""
        yield from super().check(parts)
        if not self.targets:
            yield f"{self.title}: knows no way to send anything; give routes= or default="
        for target, route in self.routes.items():
            for problem in _route_problems(route):
                yield f"{self.title}: in the route to {target!r}, {problem}"

    def forward(self, event: Event, headers: Mapping[str, Any]) -> list[str]:
        """Where this event goes: the first route that fits or all, else the default, else nowhere."""
        fitting = [target for target, route in self.routes.items() if _fits(route, event, headers)]
        if self.match == "first":
            fitting = fitting[:1]
        return fitting or ([self.default] if self.default else [])


class Wiretap(_Forwarder):
    """A wiretap: ``Wiretap("audit", of="orders", to="audit-log")`` sends a copy of all that is published to ``of``.

    It is one more group of readers, so that nobody else waits for it and nobody gets less. A queue has no groups, and
    an exchange nothing to read: there it taps the way in (as RabbitMQ's firehose does), and what comes by while the
    wiretap is down has been missed.
    """

    name: str
    of: str
    to: str
    members: int = Field(1, ge=1, le=10_000)
    service_s: Duration = Constant(0.0)
    prefetch: int | None = Field(1, ge=1, le=1_000_000)
    subjects: tuple[str, ...] | None = None
    durable: Durable | None = None
    kind: Literal["wiretap"] = "wiretap"
    refers: ClassVar[Mapping[str, tuple[str, ...]]] = {"of": (*SOURCES, "exchange"), "to": BROKERS}

    @property
    def targets(self) -> list[str]:
        """The brokers that events may be sent to."""
        return [self.to]

    def forward(self, event: Event, headers: Mapping[str, Any]) -> list[str]:
        """A copy of all."""
        return [self.to]

    def build(self, world: World) -> LiveForwarder | LiveTap:
        """Bring the wiretap to life."""
        return LiveTap(world, self) if world.parts[self.of].kind in _TAPPED else LiveForwarder(world, self)


# ---------------------------------------------------------------- routes


def _fits(route: Route, event: Event, headers: Mapping[str, Any]) -> bool:
    if isinstance(route, str):
        return topic_matcher(route)(event.type)
    if isinstance(route, tuple):
        return any(topic_matcher(pattern)(event.type) for pattern in route)
    found = (_holds(wanted, *_field(name, event, headers)) for name, wanted in route.items() if name != "x-match")
    return any(found) if route.get("x-match") == "any" else all(found)


def _field(name: str, event: Event, headers: Mapping[str, Any]) -> tuple[bool, Any]:
    """Whether an event has this field, and its value."""
    if name.startswith(_HEADER):
        name = name.removeprefix(_HEADER)
        return (True, headers[name]) if name in headers else (name in _ENVELOPE, getattr(event, name, None))
    at: Any = event.data
    if name in at:
        return True, at[name]
    for step in name.split("."):
        if not isinstance(at, Mapping) or step not in at:
            return False, None
        at = at[step]
    return True, at


def _holds(wanted: Any, there: bool, given: Any) -> bool:
    if not there or wanted is None:
        return there
    if isinstance(wanted, Mapping):
        return all(_compares(comparison, given, bound) for comparison, bound in wanted.items())
    if isinstance(wanted, (list, tuple)):
        return any(_same(given, each) for each in wanted)
    return _same(given, wanted)


def _compares(comparison: str, given: Any, bound: Any) -> bool:
    """Values that have no order do not fit."""
    try:
        return COMPARISONS[comparison](given, bound)
    except TypeError:
        return False


def _same(given: Any, wanted: Any) -> bool:
    """Equal, and a truth only to a truth."""
    return isinstance(given, bool) is isinstance(wanted, bool) and bool(given == wanted)


def _route_problems(route: Route) -> Iterator[str]:
    if isinstance(route, Mapping):
        kind = route.get("x-match", "all")
        if kind not in {"all", "any"}:
            yield f"x-match is {shown(kind)}; expected all or any{did_you_mean(kind, ('all', 'any'))}"
        for name, wanted in route.items():
            unknown = [each for each in wanted if each not in COMPARISONS] if isinstance(wanted, Mapping) else []
            for each in unknown[:1]:
                hint = did_you_mean(each, COMPARISONS)
                yield f"{name!r} is compared by {shown(each)}, which is no comparison{hint}"
        return
    for pattern in (route,) if isinstance(route, str) else route:
        problem = topic_problem(pattern)
        if problem is not None:
            yield problem


# ---------------------------------------------------------------- at work


class LiveForwarder(LiveConsumer):
    """A router or a wiretap at work: a consumer whose members publish what they take."""

    def __init__(self, world: World, forwarder: _Forwarder) -> None:
        super().__init__(world, forwarder.consumer())
        self.forwarder = forwarder

    def handling_of(self) -> Handling:
        """Forwarding."""
        return Forwarding(self.world, self.value, self.group, self.forwarder)


class Forwarding(Handling):
    """To handle an event is to publish it where it belongs: between *saved* and *sent*, as what a handler emits."""

    def __init__(self, world: World, value: Consumer, group: Any, forwarder: _Forwarder) -> None:
        super().__init__(world, value, group)
        self.forwarder = forwarder
        self._ways: dict[tuple[str, str, Message | None], Outlet] = {}

    def skips(self, member: Member, event: int) -> bool:
        """Nothing is skipped."""
        member.count_attempt()
        return False

    def begin(self, member: Member, index: int) -> None:
        """Pass the event on, and the five steps with it."""
        cursor, record, now = member.cursor, self.world.record, self.world.now
        offset = cursor.position
        for step, code in (("handled", cursor.handled), ("saved", cursor.saved)):
            record(now, code, index, offset)
            if member.traps and member.trapped(step, index):
                return
        message = message_of(member)
        headers = message.headers if message is not None else {}
        targets = self.forwarder.forward(self.world.history.event_at(index), headers)
        for target in targets:
            self._way(member, target, message).publish(index)
        if not targets:
            record(now, self.world.history.code("unroutable", member.name), index, 0)
        record(now, cursor.sent, index, offset)
        if member.traps and member.trapped("sent", index):
            return
        member.finish()

    def _way(self, member: Member, target: str, message: Message | None) -> Outlet:
        """The way to a target for messages with these properties, which stay as they are."""
        way = self._ways.get((member.name, target, message))
        if way is None:
            way = Outlet(self.world, member.name, self.world.find(target), message)
            self._ways[member.name, target, message] = way
        return way


def message_of(member: Any) -> Message | None:
    """The properties of the message in hand, where the broker keeps any."""
    entry = getattr(getattr(member, "delivery", None), "entry", None)
    return getattr(entry, "message", None)


class LiveTap(Node):
    """A wiretap at the way into a queue or an exchange."""

    late = -1
    """Taps are set before anybody publishes."""

    def __init__(self, world: World, value: Wiretap) -> None:
        super().__init__(world, value.name)
        self.value = value
        self._ways: dict[Message, Outlet] = {}
        world.live[value.name] = self

    def start(self) -> None:
        """Set the tap: whatever the broker takes in, a copy comes here."""
        broker = self.world.find(self.value.of)
        door = "put" if hasattr(broker, "store") else "queues"
        link, taken = self.world.link(broker.name, self.name), getattr(broker, door)

        def tapped(event: int, message: Message, *more: Any) -> Any:
            if broker.up and not message.delay_s:
                link.send(self._copied, (event, message), event)
            return taken(event, message, *more)

        setattr(broker, door, tapped)
        if door == "put":
            broker.store = lambda event: tapped(event, _PLAIN)

    def _copied(self, copy: tuple[int, Message]) -> None:
        """A copy has come: send it on."""
        event, message = copy
        if self.frozen:
            self.hold(self._copied, copy)
        elif self.down:
            code = self.world.history.code("missed", self.name, self.value.of)
            self.world.record(self.world.now, code, event, 0)
        else:
            way = self._ways.get(message)
            if way is None:
                way = self._ways[message] = Outlet(self.world, self.name, self.world.find(self.value.to), message)
            way.publish(event)
