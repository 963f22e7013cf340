"""Which group met which event, and where: a history's codes resolved once, for all who measure and judge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from evsim.errors import UnknownName, did_you_mean
from evsim.history import History, part_of
from evsim.patterns.matching import subject_matches

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_MEETINGS = {"delivered", "handled", "skipped", "acked", "expired", "compacted"}
_SPAN = 1 << 32


class Series(NamedTuple):
    """A value for each bin of time; bin number i lies between ``edges[i]`` and ``edges[i + 1]``."""

    edges: Floats
    values: Floats


class Ledger:
    """The groups of a history, what each of them reads, and the rows of each.

    A group is a part that received, handled, skipped or acknowledged anything, or a consumer that had nothing to do.
    A publisher that asks a service and waits for the answer is the group of its own requests.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self.time, self.what, self.event, self.number = history.time, history.what, history.event, history.number
        self.sharing = _sharing(history)
        self.owners = [self.sharing.get(part, part) for part in (self._owner(what.node) for what in history.whats)]
        self.places = [what.place for what in history.whats]
        self.reads = self._find_groups()
        self.groups = list(self.reads)

    def _owner(self, node: str) -> str:
        part = part_of(node)
        return part if part in self.history.parts or node not in self.history.parts else node

    def _find_groups(self) -> dict[str, set[str]]:
        reads: dict[str, set[str]] = {}
        for name, part in self.history.parts.items():
            if part.get("kind") == "consumer":
                reads[self.sharing.get(name, name)] = {part["of"]} if part.get("of") else set()
        for what, owner in zip(self.history.whats, self.owners, strict=True):
            if what.step in _MEETINGS and self.history.parts.get(owner, {}).get("kind") != "redrive":
                reads.setdefault(owner, set()).add(log_of(what.place))
        return reads

    # ---------------------------------------------------------------- names

    def named(self, group: str | None) -> list[str]:
        """The groups meant: all, or the one with this name (of the part, or of its group)."""
        if group is None:
            return self.groups
        if group in self.reads:
            return [group]
        if group in self.sharing:
            return [self.sharing[group]]
        meant = [name for name, part in self.history.parts.items() if part.get("group") == group and name in self.reads]
        if not meant:
            raise UnknownName(f"no group called {group!r} in this history{did_you_mean(group, self.groups)}")
        return meant

    def is_consumer(self, group: str) -> bool:
        """Whether it reads partitions of a log, rather than waiting for the answers of a service."""
        kind = self.history.parts.get(group, {}).get("kind")
        return (
            kind == "consumer"
            or group in self.sharing.values()
            or any(
                owner == group and is_partition(what.place)
                for what, owner in zip(self.history.whats, self.owners, strict=True)
            )
        )

    # ---------------------------------------------------------------- rows

    def wanted(self, *steps: str, group: str | None = None, node: str | None = None) -> Flags:
        """For each code whether it is one of these steps, by this group, at this node."""
        return np.array(
            [
                what.step in steps
                and (group is None or owner == group)
                and (node is None or node in {what.node, owner})
                for what, owner in zip(self.history.whats, self.owners, strict=True)
            ],
            dtype=bool,
        )

    def rows(self, *steps: str, group: str | None = None, node: str | None = None) -> Whole:
        """The rows of these steps, oldest first."""
        return self.rows_of(self.wanted(*steps, group=group, node=node))

    def rows_of(self, codes: Flags) -> Whole:
        """The rows that have one of these codes."""
        return np.flatnonzero(codes[self.what]) if len(codes) else np.empty(0, dtype=np.int64)

    def first(self, rows: Whole) -> Whole:
        """For each event the first of these rows that is about it, or -1."""
        found = np.full(self.history.event_count, -1, dtype=np.int64)
        about = self.event[rows]
        rows = rows[about >= 0]
        found[self.event[rows][::-1]] = rows[::-1]
        return found

    def seen(self, rows: Whole) -> Flags:
        """For each event whether any of these rows is about it."""
        found = np.zeros(self.history.event_count, dtype=bool)
        about = self.event[rows]
        found[about[about >= 0]] = True
        return found

    def last_rows(self) -> Whole:
        """The last row of each code, or -1."""
        last = np.full(len(self.history.whats), -1, dtype=np.int64)
        last[self.what] = np.arange(len(self.what))
        return last

    def entered(self, group: str) -> Whole:
        """For each event the row by which it set out for this group (published, or put aside, to its log), or -1.

        In an event store it sets out when it is stored: nobody publishes to that.
        """
        reads = self.reads[group]
        if {self.history.parts.get(place, {}).get("kind") for place in reads} == {"event_store"}:
            return self.first(self.rows_of(self.stored_for(group)))
        towards = np.array([log_of(place) in reads for place in self.places], dtype=bool)
        came = self.first(self.rows_of(self.wanted("published", "dead_lettered", "retried") & towards))
        if not self.takes_one_by_one(group):
            return came
        stored = self.first(self.rows_of(self.wanted("stored") & towards))
        came = np.where((came >= 0) & ((stored < 0) | (came <= stored)), came, stored)
        return np.where(self._meant_for(group), came, -1)

    def at_once(self, group: str) -> int:
        """How many events each member of this group handles at once: with several, offsets are met out of order."""
        return int(self.history.parts.get(group, {}).get("parallel", 1))

    def moved_on(self, group: str) -> Whole:
        """The rows by which this group has put events into a retry topic: another place, for a later attempt."""
        asked = {name for name, part in self.history.parts.items() if part.get("kind") in {"service", "cache"}}
        here = self.reads[group] | asked | {""}
        away = np.array([log_of(place) not in here for place in self.places], dtype=bool)
        return self.rows_of(self.wanted("retried", group=group) & away)

    def families(self) -> dict[str, list[str]]:
        """The consumers by the name of their group: those that share one are one to whoever sees what they do."""
        found: dict[str, list[str]] = {}
        for name in self.each(None):
            found.setdefault(self.history.parts.get(name, {}).get("group") or name, []).append(name)
        return found

    def rows_of_all(self, step: str, groups: list[str]) -> Whole:
        """The rows of this step by any of these groups, oldest first."""
        return np.unique(np.concatenate([self.rows(step, group=group) for group in groups]))

    def takes_one_by_one(self, group: str) -> bool:
        """Whether what this group reads from is a queue or a stream, by what its parts say."""
        kinds = {self.history.parts.get(place, {}).get("kind") for place in self.reads.get(group, ())}
        return bool(kinds & {"queue", "pubsub", "webhook", "stream"})

    def _meant_for(self, group: str) -> Flags:
        """Which events this group wants: those whose subject fits its patterns, where it listens to some only."""
        patterns = self.history.parts.get(group, {}).get("subjects")
        meant = np.ones(self.history.event_count, dtype=bool)
        if not patterns:
            return meant
        met = self.seen(self.rows("pushed", "delivered", "missed", group=group))
        fits = [any(subject_matches(pattern, t.type) for pattern in patterns) for t in self.history.templates]
        keyed = [
            bool(((self.history.parts.get(t.source) or {}).get("message") or {}).get("routing_key"))
            for t in self.history.templates
        ]
        wanted = np.array([fit and not own for fit, own in zip(fits, keyed, strict=True)], dtype=bool)
        return wanted[self.history.table["template"]] | met if len(wanted) else meant

    def stored_for(self, group: str) -> Flags:
        """For each code whether it is the storing of an event in a log that this group reads."""
        reads = self.reads[group]
        here = [
            log_of(what.place) in reads or (":" in what.place and what.node in reads) for what in self.history.whats
        ]
        return self.wanted("stored") & np.array(here, dtype=bool)

    def each(self, group: str | None) -> Iterator[str]:
        """The consumer groups meant, one by one."""
        return (name for name in self.named(group) if self.is_consumer(name))


