"""A queue: each message goes to exactly one consumer, and is gone when it is acknowledged.

Semantics, names and defaults follow RabbitMQ (https://www.rabbitmq.com/docs: queues, quorum-queues, confirms, ttl, dlx,
maxlength, consumers, consumer-priority); with ``visibility_timeout_s`` those of Amazon SQS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from evsim.sim.broker.base import DISCONNECTED, Answer, Delivery, Message, Request, Store
from evsim.sim.broker.channel import Dispatcher, QueueSubscription
from evsim.sim.broker.entries import PLAIN, Deaths, Entry, Grouped, Ready
from evsim.sim.broker.graveyard import Graveyard, goes_round
from evsim.sim.node import Node
from evsim.sim.part import Part

if TYPE_CHECKING:
    from evsim.sim.consumer import LiveConsumer
    from evsim.sim.worker import LiveWorker
    from evsim.sim.world import World

QUORUM_LIMIT = 20
"""How often a quorum queue gives a message again unless told otherwise (since RabbitMQ 4.0)."""
_CONFIRMED = Answer(True)
_SQS = ("max_receive_count", "fifo")


class Queue(Part):
    """A queue: ``Queue("tasks")``, ``Queue("tasks", type="quorum", delivery_limit=3, dead_letter="parked")``.

    Competing consumers take turns; each has at most its ``prefetch`` messages unacknowledged. A message that comes back
    goes to its old place (classic) or, after a nack, to the tail (quorum, ``delivery_limit`` times, 20 unless said
    otherwise, -1 without limit). Killed consumers are noticed after ``connection_loss_s`` (measured: 5 to 8 ms), frozen
    ones after ``heartbeat_s``; who keeps a message longer than ``consumer_timeout_s`` loses its channel.

    ``message_ttl_s`` lets messages expire, at the head only; ``max_length`` counts what waits, and ``overflow`` says
    who goes when it is full. What is rejected, expires, overflows or is given too often goes to ``dead_letter``, a
    queue, exchange or log. ``durable`` queues survive a crash, with the messages that are persistent; quorum queues
    keep all. ``expires_s`` deletes a queue that nobody consumes from for so long.

    With ``visibility_timeout_s`` it is an SQS queue: nothing comes back before that time, whoever died, and after
    ``max_receive_count`` receipts it is redriven to ``dead_letter``. ``fifo`` keeps the order within each key, one
    message of a key in flight, and knows an id for ``deduplication_s``.
    """

    name: str
    type: Literal["classic", "quorum"] = "classic"
    durable: bool = True
    max_length: int | None = Field(None, ge=0)
    overflow: Literal["drop-head", "reject-publish", "reject-publish-dlx"] = "drop-head"
    message_ttl_s: float | None = Field(None, ge=0)
    expires_s: float | None = Field(None, gt=0)
    dead_letter: str | None = None
    dead_letter_routing_key: str | None = None
    max_priority: int | None = Field(None, ge=1, le=255)
    single_active_consumer: bool = False
    delivery_limit: int | None = Field(None, ge=-1)
    consumer_timeout_s: float | None = Field(1800.0, gt=0)
    heartbeat_s: float = Field(60.0, gt=0)
    connection_loss_s: float = Field(0.006, ge=0)
    visibility_timeout_s: float | None = Field(None, gt=0)
    max_receive_count: int | None = Field(None, ge=1)
    fifo: bool = False
    deduplication_s: float = Field(300.0, ge=0)
    kind: Literal["queue"] = "queue"
    refers: ClassVar[Mapping[str, tuple[str, ...]]] = {"dead_letter": ("queue", "exchange", "log")}

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """What cannot be together."""
        yield from super().check(parts)
        if self.visibility_timeout_s is None:
            for field in _SQS:
                if getattr(self, field):
                    yield f"{self.title}: {field!r} is a setting of SQS; give visibility_timeout_s=30 too"
        if self.type == "quorum" and not self.durable:
            yield f"{self.title}: a quorum queue is always durable; leave durable out"
        if self.type == "quorum" and self.overflow == "reject-publish-dlx":
            yield f"{self.title}: quorum queues know drop-head and reject-publish only, not {self.overflow!r}"

    @property
    def limit(self) -> int | None:
        """How many times a message may be given to somebody; None without limit."""
        if self.visibility_timeout_s is not None:
            return self.max_receive_count
        limit = QUORUM_LIMIT if self.type == "quorum" and self.delivery_limit is None else self.delivery_limit
        return None if limit is None or limit < 0 else limit + 1

    def build(self, world: World) -> LiveQueue:
        """Bring the queue to life."""
        return LiveQueue(world, self)


class LiveQueue(Node):
    """A queue at work. It owns its messages until they are acknowledged."""

    def __init__(self, world: World, value: Queue) -> None:
        super().__init__(world, value.name)
        self.value = value
        self.ready: Ready = Grouped() if value.fifo else Ready()
        self.dispatcher = Dispatcher(self)
        self.graveyard = Graveyard(self)
        self.deleted = False
        self._overdue: list[tuple[int, Message, Deaths | None]] = []
        self._blocked: list[Callable[[], Any]] | None = None
        self._limit = value.limit
        self._numbers = 0
        self._seen: dict[int, tuple[float, int]] = {}
        self._alarm_at: float | None = None
        self._idle_since: float | None = None
        code = world.history.code
        self._record = world.record
        self._stored = code("stored", self.name, self.name)
        self._requeued = code("requeued", self.name, self.name)
        self._simple = value.max_length is None and value.message_ttl_s is None and not value.fifo
        world.live[value.name] = self

    def start(self) -> None:
        """A queue that nobody ever consumes from may expire."""
        self.used()

    # ---------------------------------------------------------------- publish

    def chooser(self, _node: str, message: Message | None = None) -> Callable[[str | None, int], Store]:
        """The default exchange: what is published to a queue's name goes into it."""
        plain = message is None or message == PLAIN

        def store(event: int) -> None:
            self.put(event, message or PLAIN)

        chosen: Store = self.store if plain else store
        return lambda _stem, _number: chosen

    def store(self, event: int) -> None:
        """Take a message with no properties."""
        if self.up and self._simple:
            self._append(Entry(event, PLAIN, None, {}))
        else:
            self.put(event, PLAIN)

    def take(self, request: Request) -> None:
        """Take messages and confirm them, or refuse what there is no room for."""
        if self._blocked is not None and self.up:
            self._blocked.append(lambda: self.take(request))
        elif self.frozen:
            self.hold(self.take, request)
        elif self.up:
            room = [self.put(event, request.message or PLAIN) for event in request.events]
            request.reply(_CONFIRMED if all(room) else Answer(False, "queue_full"))
        else:
            request.reply(DISCONNECTED)

    def put(self, event: int, message: Message, deaths: Deaths | None = None) -> bool:
        """Take a message; False when it was refused. A queue that is down loses what reaches it."""
        if self._blocked is not None and self.up:
            self._blocked.append(lambda: self.put(event, message, deaths))
            return True
        if not self.up or self.deleted:
            if self.frozen:
                self.hold(lambda _: self.put(event, message, deaths), None, came=True)
            else:
                self._record(self.world.now, self.world.history.code("dropped", self.name), event, 0)
            return False
        if deaths and goes_round(self.name, deaths):
            self._record(self.world.now, self.world.history.code("dropped", self.name), event, 0)
            return True
        if message.delay_s:
            late = message.but(delay_s=None)
            self.world.plan_in(message.delay_s, self._ripens, (event, late, deaths))
            return True
        if self.value.fifo and self._knows(event):
            return True
        entry = Entry(event, message, self._expiry(message), deaths or {})
        if self.value.max_priority is not None:
            entry.rank = min(message.priority, self.value.max_priority)
        if self.value.fifo:
            entry.group = self.world.history.key_of(event)
        return self._admit(entry)

    def _ripens(self, delayed: tuple[int, Message, Deaths | None]) -> None:
        """A message has been kept back for long enough; what lies on the disk of a broker that is down waits for it."""
        if self.down:
            self._overdue.append(delayed)
        else:
            self.put(*delayed)

    def block(self) -> None:
        """The disk is full: who publishes has to wait (RabbitMQ's disk alarm); who consumes has not."""
        self._blocked, self._simple = self._blocked or [], False

    def unblock(self) -> None:
        """There is room again: take what has waited."""
        value, waiting = self.value, self._blocked or []
        self._blocked = None
        self._simple = value.max_length is None and value.message_ttl_s is None and not value.fifo
        for take in waiting:
            take()

    def _expiry(self, message: Message) -> float | None:
        """When it expires: by its own time to live or the queue's, whichever is shorter."""
        given = [ttl for ttl in (message.expiration_s, self.value.message_ttl_s) if ttl is not None]
        return self.world.now + min(given) if given else None

    def _knows(self, event: int) -> bool:
        """Whether this id has been taken within the deduplication interval."""
        now = self.world.now
        known = self._seen.get(event)
        if known is not None and now - known[0] < self.value.deduplication_s:
            code = self.world.history.code("deduplicated", self.name, self.name)
            self._record(now, code, event, known[1])
            return True
        self._seen[event] = (now, self._numbers)
        return False

    def _admit(self, entry: Entry) -> bool:
        most = self.value.max_length
        if most is not None and self.value.overflow != "drop-head" and len(self.ready) >= most:
            self.dispatcher.deliver()
            if len(self.ready) >= most:
                self._refuse(entry)
                return False
        self._append(entry)
        while most is not None and len(self.ready) > most:
            self.graveyard.bury(self.ready.pop(), "overflowed")
        return True

    def _append(self, entry: Entry) -> None:
        entry.number = entry.order = self._numbers
        self._record(self.world._now, self._stored, entry.event, entry.number)
        self._numbers += 1
        self.ready.append(entry)
        self.dispatcher.deliver()
        if entry.expires_at is not None:
            self.watch_head()

    def _refuse(self, entry: Entry) -> None:
        """No room: the message was never here."""
        self._record(self.world.now, self.world.history.code("dropped", self.name), entry.event, 0)
        if self.value.overflow == "reject-publish-dlx":
            self.graveyard.forward(entry, "overflowed")

    # ---------------------------------------------------------------- what waits

    def next(self) -> Entry | None:
        """Take the next message that has not expired."""
        entry = self.ready.first()
        while entry is not None and entry.expires_at is not None and entry.expires_at <= self.world.now:
            self.graveyard.bury(self.ready.pop(), "expired")
            self._release(entry)
            entry = self.ready.first()
        return None if entry is None else self.ready.pop()

    def watch_head(self) -> None:
        """Messages expire at the head of a queue, so that only the first needs an alarm."""
        entry = self.ready.first()
        if entry is None or entry.expires_at is None or self._alarm_at == entry.expires_at:
            return
        self._alarm_at = entry.expires_at
        self.world.plan_at(max(entry.expires_at, self.world.now), self._rings, (self.epoch, entry.expires_at))

    def _rings(self, alarm: tuple[int, float]) -> None:
        epoch, at_s = alarm
        if epoch != self.epoch or self._alarm_at != at_s:
            return
        if self.frozen:
            self.hold(self._rings, alarm)
            return
        self._alarm_at = None
        entry = self.ready.first()
        while entry is not None and entry.expires_at is not None and entry.expires_at <= self.world.now:
            self.graveyard.bury(self.ready.pop(), "expired")
            self._release(entry)
            entry = self.ready.first()
        self.watch_head()

    def _release(self, entry: Entry) -> None:
        """Let the next of its group go."""
        if isinstance(self.ready, Grouped):
            self.ready.free(entry.group)

    # ---------------------------------------------------------------- what comes back

    def subscribe(self, consumer: LiveConsumer) -> QueueSubscription:
        """Let a consumer compete for the messages."""
        return QueueSubscription(self.world, consumer.value, self)

    def acked(self, delivery: Delivery, worker: LiveWorker) -> None:
        """A message is dealt with: forget it."""
        entry = delivery.entry
        entry.delivery = None
        self._record(self.world._now, worker.codes(self.name).acked, entry.event, entry.number)
        if self.value.fifo:
            self._release(entry)

    def give_back(self, entry: Entry, *, to_the_tail: bool = False) -> None:
        """A message has come back: it waits again, or is put aside when it was given too often."""
        entry.delivery = None
        if self._limit is not None and entry.attempts >= self._limit:
            self.graveyard.bury(entry, "exhausted")
            self._release(entry)
            return
        self._record(self.world.now, self._requeued, entry.event, entry.number)
        if to_the_tail:
            entry.order = self._numbers
            self._numbers += 1
        self.ready.put_back(entry)
        most = self.value.max_length
        if most is not None and self.value.overflow == "drop-head" and len(self.ready) > most:
            oldest = self.ready.pop()
            self.graveyard.bury(oldest, "overflowed")
            self._release(oldest)
        self.watch_head()

    def reject(self, entry: Entry) -> None:
        """A consumer does not want this message at all."""
        entry.delivery = None
        self.graveyard.bury(entry, "rejected")
        self._release(entry)

    # ---------------------------------------------------------------- what befalls a queue

    def used(self) -> None:
        """Somebody consumes, or nobody any more: an unused queue may expire."""
        if self.value.expires_s is None:
            return
        self._idle_since = None if self.dispatcher.channels else self.world.now
        if self._idle_since is not None:
            self.world.plan_in(self.value.expires_s, self._unused, self._idle_since)

    def _unused(self, since_s: float) -> None:
        if self._idle_since == since_s and not self.deleted:
            self.deleted = True
            for entry in self.ready.clear():
                self.graveyard.lose(entry)

    def crashed(self) -> None:
        """Connections end; what was not on the disk is gone: transient messages, and a queue that is not durable."""
        self._alarm_at = None
        entries = self.ready.clear() + self.dispatcher.in_flight()
        for entry in sorted(entries, key=lambda each: each.order):
            was_out, entry.delivery = entry.delivery is not None, None
            if not self._survives(entry):
                self.graveyard.lose(entry)
                continue
            if was_out:
                self._record(self.world.now, self._requeued, entry.event, entry.number)
            self.ready.append(entry)
        self.dispatcher.lose_connections()

    def _survives(self, entry: Entry) -> bool:
        value = self.value
        always = value.type == "quorum" or value.visibility_timeout_s is not None
        return always or (value.durable and entry.message.persistent)

    def restarted(self) -> None:
        """Consumers that have connected again get what waits, and what has ripened meanwhile."""
        overdue, self._overdue = self._overdue, []
        for delayed in overdue:
            self.put(*delayed)
        self.watch_head()
        self.dispatcher.deliver()

    def resumed(self) -> None:
        """Go on giving."""
        self.dispatcher.deliver()
