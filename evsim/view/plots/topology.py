"""The parts of a run from left to right, and how much flowed between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evsim.view import measures
from evsim.view.causes import layers, topology_graph
from evsim.view.figure import Figure
from evsim.view.words import si

if TYPE_CHECKING:
    import networkx as nx

    from evsim.history import History
    from evsim.view.sheet import Sheet

BOX, PARTITIONS_MAX = 150, 6
_KEYS = (("line", "flow", "events per second (width)"), ("bar", "flow", "most that waited"), ("bar", "done", "busy"))
_EDGE = {"publisher": "flow", "log": "ink", "consumer": "done", "service": "soft"}
_ROUND = {"publisher": 14, "log": 3, "consumer": 7, "service": 3}

Box = tuple[float, float, float]
"""Left, middle height, height."""


def topology(history: History) -> Figure:
    """The graph of the parts with rates on its edges."""
    graph = topology_graph(history)
    _describe(graph, history)
    columns = layers(graph)
    most = max((sum(data["height"] + 22 for data in map(graph.nodes.get, column)) for column in columns), default=60)
    height = int(max(220, 110 + most))
    busiest = max(((data.get("busy", 0.0), node) for node, data in graph.nodes(data=True)), default=(0.0, ""))
    _, end = measures.span(history)
    facts = {f"{a} to {b}": f"{si(data['rate'])}/s" for a, b, data in graph.edges(data=True)}
    facts |= {node: f"{100 * data['busy']:.0f} % busy" for node, data in graph.nodes(data=True) if "busy" in data}
    kinds = [data["kind"] for _, data in graph.nodes(data=True)]
    claim = f"{busiest[1]} is busiest, {100 * busiest[0]:.0f} % of the time" if busiest[0] else _plain_claim(kinds)
    subtitle = (
        f"Mean over {end:.4g} s, seed {history.meta.get('seed', 'unknown')}. Numbers on arrows: events per second."
    )

    def draw(sheet: Sheet) -> None:
        _draw(sheet, graph, columns)

    shown = {"publisher", *(["log"] if "log" in kinds else []), *(["consumer"] if busiest[0] else [])}
    keys = tuple(key for key, kind in zip(_KEYS, ("publisher", "log", "consumer"), strict=True) if kind in shown)
    return Figure(claim, subtitle, facts, draw, height=height, keys=keys)


def _plain_claim(kinds: list[str]) -> str:
    counted = [f"{kinds.count(kind)} {kind}{'s' if kinds.count(kind) > 1 else ''}" for kind in dict.fromkeys(kinds)]
    return ", ".join(counted) or "There are no parts"


def _describe(graph: nx.DiGraph, history: History) -> None:
    """What stands in each box."""
    busy = measures.utilisations(history)
    lags = measures.lags(history)
    for node, data in graph.nodes(data=True):
        part = data["part"]
        data["note"] = _note(part, node)
        data["height"] = 46.0
        if data["kind"] == "log":
            places = [f"{node}/{n}" for n in range(min(part["partitions"], PARTITIONS_MAX))]
            most = [
                max((lag["messages"] for name, lag in lags.items() if name.endswith(f" {p}")), default=0)
                for p in places
            ]
            data["waiting"] = most
            data["height"] = 34.0 + 18 * len(places) + (14 if part["partitions"] > PARTITIONS_MAX else 0)
        elif data["kind"] == "consumer" and node in busy:
            data["busy"] = float(busy[node] or 0.0)
            data["height"] = 56.0


def _note(part: dict[str, Any], node: str) -> str:
    match part["kind"]:
        case "publisher":
            rate = part.get("rate")
            return f"Poisson {rate:g}/s" if isinstance(rate, (int, float)) else "published"
        case "consumer":
            return "" if node == part["name"] and part.get("members", 1) == 1 else f"of {part['name']}"
        case "service":
            return f"there {100 * part.get('availability', 1.0):g} %"
    return ""


def _draw(sheet: Sheet, graph: nx.DiGraph, columns: list[list[str]]) -> None:
    axes = sheet.axes(0, 76, 900, sheet.height, grid="")
    axes.axis("off")
    axes.set_xlim(0, 900)
    axes.set_ylim(sheet.height, 76)
    boxes = _place(graph, columns, sheet.height)
    most = max((data["rate"] for *_, data in graph.edges(data=True)), default=0.0)
    for source, target, data in graph.edges(data=True):
        _arrow(sheet, axes, graph, boxes, (source, target), data["rate"], most)
    for node, data in graph.nodes(data=True):
        _box(sheet, axes, node, data, boxes[node])


def _place(graph: nx.DiGraph, columns: list[list[str]], height: float) -> dict[str, Box]:
    boxes: dict[str, Box] = {}
    width = _width(len(columns))
    for n, column in enumerate(columns):
        left = 24 + n * (900 - 48 - width) / max(len(columns) - 1, 1)
        room = height - 104
        for node in column:
            graph.nodes[node]["width"] = width
        for k, node in enumerate(column):
            boxes[node] = (left, 90 + room * (k + 0.5) / len(column), graph.nodes[node]["height"])
    return boxes


def _width(columns: int) -> float:
    return min(BOX, (900 - 40) / max(columns, 1) - 40)


def _arrow(
    sheet: Sheet, axes: Any, graph: nx.DiGraph, boxes: dict[str, Box], ends: tuple[str, str], rate: float, most: float
) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    width = _width(len({box[0] for box in boxes.values()}))
    (left, y, _), (right, z, _) = boxes[ends[0]], boxes[ends[1]]
    out = sorted(graph.successors(ends[0]), key=lambda node: boxes[node][1])
    into = sorted(graph.predecessors(ends[1]), key=lambda node: boxes[node][1])
    y += _spread(out.index(ends[1]), len(out), boxes[ends[0]][2])
    z += _spread(into.index(ends[0]), len(into), boxes[ends[1]][2])
    start, end = (left + width, y), (right - 2, z)
    role = "flow" if rate else "fault"
    if right <= left:
        low = max(y, z) + 46
        start, end = (
            (left + width / 2, boxes[ends[0]][1] + boxes[ends[0]][2] / 2),
            (right + width / 2, boxes[ends[1]][1] + boxes[ends[1]][2] / 2),
        )
        bend = Path([start, (start[0], low), (end[0], low), end], [1, 4, 4, 4])
    else:
        half = (end[0] - start[0]) * 0.5
        bend = Path([start, (start[0] + half, y), (end[0] - half, z), end], [1, 4, 4, 4])
    thick = 1.0 + 4.2 * np.sqrt(rate / most) if most else 1.0
    axes.add_patch(FancyArrowPatch(path=bend, arrowstyle="-|>", mutation_scale=9 + 2 * thick, lw=thick, fc=sheet.colour[role],
                                   ec=sheet.colour[role], alpha=0.6, zorder=2))  # fmt: skip
    middle = np.array(bend.vertices).mean(axis=0) if right <= left else ((start[0] + end[0]) / 2, (y + z) / 2)
    axes.text(*middle, f"{si(rate)}/s", fontsize=8.2, ha="center", va="center", color=sheet.colour["ink"], zorder=3,
              bbox={"boxstyle": "round,pad=.2", "fc": sheet.colour["paper"], "ec": "none", "alpha": 0.92})  # fmt: skip


def _spread(place: int, among: int, height: float) -> float:
    return height * 0.6 * ((place + 0.5) / among - 0.5)


def _box(sheet: Sheet, axes: Any, node: str, data: dict[str, Any], box: Box) -> None:
    from matplotlib.patches import FancyBboxPatch, Rectangle

    left, middle, height = box
    colour, width = sheet.colour, data["width"]
    top = middle - height / 2
    shape = f"round,pad=0,rounding_size={_ROUND[data['kind']]}"
    axes.add_patch(FancyBboxPatch((left, top), width, height, boxstyle=shape, fc=colour["panel"], ec=colour[_EDGE[data["kind"]]],
                                  lw=1.5, zorder=4))  # fmt: skip
    name = node if len(node) <= width / 7.5 else f"{node[: int(width / 7.5) - 1]}…"
    axes.text(
        left + width / 2,
        top + 15,
        name,
        fontsize=9,
        weight="bold",
        ha="center",
        va="center",
        color=colour["ink"],
        zorder=6,
    )
    if data["note"]:
        axes.text(
            left + width / 2,
            top + 31,
            data["note"],
            fontsize=8,
            ha="center",
            va="center",
            color=colour["soft"],
            zorder=6,
        )
    if "busy" in data:
        axes.add_patch(
            Rectangle((left + 12, top + 41), width - 24, 6, fc=colour["paper"], ec=colour["lane"], lw=0.7, zorder=5)
        )
        axes.add_patch(
            Rectangle((left + 12, top + 41), (width - 24) * min(1.0, data["busy"]), 6, fc=colour["done"], zorder=5.1)
        )
    for n, waiting in enumerate(data.get("waiting", ())):
        y = top + 28 + 18 * n
        most = max(max(data["waiting"]), 1)
        axes.text(
            left + 9,
            y + 6.5,
            f"p{n}",
            fontsize=8,
            va="center",
            color=colour["soft"],
            family="DejaVu Sans Mono",
            zorder=6,
        )
        axes.add_patch(
            Rectangle((left + 32, y), width - 84, 12, fc=colour["paper"], ec=colour["lane"], lw=0.8, zorder=5)
        )
        axes.add_patch(
            Rectangle((left + 32, y), (width - 84) * waiting / most, 12, fc=colour["flow"], alpha=0.8, zorder=5.1)
        )
        axes.text(
            left + width - 8, y + 6.5, si(waiting), fontsize=8, ha="right", va="center", color=colour["ink"], zorder=6
        )
    more = data["part"].get("partitions", 0) - PARTITIONS_MAX
    if more > 0:
        axes.text(
            left + 9, top + height - 8, f"and {more} more", fontsize=7.5, va="center", color=colour["soft"], zorder=6
        )
