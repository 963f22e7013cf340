"""The boxes of a topology and the arrows between them, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon, Rectangle
from matplotlib.path import Path

from evsim.view import brush
from evsim.view.plots.topology import DOWN, TOP
from evsim.view.sheet import MONO, POINT, Sheet, shorten
from evsim.view.words import grouped, rate, si

if TYPE_CHECKING:
    from evsim.view.causes import Graph

WIDEST, NARROWEST, MARGIN, FLAT = 150.0, 88.0, 24.0, 12.0
_EDGE = {
    "publisher": "flow",
    "clients": "flow",
    "consumer": "done",
    "service": "soft",
    "cache": "soft",
    "router": "done",
    "wiretap": "done",
    "resequencer": "done",
    "relay": "done",
}
_ROUND = {
    "publisher": 14,
    "clients": 14,
    "consumer": 7,
    "router": 7,
    "wiretap": 7,
    "resequencer": 7,
    "relay": 7,
    "exchange": 17,
}
Point = tuple[float, float]


class Box(NamedTuple):
    """Where a node lies, in pixels."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The right side."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """The lower side."""
        return self.top + self.height


def draw_graph(
    sheet: Sheet, graph: Graph, bands: list[list[list[str]]], needs: list[float], back: set[tuple[str, str]]
) -> None:
    """Arrows first, then the boxes on them, then the numbers; a band of columns is a line, ``needs`` how high it is."""
    axes = sheet.axes(0, 76, 900, sheet.height, grid="")
    axes.axis("off")
    axes.set_xlim(0, 900)
    axes.set_ylim(sheet.height, 76)
    boxes = _place(graph, bands, needs, sheet.height - (32 + 8 * len(back) if back else 8))
    most = max((data["rate"] for *_, data in graph.edges(data=True)), default=0.0)
    for edge in graph.edges:
        data = graph.edges[edge]
        way = _back(boxes, edge, back) if edge in back else _forward(graph, boxes, edge, back)
        thick = 1.2 + 5.5 * float(np.sqrt(data["rate"] / most)) if most else 1.2
        _arrow(sheet, axes, way, thick, "flow" if data["rate"] else "fault")
        if data["lost"]:
            brush.mark(sheet, axes, [_along(way, 0.22)], "X", "fault", 9)
        lost = f"  {grouped(data['lost'])} lost" if data["lost"] else ""
        _number(sheet, axes, way, f"{rate(data['rate'])}{lost}", 0.62 if edge in back else 0.5)
    for node, box in boxes.items():
        _box(sheet, axes, node, graph.nodes[node], box)


def _place(graph: Graph, bands: list[list[list[str]]], needs: list[float], bottom: float) -> dict[str, Box]:
    """Columns from left to right, the boxes of each spread over the height of their line."""
    most = max(map(len, bands))
    width = min(WIDEST, max(NARROWEST, (900 - 2 * MARGIN) / most - 70))
    more = (bottom - TOP - sum(needs) - DOWN * (len(bands) - 1)) / len(bands)
    boxes: dict[str, Box] = {}
    top = float(TOP)
    for band, need in zip(bands, needs, strict=True):
        for number, column in enumerate(band):
            left = MARGIN + number * (900 - 2 * MARGIN - width) / max(1, most - 1)
            boxes |= _stacked(graph, column, Box(left, top, width, need + more))
        top += need + more + DOWN
    return boxes


def _stacked(graph: Graph, column: list[str], room: Box) -> dict[str, Box]:
    heights = [graph.nodes[node]["height"] for node in column]
    space = (room.height - sum(heights)) / len(column)
    tops = room.top + space / 2 + np.cumsum([0.0, *(height + space for height in heights[:-1])])
    return {
        node: Box(room.left, float(top), room.width, height)
        for node, top, height in zip(column, tops, heights, strict=True)
    }


# -------------------------------------------------------------------- arrows


def _forward(graph: Graph, boxes: dict[str, Box], edge: tuple[str, str], back: set[tuple[str, str]]) -> list[Point]:
    """From the right side of one box to the left side of the other, none on another's port."""
    start, end = boxes[edge[0]], boxes[edge[1]]
    out = sorted((b for a, b in graph.out_edges(edge[0]) if (a, b) not in back), key=lambda node: boxes[node].top)
    into = sorted((a for a, b in graph.in_edges(edge[1]) if (a, b) not in back), key=lambda node: boxes[node].top)
    y = start.top + start.height * (out.index(edge[1]) + 1) / (len(out) + 1)
    z = end.top + end.height * (into.index(edge[0]) + 1) / (len(into) + 1)
    if end.left <= start.left:
        return _next_line(start, end)
    half = 0.5 * (end.left - start.right)
    return [(start.right, y), (start.right + half, y), (end.left - half, z), (end.left - 4, z)]


def _next_line(start: Box, end: Box) -> list[Point]:
    """Out below one box, through the space between the lines, into the other from above."""
    x, z, low = start.left + start.width / 2, end.left + end.width / 2, end.top - start.bottom
    return [(x, start.bottom), (x, start.bottom + 0.7 * low), (z, end.top - 0.7 * low), (z, end.top - 4)]


def _back(boxes: dict[str, Box], edge: tuple[str, str], back: set[tuple[str, str]]) -> list[Point]:
    """From the left side of one box, below all, up into the other; or down into it from a box that is higher."""
    start, end = boxes[edge[0]], boxes[edge[1]]
    peers = sorted((a for a, b in back if b == edge[1]), key=lambda node: boxes[node].top)
    number = peers.index(edge[0])
    x = end.left + end.width * (1 - (number + 1) / (len(peers) + 1))
    above = start.top + 0.3 * start.height
    if above < end.top - DOWN / 2:
        return [(start.left, above), (0.3 * start.left + 0.7 * x, above), (x, above), (x, end.top - 4)]
    y = start.top + 0.82 * start.height
    low = max(y, end.bottom) + 40 + 8 * number
    return [(start.left, y), (start.left - 70, y + 10), (x, low), (x, end.bottom + 4)]


