"""The state of every part at one moment of a run, read from the history alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from evsim.history import History, part_of
from evsim.view.ledger import is_partition
from evsim.view.words import count

_BECOMES = {"crashed": "down", "paused": "frozen", "restarted": "up", "resumed": "up"}
_ENDS = ("handled", "failed", "skipped", "crashed", "left", "expelled")
_EVERYBODY = ("pubsub", "webhook", "stream")
_GONE = ("acked", "expired", "overflowed", "rejected", "exhausted", "lost")


@dataclass(frozen=True)
class NodeThen:
    """How a node was: ``up``, ``down`` or ``frozen`` since a time; the event in its hand, and what it owned."""

    name: str
    state: str
    since_s: float
    in_hand: str | None
    owns: tuple[str, ...]

    def __str__(self) -> str:
        words = [self.state if self.state == "up" else f"{self.state} since {self.since_s:.3f} s"]
        if self.in_hand is not None:
            words.append(f"handling {self.in_hand}")
        if self.owns:
            words.append(f"owns {', '.join(self.owns)}")
        return ", ".join(words)


@dataclass(frozen=True)
class PlaceThen:
    """What a place held: how much had been stored, and how far each group that reads it had come.

    ``waiting`` counts what a group (or, at a queue, everybody together) has not yet acknowledged.
    """

    name: str
    stored: int
    waiting: dict[str, int]

    def __str__(self) -> str:
        behind = [f"{group} {n} behind" if n else f"{group} has all" for group, n in self.waiting.items()]
        return ", ".join([f"{self.stored} stored", *behind])


@dataclass(frozen=True, repr=False)
class Moment:
    """All that a history tells of one moment."""

    at_s: float
    nodes: dict[str, NodeThen]
    places: dict[str, PlaceThen]
    published: int

    def __repr__(self) -> str:
        names = [*self.nodes, *self.places]
        width = max(map(len, names), default=0) + 2
        lines = [f"at {self.at_s:.3f} s: {count(self.published, 'event')} published"]
        lines += [f"  {name:<{width}}{thing}" for name, thing in [*self.nodes.items(), *self.places.items()]]
        return "\n".join(lines)


def moment(history: History, at_s: float) -> Moment:
    """How everything was when all that happened until ``at_s`` (included) had happened."""
    rows = int(np.searchsorted(history.time, at_s, side="right"))
    last = _last(history, rows)
    whats = history.whats
    published = sum(
        int((history.what[:rows] == code).sum()) for code, what in enumerate(whats) if what.step == "published"
    )
    names = _node_names(history)
    return Moment(
        at_s,
        {name: _node(history, name, last) for name in names},
        {place: _place(history, place, rows) for place in _place_names(history)},
        published,
    )


def _last(history: History, rows: int) -> Any:
    """The last row of each code so far, or -1."""
    last = np.full(len(history.whats), -1, dtype=np.int64)
    last[history.what[:rows]] = np.arange(rows)
    return last


def _node_names(history: History) -> list[str]:
    """Who lives: every node that received anything, or that something befell; in the order of the parts."""
    steps = {"delivered", "joined", "assigned", "published", "stored", *_BECOMES}
    found = {what.node for what in history.whats if what.step in steps and ">" not in what.node}
    order = {name: n for n, name in enumerate(history.parts)}
    return sorted(found, key=lambda name: (order.get(part_of(name), order.get(name, len(order))), len(name), name))


def _place_names(history: History) -> list[str]:
    places = {what.place for what in history.whats if what.step == "stored"}
    return sorted(places, key=lambda place: (part_of(place), len(place), place))


def _node(history: History, name: str, last: Any) -> NodeThen:
    state, since, begun, ended = "up", -1, -1, -1
    owned: dict[str, tuple[int, bool]] = {}
    for code, what in enumerate(history.whats):
        row = int(last[code])
        if row < 0 or what.node != name:
            continue
        if what.step in _BECOMES and row > since:
            state, since = _BECOMES[what.step], row
        if what.step == "delivered":
            begun = max(begun, row)
        elif what.step in _ENDS:
            ended = max(ended, row)
        if what.step in {"assigned", "revoked"} and row > owned.get(what.place, (-1, False))[0]:
            owned[what.place] = (row, what.step == "assigned")
    expelled = max(
        (int(last[c]) for c, w in enumerate(history.whats) if w.node == name and w.step == "expelled"), default=-1
    )
    in_hand = history.id_of(int(history.event[begun])) if begun > ended and state != "down" else None
    owns = tuple(sorted(place for place, (row, has) in owned.items() if has and row > expelled))
    return NodeThen(name, state, float(history.time[since]) if since >= 0 else 0.0, in_hand, owns)


def _place(history: History, place: str, rows: int) -> PlaceThen:
    if is_partition(place):
        return _partition(history, place, rows)
    what = history.what[:rows]
    held = {step: _rows(history, what, step, place) for step in ("stored", *_GONE)}
    stored = len(held["stored"])
    if history.parts.get(place, {}).get("kind") in _EVERYBODY:
        return PlaceThen(place, stored, _behind(history, place, what, stored))
    return PlaceThen(place, stored, {"consumers": stored - sum(len(held[step]) for step in _GONE)})


def _behind(history: History, place: str, what: Any, stored: int) -> dict[str, int]:
    """Where every consumer gets all: how much each of them has not yet done with."""
    readers = [name for name, part in history.parts.items() if part.get("of") == place]
    ends = (*_GONE, "missed")
    return {name: stored - sum(len(_rows(history, what, step, place, name)) for step in ends) for name in readers}


def _partition(history: History, place: str, rows: int) -> PlaceThen:
    what, number = history.what[:rows], history.number[:rows]
    stored = _rows(history, what, "stored", place)
    end = int(number[stored].max()) + 1 if len(stored) else 0
    behind: dict[str, int] = {}
    for name, part in history.parts.items():
        if part.get("kind") == "consumer" and part.get("of") == place.rpartition("/")[0]:
            acked = _rows(history, what, "acked", place, name)
            behind[name] = end - (int(number[acked].max()) + 1 if len(acked) else 0)
    return PlaceThen(place, end, behind)


def _rows(history: History, what: Any, step: str, place: str, group: str | None = None) -> Any:
    codes = [
        code
        for code, w in enumerate(history.whats)
        if w.step == step and w.place == place and (group is None or group in {w.node, part_of(w.node)})
    ]
    return np.flatnonzero(np.isin(what, codes))
