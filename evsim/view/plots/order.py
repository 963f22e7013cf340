"""Sequence against arrival: the number of each event in its key, in the order in which a group handled them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evsim.view.figure import Figure, empty
from evsim.view.inversions import Inversions, inversions
from evsim.view.keys import Keys
from evsim.view.words import count, grouped

if TYPE_CHECKING:
    from evsim.history import History
    from evsim.view.sheet import Key, Sheet

TOP, HIGH = 104, 290
SHOWN_MAX = 60
"""So many handlings of the key are drawn, around the one that came latest."""
_KEYS: tuple[Key, ...] = (("point", "flow", "in order"), ("diamond", "fault", "after a younger one of its key"))


def order(history: History, group: str | None = None) -> Figure:
    """What one group handled of the key that suffered most, as published against as handled.

    The group is the one with most events out of order, unless it is named.
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

    def draw(sheet: Sheet) -> None:
        _draw(sheet, first, numbers[shown], late[shown] > 0)

    bad, many = int(found.out_of_order.sum()), found.comparable
    claim = f"{found.group} handled {_share(found)} of the events after a younger one of their key"
    if not bad:
        claim = f"{found.group} handled every key in order"
    keys = len(np.unique(found.labels))
    facts = {
        "out of order": f"{grouped(bad)} of {count(many, 'event')} that had an older one before them",
        "keys": f"{grouped(len(np.unique(found.labels[found.out_of_order])))} of {grouped(keys)} touched",
        "latest": f"{int(found.late.max())} places behind, in {key}" if bad else "none",
        "drawn": f"{key}, handlings {first + 1} to {first + len(numbers[shown])} of {grouped(len(numbers))}",
    }
    seed = history.meta.get("seed")
    subtitle = f"The events of {key} in the order of handling" + (f"; seed {seed}." if seed is not None else ".")
    return Figure(claim, subtitle, facts, draw, height=TOP + HIGH + 52, keys=_KEYS)


def _worst(found: Inversions) -> int:
    """The key with the most events out of order; where there are none, the one with the most events."""
    labels = found.labels[found.out_of_order] if found.out_of_order.any() else found.labels
    known, counts = np.unique(labels, return_counts=True)
    return int(known[np.argmax(counts)])


def _share(found: Inversions) -> str:
    return f"{100 * found.share:.1f} %" if found.share >= 0.001 else f"{int(found.out_of_order.sum())}"


def _draw(sheet: Sheet, first: int, numbers: np.ndarray, late: np.ndarray) -> None:
    from evsim.view.brush import mark
    from evsim.view.sheet import plain

    axes = sheet.axes(74, TOP, 876, TOP + HIGH)
    places = np.arange(first + 1, first + 1 + len(numbers))
    axes.plot(places, np.sort(numbers), color=sheet.colour["ink"], lw=0.8, ls=(0, (4, 3)), alpha=0.5, zorder=2)
    mark(sheet, axes, list(zip(places[~late], numbers[~late], strict=True)), "o", "flow", 7)
    mark(sheet, axes, list(zip(places[late], numbers[late], strict=True)), "D", "fault", 8)
    axes.set_xlim(places[0] - 1, places[-1] + 1)
    axes.set_ylim(numbers.min() - 1.5, numbers.max() + 1.5)
    plain(axes.xaxis)
    plain(axes.yaxis)
    sheet.name_y(axes, "number in its key, as published")
    sheet.name_x(axes, "place in the order of handling")
