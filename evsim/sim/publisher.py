"""Those who publish: open loop, closed loop, or a dataset once more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from heapq import heappush
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field
from simpy.events import NORMAL

from evsim.chance import on_grid
from evsim.errors import a_or_an
from evsim.history import split_key
from evsim.kinds import kind_of
from evsim.laws import Constant, Duration, Exponential, Zipf
from evsim.sim.asking import batch_capacity, is_idempotent, needs_producer, wrong_here, wrong_together
from evsim.sim.broker.base import Message
from evsim.sim.calling import Caller, Calling
from evsim.sim.envelopes import writer
from evsim.sim.node import Node
from evsim.sim.outlet import Outlet
from evsim.sim.part import BROKERS, SERVICES, Part
from evsim.sim.producer import LiveProducer
from evsim.sim.profile import Profile, Rate, arrivals
from evsim.sim.rules import broken_rules

if TYPE_CHECKING:
    from evsim.sim.world import World

_SOURCES = ("rate", "gap_s", "clients", "replay")


class Publisher(Part):
    """A source of events: ``Publisher("shop", to="orders", rate=20)``.

    How often: ``rate`` per second (a Poisson process; a number, or Step, Ramp, Diurnal, Spike), or any distribution of
    the gaps ``gap_s`` (both open loop: it does not wait for anybody), or ``clients`` that each think for ``think_s``,
    publish, and wait for the answer (closed loop): until the event is stored, or handled by the consumer named in
    ``awaits``. ``replay`` names a dataset whose events are published again as they arrived, ``speed`` times as fast.
    A publisher whose ``to`` is a service asks it and waits for the answer: the synchronous chain, for comparison;
    ``calling`` says how it protects itself (timeout, retries, circuit breaker).

    ``key``: ``"own"`` gives each event a key of its own (``order-1``, ``order-2``…; ``order-app-1`` where an earlier
    publisher has taken the plain ones), a ``Zipf`` law draws it, None leaves it out, any other text is the key of
    all. ``data`` gives the payload: constants, or laws to draw from. ``sequence`` names a field of it that numbers the
    events of each key from 1 on. It begins ``starts_at_s`` and ends after ``count`` events. ``message`` gives the
    properties of the messages, such as a routing key, for brokers that look at them. ``context`` names the bounded
    context that the publisher belongs to.

    Publishing well, with the names of Kafka's producer: ``acks`` is who must have an event before it is confirmed:
    nobody is asked (``"none"``), the ``"leader"``, or ``"all"`` in-sync replicas; on a queue, either asks for publisher
    confirms. A batch leaves when it holds ``batch_bytes`` (events of ``event_bytes``, times ``compression``) or
    ``batch_events``, or ``linger_s`` after its first event. At most ``max_in_flight`` requests are on their way, which
    an ``idempotent`` producer (None: where ``acks="all"``) neither repeats nor reorders. What is not answered within
    ``request_timeout_s`` is tried again after ``retry_backoff_s``, at most ``retries`` times (None: no limit; a refusal
    by a queue is final then), and given up after ``delivery_timeout_s``. When ``buffer_events`` wait for an answer
    (None: no limit) the publisher stands still (``when_full="block"``), refuses the newest (``"drop"``), or throws away
    the oldest that was never sent (``"shed"``). Every ``transaction_events`` events are one transaction;
    ``abort_share`` of them are aborted.
    """

    name: str
    to: str
    rate: Rate | None = None
    gap_s: Duration | None = None
    type: str = "order.placed"
    key: str | Zipf | None = "own"
    data: Mapping[str, Any] = {}
    count: int | None = Field(None, ge=1)
    clients: int | None = Field(None, ge=1, le=100_000)
    think_s: Duration = Constant(1.0)
    awaits: str | None = None
    replay: str | None = None
    speed: float = Field(1.0, gt=0)
    starts_at_s: float = Field(0.0, ge=0)
    version: int = Field(1, ge=1)
    context: str | None = None
    sequence: str | None = None
    message: Message = Message()
    calling: Calling | None = None
    acks: Literal["none", "leader", "all"] = "none"
    linger_s: float = Field(0.0, ge=0)
    batch_bytes: int = Field(16384, ge=1)
    event_bytes: int = Field(1000, ge=1)
    batch_events: int | None = Field(None, ge=1)
    compression: float = Field(1.0, gt=0, le=1)
    max_in_flight: int = Field(5, ge=1)
    idempotent: bool | None = None
    request_timeout_s: float = Field(30.0, gt=0)
    delivery_timeout_s: float = Field(120.0, gt=0)
    retries: int | None = Field(None, ge=0)
    retry_backoff_s: float = Field(0.1, ge=0)
    buffer_events: int | None = Field(None, ge=1)
    when_full: Literal["block", "drop", "shed"] = "block"
    transaction_events: int | None = Field(None, ge=1)
    abort_share: float = Field(0.0, ge=0, le=1)
    kind: Literal["publisher"] = "publisher"
    refers: ClassVar[Mapping[str, tuple[str, ...]]] = {"to": (*BROKERS, *SERVICES), "awaits": ("consumer",)}

    def model_post_init(self, _: Any, /) -> None:
        """Exactly one way to say how often; a type that is one."""
        given = [field for field in _SOURCES if getattr(self, field) is not None]
        if len(given) != 1:
            what = " and ".join(f"{field}=" for field in given) or "none of them"
            raise ValueError(f"it was given {what}; say how often with exactly one of rate=, gap_s=, clients=, replay=")
        for problem in wrong_together(self):
            raise ValueError(problem)
        kind_of(self.type)

    @property
    def has_producer(self) -> bool:
        """Whether it keeps events in a buffer until they are sent and answered."""
        return needs_producer(self)

    @property
    def is_idempotent(self) -> bool:
        """Whether its retries neither repeat nor reorder."""
        return is_idempotent(self)

    @property
    def batch_capacity(self) -> int:
        """How many events fill a batch."""
        return batch_capacity(self)

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """What is wrong with this publisher among these parts."""
        yield from super().check(parts)
        target = parts.get(self.to)
        if self.starts_at_s and self.rate is None and self.gap_s is None:
            yield f"{self.title}: 'starts_at_s' is for publishers with rate= or gap_s=; leave it out"
        if target is not None and target.kind in BROKERS and self.replay is None:
            for problem in broken_rules(self.type, self.name, self.context, self.to, parts):
                yield f"{self.title}: {problem}"
        if target is not None and target.kind not in SERVICES and self.calling is not None:
            what = f"{self.to!r} is {a_or_an(target.kind)}"
            yield f"{self.title}: 'calling' is about asking a service, but {what}; leave it out"
        if self.awaits is not None and self.clients is None:
            yield f"{self.title}: 'awaits' is for clients that wait; give clients= and think_s= too"
        for problem in wrong_here(self, target.kind) if target is not None else ():
            yield f"{self.title}: {problem}"
        if target is not None and target.kind in SERVICES and self.replay is not None:
            yield f"{self.title}: a dataset can be replayed into a log only, but {self.to!r} is a service"

    def build(self, world: World) -> LivePublisher:
        """Bring the publisher to life."""
        return LivePublisher(world, self)


class LivePublisher(Node):
    """A publisher at work."""

    __slots__ = (
        "_call_at",
        "_caller",
        "_code",
        "_count",
        "_draw_data",
        "_first",
        "_fixed",
        "_gap",
        "_ids",
        "_keys",
        "_known",
        "_new_event",
        "_outlet",
        "_own",
        "_producer",
        "_queue",
        "_record",
        "_script",
        "_send",
        "_stem",
        "_store_of",
        "_sync",
        "_target",
        "_template",
        "_think",
        "_tick_again",
        "published",
        "value",
    )

    def __init__(self, world: World, value: Publisher) -> None:
        super().__init__(world, value.name)
        self.value = value
        self.published = 0
        self._call_at = world.call_at
        self._count = value.count
        self._queue: list[Any] = world._queue
        self._ids = world._eid.__next__
        world.live[value.name] = self

    # ---------------------------------------------------------------- the start

    def start(self) -> None:
        """Prepare the hot path and schedule the first event."""
        value, world = self.value, self.world
        self._record, self._new_event = world.record, writer(world, self.name)
        self._target = world.find(value.to)
        self._sync = hasattr(self._target, "ask")
        self._code = world.history.code("published", self.name, value.to)
        self._draw_data = self._payload()
        self._prepare_key()
        calling = value.calling
        self._caller = None if calling is None else Caller(world, self.name, self._target, calling)
        self._producer: LiveProducer | None = None
        self._outlet: Any
        if value.has_producer:
            self._outlet = self._producer = LiveProducer(world, self, self._target, value)
        elif not self._sync:
            self._outlet = Outlet(world, self.name, self._target, value.message)
            self._store_of = self._outlet.store_of
            self._send = world.link(self.name, value.to).send
        if value.replay is not None:
            self._start_replay()
        elif value.clients is not None:
            self._start_clients(value.clients)
        else:
            self._start_open_loop()

    def _prepare_key(self) -> None:
        value = self.value
        noun = value.type.split(".")[-2]
        self._keys: Callable[[], float] | None = None
        self._fixed = -1
        if value.key is None:
            stem = None
        elif isinstance(value.key, Zipf):
            stem = value.key.stem or noun
            self._keys = self.world.draws(f"{self.name} keys", value.key)
        elif value.key == "own":
            stem = noun
        else:
            stem, self._fixed = split_key(value.key)
        self._own = value.key == "own"
        if self._own and self.world.nouns.setdefault(noun, self.name) != self.name:
            stem = f"{noun}-{self.name}"
        self._stem = stem
        self._template = self.world.history.template(self.name, self.name, value.type, value.version, stem)

    def _payload(self) -> Callable[[int], dict[str, Any]] | None:
        """What gives the payload of an event with this key, or None when there is nothing in it."""
        fields: dict[str, Any] = {}
        for name, spec in self.value.data.items():
            law = hasattr(spec, "scv") or hasattr(spec, "sample")
            fields[name] = self.world.draws(f"{self.name} data {name}", spec) if law else (lambda spec=spec: spec)
        sequence, counts = self.value.sequence, Counter[int]()
        if not fields and sequence is None:
            return None

        def payload(key: int) -> dict[str, Any]:
            data = {name: _tidy(draw()) for name, draw in fields.items()}
            if sequence is not None:
                counts[key] += 1
                data[sequence] = counts[key]
            return data

        return payload

    def _start_open_loop(self) -> None:
        value, world = self.value, self.world
        start_s = max(world.now, on_grid(value.starts_at_s))
        if isinstance(value.rate, Profile):
            times = arrivals(value.rate, world.draws(f"{self.name} gaps", Exponential(1.0)), start_s)
            self._gap: Callable[[], float] = lambda: max(0.0, times() - world.now)
        else:
            law = value.gap_s if value.gap_s is not None else Exponential(1.0 / float(value.rate or 1.0))
            self._gap = world.draws(f"{self.name} gaps", law)
        self._tick_again = self._ticker() if self._producer is None else self._patient_ticker(self._producer)
        self._go_on(start_s)

    def _go_on(self, start_s: float) -> None:
        """Publish again after a gap, which begins now or when it is time to start."""
        if isinstance(self.value.rate, Profile):
            start_s = self.world.now  # its times are of the clock
        self.world.call_in(max(0.0, start_s - self.world.now) + self._gap(), self._tick_again, self.epoch)

    # ---------------------------------------------------------------- open loop

    def _ticker(self) -> Callable[[int], None]:
        """What publishes one event and schedules the next: the hot path, with all that it needs at hand."""
        world, record, new_event, code, template = self.world, self._record, self._new_event, self._code, self._template
        own, number_of, draw_data, sync, ask = self._own, self._number, self._draw_data, self._sync, self._ask
        queue, ids, gap, count, stem = self._queue, self._ids, self._gap, self._count, self._stem
        send: Any = None if sync else self._send
        store_of: Any = None if sync else self._store_of

        def tick(epoch: int) -> None:
            if epoch != self.epoch:
                return
            if self.frozen:
                self.hold(tick, epoch)
                return
            now = world._now
            n = self.published = self.published + 1
            number = n if own else number_of()
            data = None if draw_data is None else draw_data(number)
            event = new_event(now, template, n, number, -1, -1, data)
            record(now, code, event, 0)
            if sync:
                ask(event)
            else:
                send(store_of(stem, number), event, event)
            if n != count:
                heappush(queue, (now + gap(), NORMAL, ids(), tick, epoch))

        return tick

    def _patient_ticker(self, producer: LiveProducer) -> Callable[[int], None]:
        """As ``_ticker``, through a buffer: when it is full, the next event is not made before there is room."""
        world, record, new_event, code, template = self.world, self._record, self._new_event, self._code, self._template
        own, number_of, draw_data, gap, count = self._own, self._number, self._draw_data, self._gap, self._count
        queue, ids, stem, offer, partition_of = (
            self._queue,
            self._ids,
            self._stem,
            producer.offer,
            producer.partition_of,
        )

        def tick(epoch: int) -> None:
            if epoch != self.epoch:
                return
            if self.frozen:
                self.hold(tick, epoch)
                return
            now = world._now
            n = self.published = self.published + 1
            number = n if own else number_of()
            event = new_event(now, template, n, number, -1, -1, None if draw_data is None else draw_data(number))
            record(now, code, event, 0)
            if not offer(event, partition_of(stem, number), go_on):
                return
            if n != count:
                heappush(queue, (now + gap(), NORMAL, ids(), tick, epoch))
            else:
                producer.close()

        def go_on(_: int) -> None:
            if self.published == count:
                producer.close()
            else:
                heappush(queue, (world._now + gap(), NORMAL, ids(), tick, self.epoch))

        return tick

    def _number(self) -> int:
        """The number of the next key, where it is not that of the event."""
        return self._fixed if self._keys is None else int(self._keys())

    def _ask(self, event: int, then: Callable[[int], None] | None = None) -> None:
        """Ask the service, and record how it ended for the one who asked."""
        epoch = self.epoch

        def answered(answer: Any) -> None:
            if epoch != self.epoch:
                return
            if self.frozen:
                self.hold(answered, answer)
                return
            step = "failed" if isinstance(answer, Exception) else "handled"
            self._record(self.world.now, self.world.history.code(step, self.name, self.value.to), event, 0)
            if then is not None:
                then(event)

        delivered = self.world.history.code("delivered", self.name, self.value.to)
        self._record(self.world.now, delivered, event, 0)
        if self._caller is None:
            self._target.ask(event, self.name, answered)
        else:
            self._caller.ask(event, answered)

    # ---------------------------------------------------------------- closed loop

    def _start_clients(self, clients: int) -> None:
        self._think = self.world.draws(f"{self.name} thinking", self.value.think_s)
        for _ in range(clients):
            self.world.call_in(self._think(), self._act, self.epoch)

    def _act(self, epoch: int) -> None:
        """One client has thought enough: it publishes, and thinks again when the answer is there."""
        if epoch != self.epoch:
            return
        if self.frozen:
            self.hold(self._act, epoch)
            return
        if self.value.count is not None and self.published >= self.value.count:
            return
        if self._sync:
            self._act_synchronously(epoch)
            return
        self._outlet_then(epoch)

    def _outlet_then(self, epoch: int) -> None:
        if self.value.awaits is not None:
            event = self._reserve()
            group = self.world.find(self.value.awaits).group
            group.watchers[event] = lambda _: self._rest(epoch)
            self._outlet.forward(event)
        elif self._producer is not None:
            event = self._reserve()
            self._producer.watchers[event] = lambda _: self._rest(epoch)
            self._producer.forward(event)
        else:
            event = self._reserve()
            store = self._store_of(*self.world.history.key_parts(event))
            self._send(self._stored_then_rest, (store, event, epoch), event)

    def _stored_then_rest(self, parcel: tuple[Callable[[int], None], int, int]) -> None:
        store, event, epoch = parcel
        store(event)
        self.world.link(self.value.to, self.name).send(self._rest, epoch)

    def _act_synchronously(self, epoch: int) -> None:
        self._ask(self._reserve(), lambda _: self._rest(epoch))

    def _rest(self, epoch: int) -> None:
        if epoch == self.epoch:
            self.world.call_in(self._think(), self._act, epoch)

    def _reserve(self) -> int:
        """Make one event and record it as published, without sending it yet."""
        n = self.published = self.published + 1
        number = n if self._own else self._number()
        data = self._draw_data(number) if self._draw_data is not None else None
        event: int = self._new_event(self.world.now, self._template, n, number, -1, -1, data)
        self._record(self.world.now, self._code, event, 0)
        return event

    # ---------------------------------------------------------------- a dataset once more

    def _start_replay(self) -> None:
        world, value = self.world, self.value
        if world.load is None:
            raise LookupError(f"publisher {self.name!r} replays {value.replay!r}, but this world was given no datasets")
        indexes: dict[str, int] = {}
        self._script: Iterator[tuple[float, Any]] = iter(world.load(value.replay or ""))
        self._known = indexes
        self._first: float | None = None
        self._play_next()

    def _play_next(self) -> None:
        for arrival_s, event in self._script:
            if self._first is None:
                self._first = arrival_s
            due = (arrival_s - self._first) / self.value.speed
            self.world.call_at(max(due, self.world.now), self._play, (self.epoch, event))
            return

    def _play(self, scripted: tuple[int, Any]) -> None:
        epoch, event = scripted
        if epoch != self.epoch:
            return
        if self.frozen:
            self.hold(self._play, scripted)
            return
        index = self._known.get(event.id)
        if index is None:
            index = self._known[event.id] = self.world.history.add(event)
        self.published += 1
        if self._producer is not None:
            if not self._producer.publish(index, lambda _: self._played()):
                return
        else:
            self._outlet.publish(index)
        self._played()

    def _played(self) -> None:
        if self.value.count is None or self.published < self.value.count:
            self._play_next()
        elif self._producer is not None:
            self._producer.close()

    # ---------------------------------------------------------------- what befalls a publisher

    def crashed(self) -> None:
        """What waited in the buffer is gone."""
        if self._producer is not None:
            self._producer.crashed()

    def restarted(self) -> None:
        """Go on publishing; a client that waited for an answer asks anew, a dataset goes on where it stood."""
        if self._producer is not None:
            self._producer.restarted()
        if self.value.replay is not None:
            self._play_next()
        elif self.value.clients is not None:
            for _ in range(self.value.clients):
                self.world.call_in(self._think(), self._act, self.epoch)
        elif self.published != self._count:
            self._go_on(on_grid(self.value.starts_at_s))


def _tidy(value: Any) -> Any:
    """Drawn amounts with at most six decimals: what a payload would hold."""
    return round(value, 6) if isinstance(value, float) else value
