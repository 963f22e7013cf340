"""A graph of causes drawn as a ladder: a row for each type, so that no arrow ever passes behind a box."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.patches import FancyBboxPatch, Polygon, Rectangle

from evsim.design.observed import OUTSIDE
from evsim.view import brush
from evsim.view.plots.causality import ROW, TOP
from evsim.view.sheet import DASHES, Sheet, shorten
from evsim.view.words import grouped, si

if TYPE_CHECKING:
    from evsim.view.causality import Track
    from evsim.view.causes import Graph

LEFT, RIGHT = 16, 884
HIGH, STEP, PAD, OUT = 20, 7, 9, 5
"""Pixels: a box, from one way down to the next, the margins of a lane, and how low an arrow leaves its box."""
BOX_MAX, MARK_MAX, NAMES_MAX = 200.0, 40.0, 220.0
LETTER = 5.6
"""Pixels: boxes with and without names, the column of names, and about one letter."""
_ROLES = {"command": "flow", "domain": "done", "integration": "undo", "actor": "ink"}
_STYLES = {"flow": "-", "wait": DASHES["dot"], "fault": DASHES["dash"]}
_WASHES = {"command": "wash_flow", "domain": "wash_done", "integration": "wash_undo"}


class _Lane:
    """A column: where its ways down are, and where its boxes."""

    def __init__(self, left: float, width: float, ways: int, box_max: float) -> None:
        self.left, self.width = left, width
        self.gutter = ways * STEP + PAD
        self.box_left = left + self.gutter + 4
        self.box_width = min(box_max, width - self.gutter - 4 - PAD)

    def track(self, number: int) -> float:
        """The place of a way down: the shortest next to the boxes."""
        return self.box_left - 5 - STEP * number


def draw_ladder(
    sheet: Sheet, graph: Graph, order: list[str], columns: list[str], ways: dict[tuple[str, str], Track]
) -> None:
    """Lanes first, then the arrows, then the boxes with their words."""
    axes = sheet.axes(0, 76, 900, sheet.height, grid="")
    axes.axis("off")
    axes.set_xlim(0, 900)
    axes.set_ylim(sheet.height, 76)
    lanes, apart = _lanes(columns, ways, LEFT, BOX_MAX), False
    tightest = min(lane.box_width for name, lane in lanes.items() if name != OUTSIDE or len(lanes) == 1)
    longest = max(LETTER * len(node) for node in order)
    if tightest < 0.8 * longest + 16:  # no room for names in boxes: they stand at the left, with marks in the lanes
        lanes, apart = _lanes(columns, ways, min(longest, NAMES_MAX) + LEFT + 12, MARK_MAX), True
    for number, (name, lane) in enumerate(lanes.items()):
        _header(sheet, axes, name, lane, shaded=number % 2 == 0)
    height = {node: TOP + ROW * (number + 0.5) for number, node in enumerate(order)}
    for start in order:
        for end in graph.successors(start):
            way = ways[start, graph.edges[start, end]["role"]]
            _arrow(sheet, axes, graph, lanes, height, way, (start, end))
    for node in order:
        lane = lanes[graph.nodes[node]["lane"]]
        _box(sheet, axes, graph.nodes[node], lane, height[node])
        _name(sheet, axes, node, graph.nodes[node], lane, height[node], apart=apart)


def _lanes(columns: list[str], ways: dict[tuple[str, str], Track], left: float, box_max: float) -> dict[str, _Lane]:
    """Each lane as wide as its ways down need, and a share of what is left; actors have short names."""
    most = {name: max((way.number + 1 for way in ways.values() if way.lane == name), default=0) for name in columns}
    fixed = sum(most[name] * STEP + 2 * PAD + 4 for name in columns)
    shares = {name: 0.55 if name == OUTSIDE else 1.0 for name in columns}
    room = max(0.0, RIGHT - left - fixed) / sum(shares.values())
    found: dict[str, _Lane] = {}
    for name in columns:
        width = most[name] * STEP + 2 * PAD + 4 + room * shares[name]
        found[name] = _Lane(left, width, most[name], box_max)
        left += width
    return found


def _header(sheet: Sheet, axes: Any, name: str, lane: _Lane, *, shaded: bool) -> None:
    if shaded:
        corner, size = (lane.left, TOP - 28), (lane.width, sheet.height - TOP + 20)
        axes.add_patch(Rectangle(corner, *size, fc=sheet.colour["panel"], ec="none", zorder=0))
    words = axes.text(
        lane.box_left,
        TOP - 12,
        name,
        fontsize=9,
        weight="bold",
        color=sheet.colour["soft"],
        va="center",
        parse_math=False,
    )
    shorten(sheet, words, lane.width - lane.gutter - 4)


def _arrow(
    sheet: Sheet, axes: Any, graph: Graph, lanes: dict[str, _Lane], height: dict[str, float], way: Track,
    edge: tuple[str, str],
) -> None:  # fmt: skip
    """Out of the left side of the cause, down its way, and along the row of the effect to its nearer side."""
    start, end = edge
    data = graph.edges[edge]
    here, there = lanes[graph.nodes[start]["lane"]], lanes[graph.nodes[end]["lane"]]
    causes = sorted(graph.predecessors(end), key=lambda cause: height[cause])
    into = (causes.index(start) - (len(causes) - 1) / 2) * min(7.0, (HIGH - 6) / len(causes)) - OUT / 2
    x, y, z = here.track(way.number), height[start] + OUT, height[end] + into
    from_right = there.box_left < here.box_left
    tip = there.box_left + there.box_width + 2 if from_right else there.box_left - 2
    role = data["role"]
    look: dict[str, Any] = {"color": sheet.colour[role], "lw": 1.5 if role == "fault" else 1.1}
    look |= {"ls": _STYLES[role], "zorder": 2.5 if role == "fault" else 2, "solid_capstyle": "round"}
    axes.plot([here.box_left, x, x, tip], [y, y, z, z], **look)
    size, turn = 5.5, 1 if from_right else -1
    head = [(tip, z), (tip + turn * size, z - size * 0.5), (tip + turn * size, z + size * 0.5)]
    axes.add_patch(Polygon(head, fc=sheet.colour[role], ec="none", zorder=2.6))
    if data["seen"] and len(causes) > 1:
        place = tip + turn * (size + 3)
        paper = {"boxstyle": "round,pad=.12", "fc": sheet.colour["paper"], "ec": "none", "alpha": 0.9}
        axes.text(
            place, z, grouped(data["seen"]), fontsize=7.5, ha="left" if from_right else "right", va="center",
            color=sheet.colour["ink"], bbox=paper, zorder=3, parse_math=False,
        )  # fmt: skip


def _box(sheet: Sheet, axes: Any, data: dict[str, Any], lane: _Lane, middle: float) -> None:
    kind, unseen = data["kind"], data["seen"] == 0
    role = _ROLES.get(kind, "fault")
    fill = sheet.colour[_WASHES.get(kind, "panel" if kind == "actor" else "wash_fault")]
    left, top = lane.box_left, middle - HIGH / 2
    look: dict[str, Any] = {"fc": sheet.colour["paper"] if unseen else fill, "ec": sheet.colour[role], "zorder": 4}
    look |= {"lw": 1.3, "ls": DASHES["short"] if unseen or kind == "orphan" else "-"}
    if kind == "orphan":
        look |= {"fc": sheet.colour["paper"], "hatch": "/////"}
    if kind == "command":  # a wish points at somebody
        tip = left + lane.box_width
        corners = [(left, top), (tip - 8, top), (tip, middle), (tip - 8, top + HIGH), (left, top + HIGH)]
        axes.add_patch(Polygon(corners, closed=True, **look))
    else:
        rounding = HIGH / 2 if kind == "actor" else 5
        style = f"round,pad=0,rounding_size={rounding}"
        axes.add_patch(FancyBboxPatch((left, top), lane.box_width, HIGH, boxstyle=style, **look))
    if kind == "integration":  # a second border: it crosses one
        inner = {**look, "fc": "none", "lw": 0.7, "zorder": 4.1}
        size = (lane.box_width - 5, HIGH - 5)
        axes.add_patch(FancyBboxPatch((left + 2.5, top + 2.5), *size, boxstyle="round,pad=0,rounding_size=3", **inner))


def _name(
    sheet: Sheet, axes: Any, node: str, data: dict[str, Any], lane: _Lane, middle: float, *, apart: bool
) -> None:  # fmt: skip
    """The name in its box, or at the left of its row; with how often it was seen, or that something was found."""
    left, room = (LEFT, min(lane.left, NAMES_MAX + LEFT)) if apart else (lane.box_left + 8, lane.box_width - 16)
    right = lane.box_left + lane.box_width - 9
    look: dict[str, Any] = {"va": "center", "parse_math": False, "zorder": 6}
    if apart:
        axes.plot([left, lane.box_left], [middle, middle], color=sheet.colour["grid"], lw=0.6, zorder=1)
    if data["seen"]:
        times = grouped(data["seen"]) if not apart else si(data["seen"])
        number = axes.text(right, middle, times, fontsize=7.5, ha="right", color=sheet.colour["soft"], **look)
        room -= 0 if apart else sheet.width_of(number) + 4
    elif data["broken"] and data["seen"] is None and data["kind"] != "orphan":
        room -= 0 if apart else 12
        brush.mark(sheet, axes, [(right - 1, middle)], "X", "fault", 6)
    look |= {"style": "italic" if data["kind"] == "actor" else "normal"}
    halo = apart or data["kind"] == "orphan"  # on a line of its row, on a hatch
    look |= {"bbox": {"fc": sheet.colour["paper"], "ec": "none", "pad": 1}} if halo else {}
    words = axes.text(
        left, middle, node, fontsize=8, color=sheet.colour["soft" if data["seen"] == 0 else "ink"], **look
    )
    shorten(sheet, words, room, middle=True)
