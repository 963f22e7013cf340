"""Those who consume: a group of members that share the partitions of a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from evsim.errors import a_or_an
from evsim.kinds import kind_of
from evsim.laws import Constant, Duration
from evsim.patterns.breaker import RateLimit
from evsim.patterns.inbox import Inbox
from evsim.patterns.retry import Retry
from evsim.sim.broker.log import LiveLog, Log
from evsim.sim.calling import Calling
from evsim.sim.cooperative import CooperativeGroup
from evsim.sim.group import LiveGroup
from evsim.sim.handling import Handling
from evsim.sim.part import BROKERS, SOURCES, Part
from evsim.value import Value

if TYPE_CHECKING:
    from evsim.sim.world import World

Handler = Callable[..., Any]


class Timed(Value):
    """Commit on a timer, every ``every_s`` seconds (Kafka's ``auto.commit.interval.ms``, 5 s by default)."""

    every_s: float = Field(5.0, gt=0)
    kind: Literal["timed"] = "timed"


class Durable(Value):
    """A subscription that a stream remembers (NATS JetStream's consumer; defaults are its own).

    A message that is not acknowledged within ``ack_wait_s`` is given again, after the waits of ``backoff_s`` if there
    are any, at most ``max_deliver`` times; at most ``max_ack_pending`` are in flight. ``deliver`` says where a new
    subscription begins; with ``start_s`` it begins with what was stored from that time on.
    """

    ack_wait_s: float = Field(30.0, gt=0)
    max_deliver: int | None = Field(None, ge=1)
    max_ack_pending: int = Field(1000, ge=1)
    backoff_s: tuple[float, ...] = ()
    deliver: Literal["all", "new", "last", "last_per_subject", "by_start_time"] = "all"
    start_s: float | None = Field(None, ge=0)
    kind: Literal["durable"] = "durable"


class Share(Value):
    """A share group (Kafka's KIP-932): the records of a log given out one by one, each under a lock of ``lock_s``.

    A record that has been given out ``delivery_limit`` times without being acknowledged is archived.
    """

    lock_s: float = Field(30.0, gt=0)
    delivery_limit: int = Field(5, ge=1)
    kind: Literal["share"] = "share"


class Consumer(Part):
    """A consumer group: ``Consumer("billing", of="orders", members=4, service_s=Exponential(0.03))``.

    ``service_s`` is the time that the handling of one event takes; ``on`` maps event types to handlers ``(event,
    ctx)``, other types are skipped. ``types`` lets a consumer without handlers do the same. ``commit`` says when
    the position is acknowledged: ``"after"`` each event (at least once), ``"before"`` a batch is handled (at most
    once), after each ``"batch"``, or ``Timed(every_s)``. With an ``inbox`` it does not do again what it has done;
    an ``outbox`` is written with the state, and sent by the member after it; or, when it names a log, by a
    ``Relay`` that reads this log: both are in one database then, and while it is away nothing is handled, for nothing
    could be saved. ``prefetch`` is the most events that one fetch brings (Kafka's
    ``max.poll.records``). A member that is silent for ``session_timeout_s`` (Kafka: 45 s) loses its partitions,
    which are handed over after ``rebalance_s``. ``turnaround_s`` is the time from an acknowledgement to the next
    fetch.
    ``context`` names the bounded context that the consumer belongs to. What handlers emit goes to ``to``, which is
    ``of`` when not given; what they fail on is tried again as ``retry`` says, and then goes to ``dead_letter``. With
    ``delay_s`` nothing is handled before it has lain for so long since it was published, or put into a retry topic.
    Its handlers understand the ``versions`` of schemas that it names, and fail on any other (None: all). One that still
    waits after ``timeout_s`` has failed; what it has asked for may happen all the same. All members together begin at
    most what ``rate_limit`` allows (retries in place have their back-off instead). What has lain for more than
    ``patience_s`` when its turn comes is not handled (load shedding): it goes to ``dead_letter``, or is dropped when
    there is none.
    ``calling`` says how its handlers' ``ctx.call`` protects itself. Its members join at ``joins_at_s``; to a log they
    come as a new group, which ``auto_offset_reset`` has begin at the end or at the start.

    On a log: ``protocol`` is how a group shares the partitions out anew, ``"eager"`` (all stop) or ``"cooperative"``
    (only what moves stops); ``static`` members keep their name over a restart (Kafka's ``group.instance.id``); one that
    does not fetch again within ``poll_interval_s`` is out (``max.poll.interval.ms``); ``isolation`` is what is seen of
    transactions; ``share`` makes it a share group. With ``parallel`` each member handles so many events at once, those
    of one key one after the other (Confluent's Parallel Consumer), and commits up to the first that is not finished.
    On brokers that push: ``prefetch`` is the most messages in hand that are not acknowledged, None for no limit;
    ``nack`` is what a failing handler leads to; ``priority`` is the consumer's. ``subjects`` are the patterns that it
    listens to, ``durable`` has a stream remember how far it has come.
    """

    name: str
    of: str
    group: str | None = None
    members: int = Field(1, ge=1, le=10_000)
    service_s: Duration = Constant(0.0)
    on: Mapping[str, Handler] | None = None
    types: tuple[str, ...] | None = None
    prefetch: int | None = Field(1, ge=1, le=1_000_000)
    commit: Literal["after", "before", "batch"] | Timed = "after"
    session_timeout_s: float = Field(45.0, gt=0)
    rebalance_s: float = Field(0.0, ge=0)
    turnaround_s: Duration = Constant(0.0)
    auto_offset_reset: Literal["latest", "earliest"] = "latest"
    to: str | None = None
    inbox: bool | Inbox = False
    outbox: bool | str = False
    retry: Retry | None = None
    delay_s: float = Field(0.0, ge=0)
    timeout_s: float | None = Field(None, gt=0)
    rate_limit: RateLimit | None = None
    patience_s: float | None = Field(None, gt=0)
    calling: Calling | None = None
    dead_letter: str | None = None
    context: str | None = None
    nack: Literal["requeue", "reject"] | None = None
    priority: int = 0
    subjects: tuple[str, ...] | None = None
    durable: Durable | None = None
    share: Share | None = None
    parallel: int = Field(1, ge=1, le=10_000)
    protocol: Literal["eager", "cooperative"] = "eager"
    static: bool = True
    poll_interval_s: float = Field(300.0, gt=0)
    joins_at_s: float = Field(0.0, ge=0)
    versions: tuple[int, ...] | None = None
    isolation: Literal["read_uncommitted", "read_committed"] = "read_uncommitted"
    kind: Literal["consumer"] = "consumer"
    refers: ClassVar[Mapping[str, tuple[str, ...]]] = {"of": SOURCES, "to": BROKERS, "dead_letter": BROKERS}

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
        if isinstance(self.outbox, str):
            yield from self._check_outbox(self.outbox, parts)
        if self.retry is not None and self.retry.through is not None:
            yield from self.refer("retry.through", self.retry.through, BROKERS, parts)
        if self.retry is not None and self.retry.keep_order:
            yield from self._check_keep_order(parts)
        if self.share is not None:
            yield from self._check_share(parts)
        if self.parallel > 1:
            yield from self._check_parallel(parts)
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

    def _check_share(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """What a share group cannot have."""
        kind = parts[self.of].kind if self.of in parts else "log"
        if kind != "log":
            what = f"{self.of!r} is {a_or_an(kind)}, which shares its messages anyway"
            yield f"{self.title}: share=… is for a log, and {what}"
        if isinstance(self.commit, Timed):
            yield f"{self.title}: a share group acknowledges each record; commit='after', 'batch' or 'before'"
        for field in ("protocol", "isolation", "static"):
            if getattr(self, field) != type(self).model_fields[field].default:
                yield f"{self.title}: {field!r} is for groups that own partitions; leave it out, or leave out share"

    def _check_outbox(self, outbox: str, parts: Mapping[str, Part]) -> Iterator[str]:
        """It is written in the act that saves the state, so that it must be a log, and cannot keep a row in line."""
        yield from self.refer("outbox", outbox, ("log",), parts)
        log = parts.get(outbox)
        if isinstance(log, Log) and (log.request_s or log.record_s):
            why = f"{outbox!r} lets it stand in line for request_s={log.request_s:g} and record_s={log.record_s:g}"
            yield f"{self.title}: an outbox is written in the act that saves the state, but {why}; leave these out"

    def _check_keep_order(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """Who keeps order through a retry topic needs a reader of it that knows which keys are away."""
        place = self.retry.through if self.retry is not None else None
        readers = [p.group_name for p in parts.values() if isinstance(p, Consumer) and p.of == place]
        if place is None:
            yield f"{self.title}: retry.keep_order is about a retry topic; give through=… too, or leave it out"
        elif self.group_name not in readers:
            yield f"{self.title}: retry.keep_order needs a consumer of {place!r} with group={self.group_name!r}"

    def _check_parallel(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """What one who handles several events at once cannot have."""
        kind = parts[self.of].kind if self.of in parts else "log"
        if kind != "log" or self.share is not None:
            what = "shares its records one by one" if kind == "log" else f"is a {kind}, which gives out one by one"
            yield f"{self.title}: parallel=… is for partitions of a log, and {self.of!r} {what}; use members=… instead"
        if self.commit == "before":
            yield f"{self.title}: parallel=… commits what is finished; leave out commit='before'"
        if self.protocol == "cooperative":
            yield f"{self.title}: parallel=… knows the eager protocol only; leave out one of the two"

    @property
    def group_name(self) -> str:
        """The group's name: the part's own unless given."""
        return self.group or self.name

    def build(self, world: World) -> LiveConsumer:
        """Bring the consumer to life."""
        return LiveConsumer(world, self)


class LiveConsumer:
    """A Consumer part at work: what its members share, and its members."""

    def __init__(self, world: World, value: Consumer) -> None:
        self.world, self.value, self.name = world, value, value.name
        self.members: list[Any] = []
        world.live[value.name] = self

    def start(self) -> None:
        """Let all members join."""
        world, value = self.world, self.value
        broker = world.find(value.of)
        self.group = self._group_at(broker) if isinstance(broker, LiveLog) else broker.subscribe(self)
        self.handling = self.handling_of()
        for number, name in enumerate(value.member_names, start=1):
            self._add(name, number)
        if value.joins_at_s <= world.now:
            self.group.enroll(self.members)
            return
        for member in self.members:
            member.leaving = True  # whatever befalls it until then, it does not come before its time
        world.plan_at(value.joins_at_s, self._enroll)

    def _group_at(self, log: LiveLog) -> Any:
        """How the members share a log: partition by partition, or record by record."""
        if self.value.share is not None:
            from evsim.sim.broker.share import ShareSubscription

            return ShareSubscription(self.world, self.value, log)
        kind = CooperativeGroup if self.value.protocol == "cooperative" else LiveGroup
        return kind(self.world, self.value, log)

    def _enroll(self, _: Any) -> None:
        """Let those join who are there; the others will when they come back."""
        for member in self.members:
            member.leaving = False
        if self.value.auto_offset_reset == "latest" and hasattr(self.group, "begin_at_the_end"):
            self.group.begin_at_the_end()
        self.group.enroll([member for member in self.members if not member.is_silent])

    def handling_of(self) -> Handling | None:
        """How the members handle an event, when there is more to it than time."""
        value = self.value
        reads = value.on is not None or value.types is not None or value.versions is not None
        needs_handling = reads or value.inbox or value.outbox or value.delay_s
        needs_handling = needs_handling or value.rate_limit is not None or value.patience_s is not None
        return Handling(self.world, value, self.group) if needs_handling else None

    def _add(self, name: str, number: int) -> Any:
        member = self.group.member(name, number, self.handling)
        self.members.append(member)
        if name == self.name:
            self.world.live[name] = self
        return member

    def join(self) -> Any:
        """One more member joins the group."""
        number = max(member.number for member in self.members) + 1
        member = self._add(f"{self.name}-{number}", number)
        for trap in self.members[0].traps:
            trap.lie_in_wait(member)
        if not member.is_silent:  # who is cut off joins when the link is whole again
            self.group.join(member)
        return member

    def trap(self, trap: Any) -> None:
        """Let a fault wait at a step, whichever member comes to it."""
        for member in self.members:
            member.traps.append(trap)

    def nodes(self) -> list[Any]:
        """The members: what a fault that names the whole part hits."""
        return self.members