def _sharing(history: History) -> dict[str, str]:
    """Consumers that compete for the messages of one queue, and the queue, which names them all together."""
    readers: dict[str, list[str]] = {}
    for name, part in history.parts.items():
        source = history.parts.get(part.get("of") or "", {})
        if part.get("kind") in {"consumer", "router"} and source.get("kind") == "queue":
            readers.setdefault(part["of"], []).append(name)
    return {name: queue for queue, names in readers.items() if len(names) > 1 for name in names}


def log_of(place: str) -> str:
    """The log of a partition, ``orders`` of ``orders/3``; any other place is itself."""
    return place.rpartition("/")[0] if is_partition(place) else place


def is_partition(place: str) -> bool:
    """Whether this is a partition of a log, like ``orders/3``."""
    return place.rpartition("/")[0] != "" and place.rpartition("/")[2].isdigit()


PILES = ("queue", "pubsub", "webhook", "stream")
"""The kinds of part that hand their messages over one by one."""


def holds(history: History, place: str) -> bool:
    """Whether events lie at this place until somebody takes them: a partition, a queue, or what pushes like one."""
    return is_partition(place) or history.parts.get(place, {}).get("kind") in PILES


def span(history: History) -> tuple[float, float]:
    """When the run began and ended: by its ``started`` and ``stopped`` rows, else zero and the time of the last row."""
    if not len(history):
        return 0.0, 0.0
    started, stopped = history.of("started").time, history.of("stopped").time
    start = float(started[0]) if len(started) else 0.0
    return start, float(stopped[-1] if len(stopped) else history.time[-1])


def window(history: History, from_s: float | None, to_s: float | None) -> tuple[float, float]:
    """The part of the run that is meant: all of it, unless said otherwise."""
    start, end = span(history)
    return start if from_s is None else from_s, end if to_s is None else to_s


def edges_of(history: History, bins: int, from_s: float | None = None, to_s: float | None = None) -> Floats:
    """The edges of this many equal bins of time."""
    return np.linspace(*window(history, from_s, to_s), max(1, bins) + 1)


def running_most(segments: Whole, values: Whole) -> Whole:
    """The greatest value so far within each segment; segments are numbered upwards, values lie in 0 … 2³²."""
    return np.asarray(np.maximum.accumulate(segments * _SPAN + values) - segments * _SPAN, dtype=np.int64)
