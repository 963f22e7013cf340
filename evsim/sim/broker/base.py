"""What all brokers share: publish, subscribe, receive, and ack or nack; and the one value that they hand over.

A broker is a node with three doors. ``chooser(node, message)`` gives what stores an event and asks nothing (publish);
``take(request)`` stores and answers (publish with a confirmation); ``subscribe(consumer)`` gives a subscription. Who
receives gets a ``Delivery``, which exists until it is acknowledged, whatever befalls the process that held it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from pydantic import Field

from evsim.patterns.inbox import Inbox, Memory
from evsim.value import Value

if TYPE_CHECKING:
    from evsim.sim.consumer import Consumer, LiveConsumer
    from evsim.sim.handling import Handling
    from evsim.sim.worker import LiveWorker
    from evsim.sim.world import World

Store = Callable[[int], Any]
"""Stores the event with this index, at the broker."""


class Message(Value):
    """The properties that a publisher gives its messages, named as in AMQP 0-9-1; None and 0 leave them out.

    ``routing_key`` is the event's type when not given; ``expiration_s`` is the message's own time to live;
    ``mandatory`` has an unroutable message returned; ``delay_s`` keeps it back at the broker for so long.
    """

    routing_key: str | None = None
    persistent: bool = True
    expiration_s: float | None = Field(None, ge=0)
    priority: int = Field(0, ge=0, le=255)
    mandatory: bool = False
    delay_s: float | None = Field(None, ge=0)
    headers: Mapping[str, Any] = {}
    kind: Literal["message"] = "message"


class Answer(NamedTuple):
    """What a broker says to a request: confirmed, or refused with the reason in the field's own word."""

    ok: bool
    reason: str = ""


DISCONNECTED = Answer(False, "disconnected")
"""Nobody listens there any more: what the operating system says of a process that has died, and not of a machine."""


class Request:
    """Events that a producer wants stored, and confirmed. A batch goes to one partition.

    ``reply`` is called at the broker, once, when it confirms or refuses. When its process is down, the connection is
    refused at once; a machine without power, a frozen process and a cut link say nothing.
    ``sequence`` is that of the first event, or -1 for a producer that is not idempotent. A ``marker``, ``"commit"`` or
    ``"abort"``, brings no events: it ends the producer's ``transaction`` in every partition that this has touched.
    """

    __slots__ = (
        "acks", "epoch", "events", "marker", "message", "partition", "producer", "reply", "sequence", "transaction",
    )  # fmt: skip

    def __init__(
        self,
        events: list[int],
        reply: Callable[[Answer], Any],
        *,
        partition: int | None = None,
        acks: str = "all",
        producer: str = "",
        epoch: int = 0,
        sequence: int = -1,
        transaction: int = -1,
        message: Message | None = None,
        marker: Literal["", "commit", "abort"] = "",
    ) -> None:
        self.events, self.reply, self.partition, self.acks = events, reply, partition, acks
        self.producer, self.epoch, self.sequence, self.transaction = producer, epoch, sequence, transaction
        self.message, self.marker = message, marker


class Broker(Protocol):
    """What every live broker is able to do."""

    name: str

    def chooser(self, node: str, message: Message | None) -> Callable[[str | None, int], Store]:
        """What stores an event with this key (stem and number) that comes from this node, asking nothing."""

    def take(self, request: Request) -> None:
        """Store a request's events and reply."""

    def subscribe(self, consumer: LiveConsumer) -> Shared:
        """Let the members of a consumer in."""


class Delivery:
    """A message in somebody's hand: it is the broker's until it is acknowledged."""

    __slots__ = ("attempt", "entry", "epoch", "event", "number", "place", "redelivered", "worker")

    def __init__(self, event: int, place: str, number: int, attempt: int, worker: LiveWorker, entry: Any) -> None:
        self.event, self.place, self.number, self.attempt = event, place, number, attempt
        self.worker, self.epoch, self.entry = worker, worker.epoch, entry
        self.redelivered = attempt > 1


class Shared:
    """What the members of one consumer share, and what survives each of them: its disk, its inbox, its outbox."""

    def __init__(self, world: World, value: Consumer) -> None:
        self.world, self.value = world, value
        self.disk: dict[str, Any] = {}
        inbox = getattr(value, "inbox", None)
        self.inbox: Any = Memory(inbox, lambda: world.now) if isinstance(inbox, Inbox) else set()
        self.outbox: list[int] = []
        self.attempts: dict[tuple[int, int], int] = {}
        self.watchers: dict[int, Any] = {}
        self.emitted = 0

    def tell(self, event: int) -> None:
        """Somebody may have waited until this event was handled."""
        watcher = self.watchers.pop(event, None)
        if watcher is not None:
            watcher(event)


class Subscription(Shared):
    """The members of one consumer at a broker that pushes. A broker's own kind says what comes next and who gets it.

    The broker hears of a member through these methods: ``gone`` when its process died, and the connection with it;
    ``silent`` when nothing more is heard of it (it is paused or cut off), and ``heard`` when it is heard of again.
    """

    def __init__(self, world: World, value: Consumer, broker: Any) -> None:
        super().__init__(world, value)
        self.broker = broker
        self.workers: list[LiveWorker] = []

    def member(self, name: str, number: int, handling: Handling | None) -> LiveWorker:
        """A new member of this consumer."""
        from evsim.sim.worker import LiveWorker

        worker = LiveWorker(self.world, name, number, self, handling)
        self.workers.append(worker)
        return worker

    def enroll(self, members: list[LiveWorker]) -> None:
        """Let the first members join."""
        for member in members:
            member.join()

    def join(self, member: LiveWorker) -> None:
        """Let one more member join."""
        member.join()

    def attach(self, worker: LiveWorker) -> None:
        """A member is there and ready for messages."""
        raise NotImplementedError

    def ack(self, delivery: Delivery) -> None:
        """A member says that this message is dealt with."""
        raise NotImplementedError

    def nack(self, delivery: Delivery, requeue: bool) -> None:
        """A member says that it could not deal with this message."""
        raise NotImplementedError

    def gone(self, worker: LiveWorker) -> None:
        """A member's process has died."""
        raise NotImplementedError

    def silent(self, worker: LiveWorker) -> None:
        """Nothing more is heard of a member."""

    def heard(self, worker: LiveWorker) -> None:
        """A member is heard of again."""

    def left(self, worker: LiveWorker) -> None:
        """A member has said goodbye, with nothing in hand."""
        raise NotImplementedError
