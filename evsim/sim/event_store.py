"""An event store as a part: reading and appending take time, writers get in each other's way, and crashes cost.

What it holds is a real ``evsim.store.MemoryStore``; only time, the network and the loss of memory are simulated.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field

from evsim.chance import on_grid
from evsim.errors import BadEvent, BadScenario
from evsim.event import Event
from evsim.laws import Constant, Duration
from evsim.names import split_id, split_key
from evsim.patterns.handler import Unavailable
from evsim.sim.node import Node
from evsim.sim.part import Part
from evsim.store import ANY, NONE, Appended, Conflict, MemoryStore, Recorded
from evsim.store.recorder import Expected

if TYPE_CHECKING:
    from evsim.sim.catching_up import CatchUp
    from evsim.sim.consumer import LiveConsumer
    from evsim.sim.world import World

Reply = Callable[[Any], None]
_FLUSH_EVERY_S = {"none": 0.2, "flush": 30.0}


class EventStore(Part):
    """An event store: ``EventStore("store", append_s=0.002, read_s=0.001, durability="sync", sync_s=0.005)``.

    Handlers use it: ``seen = await ctx.read("store", "account-7")``, then
    ``await ctx.append("store", "account-7", ("money.withdrawn", {"amount": 5}), expected=seen.version)``.

    Appends are done one at a time, as a database does that has one writer: each takes ``append_s``, and whether the
    expected version fits is looked at when its turn is over; a conflict is answered then. Reads do not wait for
    writers: one gives what was there when it began, after ``read_s`` and ``read_event_s`` for each event.

    ``durability`` is what an append waits for before it is acknowledged. With ``"sync"`` for the disk, which takes
    ``sync_s`` more: nothing acknowledged is ever lost (SQLite's ``synchronous=FULL``). With ``"flush"`` for the
    operating system: a crash of the process loses nothing, one with ``power=True`` loses what the disk has not yet
    (``synchronous=NORMAL`` with a write-ahead log). With ``"none"`` for nothing: the process holds it in its own
    memory, and any crash loses that (PostgreSQL's ``synchronous_commit=off``). What is not safe yet becomes so
    ``flush_every_s`` after it was acknowledged at the latest: 30 s with ``"flush"`` (Linux writes dirty pages back by
    then), 0.2 s with ``"none"`` (PostgreSQL's WAL writer).
    """

    name: str
    append_s: Duration = Constant(0.0)
    read_s: Duration = Constant(0.0)
    read_event_s: float = Field(0.0, ge=0)
    durability: Literal["none", "flush", "sync"] = "flush"
    sync_s: Duration = Constant(0.0)
    flush_every_s: float | None = Field(None, gt=0)
    kind: Literal["event_store"] = "event_store"

    @property
    def unsafe_s(self) -> float:
        """For how long what was acknowledged may still be lost."""
        return 0.0 if self.durability == "sync" else self.flush_every_s or _FLUSH_EVERY_S[self.durability]

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """What is wrong with this store: settings of another durability."""
        yield from super().check(parts)
        if self.durability == "sync" and self.flush_every_s is not None:
            yield f"{self.title}: durability='sync' leaves nothing to be flushed later; leave flush_every_s out"
        if self.durability != "sync" and self.sync_s != Constant(0.0):
            yield f"{self.title}: sync_s is for durability='sync', but it is {self.durability!r}; leave it out"

    def build(self, world: World) -> LiveEventStore:
        """Bring the store to life."""
        return LiveEventStore(world, self)


# -------------------------------------------------------------------- what is asked, and answered


class Reading(NamedTuple):
    """A wish to read a stream, or all of them by position; the words are those of ``store.read`` and ``read_all``."""

    stream: str | None
    start: int | None = None
    limit: int | None = None
    backwards: bool = False


class Appending(NamedTuple):
    """A wish to append these events to a stream."""

    stream: str
    events: tuple[Event, ...]
    expected: Expected = ANY


class Seen(tuple[Recorded, ...]):  # noqa: SLOT001 - a tuple with an attribute can have no slots
    """The events that a reader was given; ``version`` is what to expect of the stream when one appends to it.

    Of all streams together it is the position of the last event, which nobody can expect.
    """

    version: Expected = NONE

    @classmethod
    def of(cls, events: Iterator[Recorded], version: int) -> Seen:
        """These events of a stream whose last version was this one."""
        seen = cls(events)
        seen.version = NONE if version < 0 else version
        return seen


class Question(NamedTuple):
    """One who asks: the event in hand, the node that has it, how to answer, and what is wished."""

    event: int
    caller: str
    reply: Reply
    wish: Reading | Appending


# -------------------------------------------------------------------- the store at work


class LiveEventStore(Node):
    """A store at work. ``visible`` is the position up to which readers see, ``safe`` the one that no crash takes."""

    def __init__(self, world: World, value: EventStore) -> None:
        super().__init__(world, value.name)
        self.value = value
        self.store = MemoryStore()
        self.visible = self.safe = 0
        self._service = world.draws(f"{value.name} append", value.append_s)
        self._read = world.draws(f"{value.name} read", value.read_s)
        self._sync = world.draws(f"{value.name} sync", value.sync_s)
        self._line: deque[Question] = deque()
        self._open: dict[int, Question] = {}
        self._due: dict[int, float] = {}
        self._asked = self._losses = 0
        self._writing = self._flushing = False
        self._paused_at = 0.0
        self._index: dict[str, int] = {}
        self._readers: list[CatchUp] = []
        world.live[value.name] = self

    def ask(self, event: int, caller: str, reply: Reply, wish: Any = None) -> None:
        """Ask to read or to append; ``reply`` gets ``Seen``, ``Appended``, a ``Conflict`` or an ``Unavailable``."""
        if not isinstance(wish, (Reading, Appending)):
            raise BadScenario(
                f"{self.name!r} is an event store and cannot be called; await ctx.read({self.name!r}, stream) or "
                f"ctx.append({self.name!r}, stream, events)"
            )
        question = Question(event, caller, reply, wish)
        if not self.world.link(caller, self.name).send(self._arrived, question, event):
            self.world.call_in(0.0, reply, Unavailable(f"{self.name} could not be reached"))

    def _arrived(self, question: Question) -> None:
        if self.frozen:
            self.hold(self._arrived, question, came=True)
        elif self.down:
            self._note("refused", question)
            self._send(question, Unavailable(f"{self.name} is not available"))
        elif isinstance(question.wish, Reading):
            self._begin_read(question, question.wish)
        else:
            self._line.append(question)
            if not self._writing:
                self._next()

    # ---------------------------------------------------------------- reading

    def _begin_read(self, question: Question, wish: Reading) -> None:
        """What is there now is what the reader will get."""
        self._note("called", question)
        try:
            seen = self._seen(wish)
        except BadEvent as problem:
            self._work(self._begun(question), 0.0, self._answer, problem)
            return
        took_s = self._read() + on_grid(self.value.read_event_s * len(seen))
        self._work(self._begun(question), took_s, self._answer, seen)

    def _seen(self, wish: Reading) -> Seen:
        """The events that are asked for, without the one that the disk is still awaited for."""
        there, how = self.store, {"backwards": wish.backwards}
        if wish.stream is None:
            found, last = there.read_all(wish.start, **how), self.visible or -1
        else:
            hidden = sum(1 for each in there.read_all(self.visible + 1) if each.stream == wish.stream)
            found, last = there.read(wish.stream, wish.start, **how), there.version(wish.stream) - hidden
        return Seen.of(islice((each for each in found if each.position <= self.visible), wish.limit), last)

    # ---------------------------------------------------------------- appending

    def _next(self) -> None:
        """The writer is free: begin with the first in line."""
        self._writing = bool(self._line)
        if self._line:
            question = self._line.popleft()
            self._note("called", question, 1)
            self._work(self._begun(question), self._service(), self._write, question.wish)

    def _write(self, ticket: int, wish: Appending) -> None:
        """The real store has its say; what it takes must still come to the disk, if somebody waits for that."""
        try:
            appended = self.store.append(wish.stream, wish.events, wish.expected)
        except (Conflict, BadEvent) as problem:
            self._answer(ticket, problem)
            self._next()
            return
        if appended.again:
            for event in wish.events:
                self._copy("deduplicated", wish.stream, event.id, appended.version)
        wait_s = self._sync() if self.value.durability == "sync" and not appended.again else 0.0
        if wait_s:
            self._work(ticket, wait_s, self._commit, appended)
        else:
            self._commit(ticket, appended)

    def _commit(self, ticket: int, appended: Appended) -> None:
        """Let readers see it, say so to the writer, and go on."""
        self._show(self._open[ticket].event)
        self._answer(ticket, appended)
        self._next()

    def _show(self, cause: int = -1) -> None:
        """What was written is there."""
        for each in self.store.read_all(self.visible + 1):
            self._index[each.event.id] = self._history_index(each.event, cause)
            self._copy("stored", each.stream, each.event.id, each.version)
        self.visible = self.store.position
        if self.value.durability == "sync":
            self.safe = self.visible
        elif self.safe < self.visible and not self._flushing:
            self._flushing = True
            self.world.call_in(self.value.unsafe_s, self._flush, self._losses)
        for reader in self._readers:
            reader.pump()

    def _flush(self, losses: int) -> None:
        """What was acknowledged is safe from now on. A frozen process writes nothing; an operating system does."""
        if losses != self._losses:
            return
        if self.frozen and self.value.durability == "none":
            self.hold(self._flush, losses)
            return
        self._flushing = False
        self.safe = self.visible

    def _history_index(self, event: Event, cause: int) -> int:
        """The event in the history's table: the one that is there, if it was lost and comes again as it was."""
        history = self.world.history
        known = self._index.get(event.id, -1)
        if known >= 0 and history.event_at(known) == event:
            return known
        stem, n = split_id(event.id)
        key_stem, key = split_key(event.key)
        template = history.template(stem or "", event.source, event.type, event.version, key_stem)
        own = cause >= 0 and event.causation_id == history.id_of(cause)
        causation = cause if own else history.reference(event.causation_id)
        correlation = history.root_of(cause) if own else history.reference(event.correlation_id)
        return history.new_event(event.timestamp, template, n, key, causation, correlation, event.data)

    def heard(self, caller: str, wish: Any, answer: Any) -> None:
        """A writer knows that its events are here."""
        if isinstance(answer, Appended):
            code = self.world.history.code("confirmed", caller, self.name)
            for event in wish.events:
                self.world.record(self.world.now, code, self._index[event.id], answer.version)

    # ---------------------------------------------------------------- who follows

    def subscribe(self, consumer: LiveConsumer) -> CatchUp:
        """Let a projection follow all streams."""
        from evsim.sim.catching_up import CatchUp

        reader = CatchUp(self.world, consumer.value, self)
        self._readers.append(reader)
        return reader

    def events_after(self, position: int, most: int) -> list[int]:
        """The events behind a position that readers may see, as the history numbers them."""
        found = self.store.read_all(position + 1, min(most, max(0, self.visible - position)))
        return [self._index[each.event.id] for each in found]

    # ---------------------------------------------------------------- time

    def _begun(self, question: Question) -> int:
        self._asked += 1
        self._open[self._asked] = question
        return self._asked

    def _work(self, ticket: int, seconds: float, fn: Callable[[int, Any], None], arg: Any) -> None:
        """Call ``fn(ticket, arg)`` after some work, unless a crash ends it."""
        self._due[ticket] = self.world.now + seconds
        self.world.call_at(self._due[ticket], self._worked, (ticket, fn, arg))

    def _worked(self, job: tuple[int, Callable[[int, Any], None], Any]) -> None:
        ticket, fn, arg = job
        if ticket not in self._due:
            return
        if self.frozen:
            self.hold(self._worked, job)
        elif self.world.now < self._due[ticket]:
            self.world.call_at(self._due[ticket], self._worked, job)
        else:
            del self._due[ticket]
            fn(ticket, arg)

    def _answer(self, ticket: int, answer: Any) -> None:
        question = self._open.pop(ticket)
        if isinstance(answer, Conflict):
            self._note("conflicted", question, answer.actual)
        else:
            step = "refused" if isinstance(answer, Exception) else "answered"
            self._note(step, question, int(isinstance(answer, Appended)))
        self._send(question, answer)

    def _send(self, question: Question, answer: Any) -> None:
        """Answer over the link back; if that breaks, the caller knows only that it does not know."""
        if not self.world.link(self.name, question.caller).send(question.reply, answer, question.event):
            self.world.call_in(0.0, question.reply, Unavailable(f"the answer of {self.name} was lost"))

    # ---------------------------------------------------------------- rows

    def _note(self, step: str, question: Question, number: int = 0) -> None:
        self.world.record(
            self.world.now, self.world.history.code(step, self.name, question.caller), question.event, number
        )

    def _copy(self, step: str, stream: str, event_id: str, version: int) -> None:
        code = self.world.history.code(step, self.name, f"{self.name}:{stream}")
        self.world.record(self.world.now, code, self._index[event_id], version)

    # ---------------------------------------------------------------- what befalls it

    def crashed(self) -> None:
        """Those who wait see their connection end; without durability, what the process held is gone."""
        waiting = [*self._open.values(), *self._line]
        self._open.clear()
        self._line.clear()
        self._due.clear()
        self._writing = False
        if self.value.durability == "none":
            self._lose()
        for question in waiting:
            self._send(question, Unavailable(f"{self.name} crashed"))
        for reader in self._readers:
            reader.hang_up()

    def lose_power(self) -> None:
        """What the disk does not have is gone; called when the machine crashes with its power."""
        self._lose()

    def _lose(self) -> None:
        """Forget what is not safe: the store is what its first events make of it."""
        self._losses += 1
        self._flushing = False
        kept, old = MemoryStore(), self.store
        for each in old.read_all(limit=self.safe):
            kept.append(each.stream, each.event)
        for each in old.read_all(self.safe + 1, self.visible - self.safe):
            self._copy("lost", each.stream, each.event.id, each.version)
        self.store, self.visible = kept, self.safe

    def restarted(self) -> None:
        """What was written and not yet acknowledged is found in the journal: it is there."""
        self._show()

    def paused(self) -> None:
        """Remember since when nothing moves."""
        self._paused_at = self.world.now

    def resumed(self) -> None:
        """Work that was under way takes as much longer as the pause was."""
        pause_s = self.world.now - self._paused_at
        for ticket, due in self._due.items():
            if due >= self._paused_at:
                self._due[ticket] = due + pause_s
        for reader in self._readers:
            reader.pump()
