"""The table crash step × remedy as a picture: five steps across, remedies down, and in each cell a mark per promise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evsim.view.figure import Figure
from evsim.view.words import count

if TYPE_CHECKING:
    from evsim.view.sheet import Key, Sheet

LEFT, RIGHT, TOP, ROW, FOOT = 150, 876, 128, 58, 24
_KEYS: tuple[Key, ...] = (
    ("point", "done", "kept"), ("cross", "fault", "broken"), ("open", "wait", "nothing to judge"),
    ("diamond", "again", "not on every seed"),
)  # fmt: skip
_MARKS: Mapping[str, tuple[str, str, float]] = {
    "·": ("o", "done", 9), "X": ("X", "fault", 12), "?": ("o", "wait", 9), "~": ("D", "again", 9)
}  # fmt: skip


def crash_matrix(
    rows: Mapping[str, Sequence[str]], steps: Sequence[str], promises: Sequence[str], part: str, seeds: int
) -> Figure:
    """A cell of ``rows`` is a sign for each promise: ``·`` kept, ``X`` broken, ``?`` nothing to judge, ``~`` either."""
    broken = {remedy: sum("X" in cell or "~" in cell for cell in row) for remedy, row in rows.items()}
    best = min(broken, key=lambda remedy: broken[remedy])
    worst = max(broken.values())
    claim = f"With {best}, {part} breaks something at {broken[best]} of {len(steps)} steps; at worst at {worst}"
    if not broken[best]:
        claim = f"With {best}, {part} may crash after any step"
    subtitle = f"{part} crashes once, after the step above; the same on {count(seeds, 'seed')} unless marked."
    facts = {remedy: ", ".join(f"{step} {cell}" for step, cell in zip(steps, row, strict=True))
             for remedy, row in rows.items()}  # fmt: skip
    facts |= {f"sign {n}": promise for n, promise in enumerate(promises, start=1)}

    def draw(sheet: Sheet) -> None:
        _draw(sheet, rows, steps, promises)

    height = TOP + ROW * len(rows) + FOOT + 20 * len(promises) + 12
    return Figure(claim, subtitle, facts, draw, height=height, keys=_KEYS)


def _draw(sheet: Sheet, rows: Mapping[str, Sequence[str]], steps: Sequence[str], promises: Sequence[str]) -> None:
    from matplotlib.patches import Rectangle

    from evsim.view.sheet import shorten

    wide = (RIGHT - LEFT) / len(steps)
    axes: Any = sheet.axes(LEFT, TOP, RIGHT, TOP + ROW * len(rows), grid="")
    axes.axis("off")
    axes.set_xlim(0, len(steps))
    axes.set_ylim(len(rows), 0)
    for across, step in enumerate(steps):
        sheet.text(LEFT + wide * (across + 0.5), TOP - 12, step, 10, ha="center", weight="bold")
    for down, (remedy, row) in enumerate(rows.items()):
        words = sheet.text(LEFT - 14, TOP + ROW * (down + 0.5) + 4, remedy, 10, ha="right", weight="bold")
        shorten(sheet, words, LEFT - 30)
        for across, cell in enumerate(row):
            bad = any(sign in "X~" for sign in cell)
            wash = sheet.colour["wash_fault" if bad else "wash_done"]
            look: dict[str, Any] = {"fc": wash, "ec": sheet.colour["lane"], "lw": 0.8}
            axes.add_patch(Rectangle((across + 0.04, down + 0.07), 0.92, 0.86, **look))
            _signs(sheet, axes, (across, down), cell)
    foot = TOP + ROW * len(rows) + FOOT
    for number, promise in enumerate(promises, start=1):
        sheet.fitted(LEFT, foot + 20 * (number - 1), f"{number}   {promise}", 9, "ink")


def _signs(sheet: Sheet, axes: Any, place: tuple[int, int], cell: str) -> None:
    """The marks of a cell side by side, a small number below each."""
    across, down = place
    for number, sign in enumerate(cell, start=1):
        x = across + 0.5 + (number - (len(cell) + 1) / 2) * min(0.26, 0.8 / len(cell))
        shape, role, size = _MARKS[sign]
        fill = sheet.colour["paper"] if sign == "?" else sheet.colour[role]
        edge = sheet.colour[role] if sign == "?" else sheet.colour["paper"]
        axes.plot([x], [down + 0.40], marker=shape, ms=size, mfc=fill, mec=edge, mew=0.8, ls="", zorder=5)
        axes.text(x, down + 0.76, str(number), ha="center", va="center", fontsize=7.5, color=sheet.colour["soft"])
