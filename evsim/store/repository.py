"""Aggregates in a store: load, decide, append; again when somebody else was quicker; and what they were at any time."""

from __future__ import annotations

import hashlib
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, NamedTuple

from evsim.errors import BadEvent, BadScenario, shown
from evsim.event import TEXT_LENGTH, Event, freeze, thaw, to_rfc3339
from evsim.patterns.aggregate import Aggregate, Decider, Draft
from evsim.patterns.retry import Backoff
from evsim.patterns.snapshot import Policy
from evsim.store.recorder import NAME_MAX, NONE, Conflict, Store, named

SNAPSHOTS, TAKEN = "snapshot", "snapshot.taken"
"""The category of the streams in which snapshots lie, and the type of their events."""
NUMBERS = 40
"""Characters that the version and the shape of a state take in the id of its snapshot, at most."""
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
    ``unkept`` says why the last snapshot could not be kept; the command that it came with is done all the same.
    """

    store: Store
    kind: Decider | type[Aggregate]
    snapshots: Policy | None = None
    decider: Decider = field(init=False)
    unkept: str | None = field(default=None, init=False)
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
        """The aggregate as it is, from the newest snapshot that can be used and the events behind it.

        Without one it is what the events make that can be read: whoever deletes a stream begins anew, and whoever cuts
        a stream should cut behind a snapshot, for half a stream makes another state than the whole.
        """
        stream = self.stream(name)
        last, (state, kept) = self.store.version(stream), self._snapshot(name)
        last, replayed = last if kept < 0 else kept, 0
        for each in self.store.read(stream, kept + 1 if kept >= 0 else None):
            if kept >= 0 and each.version != last + 1:  # somebody has cut the stream behind a newer snapshot meanwhile
                return self.load(name)
            state, last, replayed = self.decider.next(state, each.event), each.version, replayed + 1
        self._replayed[name] = self._replayed.get(name, 0) + replayed
        return Loaded(state, last, replayed)

    def as_of(self, name: str, *, version: int | None = None, at_s: float | None = None) -> Loaded:
        """The aggregate as it was at a version, or at a moment in seconds since EPOCH: before its first later event.

        BadScenario when it cannot be known, because the stream was deleted or cut, even if it went on afterwards.
        """
        _check_moment(version, at_s)
        state, last, count = self.decider.beginning(), -1, 0
        for each in self.store.read(self.stream(name)):
            if each.version != last + 1:
                self._refuse_hidden(name)
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
        pause = _sleeper(wait) if isinstance(wait, Backoff) else wait
        for attempt in range(1, attempts + 1):
            try:
                return self._attempt(name, command, attempt)
            except Conflict:
                if attempt == attempts:
                    raise
                if pause is not None:
                    pause(attempt)
        raise BadScenario(f"attempts={attempts} leaves no attempt; expected a number from 1")

    def _attempt(self, name: str, command: Event, attempt: int) -> Done:
        stream = self.stream(name)
        found = self.load(name)  # first, so that no decision is made on a state that this command has made already
        known = self._known(stream, command)
        if known:
            return self._done_before(name, known, attempt)
        drafts = self.decider.decided(found.state, command)
        events = [_event(command, number, draft, stream) for number, draft in enumerate(drafts, start=1)]
        if not events:
            return Done([], found.state, found.version, attempt)
        state = self.decider.state_of(events, found.state)
        try:
            again = self.store.append(stream, events, found.version if found.version >= 0 else NONE).again
        except BadEvent:
            known = self._known(stream, command)  # by somebody who had it at the same time, and decided otherwise
            if not known:
                raise
            return self._done_before(name, known, attempt)
        if again:  # nobody has looked whether our version was the last
            return self._done_before(name, self._known(stream, command), attempt)
        now = Loaded(state, found.version + len(events), found.replayed + len(events))
        self._perhaps_snapshot(name, now, found.version)
        return Done(events, state, now.version, attempt)

    def _done_before(self, name: str, known: list[Event], attempt: int) -> Done:
        return Done(known, *self.load(name)[:2], attempt, again=True)

    def _known(self, stream: str, command: Event) -> list[Event]:
        """The events that this command has led to before, also those that are hidden."""
        known: list[Event] = []
        while each := self.store.find(_id_of(command, len(known) + 1)):
            if each.event.causation_id != command.id:
                break
            if each.stream != stream:
                raise BadEvent(
                    f"command {command.id} was handled by {each.stream} before; give every command its own id"
                )
            known.append(each.event)
        return known

    # ---------------------------------------------------------------- snapshots

    def _place(self, name: str) -> str:
        return _short(f"{SNAPSHOTS}-{named(self.stream(name))}", NAME_MAX)

    def _kept(self, name: str) -> Mapping[str, Any] | None:
        """The newest snapshot, if it is whole, has the shape the state has now, and its event can be read."""
        for kept in self.store.read(self._place(name), limit=1, backwards=True):
            data = kept.event.data
            version = data.get("version")
            fits = "state" in data and kept.event.version == self.decider.version
            if fits and type(version) is int and self._can_read(name, version):
                return data
        return None

    def _can_read(self, name: str, version: int) -> bool:
        return any(each.version == version for each in self.store.read(self.stream(name), version, limit=1))

    def _snapshot(self, name: str) -> tuple[Any, int]:
        """The state and the version of the newest snapshot that can be used; else the beginning."""
        kept = self._kept(name)
        if kept is None:
            return self.decider.beginning(), -1
        return self.decider.from_plain(thaw(kept["state"])), kept["version"]

    def newest_snapshot(self, name: str) -> int:
        """The version that the newest snapshot shows, if it can be used; −1 if there is none."""
        kept = self._kept(name)
        return -1 if kept is None else kept["version"]

    def _perhaps_snapshot(self, name: str, now: Loaded, before: int) -> None:
        """Keep the state as it is now if that is due; what goes wrong is noted, for the events are stored already."""
        if self.snapshots is None or not self.snapshots.is_due(now.replayed, self._replayed.get(name, 0)):
            return
        try:
            if before < 0 or self._can_read(name, before):  # else it was deleted meanwhile, and the state is another
                self.take_snapshot(name, now.state, now.version)
                self.unkept = None
        except Exception as problem:  # noqa: BLE001 - whatever it was, the command is done
            why = f"{type(problem).__name__}: {problem}"
            self.unkept = f"the snapshot of {self.stream(name)} at version {now.version} could not be kept ({why})"

    def take_snapshot(self, name: str, state: Any, version: int) -> None:
        """Keep a state that the aggregate has at this version, in the place of the snapshot before."""
        place, shape = self._place(name), self.decider.version
        data = {"version": version, "state": self.decider.plain(state)}
        event_id = f"{_short(place, TEXT_LENGTH - NUMBERS)}.{version}.{shape}"
        self.store.append(place, Event(event_id, TAKEN, 0.0, self.decider.name, data, version=shape))
        self.store.truncate(place, self.store.version(place))
        self._replayed[name] = 0


def _check_moment(version: Any, at_s: Any) -> None:
    if (version is None) == (at_s is None):
        raise BadScenario("as_of needs exactly one of version= and at_s=")
    if version is not None and (isinstance(version, bool) or not isinstance(version, Integral)):
        raise BadScenario(f"version={shown(version)} is refused; expected a whole number, such as 2")
    if at_s is not None and not _is_moment(at_s):
        raise BadScenario(f"at_s={shown(at_s)} is refused; expected seconds since EPOCH, such as 86400.0")


def _is_moment(at_s: Any) -> bool:
    number = isinstance(at_s, Real) and not isinstance(at_s, bool)
    return number and -math.inf <= at_s <= math.inf


def _short(place: str, most: int) -> str:
    """A place as it is, or a hash in its stead where it would be too long."""
    return place if len(place) <= most else f"{SNAPSHOTS}-{hashlib.sha256(place.encode()).hexdigest()}"


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
