"""How far a group is behind: in messages, and in seconds, for each partition.

The *backlog* of a group in a partition is the end offset less the committed position; so it counts what waits, what
is in hand, and what is done but not yet acknowledged. The *lag in seconds* is the age of the oldest stored event that
the group has not yet acknowledged. Both are exact step functions and saw teeth; the series keep the most of each bin.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evsim.history import History
from evsim.view import piles
from evsim.view.ledger import Flags, Floats, Ledger, Series, Whole, edges_of, is_partition, running_most, span
from evsim.view.piles import is_pile


class Progress(NamedTuple):
    """The rows by which the ends and positions of a group's partitions moved, partition by partition."""

    places: list[str]
    segment: Whole
    row: Whole
    time: Floats
    end: Whole
    committed: Whole
    stored: Whole
    """The offset that the row stored, or -1."""

    @property
    def begins(self) -> Flags:
        """Whether the row is the first of its partition."""
        return np.diff(self.segment, prepend=-1) != 0

    @property
    def backlog(self) -> Whole:
        """The backlog of the partition after each row."""
        return np.maximum(self.end - self.committed, 0)


def progress(ledger: Ledger, group: str) -> Progress:
    """How ends and positions moved, for one group."""
    stores, commits = ledger.stored_for(group), ledger.wanted("acked", "expired", "missed", group=group)
    codes = (stores | commits) & np.array([is_partition(place) for place in ledger.places], dtype=bool)
    rows = ledger.rows_of(codes)
    places = sorted({place for place, wanted in zip(ledger.places, codes, strict=True) if wanted})
    ids = {place: number for number, place in enumerate(places)}
    of_code = np.array([ids.get(place, -1) for place in ledger.places], dtype=np.int64)
    segment = of_code[ledger.what[rows]] if len(rows) else np.empty(0, dtype=np.int64)
    order = np.argsort(segment, kind="stable")
    rows, segment = rows[order], segment[order]
    number, stored = ledger.number[rows].astype(np.int64), stores[ledger.what[rows]] if len(rows) else np.empty(0, bool)
    base = np.full(len(places), np.iinfo(np.int32).max, dtype=np.int64)
    np.minimum.at(base, segment, number)
    floor = base[segment]
    return Progress(
        places,
        segment,
        rows,
        ledger.time[rows],
        running_most(segment, np.where(stored, number + 1, floor)),
        running_most(segment, np.where(stored, floor, number + 1)),
        np.where(stored, number, -1),
    )


def backlog(history: History, group: str | None = None) -> Series:
    """The backlog over time, exactly, of all groups and partitions meant: it is ``values[i]`` from ``edges[i]`` on."""
    start, end = span(history)
    ledger = Ledger(history)
    rows, steps = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for name in ledger.each(group):
        moved, step = _moved(ledger, name)
        rows.append(moved)
        steps.append(step)
    row, step = np.concatenate(rows), np.concatenate(steps)
    order = np.argsort(row, kind="stable")
    times = history.time[row[order]]
    return Series(
        np.concatenate([[start], times, [end]]), np.concatenate([[0.0], np.cumsum(step[order])]).astype(np.float64)
    )


def _moved(ledger: Ledger, group: str) -> tuple[Whole, Whole]:
    """The rows by which a group's backlog changed, in order, and by how much."""
    if is_pile(ledger, group):
        return piles.moves(ledger, group)
    moves = progress(ledger, group)
    order = np.argsort(moves.row, kind="stable")
    return moves.row[order], _steps(moves)[order]


def _steps(moves: Progress) -> Whole:
    return moves.backlog - np.where(moves.begins, 0, np.concatenate([[0], moves.backlog[:-1]]))


def backlog_most(history: History, group: str | None = None) -> int | None:
    """The greatest backlog that a group ever had, over all its partitions; of the worst group when none is named."""
    ledger = Ledger(history)
    most = [int(np.cumsum(_moved(ledger, name)[1]).max(initial=0)) for name in ledger.each(group)]
    return max(most, default=None)


def backlog_series(history: History, group: str | None = None, bins: int = 200) -> Series:
    """The greatest backlog within each bin of time."""
    exact, edges = backlog(history, group), edges_of(history, bins)
    values = np.zeros(len(edges) - 1)
    carried = exact.values[np.maximum(np.searchsorted(exact.edges[:-1], edges[:-1], side="right") - 1, 0)]
    np.maximum(values, carried, out=values)
    np.maximum.at(values, _bin_of(exact.edges[:-1], edges), exact.values)
    return Series(edges, values)


def _bin_of(times: Floats, edges: Floats) -> Whole:
    return np.clip(np.searchsorted(edges, times, side="right") - 1, 0, len(edges) - 2)


