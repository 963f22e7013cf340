"""Why events were parked, after how many tries, and what a redrive let through."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from evsim.view.figure import Figure, empty
from evsim.view.parked import Reason, reasons
from evsim.view.words import count, grouped, share, si

if TYPE_CHECKING:
    from evsim.history import History
    from evsim.view.sheet import Key, Sheet

MOST = 8
ROW, LEFT, RIGHT, TRIES = 46, 250, 660, (720, 840)
_KEYS: tuple[Key, ...] = (("bar", "fault", "still parked"), ("bar", "done", "handled in the end"))


def dead_letters(history: History) -> Figure:
    """A bar for each reason, the most frequent first; beside it how many tries there were before."""
    found = reasons(history)
    if not found:
        return empty("Nothing was parked in this run", "No event went to a place for dead letters.")
    shown, left = found[:MOST], found[MOST:]
    total, mended = sum(len(each.events) for each in found), sum(each.mended for each in found)
    facts = {each.why: _fact(each) for each in shown}
    if left:
        facts["other reasons"] = f"{len(left)}, {count(sum(len(each.events) for each in left), 'event')}"
    facts["handled in the end"] = f"{grouped(mended)} of {grouped(total)}"

    def draw(sheet: Sheet) -> None:
        _draw(sheet, shown)

    height = 84 + ROW * len(shown) + 56
    subtitle = "Dead letters by reason and by who gave them up."
    return Figure(_claim(shown[0], total, mended), subtitle, facts, draw, height=height, keys=_KEYS)


def _claim(first: Reason, total: int, mended: int) -> str:
    if mended == total:
        return f"All {count(total, 'dead letter')} were handled in the end"
    if mended:
        return f"{share(mended, total)} of {count(total, 'dead letter')} were handled in the end"
    if len(first.events) == total:
        return f"{count(total, 'event')} parked, all for one reason"
    return f"{share(len(first.events), total)} of {count(total, 'dead letter')} have one reason"


def _fact(reason: Reason) -> str:
    tries = max(reason.attempts)
    return f"{count(len(reason.events), 'event')} of {reason.who}, {reason.mended} handled later, {tries} tries at most"


def _draw(sheet: Sheet, shown: list[Reason]) -> None:
    from evsim.view.sheet import plain, shorten

    top = 84
    axes = sheet.axes(LEFT, top, RIGHT, top + ROW * len(shown), grid="x")
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_yticks([])
    axes.set_xlim(0, 1.12 * max(len(each.events) for each in shown))
    axes.spines["left"].set_visible(False)
    sheet.text(TRIES[0], top - 10, "tries before parking", size=8.5, role="soft")
    for row, each in enumerate(shown):
        parked = len(each.events) - each.mended
        axes.barh(row, each.mended, 0.5, color=sheet.colour["done"], zorder=3)
        axes.barh(row, parked, 0.5, left=each.mended, color=sheet.colour["fault"], zorder=3)
        sheet.tag(axes, (len(each.events), row), grouped(len(each.events)), (6, 0))
        middle = top + ROW * (row + 0.5)
        for text, role, down, size in ((each.why, "ink", -2, 9.0), (each.who, "soft", 12, 8.0)):
            words = sheet.text(LEFT - 10, middle + down, text, size, role, ha="right")
            shorten(sheet, words, LEFT - 30)
        _tries(sheet, each, middle)
    plain(axes.xaxis, 6)
    sheet.name_x(axes, "events")


def _tries(sheet: Sheet, reason: Reason, middle: float) -> None:
    """A small column for each number of tries."""
    counts = Counter(reason.attempts)
    most = max(counts)
    axes = sheet.axes(TRIES[0], middle - 14, TRIES[1], middle + 12, grid="")
    axes.axis("off")
    axes.bar(range(1, most + 1), [counts[n] for n in range(1, most + 1)], 0.7, color=sheet.colour["wait"])
    axes.set_xlim(0.5, most + 0.5)
    sheet.text(TRIES[1] + 8, middle + 4, si(most), 8.5, "soft")
