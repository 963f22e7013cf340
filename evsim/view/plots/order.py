"""Sequence against arrival: how far behind events of a key were handled, when, and what holding back would mend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evsim.view.faults import Fault, faults_of
from evsim.view.figure import Figure, empty
from evsim.view.inversions import Inversions, inversions
from evsim.view.keys import Keys
from evsim.view.ledger import span
from evsim.view.sheet_size import top_below
from evsim.view.words import count, digits, grouped

if TYPE_CHECKING:
    from evsim.history import History
    from evsim.view.sheet import Key, Sheet

HIGH = 290
SHOWN_MAX = 60
"""So many handlings of the key are drawn, around the one that came latest."""
COLUMNS = 400
"""Of more events than that, the latest in each of so many bins of time is drawn."""
_KEYS: tuple[Key, ...] = (("point", "flow", "in order"), ("diamond", "fault", "after a younger one of its key"))


def order(history: History, group: str | None = None) -> Figure:
    """What one group handled after a younger event of the same key: how far behind, when, and what would mend it.

    The group is the one with most events out of order, unless it is named. On the right, the key that suffered most,
    where it was worst, and the share that is left when so many events of a key are held back and put in order.
    """
    found = inversions(history, group)
    if not found.comparable:
        return empty("Nobody handled two events of one key", "There is no order to keep.")
    label = _worst(found)
    key = Keys(history).text(int(label))
    chosen = np.flatnonzero(found.labels == label)
    numbers, late = found.numbers[chosen], found.late[chosen]
    middle = int(np.argmax(late)) if late.any() else 0
    first = max(0, min(middle - SHOWN_MAX // 2, len(numbers) - SHOWN_MAX))
    shown = slice(first, first + SHOWN_MAX)
    whole_s = span(history)[1]
    faults = faults_of(history, whole_s)
    end = min(whole_s, 1.02 * max(float(found.times.max()), *(fault.end_s for fault in faults), 0.0))

    def draw(sheet: Sheet) -> None:
        top = top_below(len(faults))
        _draw_when(sheet, found, faults, top, end)
        _draw_worst(sheet, first, numbers[shown], late[shown] > 0, top, key)
        _draw_left(sheet, found, top + HIGH)

    bad, many = int(found.out_of_order.sum()), found.comparable
    claim = f"{found.group} handled {_share(found)} of the events after a younger one of their key"
    if not bad:
        claim = f"{found.group} handled every key in order"
    keys, buffer = len(np.unique(found.labels)), found.mended_by()
    left = f"{digits(100 * found.left(buffer))} %"
    facts = {
        "out of order": f"{grouped(bad)} of {count(many, 'event')} that had an older one before them",
        "keys": f"{grouped(len(np.unique(found.labels[found.out_of_order])))} of {grouped(keys)} touched",
        "latest": f"{int(found.late.max())} places behind, in {key}" if bad else "none",
        "hold back": f"{count(buffer, 'event')} of a key, and {left} stay out of order" if bad else "none",
        "drawn": f"{key}, handlings {first + 1} to {first + len(numbers[shown])} of {grouped(len(numbers))}",
        "faults": "; ".join(map(str, faults)) or "none",
    }
    seed = history.meta.get("seed")
    subtitle = f"{count(len(found.events), 'event')} by when they were handled"
    subtitle += f"; seed {seed}." if seed is not None else "."
    return Figure(claim, subtitle, facts, draw, height=top_below(len(faults)) + HIGH + 52, keys=_KEYS)


def _worst(found: Inversions) -> int:
    """The key of the event that came latest; where all are in order, the one with the most events."""
    if found.out_of_order.any():
        return int(found.labels[np.argmax(found.late)])
    known, counts = np.unique(found.labels, return_counts=True)
    return int(known[np.argmax(counts)])


def _share(found: Inversions) -> str:
    return f"{100 * found.share:.1f} %" if found.share >= 0.001 else f"{int(found.out_of_order.sum())}"


def _draw_when(sheet: Sheet, found: Inversions, faults: list[Fault], top: float, end: float) -> None:
    """Over time, by how many places each event came behind."""
    from evsim.view.brush import mark
    from evsim.view.sheet import plain, seconds

    axes = sheet.axes(74, top, 552, top + HIGH)
    times, late = _thinned(found, end)
    bad = late > 0
    axes.plot(times[~bad], late[~bad], "|", ms=6, mew=0.8, color=sheet.colour["flow"], zorder=3)
    axes.vlines(times[bad], 0, late[bad], color=sheet.colour["fault"], lw=1.0, alpha=0.7, zorder=3)
    mark(sheet, axes, list(zip(times[bad], late[bad], strict=True)), "D", "fault", 6)
    deepest = max(4.0, 1.08 * float(late.max(initial=0)))
    axes.set_xlim(0, end)
    axes.set_ylim(deepest, -0.04 * deepest)
    plain(axes.yaxis)
    seconds(axes.xaxis, end, 6)
    sheet.name_y(axes, "places behind the youngest of its key")
    sheet.name_x(axes, "handled at (simulated time)")
    sheet.ribbon(faults, [axes])


def _thinned(found: Inversions, end: float) -> tuple[np.ndarray, np.ndarray]:
    """All events, or the latest in each bin of time when there are too many to be seen."""
    times, late = found.times, found.late
    if len(times) <= COLUMNS:
        return times, late
    bins = np.floor(times / max(end, 1e-9) * (COLUMNS - 1)).astype(np.int64)
    order = np.lexsort((-late, bins))
    chosen = order[np.unique(bins[order], return_index=True)[1]]
    return times[chosen], late[chosen]


def _draw_worst(sheet: Sheet, first: int, numbers: np.ndarray, late: np.ndarray, top: float, key: str) -> None:
    from evsim.view.brush import mark
    from evsim.view.sheet import NOTE, plain

    axes = sheet.axes(640, top, 876, top + 116)
    places = np.arange(first + 1, first + 1 + len(numbers))
    newest = np.maximum.accumulate(numbers)
    axes.step(places, newest, where="post", color=sheet.colour["ink"], lw=0.9, zorder=2)
    axes.vlines(places[late], numbers[late], newest[late], color=sheet.colour["fault"], lw=1.0, alpha=0.7, zorder=2)
    mark(sheet, axes, list(zip(places[~late], numbers[~late], strict=True)), "o", "flow", 4.5)
    mark(sheet, axes, list(zip(places[late], numbers[late], strict=True)), "D", "fault", 5.5)
    axes.set_xlim(places[0] - 1, places[-1] + 1)
    axes.set_ylim(numbers.min() - 1.5, numbers.max() + 1.5)
    plain(axes.xaxis)
    plain(axes.yaxis)
    where = ", where it was worst" if late.any() else ""
    sheet.fitted(600, top - 9, f"number in {key}{where}", NOTE, "soft", right=890)
    sheet.name_x(axes, "its handlings in a row")


def _draw_left(sheet: Sheet, found: Inversions, bottom: float) -> None:
    """The share that stays out of order, by how many events of a key are held back."""
    from evsim.view.sheet import NOTE, plain, whole

    axes = sheet.axes(640, bottom - 102, 876, bottom)
    buffer = found.mended_by()
    held = np.arange(int(found.overtaken.max(initial=0)) + 2)
    left = np.array([100 * found.left(int(each)) for each in held])
    axes.fill_between(held, left, step="post", color=sheet.colour["fault"], alpha=0.15, lw=0, zorder=2)
    axes.step(held, left, where="post", color=sheet.colour["fault"], lw=2, zorder=3)
    axes.set_xlim(0, held[-1])
    axes.set_ylim(0, max(1.0, 1.1 * float(left.max())))
    if buffer:
        axes.plot([buffer], [100 * found.left(buffer)], "o", ms=8, mfc=sheet.colour["paper"], mec=sheet.colour["ink"],
                  mew=2, zorder=6, clip_on=False)  # fmt: skip
        side = ("right", -6) if 2 * buffer > held[-1] else ("left", 6)
        at = (buffer, 0.45 * axes.get_ylim()[1])
        sheet.tag(axes, at, f"hold back {grouped(buffer)}", (side[1], 0), ha=side[0], fontsize=NOTE)
    plain(axes.yaxis, 3)
    whole(axes.xaxis, 5)
    sheet.fitted(600, bottom - 111, "per cent still out of order", NOTE, "soft", right=890)
    sheet.name_x(axes, "events of a key held back")
