"""What happens between delivered and acked when a consumer has handlers: handled, saved, sent."""

from __future__ import annotations

import copy
import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from evsim.chance import on_grid
from evsim.errors import BadEvent, BadScenario, HandlerFailed, did_you_mean
from evsim.event import Event, freeze
from evsim.names import split_id, split_key
from evsim.patterns.breaker import LiveRateLimit
from evsim.patterns.handler import Ask, Call, Reject, Sleep
from evsim.patterns.inbox import Inbox
from evsim.sim.calling import Caller, Calling
from evsim.sim.database import Database
from evsim.sim.envelopes import writer
from evsim.sim.event_store import Appending, LiveEventStore, Reading
from evsim.sim.outlet import Outlet
from evsim.sim.retrying import Retrying
from evsim.sim.rules import broken_rules
from evsim.sim.service import LiveService
from evsim.store import ANY, Appended
from evsim.store.recorder import Expected

if TYPE_CHECKING:
    from evsim.sim.broker.base import Shared
    from evsim.sim.consumer import Consumer
    from evsim.sim.member import LiveMember
    from evsim.sim.parallel import Hand
    from evsim.sim.worker import LiveWorker
    from evsim.sim.world import World

    Member = LiveMember | LiveWorker | Hand


class PoisonEvent(Exception):
    """Whoever handles this event fails."""


class UnknownVersion(Exception):
    """An event claims a version of its schema that this consumer does not understand."""


_OWN_KEY: Any = object()
_PLAIN_INBOX = Inbox()
_SCALARS = (str, int, float, bool, type(None))


