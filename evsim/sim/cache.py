"""A cache in front of a service: it answers what it knows, asks for what it does not, and forgets by time or by event.

What is asked for is the key of the event in hand. An answer is as old as the question that brought it; what has changed
since then makes it *stale*, which a cache cannot know, but the history does: a stale hit is recorded as ``stale`` too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from evsim.laws import Constant, Duration
from evsim.patterns.handler import Unavailable
from evsim.patterns.matching import topic_matches, topic_problem
from evsim.sim.consumer import Consumer, LiveConsumer
from evsim.sim.handling import Handling
from evsim.sim.node import Node
from evsim.sim.part import SERVICES, SOURCES, Part
from evsim.sim.service import reach

if TYPE_CHECKING:
    from evsim.records import Record
    from evsim.sim.handling import Member
    from evsim.sim.world import World

Key = tuple[str | None, int]
Reply = Callable[[Any], None]
Question = tuple[int, str, Reply]


class Cache(Part):
    """A cache: ``Cache("prices-cache", origin="prices", ttl_s=60, of="catalog", invalidate=("price.changed",))``.

    One asks it as one asks a service. What it does not know it asks the ``origin``, and keeps the answer for ``ttl_s``
    (None: until it is told to forget). It listens to the broker ``of`` and forgets the key of each event whose type
    fits ``invalidate`` (topic patterns). ``changes`` are the types that change what the origin knows, where that is
    more than what the cache is told; they are only used to tell which answers were stale.

    When many miss the same key at once (a *stampede*): ``"none"`` lets each ask the origin; ``"lock"`` lets one ask and
    the others wait for its answer (single flight; an answer that was overtaken by an invalidation is passed on, but
    not kept, as with memcached's leases); ``"early"`` lets a reader, by lot, renew an entry before it is too old: when
    ``age + took_s · beta · -ln(u) >= ttl_s`` with u uniform on (0, 1] and ``took_s`` the time that the last loading
    took (XFetch: Vattani, Chierichetti and Lowenstein, *Optimal Probabilistic Cache Stampede Prevention*, VLDB 2015).
    """

    name: str
    origin: str
    ttl_s: float | None = Field(60.0, gt=0)
    of: str | None = None
    invalidate: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    stampede: Literal["none", "lock", "early"] = "none"
    beta: float = Field(1.0, gt=0)
    service_s: Duration = Constant(0.0)
    context: str | None = None
    kind: Literal["cache"] = "cache"
    refers: ClassVar[Mapping[str, tuple[str, ...]]] = {"origin": SERVICES, "of": SOURCES}

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """What is wrong with this cache among these parts."""
        yield from super().check(parts)
        if self.name in reach(self, parts):
            yield f"{self.title}: asks itself in a circle, and would never answer; name the service behind it"
        if self.of is not None and not self.invalidate:
            yield f"{self.title}: listens to {self.of!r}, but to what? give invalidate=('price.changed',)"
        if self.of is None and self.invalidate:
            yield f"{self.title}: hears of no event; give of=, the broker that carries {self.invalidate[0]!r}"
        if self.stampede == "early" and self.ttl_s is None:
            yield f"{self.title}: renews early what never grows too old; give ttl_s="
        for pattern in (*self.invalidate, *self.changes):
            problem = topic_problem(pattern)
            if problem is not None:
                yield f"{self.title}: {problem}"

    def changed_by(self, event_type: str) -> bool:
        """Whether events of this type change what the origin knows."""
        return any(topic_matches(pattern, event_type) for pattern in (*self.invalidate, *self.changes))

    def forgets_by(self, event_type: str) -> bool:
        """Whether events of this type make the cache forget."""
        return any(topic_matches(pattern, event_type) for pattern in self.invalidate)

    def build(self, world: World) -> LiveCache:
        """Bring the cache to life."""
        return LiveCache(world, self)


class Entry:
    """What is known of one key: as of ``asked_s``, kept until ``ends_s``; to bring it took ``took_s``."""

    __slots__ = ("asked_s", "ends_s", "took_s")

    def __init__(self, asked_s: float, now: float, ttl_s: float | None) -> None:
        self.asked_s, self.took_s = asked_s, now - asked_s
        self.ends_s = math.inf if ttl_s is None else now + ttl_s


class LiveCache:
    """A cache at work. Its entries and those who wait for an answer are memory."""

    def __init__(self, world: World, value: Cache) -> None:
        self.world, self.value, self.name = world, value, value.name
        self.entries: dict[Key, Entry] = {}
        self._waiting: dict[Key, list[Question]] = {}
        self._asking: list[Question] = []
        self._voided: set[Key] = set()
        self._truth = Truth(world, value)
        self._luck = world.chance.uniforms(f"{value.name} early") if value.stampede == "early" else None
        self._work = world.draws(f"{value.name} lookup", value.service_s) if value.service_s != Constant(0.0) else None
        self._listener = _Listener(world, self) if value.of is not None else None
        self.node: Any = None if self._listener else _Memory(world, self)
        world.live[value.name] = self

    def start(self) -> None:
        """Begin to listen."""
        if self._listener is not None:
            self._listener.start()
            self.node = self._listener.members[0]
        self.world.live[self.name] = self

    def nodes(self) -> list[Any]:
        """The one node: what a fault that names the cache hits."""
        return [self.node]

    # ---------------------------------------------------------------- one question

    def ask(self, event: int, caller: str, reply: Reply) -> None:
        """Ask about the key of an event; ``reply`` gets True, or an ``Unavailable``, over the links there and back."""
        question = (event, caller, reply)
        if not self.world.link(caller, self.name).send(self._asked_by, question, event):
            self.world.call_in(0.0, reply, Unavailable(f"{self.name} could not be reached"))

    def _asked_by(self, question: Question) -> None:
        if self.node.frozen:
            self.node.hold(self._asked_by, question)
        elif self.node.down:
            self._note("refused", question[0], question[1])
            self._answer(question, Unavailable(f"{self.name} is not available"))
        elif self._work is None:
            self._look_up((question, self.node.epoch))
        else:
            self._asking.append(question)
            self.world.call_in(self._work(), self._look_up, (question, self.node.epoch))

    def _look_up(self, asked: tuple[Question, int]) -> None:
        """Answer from memory when there is a good entry; else ask the origin."""
        question, epoch = asked
        if epoch != self.node.epoch:
            return
        if self.node.frozen:
            self.node.hold(self._look_up, asked)
            return
        if self._work is not None:
            self._asking.remove(question)
        event, caller, _ = question
        key = self.world.history.key_parts(event)
        entry = self.entries.get(key)
        if entry is None or self._is_old(entry):
            self._note("miss", event, caller)
            self._load(key, question)
            return
        self._note("hit", event, caller)
        if self._truth.changed_s(key) > entry.asked_s:
            self._note("stale", event, caller)
        self._answer(question, True)

    def _is_old(self, entry: Entry) -> bool:
        """Whether this entry has to be brought anew: it is too old, or the reader has drawn the lot."""
        early_s = 0.0
        if self._luck is not None:
            early_s = -entry.took_s * self.value.beta * math.log(1.0 - self._luck())
        return self.world.now + early_s >= entry.ends_s

    # ---------------------------------------------------------------- loading

    def _load(self, key: Key, question: Question) -> None:
        """Ask the origin, or wait for the answer that somebody else has asked for."""
        waiting = self._waiting.setdefault(key, [])
        waiting.append(question)
        if self.value.stampede == "lock" and len(waiting) > 1:
            return
        asked_s, epoch = self.world.now, self.node.epoch

        def replied(answer: Any) -> None:
            if epoch != self.node.epoch:
                return
            if self.node.frozen:
                self.node.hold(replied, answer)
            else:
                self._loaded(key, question, answer, asked_s)

        self.world.find(self.value.origin).ask(question[0], self.name, replied)

    def _loaded(self, key: Key, question: Question, answer: Any, asked_s: float) -> None:
        """Keep what the origin has said, and answer those who wait for it."""
        single = self.value.stampede == "lock"
        waiting = self._waiting[key]
        answered = list(waiting) if single else [question]
        self._waiting[key] = [each for each in waiting if each not in answered]
        if not self._waiting[key]:
            del self._waiting[key]
        if not isinstance(answer, Exception):
            self._note("loaded", question[0], self.value.origin)
            if key not in self._voided:
                self.entries[key] = Entry(asked_s, self.world.now, self.value.ttl_s)
        self._voided.discard(key)
        for each in answered:
            self._answer(each, answer)

    def _answer(self, question: Question, answer: Any) -> None:
        event, caller, reply = question
        if not self.world.link(self.name, caller).send(reply, answer, event):
            self.world.call_in(0.0, reply, Unavailable(f"the answer of {self.name} was lost"))

    # ---------------------------------------------------------------- forgetting

    def forget(self, event: int) -> None:
        """What this event is about has changed."""
        key = self.world.history.key_parts(event)
        self._note("invalidated", event, self.value.of or "")
        self.entries.pop(key, None)
        if self.value.stampede == "lock" and key in self._waiting:
            self._voided.add(key)

    def lose(self) -> None:
        """The memory is gone; those who wait see their connection end."""
        waiting = [*self._asking, *(each for waiting in self._waiting.values() for each in waiting)]
        self.entries.clear()
        self._waiting.clear()
        self._asking.clear()
        self._voided.clear()
        for question in waiting:
            self._answer(question, Unavailable(f"{self.name} crashed"))

    def _note(self, step: str, event: int, place: str) -> None:
        self.world.record(self.world.now, self.world.history.code(step, self.name, place), event, 0)


class Truth:
    """When the origin's knowledge of each key last changed: as the history has it, whatever the publisher's clock says.

    A cache cannot know this. A change happens when it is first published, or when it is stored in an event store.
    """

    def __init__(self, world: World, value: Cache) -> None:
        self._history, self._value = world.history, value
        self._events = self._rows = 0
        self._changed_s: dict[Key, float] = {}
        self._changing: dict[str, bool] = {}
        self._coming: dict[str, int] = {}
        """The changes that are written down and have not happened yet, by their ids."""
        self._blind = not (value.invalidate or value.changes)

    def changed_s(self, key: Key) -> float:
        """When this key last changed; minus infinity when never."""
        if not self._blind:
            self._catch_up()
        return self._changed_s.get(key, -math.inf)

    def _catch_up(self) -> None:
        """Read what has been recorded since we looked last; rows are worth a look only when a change is coming."""
        history = self._history
        for index in range(self._events, history.event_count):
            if self._is_change(history.type_of(index)):
                self._coming[history.id_of(index)] = index
        self._events = history.event_count
        since, self._rows = self._rows, len(history)
        if self._coming:
            for row in range(since, self._rows):
                self._read(history.record_at(row))

    def _is_change(self, event_type: str) -> bool:
        known = self._changing.get(event_type)
        if known is None:
            known = self._changing[event_type] = self._value.changed_by(event_type)
        return known

    def _read(self, record: Record) -> None:
        if record.step in {"published", "stored"} and record.event_id in self._coming:
            index = self._coming.pop(record.event_id)
            self._changed_s[self._history.key_parts(index)] = record.time


# ---------------------------------------------------------------- the node that holds the memory


class _Memory(Node):
    """The node of a cache that listens to nobody."""

    __slots__ = ("_cache",)

    def __init__(self, world: World, cache: LiveCache) -> None:
        super().__init__(world, cache.name)
        self._cache = cache

    def crashed(self) -> None:
        """Memory is lost in a crash."""
        self._cache.lose()


class _Listener(LiveConsumer):
    """The consumer that a cache is to the broker that tells it what has changed; its one member is the cache's node."""

    def __init__(self, world: World, cache: LiveCache) -> None:
        value = cache.value
        super().__init__(world, Consumer(value.name, of=str(value.of), prefetch=100, context=value.context))
        self.cache = cache

    def handling_of(self) -> Handling:
        """Forgetting."""
        return _Forgetting(self.world, self.value, self.group, self.cache)


class _Forgetting(Handling):
    """To handle an event is to forget its key."""

    def __init__(self, world: World, value: Consumer, group: Any, cache: LiveCache) -> None:
        super().__init__(world, value, group)
        self.cache = cache

    def skips(self, member: Member, event: int) -> bool:
        """Other events are none of a cache's business."""
        if not self.cache.value.forgets_by(self.world.history.type_of(event)):
            return True
        member.count_attempt()
        return False

    def begin(self, member: Member, index: int) -> None:
        """Forget, and be done."""
        self.world.record(self.world.now, member.cursor.handled, index, member.cursor.position)
        if member.traps and member.trapped("handled", index):
            return
        self.cache.forget(index)
        member.finish()

    def crashed(self, member: Member) -> None:
        """The cache's memory is lost with its node."""
        self.cache.lose()
