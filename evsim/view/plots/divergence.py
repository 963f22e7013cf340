"""Divergence over time: in how many rows each copy differs from its source, and the faults that did it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from evsim.view.divergence import Divergence, divergence
from evsim.view.faults import Fault, faults_of
from evsim.view.figure import Figure, empty
from evsim.view.ledger import span
from evsim.view.sheet_size import top_below
from evsim.view.words import count, si

if TYPE_CHECKING:
    from evsim.history import History
    from evsim.view.sheet import Sheet

STRIP, APART = 62, 16
COPIES_MAX = 4


def divergence_figure(history: History, source: str, copies: Mapping[str, str], field: str = "version") -> Figure:
    """For each copy, by its name, the effect that says what it has; at most four."""
    found = {name: divergence(history, source, effect, field) for name, effect in list(copies.items())[:COPIES_MAX]}
    end = span(history)[1]
    if not found or end <= 0:
        return empty("No copy was compared", "There is nothing to see.")
    worst = max(found, key=lambda name: found[name].left)
    left = found[worst].left
    ended = f"{worst} still differs in {count(left, 'row')}" if left else "in the end every copy is like its source"
    seed, faults = history.meta.get("seed"), faults_of(history, end)
    subtitle = "Rows in which a copy differs from its source" + (f"; seed {seed}." if seed is not None else ".")
    facts = {name: _fact(each, end) for name, each in found.items()}
    facts["faults"] = "; ".join(map(str, faults)) or "none"

    def draw(sheet: Sheet) -> None:
        _draw(sheet, found, end, faults)

    claim = ended[0].upper() + ended[1:]
    return Figure(claim, subtitle, facts, draw, height=_bottom(len(faults), len(found)) + 52)


def _bottom(faults: int, copies: int) -> int:
    return top_below(faults) + STRIP * copies + APART * (copies - 1)


def _fact(each: Divergence, end: float) -> str:
    mean = each.total(end) / end
    after = "" if each.left else f", the same from {si(float(each.time[-1]), 's')} on"
    return f"{each.most} at most, {mean:.2f} on average, {each.left} in the end{after}"


def _draw(sheet: Sheet, found: Mapping[str, Divergence], end: float, faults: list[Fault]) -> None:
    from evsim.view.sheet import NOTE, plain, seconds, shorten

    most = 1.15 * max(1, *(each.most for each in found.values()))
    panels: list[Any] = []
    for name, each in found.items():
        top = top_below(len(faults)) + (STRIP + APART) * len(panels)
        axes = sheet.axes(110, top, 820, top + STRIP)
        times, counts = [*each.time.tolist(), end], [*each.rows.tolist(), each.left]
        axes.fill_between(times, counts, step="post", color=sheet.colour["flow"], alpha=0.25, lw=0, zorder=2)
        axes.step(times, counts, where="post", color=sheet.colour["flow"], lw=1.1, zorder=3)
        axes.set_xlim(0, end)
        axes.set_ylim(0, most)
        plain(axes.yaxis, 3)
        seconds(axes.xaxis, end, 9)
        axes.tick_params(labelbottom=len(panels) == len(found) - 1)
        shorten(sheet, sheet.text(20, top + STRIP / 2 + 4, name, 9.5), 66)
        sheet.text(828, top + STRIP / 2 + 4, f"{each.left} left", NOTE, "fault" if each.left else "soft")
        panels.append(axes)
    sheet.name_y(panels[0], "rows that differ")
    sheet.name_x(panels[-1], "simulated time")
    sheet.ribbon(faults, panels)