def _arrow(sheet: Sheet, axes: Any, way: list[Point], thick: float, role: str) -> None:
    colour = sheet.colour[role]
    path = Path(way, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])
    alpha = 0.6 if role == "flow" else 0.9
    line = PathPatch(path, fc="none", ec=colour, lw=thick * POINT, alpha=alpha, capstyle="butt", zorder=2)
    axes.add_patch(line)
    tip, before = np.array(way[3]), np.array(way[2])
    along = (tip - before) / max(float(np.hypot(*(tip - before))), 1e-9)
    across, size = np.array([-along[1], along[0]]), 6 + thick
    corners = [
        tip + along * 4,
        tip - along * (size - 4) + across * size * 0.5,
        tip - along * (size - 4) - across * size * 0.5,
    ]
    axes.add_patch(Polygon(corners, fc=colour, ec="none", zorder=2.1))


def _along(way: list[Point], at: float) -> Point:
    """The point at this share of the way."""
    weights = ((1 - at) ** 3, 3 * (1 - at) ** 2 * at, 3 * (1 - at) * at**2, at**3)
    x, y = (sum(w * point[k] for w, point in zip(weights, way, strict=True)) for k in (0, 1))
    return x, y


def _number(sheet: Sheet, axes: Any, way: list[Point], text: str, at: float) -> None:
    paper = {"boxstyle": "round,pad=.2", "fc": sheet.colour["paper"], "ec": "none", "alpha": 0.92}
    look: dict[str, Any] = {"fontsize": 8.2, "ha": "center", "va": "center", "color": sheet.colour["ink"], "zorder": 3}
    x, y = _along(way, at)
    words = axes.text(x, y, text, bbox=paper, parse_math=False, **look)
    wide, high = abs(way[3][0] - way[0][0]), abs(way[3][1] - way[0][1])
    if high < FLAT and wide < sheet.width_of(words) + 2 * FLAT:  # it would hide the arrow
        words.set_position((x, y - 12))


# -------------------------------------------------------------------- boxes


def _box(sheet: Sheet, axes: Any, node: str, data: dict[str, Any], box: Box) -> None:
    down = data["down_s"] is not None
    edge = "fault" if down else _EDGE.get(data["kind"], "ink")
    look: dict[str, Any] = {"boxstyle": f"round,pad=0,rounding_size={_ROUND.get(data['kind'], 3)}", "zorder": 4}
    fill = sheet.colour["wash_fault" if down else "panel"]
    hatch = "////" if down else None
    axes.add_patch(
        FancyBboxPatch(
            (box.left, box.top), box.width, box.height, fc=fill, ec=sheet.colour[edge], lw=1.5, hatch=hatch, **look
        )
    )
    if down:
        inner: dict[str, Any] = {
            "boxstyle": "round,pad=0,rounding_size=3",
            "fc": sheet.colour["paper"],
            "ec": "none",
            "alpha": 0.9,
        }
        size = (box.width - 12, box.height - 12)
        axes.add_patch(FancyBboxPatch((box.left + 6, box.top + 6), *size, zorder=4.1, **inner))
    middle = box.left + box.width / 2
    _words(sheet, axes, (middle, box.top + 15), node, box.width - 12, 9, "ink", weight="bold")
    if data["note"]:
        _words(sheet, axes, (middle, box.top + 31), data["note"], box.width - 12, 8, "ink" if down else "soft")
    if data["busy"] is not None:
        _meter(sheet, axes, (box.left + 12, box.top + 44), box.width - 24, 6, data["busy"], "done")
    for row, (name, waiting) in enumerate(data.get("waiting", {}).items()):
        y = box.top + 28 + 18 * row
        _words(sheet, axes, (box.left + 9, y + 6), name, 24, 8, "soft", ha="left", family=MONO)
        most = max(1, *data["waiting"].values())
        _meter(sheet, axes, (box.left + 30, y), box.width - 30 - 52, 12, waiting / most, "flow")
        _words(sheet, axes, (box.right - 8, y + 6), _short(waiting), 40, 8, "ink", ha="right")
    if data.get("more"):
        text = f"and {data['more']} that had less"
        _words(sheet, axes, (box.left + 9, box.bottom - 9), text, box.width - 16, 7.5, "soft", ha="left")


def _short(number: int) -> str:
    return grouped(number) if number < 10_000 else si(number)


def _words(sheet: Sheet, axes: Any, at: Point, text: str, room: float, size: float, role: str, **how: Any) -> None:
    how = {"ha": "center", "va": "center"} | how
    words = axes.text(*at, text, fontsize=size, color=sheet.colour[role], zorder=6, parse_math=False, **how)
    shorten(sheet, words, room, middle=True)


def _meter(sheet: Sheet, axes: Any, corner: Point, width: float, height: float, part: float, role: str) -> None:
    x, y = corner
    axes.add_patch(
        Rectangle(corner, width, height, fc=sheet.colour["paper"], ec=sheet.colour["lane"], lw=0.8, zorder=5)
    )
    look: dict[str, Any] = {"fill": role, "edge": role, "alpha": 0.85, "zorder": 5.1}
    if part > 0:
        brush.bar(sheet, axes, x, x + width * min(1.0, part), y + height / 2, height, **look)