class Waits(NamedTuple):
    """Which event was the oldest unacknowledged one of its partition, from when until when: the teeth of the saw."""

    places: list[str]
    segment: Whole
    stored: Floats
    """When that event was stored."""
    since: Floats
    until: Floats

    @property
    def most(self) -> Floats:
        """The lag in seconds at the end of each tooth, where it is greatest."""
        return self.until - self.stored


def waits_of(ledger: Ledger, group: str) -> Waits:
    """The teeth of one group's lag, partition by partition."""
    if is_pile(ledger, group):
        return _waits_of_a_pile(ledger, group)
    moves = progress(ledger, group)
    _, stop = span(ledger.history)
    before = np.where(moves.begins, -1, np.concatenate([[-1], moves.committed[:-1]]))
    starts = np.flatnonzero((moves.committed != before) | moves.begins)
    segment, committed, since = moves.segment[starts], moves.committed[starts], moves.time[starts]
    last = np.diff(segment, append=-1) != 0
    until = np.where(last, stop, np.concatenate([since[1:], [stop]]))
    kept = np.flatnonzero(moves.stored >= 0)
    keys = (moves.segment[kept] << 32) + moves.stored[kept]
    order = np.argsort(keys, kind="stable")
    keys, times = keys[order], moves.time[kept][order]
    spot = np.searchsorted(keys, (segment << 32) + committed)
    found = spot < len(keys)
    found[found] &= keys[spot[found]] >> 32 == segment[found]
    segment, since, until, stored = segment[found], since[found], until[found], times[spot[found]]
    waited = stored < until
    stored = stored[waited]
    return Waits(moves.places, segment[waited], stored, np.maximum(since[waited], stored), until[waited])


def _waits_of_a_pile(ledger: Ledger, group: str) -> Waits:
    """The oldest message that was not yet acknowledged, over time: whoever is stored first and ends last is a tooth."""
    found, (_, stop) = piles.copies(ledger, group), span(ledger.history)
    stored = ledger.time[found.stored]
    until = np.where(found.ended >= 0, ledger.time[np.maximum(found.ended, 0)], stop)
    before = np.maximum.accumulate(np.concatenate([[-1.0], until[:-1]])) if len(until) else until
    oldest = until > np.maximum(before, stored)
    since = np.maximum(before, stored)[oldest]
    places = sorted(ledger.reads[group])[:1]
    return Waits(places, np.zeros(len(since), dtype=np.int64), stored[oldest], since, until[oldest])


def lags(history: History, group: str | None = None) -> dict[str, dict[str, float]]:
    """The most that a group was behind in a partition: ``{"billing orders/0": {"messages": 3, "seconds": 0.5}}``."""
    ledger = Ledger(history)
    found: dict[str, dict[str, float]] = {}
    for name in ledger.each(group):
        waits = waits_of(ledger, name)
        if is_pile(ledger, name):
            messages_most = int(np.cumsum(_moved(ledger, name)[1]).max(initial=0))
            for place in waits.places:
                found[f"{name} {place}"] = {"messages": messages_most, "seconds": float(waits.most.max(initial=0.0))}
            continue
        moves = progress(ledger, name)
        messages, seconds = np.zeros(len(moves.places), dtype=np.int64), np.zeros(len(moves.places))
        np.maximum.at(messages, moves.segment, moves.backlog)
        np.maximum.at(seconds, waits.segment, waits.most)
        for place, most, most_s in zip(moves.places, messages.tolist(), seconds.tolist(), strict=True):
            found[f"{name} {place}"] = {"messages": most, "seconds": most_s}
    return found


def lag_most(history: History, group: str | None = None) -> float | None:
    """The greatest lag in seconds of any partition of any group meant; 0 when all was acknowledged at once."""
    ledger = Ledger(history)
    most = [float(waits_of(ledger, name).most.max(initial=0.0)) for name in ledger.each(group)]
    return max(most, default=None)


def lag_series(history: History, group: str | None = None, bins: int = 200) -> Series:
    """The greatest lag in seconds within each bin of time, of the worst partition."""
    ledger, edges = Ledger(history), edges_of(history, bins)
    values = np.zeros(len(edges) - 1)
    for name in ledger.each(group):
        waits = waits_of(ledger, name)
        first, last = _bin_of(waits.since, edges), _bin_of(waits.until, edges)
        count = last - first + 1
        tooth = np.repeat(np.arange(len(count)), count)
        place = np.arange(len(tooth)) - np.repeat(np.cumsum(count) - count, count) + first[tooth]
        np.maximum.at(values, place, np.minimum(waits.until[tooth], edges[place + 1]) - waits.stored[tooth])
    return Series(edges, values)
