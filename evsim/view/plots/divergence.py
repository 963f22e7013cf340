"""Divergence over time: about how many rows each copy differs from its source, and the faults that did it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from evsim.view.divergence import Divergence, divergence
from evsim.view.faults import Fault, faults_of
from evsim.view.figure import Figure, empty
from evsim.view.ledger import span
from evsim.view.sheet_size import top_below
from evsim.view.words import count, si

if TYPE_CHECKING:
    from evsim.history import History
    from evsim.view.sheet import Key, Sheet

HIGH = 210
_SERIES = (
    ("line", "flow", "-"),
    ("long", "undo", (0, (7, 2))),
    ("dash", "done", (0, (4, 2))),
    ("dot", "again", (0, (1, 1.5))),
)


def divergence_figure(history: History, source: str, copies: Mapping[str, str], field: str = "version") -> Figure:
    """For each copy, by its name, the effect that says what it has; at most four."""
    found = {name: divergence(history, source, effect, field) for name, effect in list(copies.items())[:4]}
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
    keys: tuple[Key, ...] = tuple((glyph, role, name) for name, (glyph, role, _) in zip(found, _SERIES, strict=False))

    def draw(sheet: Sheet) -> None:
        _draw(sheet, found, end, faults)

    claim = ended[0].upper() + ended[1:]
    return Figure(claim, subtitle, facts, draw, height=top_below(len(faults)) + HIGH + 52, keys=keys)


def _fact(each: Divergence, end: float) -> str:
    mean = each.total(end) / end
    after = "" if each.left else f", the same from {si(float(each.time[-1]), 's')} on"
    return f"{each.most} at most, {mean:.2f} on average, {each.left} in the end{after}"


def _draw(sheet: Sheet, found: Mapping[str, Divergence], end: float, faults: list[Fault]) -> None:
    from evsim.view.sheet import plain, seconds

    top = top_below(len(faults))
    axes = sheet.axes(74, top, 876, top + HIGH)
    for each, (_, role, style) in zip(found.values(), _SERIES, strict=False):
        times, counts = [*each.time.tolist(), end], [*each.rows.tolist(), each.left]
        axes.step(times, counts, where="post", color=sheet.colour[role], lw=1.6, ls=style, zorder=3)
    axes.set_xlim(0, end)
    axes.set_ylim(0, 1.12 * max(1, *(each.most for each in found.values())))
    plain(axes.yaxis)
    seconds(axes.xaxis, end, 9)
    sheet.name_y(axes, "rows that differ")
    sheet.name_x(axes, "simulated time")
    sheet.ribbon(faults, [axes])
