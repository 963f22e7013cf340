"""A saga at work: a consumer that listens to answers, sends commands, keeps its state as events, and has timers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from evsim.chance import on_grid
from evsim.event import Event
from evsim.patterns.inbox import Inbox
from evsim.patterns.saga import Plan, Stage, Timer
from evsim.sim import handling
from evsim.sim.consumer import Consumer, LiveConsumer
from evsim.sim.handling import Handling
from evsim.sim.part import BROKERS, SOURCES, Part
from evsim.sim.rules import reached
from evsim.store import MemoryStore, Sagas

if TYPE_CHECKING:
    from evsim.sim.handling import Context, Member
    from evsim.sim.world import World

_OWN = ("starts_on", "steps", "manual", "kind")


class Saga(Consumer):
    """An orchestrated saga: ``Saga("ordering", of="bus", starts_on="order.placed", steps=(Step("charge.card",
    undo="refund.card", timeout_s=5), Step("ship.order", pivot=True)))``.

    It asks for one step after the other (those in an inner tuple at once) by commands, which it sends to ``to`` (``of``
    when not given), and reads the answers from ``of``. A step that is refused, or fails or is silent for good, turns it
    back: what was done is undone, newest first. A compensation that fails for good goes to the broker ``manual`` as a
    case for a human. At its end it tells ``order.completed``, ``order.cancelled`` or ``order.stuck``.

    One saga runs for each key. Its state is a stream of events, which is written in one act with the inbox and the
    outbox, and from which it goes on after a crash; its timers are memory, and are set again from it. A saga is a
    consumer in all other respects, so that it has members, a service time, and the five steps.
    """

    inbox: bool | Inbox = True
    outbox: bool = True
    starts_on: str  # type: ignore[misc]
    steps: tuple[Stage, ...]  # type: ignore[misc]
    manual: str | None = None
    kind: Literal["saga"] = "saga"  # type: ignore[assignment]
    refers: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "of": SOURCES, "to": BROKERS, "dead_letter": BROKERS, "manual": BROKERS,
    }  # fmt: skip

    @property
    def plan(self) -> Plan:
        """The definition alone: it runs without a clock and a broker too."""
        return Plan(self.starts_on, self.steps)

    def takes(self, event_type: str) -> bool:
        """It listens to what begins it, and to all answers."""
        return event_type in self.plan.types

    def role(self, handler: Callable[..., Any]) -> Consumer:
        """The consumer that a saga is to the broker."""
        given = {name: getattr(self, name) for name in Consumer.model_fields if name not in {"kind", "on"}}
        return Consumer(**given, on=dict.fromkeys(self.plan.types, handler))

    def describe(self) -> dict[str, Any]:
        """To whoever looks at a history it is a consumer, and its plan stands beside."""
        said = super().describe()
        plan = {name: said.pop(name) for name in _OWN}
        return {**said, "kind": "consumer", "on": dict.fromkeys(self.plan.types, "saga"), "saga": plan}

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """What is wrong with this saga among these parts."""
        for problem in self.plan.problems():
            yield f"{self.title}: {problem}"
        if self.on is not None or self.types is not None:
            yield f"{self.title}: what it listens to follows from its steps; leave out on= and types="
        yield from super().check(parts)
        target = self.to or self.of
        for step in self.plan.flat:
            for command in filter(None, (step.do, step.undo)):
                if not reached(command, target, parts)[0]:
                    yield f"{self.title}: nobody on {target!r} takes the command {command!r}; add a consumer with on="

    def build(self, world: World) -> LiveSaga:
        """Bring the saga to life."""
        return LiveSaga(world, self)


class Alarm(NamedTuple):
    """A timer that is set: for which saga, and what event set it."""

    key: str | None
    timer: Timer
    cause: int
    memory: int


class LiveSaga(LiveConsumer):
    """A saga at work. ``store`` lies on the disk; the states that it has in mind and its alarms are memory."""

    handling: Conducting

    def __init__(self, world: World, saga: Saga) -> None:
        super().__init__(world, saga.role(self.react))
        self.saga, self.plan = saga, saga.plan
        self.store = MemoryStore()
        self.sagas = Sagas(self.store, self.plan, self.name)
        self._memory = self._alarmed = 0

    def handling_of(self) -> Conducting:
        """Conducting."""
        return Conducting(self.world, self.value, self.group, self)

    def react(self, event: Event, ctx: Context) -> None:
        """Decide, and have it saved and sent with all else that this delivery leads to."""
        key = event.key if event.key is not None else event.correlation_id or event.id
        decision = self.sagas.decide(key, event)
        for send in decision.sends:
            ctx.emit(send.type, send.data, key=key)

        def keep() -> None:
            self.sagas.keep(key, decision, event, self.world.now)
            for timer in decision.timers:
                self._set(self.world.now + timer.after_s, Alarm(key, timer, ctx._index, self._memory))

        ctx.state = Kept(ctx.state, keep)

    # ---------------------------------------------------------------- timers

    def _set(self, at_s: float, alarm: Alarm) -> None:
        self.world.plan_at(max(on_grid(at_s), self.world.now), self._ring, alarm)

    def _ring(self, alarm: Alarm) -> None:
        """Tell the saga that time is up, if it still waits for it; and again later, should that be lost."""
        if alarm.memory != self._memory or alarm.timer not in self.plan.waiting(self.sagas.state(alarm.key)):
            return
        awake = [member for member in self.members if member.up]
        if awake:
            self.handling.ring(awake[0], alarm)
            self._set(self.world.now + alarm.timer.after_s, alarm)
            return
        for member in self.members:
            if member.frozen:
                member.hold(self._ring, alarm)
                return

    def crashed(self) -> None:
        """With the last member the memory is gone: what it had in mind, and its alarms."""
        if not any(member.up or member.frozen for member in self.members):
            self.sagas.forget()
            self._memory += 1

    def restarted(self) -> None:
        """Read the disk, and set the alarms of all that still wait, after the last crash alone."""
        if self._alarmed == self._memory:
            return
        self._alarmed = self._memory
        for key, timer, asked in self.sagas.waiting():
            cause = self.world.history.index(str(asked.causation_id))
            self._set(asked.timestamp + timer.after_s, Alarm(key, timer, cause, self._memory))


class Kept(handling.State):
    """The disk of a saga: what is decided is kept in the same act as the inbox and the outbox."""

    def __init__(self, state: handling.State, keep: Callable[[], None]) -> None:
        super().__init__(state._disk)
        self._keep = keep

    def save(self, disk: dict[str, Any]) -> None:
        """Write the changes and the facts, all at once."""
        super().save(disk)
        self._keep()


class Conducting(Handling):
    """To handle an answer is to decide what comes next."""

    def __init__(self, world: World, value: Consumer, group: Any, live: LiveSaga) -> None:
        super().__init__(world, value, group)
        self._live = live

    def ring(self, member: Member, alarm: Alarm) -> None:
        """Publish to ourselves that time is up."""
        event = self._new_event(alarm.cause, alarm.timer.type, alarm.timer.data, alarm.key)
        self.outlet(member, self.value.of).publish(event)

    def _publish(self, member: Member, events: list[int]) -> None:
        """A case for a human goes where humans look."""
        manual = self._live.saga.manual
        for event in events:
            by_hand = manual is not None and self.world.history.type_of(event).endswith(".given_up")
            self.outlet(member, str(manual) if by_hand else self.value.to or self.value.of).publish(event)

    def crashed(self, member: Member) -> None:
        """What was in mind may be gone."""
        super().crashed(member)
        self._live.crashed()

    def restarted(self, member: Member) -> None:
        """Look at the disk before anything else."""
        super().restarted(member)
        self._live.restarted()
