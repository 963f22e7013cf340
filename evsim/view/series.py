"""What figures draw, worked out before they draw: curves of quantiles, strips of partitions, and catching up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from evsim.history import History
from evsim.view import measures
from evsim.view.backlog import progress, waits_of
from evsim.view.ledger import Floats, Ledger, Whole, edges_of

NINES_MAX = 4.0
BEYOND_LEAST = 10
"""A quantile that fewer values exceed says more about luck than about the system."""
_PER_OCTAVE = 128
_RESAMPLES = 400


class Curve(NamedTuple):
    """The quantiles of a sample along an axis of nines; ``low`` and ``high`` are a 95 % band, from several seeds."""

    nines: Floats
    """-log10 of the share beyond: 1 is 90 %, 2 is 99 %."""
    latency_s: Floats
    low: Floats | None
    high: Floats | None
    trusted: int
    """From this point on fewer than ten values lie beyond."""


def nines(share: float | Floats) -> Floats:
    """Where a share stands on the axis of nines."""
    return np.asarray(-np.log10(np.maximum(1 - np.asarray(share, dtype=np.float64), 10.0**-9)))


def curve(samples: Sequence[Floats], points: int = 240) -> Curve:
    """The exact quantiles of all samples together; with three samples or more, a band by resampling whole samples."""
    pooled = np.sort(np.concatenate([np.empty(0), *samples]))
    top = min(NINES_MAX, float(np.log10(max(len(pooled), 2))))
    at = np.linspace(0.0, top, points)
    shares = 1 - 10.0**-at
    values = np.quantile(pooled, shares, method="inverted_cdf")
    low, high = _band(samples, shares) if len(samples) >= 3 else (None, None)
    trusted = int(np.searchsorted(at, np.log10(max(len(pooled) / BEYOND_LEAST, 1.0)), side="right"))
    return Curve(at, values, low, high, trusted)


def _band(samples: Sequence[Floats], shares: Floats) -> tuple[Floats, Floats]:
    """Quantiles of resampled seeds, from counts in bins half a per cent wide; the same band for the same samples."""
    least = max(min(float(sample[sample > 0].min(initial=1e9)) for sample in samples), 1e-9)
    cells = [np.floor(np.log2(np.maximum(sample, least) / least) * _PER_OCTAVE).astype(np.int64) for sample in samples]
    size = 1 + max(int(cell.max(initial=0)) for cell in cells)
    counts = np.array([np.bincount(cell, minlength=size) for cell in cells], dtype=np.float64)
    luck = np.random.default_rng(0)
    picks = luck.multinomial(len(samples), np.full(len(samples), 1 / len(samples)), _RESAMPLES)
    below = np.cumsum(picks @ counts, axis=1)
    found = np.array([np.searchsorted(row, shares * row[-1]) for row in below])
    low, high = np.quantile(least * 2 ** (np.minimum(found + 0.5, size) / _PER_OCTAVE), (0.025, 0.975), axis=0)
    return low, high


def repeated(history: History, *steps: str) -> Whole:
    """The rows of these steps beyond the first of each event in each group of consumers, oldest first."""
    ledger, found = Ledger(history), [np.empty(0, dtype=np.int64)]
    for group in ledger.each(None):
        rows = ledger.rows(*steps, group=group)
        later = np.ones(len(rows), dtype=bool)
        later[np.unique(history.event[rows], return_index=True)[1]] = False
        found.append(rows[later])
    return np.sort(np.concatenate(found))


class CatchUp(NamedTuple):
    """How a backlog rose and fell again."""

    most: int
    most_at_s: float
    before: int
    """The most that waited before."""
    again_at_s: float | None
    """When it was back at that; None if it never was."""


def catch_up(history: History, group: str | None, from_s: float) -> CatchUp:
    """The highest backlog from ``from_s`` on, and when it was again what it had been at most before."""
    exact = measures.backlog(history, group)
    times, values = exact.edges[:-1], exact.values
    usual = float(values[times < from_s].max(initial=0.0))
    after = np.flatnonzero(times >= from_s)
    if not len(after):
        return CatchUp(int(usual), from_s, int(usual), from_s)
    peak = int(after[np.argmax(values[after])])
    back = np.flatnonzero((values <= max(usual, 1.0)) & (np.arange(len(values)) >= peak))
    again = float(times[back[0]]) if len(back) else None
    return CatchUp(int(values[peak]), float(times[peak]), int(usual), again)


def groups_of(history: History, group: str | None = None) -> list[str]:
    """Who handles: consumers, and publishers that wait for the answers of a service; all, or those meant by a name."""
    return list(Ledger(history).named(group))


def consumers_of(history: History, group: str | None = None) -> list[str]:
    """Those of them that read a log: all, or those meant by the name of a part or of its group."""
    return list(Ledger(history).each(group))


def bins_of(events: int, length_s: float) -> int:
    """How many bins to draw: of a round number of seconds where that is possible, with some events in each."""
    wished = max(24, min(150, events // 12))
    for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000):
        if length_s / step <= wished:
            return max(1, round(length_s / step))
    return wished


class Strip(NamedTuple):
    """One partition: what waited in it over time, and by how many seconds its group was behind, at worst and now."""

    place: str
    waiting: measures.Series
    most: int
    worst_s: float
    now_s: float


def strips_of(history: History, group: str, bins: int) -> list[Strip]:
    """The partitions that a group reads, the most that waited within each bin."""
    ledger = Ledger(history)
    moves, waits = progress(ledger, group), waits_of(ledger, group)
    edges = edges_of(history, bins)
    found = []
    for number, place in enumerate(moves.places):
        mine, teeth = moves.segment == number, waits.segment == number
        times, backlog = moves.time[mine], moves.backlog[mine]
        values = most_within(times, backlog.astype(np.float64), edges)
        ends = waits.until[teeth] >= edges[-1]
        worst, now = waits.most[teeth].max(initial=0.0), waits.most[teeth][ends].max(initial=0.0)
        found.append(
            Strip(place, measures.Series(edges, values), int(backlog.max(initial=0)), float(worst), float(now))
        )
    return found


def most_within(times: Floats, values: Floats, edges: Floats) -> Floats:
    """The greatest value of a step function within each bin, the one carried in from before included."""
    carried = np.searchsorted(times, edges[:-1], side="right") - 1
    most = np.where(carried >= 0, np.append(values, 0.0)[carried], 0.0)
    np.maximum.at(most, np.clip(np.searchsorted(edges, times, side="right") - 1, 0, len(edges) - 2), values)
    return most


def most_waiting(history: History, from_s: float, to_s: float) -> dict[str, int]:
    """For each partition the most that ever waited in it within a window, for the group that was furthest behind."""
    ledger = Ledger(history)
    found: dict[str, int] = {}
    edges = np.array([from_s, max(to_s, from_s + 1e-9)])
    for group in ledger.each(None):
        moves = progress(ledger, group)
        for number, place in enumerate(moves.places):
            mine = (moves.segment == number) & (moves.time <= to_s)
            times, waiting = moves.time[mine], moves.backlog[mine].astype(np.float64)
            before = times < from_s
            most = max(waiting[~before].max(initial=0.0), most_within(times[before], waiting[before], edges)[0])
            found[place] = max(found.get(place, 0), int(most))
    return found
