"""Marks that several figures share: bars, discs, words in bars, and arrows in one stroke."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.patches import Rectangle

from evsim.view.sheet import PIXEL, SMALL

if TYPE_CHECKING:
    from evsim.view.sheet import Sheet

Point = tuple[float, float]


def bar(
    sheet: Sheet,
    axes: Any,
    start: float,
    end: float,
    middle: float,
    height: float,
    *,
    fill: str,
    edge: str,
    hatch: str | None = None,
    alpha: float = 1.0,
    zorder: float = 2.0,
) -> None:
    """A bar along time, around a height."""
    corner = (start, middle - height / 2)
    look: dict[str, Any] = {"lw": 0.8, "hatch": hatch, "alpha": alpha, "zorder": zorder}
    axes.add_patch(Rectangle(corner, end - start, height, fc=sheet.colour[fill], ec=sheet.colour[edge], **look))


def inside(
    sheet: Sheet, axes: Any, x: float, y: float, text: str, room: float, role: str = "ink", **how: Any
) -> Any | None:
    """Small words that begin at a point and take at most ``room`` pixels; none when they do not fit."""
    how = {"ha": "left", "va": "center_baseline", "fontsize": SMALL, "zorder": 3, "color": sheet.colour[role]} | how
    words = axes.text(x, y, text, parse_math=False, **how)
    if sheet.width_of(words) > room:
        words.remove()
        return None
    return words


def arrows(
    sheet: Sheet,
    axes: Any,
    ends: Sequence[tuple[Point, Point]],
    role: str,
    *,
    width: float = 1.0,
    head: float = 6.0,
    style: Any = "-",
    alpha: float = 1.0,
    zorder: float = 3.0,
) -> None:
    """Many arrows from point to point, their heads as one collection; ``head=0`` for lines that just end."""
    if not ends:
        return
    lines: Any = np.array(ends, dtype=np.float64)
    colour = sheet.colour[role]
    look = {"colors": colour, "alpha": alpha, "capstyle": "butt"}
    axes.add_collection(LineCollection(lines, lw=width, ls=style, zorder=zorder, **look), autolim=False)
    if head:
        heads = axes.transData.inverted().transform(_heads(axes, lines, head * PIXEL).reshape(-1, 2)).reshape(-1, 3, 2)
        shapes = PolyCollection(heads, facecolors=colour, edgecolors="none", alpha=alpha, zorder=zorder + 0.1)
        axes.add_collection(shapes, autolim=False)


def _heads(axes: Any, lines: Any, size: float) -> Any:
    start, tip = axes.transData.transform(lines[:, 0]), axes.transData.transform(lines[:, 1])
    along = tip - start
    along /= np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    return np.stack([tip, tip - along * size + across * size * 0.38, tip - along * size - across * size * 0.38], axis=1)


def mark(sheet: Sheet, axes: Any, points: Sequence[Point], shape: str, role: str, size: float, **how: Any) -> None:
    """Marks with an edge of paper."""
    look = {
        "ls": "",
        "ms": size,
        "mfc": sheet.colour[role],
        "mec": sheet.colour["paper"],
        "mew": 1.0,
        "zorder": 7,
    } | how
    if points:
        axes.plot([x for x, _ in points], [y for _, y in points], marker=shape, **look)


def disc(sheet: Sheet, axes: Any, at: Point, number: int) -> None:
    """The number of a step of the story."""
    box = {"boxstyle": "circle,pad=.22", "fc": sheet.colour["ink"], "ec": sheet.colour["paper"], "lw": 0.8}
    axes.text(*at, str(number), fontsize=8, weight="bold", ha="center", va="center", color=sheet.colour["paper"],
              bbox=box, zorder=9, clip_on=False)  # fmt: skip


def steps(sheet: Sheet, texts: Sequence[str], y: float, columns: int = 3) -> None:
    """A numbered story below a figure, with the same discs as on it."""
    width = (900 - 40) / columns
    box = {"boxstyle": "circle,pad=.2", "fc": sheet.colour["ink"], "ec": "none"}
    for number, text in enumerate(texts):
        x, line = 20 + (number % columns) * width, y + (number // columns) * 21
        sheet.text(x + 8, line, str(number + 1), SMALL, "paper", ha="center", weight="bold", bbox=box)
        sheet.fitted(x + 22, line, text, 8.5, right=x + width - 8)
