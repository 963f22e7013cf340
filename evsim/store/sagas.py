"""The states of sagas as streams of events in a store: read to decide, appended when decided."""

from __future__ import annotations

from collections.abc import Iterator

from evsim.errors import BadEvent
from evsim.event import Event
from evsim.patterns.saga import Decision, Fact, Plan, State, Timer
from evsim.store.recorder import NONE, Conflict, Store, category_of


class Sagas:
    """The sagas of one plan in one store: ``Sagas(store.open("orders.db"), plan, "ordering")``.

    ``decide`` says what follows from an event, and ``keep`` appends the facts of it. Send what a decision says before
    it is kept, or in the same transaction: whoever dies in between is given the event again, and decides the same from
    the same state, so that nothing is lost and participants that know their keys do nothing twice. A state that was
    read is remembered; ``forget`` drops it, as a crash would.
    """

    def __init__(self, store: Store, plan: Plan, name: str) -> None:
        self.store, self.plan, self.name = store, plan, name
        self._known: dict[str | None, tuple[State, int]] = {}

    def stream(self, key: str | None) -> str:
        """Where the events of one saga are kept."""
        return f"{self.name}-{key}"

    def state(self, key: str | None) -> State:
        """Where the saga of this key stands: as remembered, else as its events say."""
        return self._at(key)[0]

    def decide(self, key: str | None, event: Event) -> Decision:
        """What follows from an event: facts, what to send, which timers to set. Nothing is written."""
        return self.plan.react(self.state(key), event.type, event.data)

    def keep(self, key: str | None, decision: Decision, cause: Event, at_s: float) -> None:
        """Append the facts of a decision, at this time, because of this event.

        Raises Conflict when somebody else has decided otherwise for this saga meanwhile; the store is unchanged then,
        and the state is read again when it is asked for. Who has decided the same at the same time is no rival.
        """
        if not decision.facts:
            return
        version = self._at(key)[1]
        stream = self.stream(key)
        events = [
            Event(
                f"{stream}/{version + n}", fact.type, at_s, self.name, fact.data, key=key,
                correlation_id=cause.correlation_id or cause.id, causation_id=cause.id,
            )
            for n, fact in enumerate(decision.facts, start=1)
        ]  # fmt: skip
        expected = NONE if version < 0 else version
        try:
            appended = self.store.append(stream, events, expected)
        except (Conflict, BadEvent) as problem:  # a rival's facts have our ids, and say something else
            self._known.pop(key, None)
            actual = self.store.version(stream)
            if isinstance(problem, Conflict) or actual == version:
                raise
            raise Conflict(stream, expected, actual) from None
        self._known[key] = decision.state, appended.version

    def forget(self) -> None:
        """Remember nothing: the events say it all."""
        self._known.clear()

    def waiting(self) -> Iterator[tuple[str | None, Timer, Event]]:
        """Each timer that should be running, with its saga and the event that had set it: what to do after a crash."""
        latest: dict[tuple[str | None, int, bool], Event] = {}
        for kept in self.store.read_category(category_of(self.name)):
            event = kept.event
            if not kept.stream.startswith(self.stream("")):
                continue
            if "step" in event.data:
                latest[event.key, event.data["step"], event.type.startswith("undo.")] = event
            else:
                latest.setdefault((event.key, -1, False), event)
        for key in dict.fromkeys(key for key, _, _ in latest):
            for timer in self.plan.waiting(self.state(key)):
                yield key, timer, latest[key, timer.step, timer.undo]

    def _at(self, key: str | None) -> tuple[State, int]:
        if key not in self._known:
            kept = list(self.store.read(self.stream(key)))
            state = self.plan.rebuild(Fact(each.event.type, each.event.data) for each in kept)
            self._known[key] = state, kept[-1].version if kept else self.store.version(self.stream(key))
        return self._known[key]
