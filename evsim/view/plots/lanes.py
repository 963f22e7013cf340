"""The lanes of a space-time diagram, and all that is drawn on them."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import to_rgb

from evsim.view import brush
from evsim.view.scene import Hop, Moment, Scene, Work
from evsim.view.sheet import MONO, Sheet, seconds, shorten
from evsim.view.sheet_size import LANES_TOP
from evsim.view.telling import Step
from evsim.view.words import si


def draw_lanes(sheet: Sheet, scene: Scene, steps: list[Step], pitch: float, bottom: float) -> None:
    """Lanes, then what lies on them, then what goes between them, then the numbers of the story."""
    low, high = scene.window
    heights = scene.heights()
    left = 128 if max((len(lane) for lane in scene.lanes), default=0) <= 10 else 168
    axes = sheet.axes(left, LANES_TOP - 0.55 * pitch, 876, bottom, grid="x")
    axes.set_xlim(low, high)
    axes.set_ylim(scene.units - 0.35, -0.55)
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    seconds(axes.xaxis, high, 8)
    sheet.name_x(axes, "simulated time")
    _name_lanes(sheet, axes, scene, heights, left, pitch)
    discs = _disc_places(scene, steps, heights, pitch, 876 - left)
    _ownership(
        sheet, axes, scene, heights, (876 - left) / (high - low), [(x, y * pitch) for x, y in discs.values()], pitch
    )
    _outages(sheet, axes, scene, heights, (876 - left) / (high - low))
    if not scene.arrows_shown:
        _activity(sheet, axes, scene, heights)
    seen = [work for work in scene.works if work.lane in heights and work.end_s >= low and work.start_s <= high]
    for work in (work for work in seen if work.event in scene.focus):
        _work(sheet, axes, work, heights[work.lane], high - low)
    _other_works(sheet, axes, scene, [work for work in seen if work.event not in scene.focus], heights)
    commits, effects = ([(moment.time, heights[moment.lane]) for moment in moments if _is_seen(moment, scene, heights)]
                        for moments in (scene.commits, scene.effects))  # fmt: skip
    brush.mark(sheet, axes, commits, "|", "ink", 9, mec=sheet.colour["ink"], mew=1.5, zorder=4)
    brush.mark(sheet, axes, [(time, y - 0.27) for time, y in effects], "D", "undo", 6, zorder=6.5)
    _hops(sheet, axes, scene, heights)
    for number, (x, y) in discs.items():
        brush.disc(sheet, axes, (low + x / (876 - left) * (high - low), y), number)
    brush.steps(sheet, [step.text for step in steps], bottom + 66)


def _is_seen(moment: Moment, scene: Scene, heights: dict[str, float]) -> bool:
    low, high = scene.window
    wanted = scene.arrows_shown or moment.event in scene.focus
    return wanted and moment.lane in heights and low <= moment.time <= high


def _name_lanes(sheet: Sheet, axes: Any, scene: Scene, heights: dict[str, float], left: float, pitch: float) -> None:
    for lane, y in heights.items():
        axes.axhline(y, color=sheet.colour["lane"], lw=1.1, zorder=1)
        words = sheet.text(left - 10, LANES_TOP + pitch * y, lane, 9.5, family=MONO, ha="right", va="center")
        shorten(sheet, words, left - 10 - 48, middle=True)
    for name, lanes in scene.groups:
        middle = LANES_TOP + pitch * (heights[lanes[0]] + heights[lanes[-1]]) / 2
        for told in (name, name.partition(" ")[0]):
            words = sheet.text(30, middle, told, 8.5, "soft", rotation=90, ha="center", va="center")
            if sheet.height_of(words) <= pitch * (len(lanes) - 0.1):
                break
            words.remove()


def _activity(sheet: Sheet, axes: Any, scene: Scene, heights: dict[str, float]) -> None:
    """Too many events for arrows: the more went on in a lane, the darker it is."""
    low, high = scene.window
    counts = scene.activity()
    most = max(1, *(int(values.max()) for values in counts.values()))
    working = {work.lane for work in scene.works if work.kind != "wait"} if scene.others_shown else set()
    for lane, values in counts.items():
        if lane in working:
            continue
        shade = np.empty((1, len(values), 4))
        shade[..., :3] = to_rgb(sheet.colour["flow"])
        shade[..., 3] = np.where(values > 0, 0.12 + 0.45 * values / most, 0.0)
        y = heights[lane]
        axes.imshow(shade, extent=(low, high, y + 0.19, y - 0.19), aspect="auto", interpolation="nearest", zorder=1.8)
    axes.set_xlim(low, high)
    axes.set_ylim(scene.units - 0.35, -0.55)


def _ownership(
    sheet: Sheet,
    axes: Any,
    scene: Scene,
    heights: dict[str, float],
    pixel: float,
    discs: list[tuple[float, float]],
    pitch: float,
) -> None:
    """When a group shared its partitions out, and below each member what it owned; no word under a disc."""
    low, high = scene.window
    for group, start, end in scene.rebalances():
        mine = [heights[lane] for name, lanes in scene.groups if name == f"group {group}" for lane in lanes]
        if not mine or (min(end, high) - max(start, low)) * pixel < 3:
            continue
        middle, height = (mine[0] + mine[-1]) / 2, mine[-1] - mine[0] + 1.0
        brush.bar(sheet, axes, start, end, middle, height, fill="wash_again", edge="wash_again", zorder=0.8)
        at = ((max(start, low) + min(end, high)) / 2, mine[0] - 0.56)
        sheet.tag(axes, at, "rebalance", ha="center", fontsize=8, zorder=5)
    for member, start, end, places in scene.ownings():
        y, begin = heights[member], max(start, low)
        brush.bar(sheet, axes, start, end, y + 0.33, 0.11, fill="wash_flow", edge="flow", zorder=1.5)
        x, room = (begin - low) * pixel + 4, (min(end, high) - begin) * pixel - 8
        near = [other - 10 - x for other, level in discs if abs(level - (y + 0.53) * pitch) < 14 and other + 10 > x]
        room = min([room, *near])
        names = [place.rpartition("/")[2] for place in places]
        for told in (f"owns {', '.join(names)}", f"owns {len(names)}"):
            if brush.inside(sheet, axes, begin + 4 / pixel, y + 0.53, told, room, "soft") is not None:
                break


def _outages(sheet: Sheet, axes: Any, scene: Scene, heights: dict[str, float], pixel: float) -> None:
    low, high = scene.window
    for node, step, start, end in scene.outages():
        role, word = ("fault", "down") if step == "crashed" else ("again", "paused")
        y = heights[node]
        brush.bar(sheet, axes, start, end, y, 0.4, fill=f"wash_{role}", edge=role, hatch="////", zorder=2.2)
        middle = (max(start, low) + min(end, high)) / 2
        paper = {"fc": sheet.colour["paper"], "ec": "none", "pad": 1.2, "alpha": 0.9}
        room = (min(end, high) - max(start, low)) * pixel - 24
        brush.inside(
            sheet,
            axes,
            middle,
            y,
            f"{word} {si(end - start, 's')}",
            room,
            ha="center",
            fontsize=8,
            bbox=paper,
            zorder=5,
        )
        if step == "crashed":
            brush.mark(sheet, axes, [(start, y)] if start >= low else [], "X", "fault", 10)
            brush.mark(sheet, axes, [(end, y)] if end <= high else [], "^", "done", 8)


_LOOKS: dict[str, tuple[str, str, str | None]] = {
    "done": ("done", "done", None),
    "cut": ("wash_done", "done", None),
    "open": ("wash_done", "done", None),
    "again": ("paper", "again", "//////"),
    "skipped": ("paper", "again", "//////"),
}
"""Filling, edge and hatch of each kind of work."""


def _work(sheet: Sheet, axes: Any, work: Work, y: float, length: float) -> None:
    """What the focused event went through."""
    start, end = work.start_s, work.end_s
    if work.kind == "wait":
        axes.plot([start, end], [y, y], color=sheet.colour["wait"], lw=2.4, ls=(0, (1, 1.6)), zorder=2.1)
    elif work.kind == "ignored":
        brush.mark(sheet, axes, [(start, y)], "o", "paper", 5, mec=sheet.colour["wait"], mew=1.3, zorder=4.5)
    else:
        fill, edge, hatch = _LOOKS[work.kind]
        end = max(end, start + (0.012 * length if work.kind == "skipped" else 0))
        brush.bar(sheet, axes, start, end, y, 0.34, fill=fill, edge=edge, hatch=hatch, zorder=3)


def _other_works(sheet: Sheet, axes: Any, scene: Scene, works: list[Work], heights: dict[str, float]) -> None:
    """The work on all others, many bars in one stroke."""
    alike: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for work in works:
        if work.kind in _LOOKS:
            alike.setdefault((work.lane, work.kind), []).append((work.start_s, work.end_s - work.start_s))
    alpha = 1.0 if not scene.focus else 0.5 if scene.arrows_shown else 0.4
    for (lane, kind), bars in alike.items():
        fill, edge, hatch = _LOOKS[kind]
        look = {"facecolors": sheet.colour[fill], "edgecolors": sheet.colour[edge], "hatch": hatch, "alpha": alpha}
        width = 0.6 if scene.arrows_shown else 0
        axes.broken_barh(bars, (heights[lane] - 0.17, 0.34), lw=width, zorder=2.8, **look)


def _hops(sheet: Sheet, axes: Any, scene: Scene, heights: dict[str, float]) -> None:
    drawn: dict[tuple[str, bool], list[Any]] = {}
    low, high = scene.window
    for hop in scene.hops:
        way = _ends(hop, heights)
        if hop.kind == "first" and hop.event not in scene.focus and not scene.arrows_shown:
            continue
        if way is not None and hop.end_s >= low and hop.start_s <= high:
            drawn.setdefault((hop.kind, hop.event in scene.focus), []).append(way)
    dim = 0.55 if scene.focus else 1.0
    for (kind, focused), ends in drawn.items():
        role = {"first": "flow", "again": "again"}.get(kind, "fault")
        look: dict[str, Any] = (
            {"width": 2.6, "head": 8.5, "zorder": 5} if focused else {"width": 1.0, "head": 6, "alpha": dim}
        )
        if kind == "again":
            look |= {"style": (0, (3.2, 1.4)), "alpha": 1.0, "width": max(1.6, look["width"])}
        if kind in {"lost", "refused"}:
            look |= {"head": 0, "alpha": 1.0, "width": max(1.5, look["width"] - 0.6)}
        brush.arrows(sheet, axes, ends, role, **look)
        if kind in {"lost", "refused"}:
            brush.mark(sheet, axes, [end for _, end in ends], "X", "fault", 8)


def _ends(hop: Hop, heights: dict[str, float]) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Where an arrow begins and ends; one that was lost stops half-way."""
    if hop.start not in heights:
        return None
    start, end = heights[hop.start], heights.get(hop.end)
    if end is None:
        near = [y for lane, y in heights.items() if lane.startswith((f"{hop.end}/", f"{hop.end}-"))]
        if hop.kind != "lost":
            return None
        end = near[0] if near else start + 1.0
    if hop.kind == "lost":
        end = (start + end) / 2
    return (hop.start_s, start), (hop.end_s, end)


def _disc_places(
    scene: Scene, steps: list[Step], heights: dict[str, float], pitch: float, width: float
) -> dict[int, tuple[float, float]]:
    """Where the numbers of the story stand, in pixels and lanes; side by side where one would cover another."""
    low, high = scene.window
    found: dict[int, tuple[float, float]] = {}
    for number, step in enumerate(steps, start=1):
        if step.lane not in heights or not low <= step.time <= high:
            continue
        x, y = (step.time - low) / (high - low) * width - 10, heights[step.lane] - 13 / pitch
        while any(abs(other - x) < 17 and abs(level - y) * pitch < 17 for other, level in found.values()):
            x += 3
        found[number] = (x, y)
    return found
