"""A matrix of numbers: names down, names across, a cell for each pair, a dash where there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from evsim.view.words import grouped

if TYPE_CHECKING:
    from evsim.view.sheet import Sheet

TOP, ROW, LEFT, RIGHT, WIDE = 112, 26, 200, 884, 150.0
"""Pixels: where it begins, the height of a row, its sides, and the most for a column."""
Cell = Callable[[int, int], tuple[int, str]]
"""The number in a row and column, and the colour role of its cell when it is not 0."""


def draw_matrix(sheet: Sheet, rows: Sequence[str], columns: Sequence[str], cell: Cell) -> None:
    """Draw the names and the cells."""
    from matplotlib.patches import Rectangle

    from evsim.view.sheet import shorten

    wide = min(WIDE, (RIGHT - LEFT) / len(columns))
    axes = sheet.axes(LEFT, TOP, LEFT + wide * len(columns), TOP + ROW * len(rows), grid="")
    axes.axis("off")
    axes.set_xlim(0, len(columns))
    axes.set_ylim(len(rows), 0)
    for across, name in enumerate(columns):
        words = sheet.text(LEFT + wide * (across + 0.5), TOP - 10, name, 9, ha="center", weight="bold")
        shorten(sheet, words, wide - 8)
    for down, name in enumerate(rows):
        words = sheet.text(LEFT - 12, TOP + ROW * (down + 0.5) + 3, name, 9, ha="right")
        shorten(sheet, words, LEFT - 32)
        for across in range(len(columns)):
            number, role = cell(down, across)
            look: dict[str, Any] = {"fc": sheet.colour[role if number else "paper"], "ec": sheet.colour["lane"]}
            axes.add_patch(Rectangle((across + 0.03, down + 0.08), 0.94, 0.84, lw=0.8, **look))
            text, ink = (grouped(number), "ink") if number else ("–", "soft")
            axes.text(across + 0.5, down + 0.5, text, ha="center", va="center", fontsize=9, color=sheet.colour[ink])