class State(MutableMapping[str, Any]):
    """What a handler sees of the disk: its changes stay in memory until the step *saved*."""

    def __init__(self, disk: Mapping[str, Any]) -> None:
        self._disk = disk
        self.changes: dict[str, Any] = {}
        self.gone: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        if key in self.changes:
            return self.changes[key]
        if key in self.gone:
            raise KeyError(key)
        value = self._disk[key]
        if isinstance(value, _SCALARS):
            return value
        self.changes[key] = copy.deepcopy(value)
        return self.changes[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.changes[key] = value
        self.gone.discard(key)

    def __delitem__(self, key: str) -> None:
        if key not in self:
            raise KeyError(key)
        self.changes.pop(key, None)
        self.gone.add(key)

    def __contains__(self, key: object) -> bool:
        return key in self.changes or (key in self._disk and key not in self.gone)

    def __iter__(self) -> Iterator[str]:
        return iter([*(k for k in self._disk if k not in self.gone), *(k for k in self.changes if k not in self._disk)])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def save(self, disk: dict[str, Any]) -> None:
        """Write the changes to the disk, all at once."""
        for key in self.gone:
            disk.pop(key, None)
        disk.update(copy.deepcopy(self.changes))


class Context:
    """What a handler may do; see ``evsim.patterns.handler``."""

    def __init__(self, handling: Handling, member: Member, index: int) -> None:
        self._handling, self._member, self._index = handling, member, index
        self.event = handling.world.history.event_at(index)
        self.state = State(handling.group.disk)
        self.emitted: list[tuple[str, Any, str | None]] = []
        self._appended = 0

    @property
    def now(self) -> float:
        """Simulated time in seconds."""
        return self._handling.world.now

    @property
    def node(self) -> str:
        """The member that handles the event."""
        return self._member.name

    @property
    def attempt(self) -> int:
        """How often this event has been tried, this time and those before it was put aside included."""
        return self._handling.attempts(self._member, self._index)

    def effect(self, name: str, **facts: Any) -> None:
        """Act on the outside world, at once; it cannot be undone."""
        world = self._handling.world
        note = world.history.note(**facts) if facts else -1
        world.record(world.now, world.history.code("effect", self._member.name, name), self._index, note)

    def emit(self, type: str, data: Mapping[str, Any] | None = None, *, key: str | None = _OWN_KEY) -> None:  # noqa: A002
        """Send an event after the state is saved; it carries the key of its cause unless another is given."""
        self._handling.check_rules(type)
        self.emitted.append((type, freeze(data or {}), self.event.key if key is _OWN_KEY else key))

    def sleep(self, seconds: float) -> Sleep:
        """Wait; to be awaited."""
        return Sleep(seconds)

    def call(self, service: str, data: Mapping[str, Any] | None = None) -> Call:
        """Ask a service and wait for its answer; to be awaited."""
        return Call(service, data)

    def read(
        self,
        store: str,
        stream: str | None,
        start: int | None = None,
        limit: int | None = None,
        *,
        backwards: bool = False,
    ) -> Ask:
        """Read a stream of an event store, and its version, or all streams by position (None); to be awaited."""
        return Ask(store, Reading(stream, start, limit, backwards))

    def append(self, store: str, stream: str, events: Any, expected: Expected = ANY) -> Ask:
        """Append events to a stream, or raise ``Conflict`` here; to be awaited.

        An event is an ``Event``, or a pair of type and data. The id of a pair comes from the event in hand and its
        place among those that this handling appends, so that a handling which is done again appends them once.
        """
        some = [events] if isinstance(events, Event) or isinstance(next(iter(events), None), str) else list(events)
        drafts = (self._handling.draft(self, self._appended + n, given) for n, given in enumerate(some))
        return Ask(store, Appending(stream, tuple(drafts), expected))

    def heard(self, answer: Any, wish: Any) -> None:
        """What this handling appends next has the numbers behind what is stored."""
        if isinstance(answer, Appended):
            self._appended += len(wish.events)


class Handling:
    """How the members of one consumer handle events: the same five steps for all."""

    def __init__(self, world: World, value: Consumer, group: Shared) -> None:
        self.world, self.value, self.group = world, value, group
        self._outlets: dict[tuple[str, str], Outlet] = {}
        self._templates: dict[tuple[str, str | None], int] = {}
        self._callers: dict[tuple[str, str], Caller] = {}
        self._lawful: set[str] = set()
        self._drafts: dict[str, Event] = {}
        self._database = Database(world, value.outbox) if isinstance(value.outbox, str) else None
        self.poisons: list[Any] = []
        self._write: Callable[..., int] | None = None
        self.retrying = Retrying(world, value)
        self._limit = None if value.rate_limit is None else LiveRateLimit(value.rate_limit)
        self.away = world.away.setdefault(getattr(value, "group_name", value.name), {})
        """The keys of which events wait in a retry topic, and which events: the group knows it, whoever dies."""
        self._inbox = value.inbox if isinstance(value.inbox, Inbox) else _PLAIN_INBOX
        self._turns: dict[Member, tuple[int, int]] = {}

    # ---------------------------------------------------------------- before

    def skips(self, member: Member, event: int) -> bool:
        """Whether there is nothing to do for this event: not our type, or known already."""
        history = self.world.history
        if not self.value.takes(history.type_of(event)):
            return True
        member.count_attempt()
        if not self.value.inbox:
            return False
        if self._in_inbox(event):
            return True
        if self._inbox.written == "before":
            self.group.inbox.add(self._inbox_key(event))
        return False

    def _inbox_key(self, event: int) -> str:
        """What the inbox remembers of an event."""
        history = self.world.history
        return history.id_of(event) if self._inbox.key == "id" else self._inbox.key_of(history.event_at(event))

    def _in_inbox(self, event: int) -> bool:
        return self._inbox_key(event) in self.group.inbox

    def _age_s(self, event: int) -> float:
        """For how long this event has lain, since it was published or put aside."""
        since = self.world.set_aside.get(event)
        if since is None:
            since = self.world.history.event_at(event).timestamp
        return self.world.now - since

    def early_s(self, member: Member, event: int) -> float:
        """How long this event must still lie before it is handled, for its delay and then for the rate limit."""
        lies = self.value.delay_s and event not in self.world.followers
        early_s = on_grid(self.value.delay_s - self._age_s(event)) if lies else 0.0
        if early_s > 0 or self._limit is None or self._is_known(event):
            return early_s
        if self._turns.pop(member, None) == (event, member.epoch):  # it has waited for its turn
            return 0.0
        wait_s = on_grid(self._limit.wait_s(self.world.now))
        if wait_s > 0:
            self._turns[member] = (event, member.epoch)
        return wait_s

    def _is_known(self, event: int) -> bool:
        """Whether nothing will be done for this event, so that it needs no turn."""
        history, value = self.world.history, self.value
        return not value.takes(history.type_of(event)) or (bool(value.inbox) and self._in_inbox(event))

    def dismisses(self, member: Member, event: int) -> bool:
        """Whether the event is not handled here: it follows its key into the retry topic, or has waited too long."""
        return (bool(self.away) and self._follows(member, event)) or self._sheds(member, event)

    def _follows(self, member: Member, event: int) -> bool:
        """Whether an earlier event of its key is away; then it goes there too, and waits behind it."""
        retry, key = self.value.retry, self.world.history.key_parts(event)
        if retry is None or not retry.keep_order or retry.through is None or key not in self.away:
            return False
        self.away[key].add(event)
        self.world.followers.add(event)
        self._forward(member, event, "retried", retry.through)
        return True

    def _settle(self, event: int) -> None:
        """The event is dealt with for good: it holds up its key no longer."""
        key = self.world.history.key_parts(event)
        waiting = self.away.get(key)
        if waiting is not None:
            waiting.discard(event)
            if not waiting:
                del self.away[key]

    def _sheds(self, member: Member, event: int) -> bool:
        """Whether the event has waited for too long to be worth handling; then it is put aside, or dropped."""
        value = self.value
        if value.patience_s is None or self._age_s(event) <= value.patience_s or self._is_known(event):
            return False
        place, cursor, world = value.dead_letter, member.cursor, self.world
        if self.away:
            self._settle(event)
        if place is None:
            world.record(world.now, world.history.code("shed", member.name, cursor.place), event, cursor.position)
            return True
        self._park(member, event, f"waited for more than {value.patience_s:g} s", 0)
        self._forward(member, event, "dead_lettered", place)
        return True

    def attempts(self, member: Member, event: int) -> int:
        """How often an event has been tried, this time included: what it was put aside with counts too."""
        return member.attempt + self.retrying.failures_of(member) + self.world.tried.get(event, 0)

    def begin(self, member: Member, index: int) -> None:
        """Call the handler; one that is ``async`` is stepped on simulated time."""
        if self._database is not None and not self._database.is_there_for(member):
            self._database.wait(member, lambda: self.begin(member, index))
            return
        if self._was_done_meanwhile(member, index):
            return
        if self.poisons and any(poison.spoils(index) for poison in self.poisons):
            self._failed(member, index, PoisonEvent("the event is poison"))
            return
        context = Context(self, member, index)
        version, known = context.event.version, self.value.versions
        if known is not None and version not in known:
            listed = ", ".join(map(str, known))
            self._failed(member, index, UnknownVersion(f"version {version} of {context.event.type}; known: {listed}"))
            return
        handler = (self.value.on or {}).get(context.event.type)
        if handler is None:
            self._handled(member, index, context)
            return
        try:
            result = handler(context.event, context)
        except Exception as problem:  # noqa: BLE001 - whatever a user's handler raises
            self._failed(member, index, problem)
            return
        if inspect.iscoroutine(result):
            self._watch(member, index, result)
            self._drive(member, index, context, result, None)
        else:
            self._handled(member, index, context)

    def _watch(self, member: Member, index: int, coroutine: Any) -> None:
        """Give the handler up when it still waits after ``timeout_s``."""
        timeout_s = self.value.timeout_s
        if timeout_s is None:
            return
        epoch = member.epoch

        def time_is_up(_: Any) -> None:
            if epoch != member.epoch or coroutine.cr_frame is None:
                return
            if member.frozen:
                member.hold(time_is_up, None)
                return
            coroutine.close()
            self._failed(member, index, TimeoutError(f"no end after {timeout_s:g} s"))

        self.world.call_in(on_grid(timeout_s), time_is_up)

    def _drive(self, member: Member, index: int, context: Context, coroutine: Any, answer: Any) -> None:
        """Step a waiting handler until it waits again or is done."""
        try:
            wish = coroutine.throw(answer) if isinstance(answer, Exception) else coroutine.send(answer)
        except StopIteration:
            self._handled(member, index, context)
            return
        except Exception as problem:  # noqa: BLE001 - whatever a user's handler raises
            self._failed(member, index, problem)
            return
        epoch = member.epoch

        def go_on(answer: Any) -> None:
            if epoch != member.epoch or coroutine.cr_frame is None:  # forgotten, or given up
                coroutine.close()
            elif member.frozen:
                member.hold(go_on, answer)
            else:
                if isinstance(wish, Ask):
                    context.heard(answer, wish.wish)
                    self._event_store(wish.store).heard(member.name, wish.wish, answer)
                self._drive(member, index, context, coroutine, answer)

        if isinstance(wish, Sleep):
            self.world.call_in(max(0.0, wish.seconds), go_on)
        elif isinstance(wish, Call):
            data = wish.data if isinstance(self.world.find(wish.service), LiveService) else None
            self._caller(member, wish.service).ask(index, go_on, data)
        elif isinstance(wish, Ask):
            self._event_store(wish.store)
            self._caller(member, wish.store).ask(index, go_on, wish.wish)
        else:
            coroutine.close()
            allowed = "ctx.sleep(...), ctx.call(...), ctx.read(...) and ctx.append(...)"
            self._failed(member, index, TypeError(f"a handler may await only {allowed}"))

    def _event_store(self, name: str) -> LiveEventStore:
        """The event store of this name."""
        live = self.world.find(name)
        if isinstance(live, LiveEventStore):
            return live
        stores = [other for other, part in self.world.live.items() if isinstance(part, LiveEventStore)]
        raise BadScenario(f"{name!r} is no event store, so nothing can be read there{did_you_mean(name, stores)}")

    def _caller(self, member: Member, service: str) -> Caller:
        """How this member asks that service."""
        caller = self._callers.get((member.name, service))
        if caller is None:
            live, how = self.world.find(service), self.value.calling or Calling()
            caller = self._callers[member.name, service] = Caller(self.world, member.name, live, how)
        return caller

    def _failed(self, member: Member, index: int, problem: Exception) -> None:
        """A handler raised: put the event aside when there is a place for it, else stop the run and say where."""
        self.world.record(self.world.now, member.cursor.failed, index, member.cursor.position)
        attempts = self.attempts(member, index)
        if not isinstance(problem, Reject):
            if self.retrying.tries_again(member, index):
                return
            retry = self.value.retry
            if retry is not None and retry.through is not None:
                key = self.world.history.key_parts(index)
                if retry.keep_order and key[0] is not None:
                    self.away.setdefault(key, set()).add(index)
                    self.world.followers.discard(index)
                self.world.tried[index] = attempts
                self._put(member, index, "retried", retry.through)
                return
        if self.away:
            self._settle(index)
        if self.value.dead_letter is None:
            if member.refuse(problem):
                return
            raise HandlerFailed(self._sentence(member, index, problem)) from problem
        self.world.tried[index] = attempts
        self._park(member, index, f"{type(problem).__name__}: {problem}"[:200], attempts)
        self._put(member, index, "dead_lettered", self.value.dead_letter)

    def _park(self, member: Member, index: int, reason: str, attempts: int) -> None:
        """Note why the event is given up here."""
        note = self.world.history.note(reason=reason, attempts=attempts)
        code = self.world.history.code("parked", member.name, self.value.dead_letter or "")
        self.world.record(self.world.now, code, index, note)

    def _put(self, member: Member, index: int, step: str, place: str) -> None:
        """Put the event into another place, and be done with it here."""
        self._forward(member, index, step, place)
        member.finish()

    def _forward(self, member: Member, index: int, step: str, place: str) -> None:
        """Put the event into another place, with the row that says so."""
        code = self.world.history.code(step, member.name, place)
        self.world.record(self.world.now, code, index, member.cursor.position)
        self.world.set_aside[index] = self.world.now
        self.outlet(member, place).forward(index)

    def _sentence(self, member: Member, index: int, problem: Exception) -> str:
        frames = [
            f for f in traceback.extract_tb(problem.__traceback__) if "/evsim/sim/" not in f.filename.replace("\\", "/")
        ]
        where = f" (line {frames[-1].lineno}: {frames[-1].line})" if frames else ""
        event = self.world.history.event_at(index)
        return (
            f"the handler of {member.name!r} for {event.type} failed on {event.id} at {self.world.now:.6g} s: "
            f"{type(problem).__name__}: {problem}{where}; mend the handler, or give the consumer a dead_letter"
        )

    # ---------------------------------------------------------------- the steps

    def _handled(self, member: Member, index: int, context: Context) -> None:
        if self._database is not None and not self._database.is_there_for(member):
            self._roll_back(member, index)
            return
        self.retrying.succeeded(member)
        cursor, group, record = member.cursor, self.group, self.world.record
        now, offset = self.world.now, cursor.position
        record(now, cursor.handled, index, offset)
        if member.traps and member.trapped("handled", index):
            return
        if self._was_done_meanwhile(member, index):
            return
        if self.away:
            self._settle(index)
        context.state.save(group.disk)
        if self._writes_inbox("with"):
            group.inbox.add(self._inbox_key(index))
        events: list[int] = []
        if self._database is not None:
            self._database.enter(member, [self._new_event(index, *emitted) for emitted in context.emitted])
        elif self.value.outbox:
            group.outbox.extend(self._new_event(index, *emitted) for emitted in context.emitted)
        record(now, cursor.saved, index, offset)
        if member.traps and member.trapped("saved", index):
            return
        if self.value.outbox is True:
            self.relay(member)
        elif not self.value.outbox:
            events = [self._new_event(index, *emitted) for emitted in context.emitted]
        self._publish(member, events)
        if self._writes_inbox("after"):
            group.inbox.add(self._inbox_key(index))
        record(now, cursor.sent, index, offset)
        if member.traps and member.trapped("sent", index):
            return
        member.finish()

    def _roll_back(self, member: Member, index: int) -> None:
        """The database went away while the handler waited: nothing is saved, and all is done again when it is back."""
        assert self._database is not None
        self.world.record(self.world.now, member.cursor.failed, index, member.cursor.position)
        self._database.wait(member, member.attempt_it)

    def _writes_inbox(self, when: str) -> bool:
        return bool(self.value.inbox) and self._inbox.written == when

    def _was_done_meanwhile(self, member: Member, index: int) -> bool:
        """Whether another member has done the same while this one was at work; its unique key turns this one away."""
        inbox = self._inbox
        if not self.value.inbox or not inbox.unique or inbox.written != "with" or not self._in_inbox(index):
            return False
        cursor = member.cursor
        self.world.record(self.world.now, cursor.skipped, index, cursor.position)
        member.finish()
        return True

    def relay(self, member: Member) -> None:
        """Send what the outbox holds and mark it as sent."""
        waiting, self.group.outbox = self.group.outbox, []
        self._publish(member, waiting)

    def _publish(self, member: Member, events: list[int]) -> None:
        if events:
            outlet = self.outlet(member, self.value.to or self.value.of)
            for event in events:
                outlet.publish(event)

    def _new_event(self, cause: int, event_type: str, data: Mapping[str, Any], key: str | None) -> int:
        stem, number = split_key(key)
        template = self._templates.get((event_type, stem))
        history = self.world.history
        if template is None:
            template = history.template(self.value.name, self.value.name, event_type, 1, stem)
            self._templates[event_type, stem] = template
        self.group.emitted += 1
        if self._write is None:
            self._write = writer(self.world, self.value.name)
        return self._write(self.world.now, template, self.group.emitted, number, cause, history.root_of(cause), data)

    def draft(self, context: Context, place: int, given: Any) -> Event:
        """An event to append: given whole, or by type and data. What was decided before for this cause is the same."""
        if isinstance(given, Event):
            return given
        event_type, data = given
        cause, name = context.event, self.value.name
        stem, n = split_id(cause.id)
        stem = f"{name}:{stem}" if place == 0 else f"{name}:{stem}:{place + 1}"
        event = Event(
            stem if n < 0 else f"{stem}.{n}", event_type, self.world.now, name, data, key=cause.key,
            correlation_id=cause.correlation_id or cause.id, causation_id=cause.id,
        )  # fmt: skip
        known = self._drafts.get(event.id)
        if known is None or (known.type, known.data) != (event.type, event.data):
            known = self._drafts[event.id] = event
        return known

    def outlet(self, member: Member, target: str) -> Outlet:
        """The way from this member to a log."""
        outlet = self._outlets.get((member.name, target))
        if outlet is None:
            outlet = self._outlets[member.name, target] = Outlet(self.world, member.name, self.world.find(target))
        return outlet

    def check_rules(self, event_type: str) -> None:
        """Refuse to emit what the rules of its kind forbid; looked at once a type."""
        if event_type in self._lawful:
            return
        value = self.value
        for problem in broken_rules(event_type, value.name, value.context, value.to or value.of, self.world.parts):
            raise BadEvent(problem)
        self._lawful.add(event_type)

    # ---------------------------------------------------------------- what befalls a member

    def crashed(self, member: Member) -> None:
        """State that was not saved and events that were not sent were memory: they are gone with the member."""

    def restarted(self, member: Member) -> None:
        """What the outbox still holds is sent first."""
        if self.group.outbox:
            self.relay(member)
