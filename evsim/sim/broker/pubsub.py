"""Publish and subscribe by subject: every consumer that listens gets each event, or with a stream, also later.

Semantics and names follow NATS: core NATS is at most once (https://docs.nats.io/nats-concepts/core-nats/pubsub, queue
groups: https://docs.nats.io/nats-concepts/core-nats/queue), JetStream keeps what was published
(https://docs.nats.io/nats-concepts/jetstream/streams; sequences begin with 1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from evsim.patterns.matching import subject_problem
from evsim.sim.broker.base import DISCONNECTED, Answer
from evsim.sim.broker.durable import DurableSubscription
from evsim.sim.broker.kept import Kept
from evsim.sim.broker.listeners import Listeners
from evsim.sim.node import Node
from evsim.sim.part import Part

if TYPE_CHECKING:
    from evsim.sim.broker.base import Message, Request
    from evsim.sim.consumer import LiveConsumer
    from evsim.sim.world import World

_CONFIRMED = Answer(True)


class PubSub(Part):
    """``PubSub("news")``: each event goes to all consumers whose ``subjects`` fit; the members of one share them.

    The subject is the message's ``routing_key`` (in which ``{key}`` and ``{type}`` stand for the event's own), or the
    event's type. Who does not listen at that moment misses it. A member that falls silent (paused, or cut off) counts
    as not listening after ``connection_s``; what is sent to it before waits in its connection.

    With ``stream=True`` events are kept (NATS JetStream), and consumers, as their ``durable`` says, get what they have
    not acknowledged. An event whose id was stored less than ``deduplication_s`` ago is not stored again. What is
    older than ``retention_s``, or beyond ``retention_events``, is deleted. The headers ``Nats-Expected-Last-Sequence``
    and ``Nats-Expected-Last-Subject-Sequence`` of a message refuse it when something else has been stored meanwhile.
    """

    name: str
    stream: bool = False
    retention_s: float | None = Field(None, gt=0)
    retention_events: int | None = Field(None, ge=1)
    deduplication_s: float = Field(120.0, ge=0)
    connection_s: float = Field(0.0, ge=0)
    kind: Literal["pubsub"] = "pubsub"

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """What is wrong with this subject space, and with the subjects of those who use it."""
        yield from super().check(parts)
        for field in ("retention_s", "retention_events"):
            if getattr(self, field) is not None and not self.stream:
                yield f"{self.title}: {field!r} is about what is kept, but nothing is; give stream=True"
        for part in parts.values():
            if getattr(part, "of", None) == self.name:
                yield from self._check_consumer(part)
            key = getattr(getattr(part, "message", None), "routing_key", None)
            if getattr(part, "to", None) == self.name and key is not None:
                problem = subject_problem(key.format_map(_ANYTHING), wildcards=False)
                if problem is not None:
                    yield f"{part.title}: {problem}"

    def _check_consumer(self, part: Any) -> Iterator[str]:
        for pattern in getattr(part, "subjects", None) or ():
            problem = subject_problem(pattern)
            if problem is not None:
                yield f"{part.title}: {problem}"
        if getattr(part, "durable", None) is not None and not self.stream:
            yield f"{part.title}: 'durable' needs a stream, but {self.name!r} keeps nothing; give it stream=True"

    def build(self, world: World) -> LivePubSub:
        """Bring it to life."""
        return LivePubSub(world, self)


class _Anything(dict[str, str]):
    def __missing__(self, _: str) -> str:
        return "x"


_ANYTHING = _Anything()


class LivePubSub(Node):
    """A PubSub at work."""

    def __init__(self, world: World, value: PubSub) -> None:
        super().__init__(world, value.name)
        self.value = value
        self.listeners: list[Listeners] = []
        self.durables: list[DurableSubscription] = []
        self.kept = Kept(world, value) if value.stream else None
        self._arrived = 0
        self._codes = {step: world.history.code(step, value.name, "") for step in ("dropped", "unroutable")}
        world.live[value.name] = self

    # ---------------------------------------------------------------- publish

    def chooser(self, node: str, message: Message | None = None) -> Callable[[str | None, int], Callable[[int], None]]:
        """What takes an event from this node, under the subject that its message has."""

        def store(event: int) -> None:
            if self.up:
                self.accept(event, message)
            elif self.frozen:
                self.hold(store, event, came=True)
            else:
                self.world.record(self.world.now, self._codes["dropped"], event, 0)

        return lambda _stem, _number: store

    def take(self, request: Request) -> None:
        """Take events and confirm them: that the server has them, not that anybody has listened."""
        if not self.up:
            if self.frozen:
                self.hold(self.take, request)
            else:
                request.reply(DISCONNECTED)
            return
        answer = _CONFIRMED
        for event in request.events:
            answer = self.accept(event, request.message)
            if not answer.ok:
                break
        request.reply(answer)

    def subject_of(self, event: int, message: Message | None) -> str:
        """The subject of an event: what its message says, else its type."""
        history = self.world.history
        key = None if message is None else message.routing_key
        if key is None:
            return history.type_of(event)
        if "{" in key:
            return key.format_map({"key": history.key_of(event) or "none", "type": history.type_of(event)})
        return key

    def accept(self, event: int, message: Message | None) -> Answer:
        """Store an event, if this is a stream, or else hand it to all who listen now."""
        subject = self.subject_of(event, message)
        if self.kept is not None:
            answer = self.kept.store(event, subject, {} if message is None else message.headers, self.durables)
            for durable in self.durables:
                durable.pump()
            return answer
        self._arrived += 1
        wanted = [listeners for listeners in self.listeners if listeners.wants(subject)]
        for listeners in wanted:
            listeners.hand(event, self._arrived)
        if not wanted:
            self.world.record(self.world.now, self._codes["unroutable"], event, 0)
        return _CONFIRMED

    # ---------------------------------------------------------------- subscribe

    def subscribe(self, consumer: LiveConsumer) -> Listeners | DurableSubscription:
        """Let a consumer in: one that the stream remembers, or one that is there only while it listens."""
        if self.kept is not None:
            durable = DurableSubscription(self.world, consumer.value, self)
            self.durables.append(durable)
            return durable
        listeners = Listeners(self.world, consumer.value, self)
        self.listeners.append(listeners)
        return listeners

    def restarted(self) -> None:
        """What was stored is still there, and so is what each durable subscription has acknowledged."""
        for durable in self.durables:
            durable.revive()

    def resumed(self) -> None:
        """Go on."""
        for durable in self.durables:
            durable.revive()
