"""Aggregates in a store: load, decide, append; again when somebody else was quicker; and what they were at any time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from evsim.errors import BadEvent, BadScenario
from evsim.event import Event, freeze, thaw, to_rfc3339
from evsim.patterns.aggregate import Aggregate, Decider, Draft
from evsim.patterns.retry import Backoff
from evsim.patterns.snapshot import Policy
from evsim.store.recorder import NONE, Appended, Conflict, Recorded, Store

SNAPSHOTS, TAKEN = "snapshot", "snapshot.taken"
"""The category of the streams in which snapshots lie, and the type of their events."""
Wait = Callable[[int], None]
"""What to do before attempt n + 1, when n have lost against others."""


class Loaded(NamedTuple):
    """An aggregate as it was found: its state, its version (−1: it has no event), and how many events were replayed."""

    state: Any
    version: int
    replayed: int


class Done(NamedTuple):
    """What a command has led to: its events, the state after them, the attempts; ``again`` if it was known already."""

    events: list[Event]
    state: Any
    version: int
    attempts: int
    again: bool = False


@dataclass(frozen=True)
class Line:
    """A line of an audit trail: when, what, by whom, and because of which command."""

    version: int
    event: Event
    state: Any

    @property
    def by(self) -> str:
        """Who: ``by`` of the data, else the source of the event."""
        return str(self.event.data.get("by", self.event.source))

    def __str__(self) -> str:
        why = f" because of {self.event.causation_id}" if self.event.causation_id else ""
        when = to_rfc3339(self.event.timestamp)
        return f"{self.version:>4}  {when}  {self.event.type} {thaw(self.event.data)} by {self.by}{why}"


@dataclass
class Repository:
    """The aggregates of one kind in one store: ``Repository(shop, account, snapshots=Every(100))``.

    ``kind`` is a Decider or a class made from Aggregate. A snapshot is kept beside the stream, only the newest one,
    with the version of the state's shape. One of another shape is not used, nor one whose event readers cannot see any
    more, because the stream was deleted or cut behind it: the state is made anew from the events that are there.
    """

    store: Store
    kind: Decider | type[Aggregate]
    snapshots: Policy | None = None
    decider: Decider = field(init=False)
    _replayed: dict[str, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.decider = self.kind if isinstance(self.kind, Decider) else self.kind.decider()
        if self.decider.name == SNAPSHOTS:
            raise BadScenario(f"an aggregate may not be called {SNAPSHOTS!r}: that is where snapshots lie; rename it")
        if self.snapshots is not None:
            try:
                freeze({"state": self.decider.plain(self.decider.beginning())})
            except BadEvent as problem:
                raise BadScenario(
                    f"{self.decider.name} cannot have snapshots: {problem}; or give plain= and from_plain="
                ) from None

    def stream(self, name: str) -> str:
        """The stream of an aggregate: ``account-7`` of the account ``7``."""
        return f"{self.decider.name}-{name}"

    # ---------------------------------------------------------------- what it is, and was

    def load(self, name: str) -> Loaded:
        """The aggregate as it is, from the newest snapshot that can be used and the events behind it."""
        stream = self.stream(name)
        last, (state, kept) = self.store.version(stream), self._snapshot(name)
        replayed = 0
        for each in self.store.read(stream, kept + 1 if kept >= 0 else None):
            state, last, replayed = self.decider.next(state, each.event), each.version, replayed + 1
        self._replayed[name] = self._replayed.get(name, 0) + replayed
        return Loaded(state, last if replayed or kept < 0 else kept, replayed)

    def as_of(self, name: str, *, version: int | None = None, at_s: float | None = None) -> Loaded:
        """The aggregate as it was at a version, or at a moment in seconds since EPOCH: before its first later event.

        BadScenario when it cannot be known, because the events up to then were deleted or cut off.
        """
        if (version is None) == (at_s is None):
            raise BadScenario("as_of needs exactly one of version= and at_s=")
        state, last, count = self.decider.beginning(), -1, 0
        for each in self.store.read(self.stream(name)):
            if (version is not None and each.version > version) or (at_s is not None and each.event.timestamp > at_s):
                break
            state, last, count = self.decider.next(state, each.event), each.version, count + 1
        if not count:
            self._refuse_hidden(name)
        return Loaded(state, last, count)

    def _refuse_hidden(self, name: str) -> None:
        """What nobody can read any more is not the same as what never was."""
        stream = self.stream(name)
        first = next(iter(self.store.read(stream, limit=1)), None)
        begins = first.version if first else self.store.version(stream) + 1
        if begins:
            raise BadScenario(
                f"what {stream} was then is hidden: its events before version {begins} were cut or deleted"
            )

    def trail(self, name: str) -> Iterator[Line]:
        """The audit trail: every event that can be read, with the state after it.

        When the stream was cut or deleted, its first line has a version above 0, and states begin there.
        """
        state = self.decider.beginning()
        for each in self.store.read(self.stream(name)):
            state = self.decider.next(state, each.event)
            yield Line(each.version, each.event, state)

    # ---------------------------------------------------------------- what becomes of it

    def handle(self, name: str, command: Event, *, attempts: int = 5, wait: Wait | Backoff | None = None) -> Done:
        """Load, decide and append; once more when somebody else has appended meanwhile, at most ``attempts`` times.

        ``wait`` is what to do in between: sleep by a Backoff, with its jitter, or call a function of your own.
        The events have ids that come from the command's, so that a command that comes again leads to nothing new.
        Raises ``Reject`` when it is refused, and Conflict when every attempt has lost.
        """
        stream = self.stream(name)
        pause = _sleeper(wait) if isinstance(wait, Backoff) else wait
        for attempt in range(1, attempts + 1):
            known = self._known(stream, command)
            if known:
                return Done(known, *self.load(name)[:2], attempt, again=True)
            found = self.load(name)
            drafts = self.decider.decided(found.state, command)
            events = [_event(command, number, draft, stream) for number, draft in enumerate(drafts, start=1)]
            if not events:
                return Done([], found.state, found.version, attempt)
            try:
                appended = self.store.append(stream, events, found.version if found.version >= 0 else NONE)
            except Conflict:
                if attempt == attempts:
                    raise
                if pause is not None:
                    pause(attempt)
                continue
            state = self.decider.state_of(events, found.state)
            self._perhaps_snapshot(name, state, appended)
            return Done(events, state, appended.version, attempt, appended.again)
        raise BadScenario(f"attempts={attempts} leaves no attempt; expected a number from 1")

    def _known(self, stream: str, command: Event) -> list[Event]:
        """The events that this command has led to before."""
        first = self.store.find(_id_of(command, 1))
        if first is None:
            return []
        if first.stream != stream:
            raise BadEvent(f"command {command.id} was handled by {first.stream} before; give every command its own id")
        known = []
        for each in self.store.read(stream, first.version):
            if each.event.causation_id != command.id:
                break
            known.append(each.event)
        return known

    # ---------------------------------------------------------------- snapshots

    def _place(self, name: str) -> str:
        return f"{SNAPSHOTS}-{self.stream(name)}"

    def _kept(self, name: str) -> Recorded | None:
        return next(iter(self.store.read(self._place(name), limit=1, backwards=True)), None)

    def _snapshot(self, name: str) -> tuple[Any, int]:
        """The newest snapshot, if it has the shape the state has now and its event is there; else the beginning."""
        kept = self._kept(name)
        if kept is None or kept.event.version != self.decider.version:
            return self.decider.beginning(), -1
        data = thaw(kept.event.data)
        version = int(data["version"])
        stands_on = next(iter(self.store.read(self.stream(name), version, limit=1)), None)
        if stands_on is None or stands_on.version != version:
            return self.decider.beginning(), -1
        return self.decider.from_plain(data["state"]), version

    def newest_snapshot(self, name: str) -> int:
        """The version that the newest snapshot shows, if it can be used; −1 if there is none."""
        return self._snapshot(name)[1]

    def _perhaps_snapshot(self, name: str, state: Any, appended: Appended) -> None:
        if self.snapshots is None:
            return
        kept = self._kept(name)
        fits = kept is not None and kept.event.version == self.decider.version
        behind = appended.version - (int(kept.event.data["version"]) if kept is not None and fits else -1)
        if self.snapshots.is_due(behind, self._replayed.get(name, 0)):
            self.take_snapshot(name, state, appended.version)

    def take_snapshot(self, name: str, state: Any, version: int) -> None:
        """Keep a state that the aggregate has at this version, in the place of the snapshot before."""
        place, shape = self._place(name), self.decider.version
        data = {"version": version, "state": self.decider.plain(state)}
        event = Event(f"{place}.{version}.{shape}", TAKEN, 0.0, self.decider.name, data, version=shape)
        self.store.append(place, event)
        self.store.truncate(place, self.store.version(place))
        self._replayed[name] = 0


def _sleeper(backoff: Backoff) -> Wait:
    """Sleep in earnest, each time as long as the backoff says."""
    before_s = 0.0

    def sleep(attempt: int) -> None:
        nonlocal before_s
        before_s = backoff.wait_s(attempt, before_s, random.random)
        time.sleep(before_s)

    return sleep


def _id_of(command: Event, number: int) -> str:
    return f"{command.id}.{number}"


def _event(command: Event, number: int, draft: Draft, stream: str) -> Event:
    return Event(
        _id_of(command, number), draft.type, command.timestamp, command.source, draft.data,
        key=command.key or stream, causation_id=command.id, correlation_id=command.correlation_id or command.id,
    )  # fmt: skip
