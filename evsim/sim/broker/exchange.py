"""An exchange: routes each message to the queues that are bound for it. It keeps nothing.

Semantics follow AMQP 0-9-1 and RabbitMQ (https://www.rabbitmq.com/docs/exchanges, https://www.rabbitmq.com/docs/ae).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from evsim.patterns.matching import headers_matcher, headers_problem, topic_matcher, topic_problem
from evsim.sim.broker.base import DISCONNECTED, Answer, Message, Request, Store
from evsim.sim.broker.entries import PLAIN, Deaths
from evsim.sim.node import Node
from evsim.sim.part import Part

if TYPE_CHECKING:
    from evsim.sim.world import World

Binding = str | tuple[str, ...] | Mapping[str, Any]


class Exchange(Part):
    """An exchange: ``Exchange("trade", type="topic", bindings={"nyse": "stock.*.nyse", "all": "stock.#"})``.

    ``bindings`` say for each queue (or other exchange) what it gets: a routing key or several (direct: equal; topic:
    with ``*`` for one word and ``#`` for any number), or headers (``{"region": "eu", "x-match": "any"}``); a fanout
    looks at nothing. The routing key is the message's, and the event's type when its publisher gives none; headers are
    the message's, then the event's attributes and the plain fields of its data. A queue gets a message once, however
    many of its bindings match. What matches nothing goes to ``alternate``, and is unroutable without one.
    """

    name: str
    type: Literal["direct", "fanout", "topic", "headers"] = "direct"
    bindings: Mapping[str, Binding] = {}
    alternate: str | None = None
    kind: Literal["exchange"] = "exchange"
    refers: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "bindings": ("queue", "exchange"),
        "alternate": ("queue", "exchange"),
    }

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """Bindings must fit the type of the exchange."""
        yield from super().check(parts)
        for target, binding in self.bindings.items():
            for problem in _problems(self.type, binding):
                yield f"{self.title}: the binding of {target!r}: {problem}"

    def build(self, world: World) -> LiveExchange:
        """Bring the exchange to life."""
        return LiveExchange(world, self)


def _problems(kind: str, binding: Binding) -> Iterator[str]:
    if kind == "headers":
        if not isinstance(binding, Mapping):
            yield f"a headers exchange needs headers such as {{'region': 'eu', 'x-match': 'all'}}, not {binding!r}"
        elif (problem := headers_problem(binding)) is not None:
            yield problem
    elif isinstance(binding, Mapping):
        yield f"a {kind} exchange needs a routing key, not headers; give type='headers', or a key"
    elif kind == "topic":
        yield from (problem for key in _keys(binding) if (problem := topic_problem(key)) is not None)


def _keys(binding: Any) -> tuple[str, ...]:
    return (binding,) if isinstance(binding, str) else tuple(binding)


class LiveExchange(Node):
    """An exchange at work."""

    def __init__(self, world: World, value: Exchange) -> None:
        super().__init__(world, value.name)
        self.value = value
        self._routes: dict[str, tuple[str, ...]] = {}
        self._matchers = [(target, matcher(value.type, binding)) for target, binding in value.bindings.items()]
        world.live[value.name] = self

    # ---------------------------------------------------------------- publish

    def chooser(self, _node: str, message: Message | None = None) -> Callable[[str | None, int], Store]:
        """What routes an event with these properties."""

        def store(event: int) -> None:
            self.put(event, message or PLAIN)

        return lambda _stem, _number: store

    def take(self, request: Request) -> None:
        """Route messages and confirm them. What is unroutable is confirmed too; a queue that is full refuses."""
        if self.frozen:
            self.hold(self.take, request)
        elif self.up:
            room = [self.put(event, request.message or PLAIN) for event in request.events]
            request.reply(Answer(True) if all(room) else Answer(False, "queue_full"))
        else:
            request.reply(DISCONNECTED)

    def put(self, event: int, message: Message, deaths: Deaths | None = None) -> bool:
        """Put a message into every queue that is bound for it; False when one of them refused it."""
        if not self.up:
            if self.frozen:
                self.hold(lambda _: self.put(event, message, deaths), None, came=True)
            else:
                self.world.record(self.world.now, self.world.history.code("dropped", self.name), event, 0)
            return False
        queues = self.queues(event, message, {self.name})
        if not queues:
            self._unroutable(event, message)
        taken = [self.world.find(queue).put(event, message, deaths) for queue in queues]
        return all(taken)

    def _unroutable(self, event: int, message: Message) -> None:
        world = self.world
        world.record(world.now, world.history.code("unroutable", self.name), event, 0)
        if message.mandatory:
            source = world.history.event_at(event).source
            world.record(world.now, world.history.code("returned", self.name, source), event, 0)

    # ---------------------------------------------------------------- routing

    def queues(self, event: int, message: Message, seen: set[str]) -> list[str]:
        """The queues that get this message, each once, in the order of the bindings."""
        found: dict[str, None] = {}
        for target in self._matching(event, message):
            found.update(dict.fromkeys(self._reached(target, event, message, seen)))
        if not found and self.value.alternate is not None:
            found.update(dict.fromkeys(self._reached(self.value.alternate, event, message, seen)))
        return list(found)

    def _reached(self, target: str, event: int, message: Message, seen: set[str]) -> list[str]:
        live = self.world.find(target)
        if not isinstance(live, LiveExchange):
            return [target]
        if target in seen:
            return []
        seen.add(target)
        return live.queues(event, message, seen)

    def _matching(self, event: int, message: Message) -> tuple[str, ...]:
        if self.value.type == "headers":
            headers = self._headers(event, message)
            return tuple(target for target, matches in self._matchers if matches(headers))
        key = message.routing_key if message.routing_key is not None else self.world.history.type_of(event)
        route = self._routes.get(key)
        if route is None:
            route = self._routes[key] = tuple(target for target, matches in self._matchers if matches(key))
        return route

    def _headers(self, event: int, message: Message) -> dict[str, Any]:
        known = self.world.history.event_at(event)
        attributes = {"id": known.id, "type": known.type, "source": known.source, "key": known.key}
        plain = {name: value for name, value in known.data.items() if isinstance(value, str | int | float | bool)}
        return {**plain, **{name: value for name, value in attributes.items() if value is not None}, **message.headers}


def matcher(kind: str, binding: Any) -> Callable[[Any], bool]:
    """What says whether a binding matches a routing key, or headers."""
    if kind == "fanout":
        return lambda _: True
    if kind == "headers":
        return headers_matcher(binding)
    keys = _keys(binding)
    if kind == "direct":
        return lambda key: key in keys
    matchers = [topic_matcher(key) for key in keys]
    return lambda key: any(matches(key) for matches in matchers)
