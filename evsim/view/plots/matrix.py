"""A matrix of numbers: names down, names across, a cell for each pair, a dash where there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from evsim.view.words import grouped

if TYPE_CHECKING:
    from evsim.view.sheet import Sheet

TOP, ROW, LEFT, RIGHT, WIDE, GROUP = 112, 26, 200, 884, 150.0, 18
"""Pixels: where it begins, the height of a row, its sides, the most for a column, and the room for names of groups."""
Cell = Callable[[int, int], tuple[int, str]]
"""The number in a row and column, and the colour role of its cell when it is not 0."""
Look = Callable[[int, int], tuple[str, str, str]]
"""The words in a row and column, and the colour roles of the cell and of the words."""


def draw_matrix(sheet: Sheet, rows: Sequence[str], columns: Sequence[str], cell: Cell) -> None:
    """Draw the names and the cells, each with its number."""

    def look(down: int, across: int) -> tuple[str, str, str]:
        number, role = cell(down, across)
        return (grouped(number), role, "ink") if number else ("–", "paper", "soft")

    draw_cells(sheet, rows, columns, look)


def draw_cells(
    sheet: Sheet, rows: Sequence[str], columns: Sequence[str], look: Look, groups: Sequence[tuple[str, int]] = ()
) -> None:
    """Draw the names and the cells; ``groups`` are names above so many columns each."""
    from matplotlib.patches import Rectangle

    from evsim.view.sheet import shorten

    wide, top = min(WIDE, (RIGHT - LEFT) / len(columns)), TOP + (GROUP if groups else 0)
    axes = sheet.axes(LEFT, top, LEFT + wide * len(columns), top + ROW * len(rows), grid="")
    axes.axis("off")
    axes.set_xlim(0, len(columns))
    axes.set_ylim(len(rows), 0)
    for across, name in enumerate(columns):
        words = sheet.text(
            LEFT + wide * (across + 0.5), top - 10, name, 9, ha="center", weight="normal" if groups else "bold"
        )
        shorten(sheet, words, wide - 8)
    begin = 0
    for name, span in groups:
        words = sheet.text(LEFT + wide * (begin + span / 2), top - 30, name, 9, ha="center", weight="bold")
        shorten(sheet, words, wide * span - 8)
        begin += span
    for down, name in enumerate(rows):
        words = sheet.text(LEFT - 12, top + ROW * (down + 0.5) + 3, name, 9, ha="right")
        shorten(sheet, words, LEFT - 32)
        for across in range(len(columns)):
            text, role, ink = look(down, across)
            edge: dict[str, Any] = {"fc": sheet.colour[role], "ec": sheet.colour["lane"]}
            axes.add_patch(Rectangle((across + 0.03, down + 0.08), 0.94, 0.84, lw=0.8, **edge))
            axes.text(across + 0.5, down + 0.5, text, ha="center", va="center", fontsize=9, color=sheet.colour[ink])
