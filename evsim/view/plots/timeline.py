"""Who sent what to whom, and when: time runs to the right, each lane is one of those who take part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evsim.history import part_of
from evsim.view.figure import Figure
from evsim.view.scene import OTHERS_MAX, Bar, Hop, Scene
from evsim.view.words import si

if TYPE_CHECKING:
    from evsim.history import History
    from evsim.view.sheet import Sheet

LANE, GAP = 36, 14
_KEYS = (
    ("line", "flow", "first delivery"),
    ("dash", "again", "again"),
    ("cross", "fault", "lost, crashed"),
    ("bar", "done", "work (pale: cut off)"),
    ("dot", "wait", "waiting"),
    ("tick", "ink", "acknowledged"),
)


def timeline(history: History, *names: str, from_s: float | None = None, to_s: float | None = None) -> Figure:
    """The space-time diagram of these events, orders or flows; of the most telling event when none is named."""
    focus = np.unique(np.concatenate([history.about(name) for name in names])) if names else _most_telling(history)
    if not len(focus):
        return Figure("Nothing happened in this run", "no event was published", {}, _nothing, height=160)
    scene = Scene(history, focus, None if from_s is None or to_s is None else (from_s, to_s))
    name = ", ".join(names) or history.id_of(int(focus[0]))
    rows = sum(len(lanes) for _, lanes in scene.groups)
    story = 30 + 21 * ((len(scene.steps) + 1) // 2)
    height = 96 + LANE * rows + GAP * len(scene.groups) + 56 + story
    facts = {str(n): f"{step.time:.4g} s  {step.text}" for n, step in enumerate(scene.steps, start=1)}
    low, high = scene.window
    others = f"Thin: {scene.others} other events." if scene.others <= OTHERS_MAX else f"{scene.others} others not drawn."
    seed = history.meta.get("seed", "unknown")
    subtitle = f"Thick: {name}. {others} {si(high - low, 's')} of the run, seed {seed}."

    def draw(sheet: Sheet) -> None:
        _draw(sheet, scene, height - story)

    return Figure(_claim(history, focus, name), subtitle, facts, draw, height=height, keys=_KEYS)


def _most_telling(history: History) -> np.ndarray:
    """What was dropped or delivered twice, else the first event."""
    dropped = history.of("dropped").event
    delivered = history.of("delivered")
    groups = {name: n for n, name in enumerate(dict.fromkeys(part_of(what.node) for what in history.whats))}
    group_of = np.array([groups[part_of(what.node)] for what in history.whats], dtype=np.int64)
    meetings = np.stack([delivered.event, group_of[delivered.what]], axis=1)
    kept, counts = np.unique(meetings, axis=0, return_counts=True)
    for events in (dropped[dropped >= 0], kept[counts > 1, 0]):
        if len(events):
            return np.array([events[0]])
    return np.arange(min(1, history.event_count))


def _claim(history: History, focus: np.ndarray, name: str) -> str:
    rows = history.rows[np.isin(history.event, focus)]
    steps = [history.whats[code].step for code in rows["what"].tolist()]
    nodes = [part_of(history.whats[code].node) for code in rows["what"].tolist()]
    deliveries = [node for step, node in zip(steps, nodes, strict=True) if step == "delivered"]
    most = max((deliveries.count(node) for node in deliveries), default=0)
    if "dropped" in steps:
        return f"{name} was lost on its way"
    if most > 1:
        return f"{name} was delivered {'twice' if most == 2 else f'{most} times'} to {max(deliveries, key=deliveries.count)}"
    if "handled" not in steps:
        return f"{name} was never handled in this run"
    took = float(rows["time"][-1] - rows["time"][0])
    return f"{name} lived for {si(took, 's')}: published, stored, delivered, handled"


def _nothing(sheet: Sheet) -> None:
    sheet.text(20, 120, "nothing to draw", 9, "soft")


def _draw(sheet: Sheet, scene: Scene, bottom: float) -> None:
    axes = sheet.axes(150, 92, 876, bottom - 40, grid="x")
    heights = _heights(scene)
    low, high = scene.window
    axes.set_xlim(low, high)
    axes.set_ylim(max(heights.values()) + 0.75, -0.75)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_yticks([])
    axes.xaxis.set_major_formatter(lambda value, _: f"{round(value, 9):g} s")
    axes.locator_params(axis="x", nbins=7)
    sheet.name_x(axes, "simulated time")
    _name_lanes(sheet, axes, scene, heights)
    for bar in scene.bars:
        if bar.lane in heights and bar.end_s >= low and bar.start_s <= high:
            _bar(sheet, axes, bar, heights[bar.lane], scene)
    for hop in sorted(scene.hops, key=lambda hop: hop.event in scene.focus):
        if hop.start in heights and (hop.end in heights or hop.kind == "lost"):
            _hop(sheet, axes, hop, heights, focused=hop.event in scene.focus)
    for moments, mark, role, size in ((scene.crosses, "X", "fault", 10), (scene.returns, "^", "done", 8)):
        for time, lane in moments:
            if lane in heights and low <= time <= high:
                axes.plot([time], [heights[lane]], mark, ms=size, mfc=sheet.colour[role], mec=sheet.colour["paper"], zorder=7)
    acked = [(time, heights[lane]) for time, lane in scene.ticks if lane in heights]
    axes.plot([t for t, _ in acked], [y for _, y in acked], "|", ms=9, mew=1.5, color=sheet.colour["ink"], zorder=5)
    _number(sheet, axes, scene, heights)
    sheet.steps([step.text for step in scene.steps], bottom + 12)


def _heights(scene: Scene) -> dict[str, float]:
    heights, y = {}, 0.0
    for _, lanes in scene.groups:
        for lane in lanes:
            heights[lane] = y
            y += 1.0
        y += 0.45
    return heights


def _name_lanes(sheet: Sheet, axes: Any, scene: Scene, heights: dict[str, float]) -> None:
    for lane, y in heights.items():
        axes.axhline(y, color=sheet.colour["lane"], lw=1.1, zorder=1)
        shown = lane if len(lane) <= 17 else f"{lane[:16]}…"
        axes.text(-0.012, y, shown, transform=axes.get_yaxis_transform(), ha="right", va="center", fontsize=9,
                  color=sheet.colour["ink"], family="DejaVu Sans Mono")  # fmt: skip


def _bar(sheet: Sheet, axes: Any, bar: Bar, y: float, scene: Scene) -> None:
    colour, length = sheet.colour, max(bar.end_s - bar.start_s, 0.0)
    focused = bar.event in scene.focus
    low, high = scene.window
    if bar.kind == "wait":
        width = 2.4 if focused else 1.0
        if length > 0.004 * (high - low) and (focused or scene.others <= 40):
            axes.plot([bar.start_s, bar.end_s], [y, y], color=colour["wait"], lw=width, ls=(0, (1, 1.6)), zorder=2)
        return
    if bar.kind == "owns":
        axes.barh(y + 0.34, length, 0.1, left=bar.start_s, color=colour["wash_flow"], ec=colour["flow"], lw=0.6, zorder=1.5)
        names = [place.rpartition("/")[2] for place in bar.label.split(" + ")]
        start = max(bar.start_s, low)
        if min(bar.end_s, high) - start > 0.08 * (high - low):
            label = f"owns {'partition' if len(names) == 1 else 'partitions'} {', '.join(names[:6])}"
            axes.text(start + 0.004 * (high - low), y + 0.44, label, fontsize=7, color=colour["soft"], va="top", clip_on=True)
        return
    if bar.kind in {"down", "paused"}:
        role = "fault" if bar.kind == "down" else "again"
        axes.barh(y, length, 0.4, left=bar.start_s, color=colour[f"wash_{role}"], ec=colour[role], hatch="////", zorder=2.2)
        middle = (max(bar.start_s, low) + min(bar.end_s, high)) / 2
        box = {"fc": colour["paper"], "ec": "none", "pad": 1.2, "alpha": 0.9}
        if min(bar.end_s, high) - max(bar.start_s, low) > 0.12 * (high - low):
            axes.text(middle, y, f"{bar.kind} {si(length, 's')}", fontsize=8, ha="center", va="center", color=colour["ink"],
                      zorder=5, bbox=box)  # fmt: skip
        return
    alpha = {"done": 1.0, "cut": 0.5, "again": 1.0}[bar.kind] * (1.0 if focused else 0.55)
    again = bar.kind == "again"
    axes.barh(y, length, 0.34, left=bar.start_s, color=colour["paper"] if again else colour["done"],
              ec=colour["again" if again else "done"], hatch="//////" if again else None, alpha=alpha, lw=0.9, zorder=3)  # fmt: skip


def _hop(sheet: Sheet, axes: Any, hop: Hop, heights: dict[str, float], *, focused: bool) -> None:
    role = {"first": "flow", "again": "again", "lost": "fault"}[hop.kind]
    start, end = (hop.start_s, heights[hop.start]), (hop.end_s, heights.get(hop.end, heights[hop.start] + 1.0))
    if hop.kind == "lost":
        end = (hop.start_s, (start[1] + end[1]) / 2)
        axes.plot([end[0]], [end[1]], "X", ms=8, mfc=sheet.colour["fault"], mec=sheet.colour["paper"], zorder=7)
    look = {
        "arrowstyle": "-" if hop.kind == "lost" else "-|>",
        "color": sheet.colour[role],
        "lw": 2.6 if focused else 1.0,
        "ls": (0, (3, 1.4)) if hop.kind == "again" else "-",
        "alpha": 1.0 if focused else 0.45,
        "shrinkA": 0,
        "shrinkB": 0,
        "mutation_scale": 12 if focused else 7,
    }
    axes.annotate("", end, xytext=start, arrowprops=look, zorder=6 if focused else 3, annotation_clip=True)


def _number(sheet: Sheet, axes: Any, scene: Scene, heights: dict[str, float]) -> None:
    """Discs with the numbers of the story; those that would cover each other stand side by side."""
    low, high = scene.window
    taken: dict[str, list[float]] = {}
    disc = {"boxstyle": "circle,pad=.2", "fc": sheet.colour["ink"], "ec": sheet.colour["paper"], "lw": 0.8}
    for n, step in enumerate(scene.steps, start=1):
        if step.lane not in heights or not low <= step.time <= high:
            continue
        x = (step.time - low) / (high - low)
        near = [other for other in taken.get(step.lane, ()) if abs(other - x) < 0.022]
        while near:
            x = max(near) + 0.023
            near = [other for other in taken.get(step.lane, ()) if abs(other - x) < 0.022]
        taken.setdefault(step.lane, []).append(x)
        axes.annotate(str(n), (low + x * (high - low), heights[step.lane]), xytext=(-11, 11), textcoords="offset points",
                      ha="center", va="center", fontsize=7.5, weight="bold", color=sheet.colour["paper"], bbox=disc,
                      zorder=9)  # fmt: skip
