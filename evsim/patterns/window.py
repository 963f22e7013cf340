"""Windows on event time: when things happened decides, not when they came; watermarks say how long one waits.

A watermark is a promise that nothing older is still to come: the newest timestamp that a source has shown, less the
``bound_s`` that one waits for stragglers; of several sources the slowest counts. A window's result goes out when the
watermark has passed its end. Words and rules are those of Akidau and others, *The Dataflow Model* (VLDB 2015), and of
Apache Flink. Time is taken from the events alone, so that a replay gives the same results at any speed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from evsim.errors import BadEvent, BadScenario, shown
from evsim.event import Event
from evsim.patterns.handler import Context

Late = Literal["drop", "update", "side"]
State = MutableMapping[str, Any]


class Span(NamedTuple):
    """A window: from its start, to before its end, in seconds of event time."""

    start_s: float
    end_s: float


@dataclass(frozen=True)
class Tumbling:
    """Windows side by side, each ``size_s`` long: an event lies in one of them."""

    size_s: float

    def __post_init__(self) -> None:
        _positive("size_s", self.size_s)

    def spans(self, at_s: float) -> list[Span]:
        """The window in which this moment lies."""
        n = _last(at_s, self.size_s)
        return [Span(n * self.size_s, (n + 1) * self.size_s)]


@dataclass(frozen=True)
class Sliding:
    """Windows of ``size_s``, one beginning ``every_s``: an event lies in size_s / every_s of them (hopping windows)."""

    size_s: float
    every_s: float

    def __post_init__(self) -> None:
        _positive("size_s", self.size_s)
        _positive("every_s", self.every_s)
        if self.every_s > self.size_s:
            raise BadScenario(
                f"every_s={self.every_s:g} is longer than size_s={self.size_s:g} and would leave events out; "
                f"expected at most {self.size_s:g}"
            )

    def spans(self, at_s: float) -> list[Span]:
        """The windows in which this moment lies, oldest first."""
        last = _last(at_s, self.every_s)
        spans = (self._span(n) for n in range(last - math.ceil(self.size_s / self.every_s), last + 1))
        return [span for span in spans if at_s < span.end_s]

    def _span(self, n: int) -> Span:
        """The window that begins n-th; where ends are starts of others, they are the same number."""
        steps = self.size_s / self.every_s
        whole = math.isclose(steps, round(steps), rel_tol=1e-9)
        start_s = n * self.every_s
        return Span(start_s, (n + round(steps)) * self.every_s if whole else start_s + self.size_s)


@dataclass(frozen=True)
class Session:
    """Windows that end when a key has been quiet for ``gap_s``; a late event may join two of them into one."""

    gap_s: float

    def __post_init__(self) -> None:
        _positive("gap_s", self.gap_s)

    def spans(self, at_s: float) -> list[Span]:
        """The window that this moment alone would make."""
        return [Span(at_s, at_s + self.gap_s)]


Kind = Tumbling | Sliding | Session


class Output(NamedTuple):
    """What a window says: its ``"result"``, an ``"update"`` of it, or an event that came too ``"late"`` for it.

    An update replaces what was said of the same span before; None: this session is part of a longer one now.
    """

    what: Literal["result", "update", "late"]
    key: str
    span: Span
    value: Any


@dataclass(frozen=True)
class Windows:
    """Folds values into windows, key by key: ``add(state, at_s, key, value)`` gives what is to be said now.

    ``fold(total, value)`` adds a value to a window, beginning with ``initial``; ``merge(one, other)`` joins two
    sessions (None: ``fold``, which fits for sums). A window is final when the watermark has passed its end; what comes
    for it later is dropped, or put aside as ``"late"`` (``late="side"``), or updates its result for another
    ``lateness_s`` (``late="update"``) and is put aside after that. ``state`` holds JSON only: a handler's ``ctx.state``
    will do, and survives a crash. Timestamps, sizes and bounds are in seconds.
    """

    kind: Kind
    fold: Callable[[Any, Any], Any] = lambda total, value: total + value
    initial: Any = 0
    bound_s: float = 0.0
    lateness_s: float = 0.0
    late: Late = "drop"
    merge: Callable[[Any, Any], Any] | None = None

    def __post_init__(self) -> None:
        for name in ("bound_s", "lateness_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise BadScenario(f"{name}={shown(getattr(self, name))} is refused; expected seconds from 0")
        if self.late not in {"drop", "update", "side"}:
            raise BadScenario(f"late={shown(self.late)} is refused; expected drop, update or side")
        if self.lateness_s and self.late != "update":
            raise BadScenario("lateness_s is for late='update'; leave it out, or say late='update'")

    # ---------------------------------------------------------------- what comes in

    def add(self, state: State, at_s: float, key: str, value: Any, source: str = "") -> list[Output]:
        """Take the value of one event and give what is to be said because of it, oldest window first."""
        _moment(at_s)
        if not isinstance(key, str):
            raise BadEvent(f"key={shown(key)} is no key of a window; expected text, and for one line of windows 'all'")
        watermark_s = self.watermark_s(state)
        said: list[Output] = []
        for span in self.kind.spans(at_s):
            said += self._put(state, key, span, value, watermark_s)
        return said + self.hear(state, at_s, source)

    def hear(self, state: State, at_s: float, source: str = "") -> list[Output]:
        """A source has come as far as this timestamp: what is final now."""
        _moment(at_s)
        marks = state.get(_MARKS, {})
        if at_s <= marks.get(source, -math.inf):
            return []
        state[_MARKS] = {**marks, source: at_s}
        return self._closed(state, self.watermark_s(state))

    def expect(self, state: State, *sources: str) -> None:
        """Wait for these sources too, though they have not said anything yet."""
        marks = state.get(_MARKS, {})
        state[_MARKS] = {**dict.fromkeys(sources, _NEVER), **marks}

    def dismiss(self, state: State, source: str) -> list[Output]:
        """Wait no longer for a source that is idle or gone."""
        state[_MARKS] = {name: mark for name, mark in state.get(_MARKS, {}).items() if name != source}
        return self._closed(state, self.watermark_s(state)) if state[_MARKS] else []

    def finish(self, state: State) -> list[Output]:
        """Nothing more will come: the results of all windows that are open."""
        return self._closed(state, math.inf)

    def watermark_s(self, state: State) -> float:
        """Nothing older than this is waited for; minus infinity before every source has said something."""
        marks = state.get(_MARKS, {})
        slowest = min(marks.values(), default=_NEVER)
        return -math.inf if slowest == _NEVER else slowest - self.bound_s

    def open(self, state: State) -> int:
        """How many windows are kept: open ones, and those that may still be updated."""
        return sum(len(state[name]) for name in state if name.startswith(_WINDOWS))

    # ---------------------------------------------------------------- windows

    def _put(self, state: State, key: str, span: Span, value: Any, watermark_s: float) -> Iterator[Output]:
        """Put a value into its window; what is to be said at once."""
        kept = [_Kept(*each) for each in state.get(_WINDOWS + key, ())]
        joined = [each for each in kept if self._touch(each, span)]
        if isinstance(self.kind, Session) and joined:
            span = Span(min(span.start_s, *(e.start_s for e in joined)), max(span.end_s, *(e.end_s for e in joined)))
        if span.end_s + self._patience_s <= watermark_s:
            if self.late != "drop":
                yield Output("late", key, span, value)
            return
        total = self.fold(self._joined(joined), value)
        said = span.end_s <= watermark_s
        others = [each for each in kept if each not in joined]
        new = _Kept(*span, total, said)
        state[_WINDOWS + key] = [list(each) for each in sorted([*others, new])]
        state[_NEXT] = min(state.get(_NEXT, math.inf), self._due_s(new))
        for each in joined:
            if each.said and each[:2] != span:
                yield Output("update", key, Span(*each[:2]), None)
        if said:
            yield Output("update" if any(each.said for each in joined) else "result", key, span, total)

    def _touch(self, kept: _Kept, span: Span) -> bool:
        if isinstance(self.kind, Session):
            return kept.start_s < span.end_s and span.start_s < kept.end_s
        return kept[:2] == span

    def _joined(self, kept: list[_Kept]) -> Any:
        """What is in these windows together."""
        if not kept:
            return self.initial
        total, merge = kept[0].total, self.merge or self.fold
        for each in kept[1:]:
            total = merge(total, each.total)
        return total

    @property
    def _patience_s(self) -> float:
        return self.lateness_s if self.late == "update" else 0.0

    def _due_s(self, kept: _Kept) -> float:
        """At which watermark there is something to do about a window."""
        return kept.end_s + (self._patience_s if kept.said else 0.0)

    def _closed(self, state: State, watermark_s: float) -> list[Output]:
        """The results of windows that have become final, oldest first; those beyond their lateness are forgotten."""
        if watermark_s < state.get(_NEXT, math.inf):
            return []
        said, next_s = [], math.inf
        for name in [name for name in state if name.startswith(_WINDOWS)]:
            kept = [_Kept(*each) for each in state[name]]
            ripe = [each for each in kept if each.end_s <= watermark_s and not each.said]
            left = [each for each in kept if each.end_s + self._patience_s > watermark_s]
            due_s = [self._due_s(each._replace(said=each.said or each.end_s <= watermark_s)) for each in left]
            next_s = min(next_s, *due_s, math.inf)
            if not ripe and len(left) == len(kept):
                continue
            key = name.removeprefix(_WINDOWS)
            said += [Output("result", key, Span(each.start_s, each.end_s), each.total) for each in ripe]
            if left:
                state[name] = [[*each[:3], each.said or each.end_s <= watermark_s] for each in left]
            else:
                del state[name]
        if next_s < math.inf:
            state[_NEXT] = next_s
        else:
            state.pop(_NEXT, None)
        return sorted(said, key=lambda each: (each.span.end_s, each.span.start_s, each.key))


class _Kept(NamedTuple):
    """A window as it is kept in the state, and whether its result is out."""

    start_s: float
    end_s: float
    total: Any
    said: bool

    def __lt__(self, other: tuple[Any, ...]) -> bool:
        return self[:2] < other[:2]


_MARKS, _NEXT, _WINDOWS = "watermarks", "next window ends", "windows of "
_NEVER = -1e300
"""The mark of a source that has not said anything, as a number that JSON knows."""


def _last(at_s: float, step_s: float) -> int:
    """The number of the last step that is not after this moment: neither division nor product is exact."""
    n = math.floor(at_s / step_s)
    if n * step_s > at_s:
        return n - 1
    return n + 1 if (n + 1) * step_s <= at_s else n


def _positive(name: str, value: Any) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
        raise BadScenario(f"{name}={shown(value)} is no length of a window; expected seconds above 0")


def _moment(at_s: Any) -> None:
    if not isinstance(at_s, int | float) or not -math.inf < at_s < math.inf:
        raise BadEvent(f"at_s={shown(at_s)} is no moment; expected seconds, as an event's timestamp")


# ---------------------------------------------------------------- at work


def windowing(
    windows: Windows,
    *,
    key: Callable[[Event], str],
    value: Callable[[Event], Any] = lambda event: 1,
    source: Callable[[Event], str] = lambda event: event.source,
    says: str = "window.closed",
    corrects: str = "window.corrected",
    misses: str = "event.missed",
) -> Callable[[Event, Context], None]:
    """A handler that puts events into windows, kept in its state, and emits what they say.

    A result is an event of the type ``says``, an update ``corrects``, and what came too late ``misses``; their data are
    ``start_s``, ``end_s`` and ``value``, their key is the window's. A consumer may have several, of different kinds or
    with different ``says``, each with a corner of the state.
    """
    types = {"result": says, "update": corrects, "late": misses}
    corner = f"{says} {windows.kind} "

    def window(event: Event, ctx: Context) -> None:
        for said in windows.add(_Corner(ctx.state, corner), event.timestamp, key(event), value(event), source(event)):
            data = {"start_s": said.span.start_s, "end_s": said.span.end_s, "value": said.value}
            ctx.emit(types[said.what], data, key=said.key)

    return window


class _Corner(MutableMapping[str, Any]):
    """The entries of a state whose names begin like this."""

    def __init__(self, state: State, begin: str) -> None:
        self._state, self._begin = state, begin

    def __getitem__(self, name: str) -> Any:
        return self._state[self._begin + name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._state[self._begin + name] = value

    def __delitem__(self, name: str) -> None:
        del self._state[self._begin + name]

    def __iter__(self) -> Iterator[str]:
        return (name.removeprefix(self._begin) for name in self._state if name.startswith(self._begin))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def late_share(bound_s: float, mean_s: float, size_s: float = 0.0, rate: float = math.inf) -> float:
    """The share of events that come too late, when delays are exponential with this mean: e^(−L/m) for small windows.

    An event waits for the end of its window of ``size_s`` too, (m/w)(1 − e^(−w/m)) of the share on average; and the
    watermark itself lags behind when ``rate`` events a second come (a Poisson process), for the newest one is late as
    well. With a = rate · m that leaves 1 − ∫₀¹ (y e^(1−y))^a dy of the share, about e^(−√(π/2a)) for large a.
    """
    for name, given, least in (("bound_s", bound_s, 0), ("size_s", size_s, 0)):
        if not least <= given < math.inf:
            raise BadScenario(f"{name}={shown(given)} is refused; expected seconds from 0")
    for name, given in (("mean_s", mean_s), ("rate", rate)):
        if not given > 0:
            raise BadScenario(f"{name}={shown(given)} is refused; expected a number above 0")
    share = math.exp(-bound_s / mean_s) * (1 - _overtakes_all(rate * mean_s))
    return share if size_s <= 0 else share * (mean_s / size_s) * (1 - math.exp(-size_s / mean_s))


def _overtakes_all(many: float) -> float:
    """The chance that nobody who left later is there yet, when so many leave in the mean of an exponential delay."""
    if many == math.inf:
        return 0.0
    steps = 2000
    width = min(1.0, 12 / math.sqrt(many))  # further away from 1 there is nothing
    moments = (1 - width * (n + 0.5) / steps for n in range(steps))
    return width / steps * sum(math.exp(many * (math.log(y) + 1 - y)) for y in moments)
