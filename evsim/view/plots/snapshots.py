"""The trade of snapshots: what writing them costs and what loading without them costs, by the interval between two."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from evsim.errors import BadScenario
from evsim.view.figure import Figure
from evsim.view.intervals import interval
from evsim.view.snapshots import Snapshots
from evsim.view.words import claim_of, count, digits, grouped, si

if TYPE_CHECKING:
    from evsim.view.sheet import Key, Sheet

TOP, BOTTOM = 114, 352
_CURVE = 300
_KEYS: tuple[Key, ...] = (
    ("point", "flow", "measured, for each event"),
    ("dash", "ink", "formula"),
    ("line", "undo", "writing snapshots"),
    ("line", "done", "loading"),
    ("bar", "soft", "at most 10 % above the least"),
)


class Point(NamedTuple):
    """What was measured with one interval, with its interval over seeds."""

    every: int
    mean: float
    low: float
    high: float


def snapshot_curve(
    measured: Mapping[int, Sequence[float] | float], *, write_s: float, loads: float, event_s: float
) -> Figure:
    """The cost of an event in seconds by the interval between snapshots: ``snapshot_curve({1: [0.002, …], 9: …}, …)``.

    Several values, one for each seed, become a mean with its 95 % interval. Dashed is w/N + q r (N - 1) / 2 with
    ``write_s`` for a snapshot, ``loads`` for each event and ``event_s`` for an event that is replayed.
    """
    if not measured:
        raise BadScenario("nothing was measured; expected costs by the interval, such as {1: [0.002], 9: [0.0004]}")
    law = Snapshots(write_s, loads, event_s)
    points = [_point(every, values) for every, values in sorted(measured.items())]
    seeds = max(len(values) if isinstance(values, Sequence) else 1 for values in measured.values())
    each = count(round(loads), "load") if loads == round(loads) else f"{digits(loads)} loads"
    subtitle = f"{si(write_s, 's')} to write a snapshot, {each} an event"
    subtitle += f", {si(event_s, 's')} to replay one"
    subtitle += f"; bars: 95 % interval over {seeds} seeds." if seeds > 1 else "."

    def draw(sheet: Sheet) -> None:
        _draw(sheet, points, law)

    return Figure(_claim(law), subtitle, _facts(points, law), draw, height=400, keys=_KEYS)


def _point(every: int, values: Sequence[float] | float) -> Point:
    if every < 1 or every != int(every):
        raise BadScenario(f"an interval of {every:g} events is refused; expected a whole number from 1")
    if isinstance(values, Sequence) and len(values) > 1:
        return Point(int(every), *interval(values))
    value = float(values[0] if isinstance(values, Sequence) else values)
    return Point(int(every), value, value, value)


def _claim(law: Snapshots) -> str:
    low, high = law.near()
    best = law.best_every
    if best == 1:
        return "A snapshot after each event is best: loading costs more than writing"
    short = f"A snapshot every {grouped(best)} events is best"
    return claim_of(f"{short}, and anything from {grouped(low)} to {grouped(high)} nearly as good", short)


def _facts(points: list[Point], law: Snapshots) -> dict[str, str]:
    facts = {}
    for point in points:
        spread = f" ± {si((point.high - point.low) / 2, 's')}" if point.high > point.low else ""
        facts[f"every {grouped(point.every)}"] = (
            f"{si(point.mean, 's')}{spread}, formula {si(law.cost_s(point.every), 's')}"
        )
    best = min(points, key=lambda point: point.mean)
    low, high = law.near()
    facts["best measured"] = f"every {grouped(best.every)}, {si(best.mean, 's')} an event"
    facts["best by formula"] = f"√(2w / (q r)) = {digits(law.best)}, {si(law.cost_s(law.best_every), 's')} an event"
    facts["within 10 %"] = f"from {grouped(low)} to {grouped(high)}"
    worst = max(points, key=lambda point: point.mean)
    facts["worst measured"] = f"every {grouped(worst.every)}, {digits(worst.mean / best.mean)} times the best"
    return facts


def _draw(sheet: Sheet, points: list[Point], law: Snapshots) -> None:
    from evsim.view.sheet import log_ticks, plain

    least, most = min(points[0].every, law.best_every) / 1.15, max(points[-1].every, law.best_every) * 1.15
    everies = np.geomspace(max(1.0, least), most, _CURVE)
    highest = 1.15 * max(point.high for point in points)
    scale, unit = (1e6, "µs") if highest < 2e-3 else (1e3, "ms") if highest < 2 else (1.0, "s")
    axes = sheet.axes(74, TOP, 866, BOTTOM, grid="both")
    axes.set_xscale("log")
    axes.set_xlim(least, most)
    axes.set_ylim(0, scale * highest)
    low, high = law.near()
    axes.axvspan(low, high, color=sheet.colour["soft"], alpha=0.18, lw=0, zorder=0)
    for role, cost in (("undo", law.write_cost_s), ("done", law.load_cost_s)):
        axes.plot(everies, [scale * cost(every) for every in everies], color=sheet.colour[role], lw=1.4, zorder=2)
    axes.plot(everies, [scale * law.cost_s(every) for every in everies], color=sheet.colour["ink"], lw=1.2,
              dashes=(5, 3), zorder=4)  # fmt: skip
    _dots(sheet, axes, points, scale)
    least_s = law.cost_s(law.best_every)
    axes.axvline(law.best_every, ymax=least_s / highest, color=sheet.colour["ink"], lw=1, zorder=3)
    sheet.tag(
        axes, (law.best_every, scale * least_s), f"every {grouped(law.best_every)}", (0, 12), ha="center", fontsize=9
    )
    log_ticks(axes.xaxis, least, most)
    plain(axes.yaxis, 5)
    sheet.name_x(axes, "events from one snapshot to the next (log scale)")
    sheet.name_y(axes, f"cost of an event in {unit}")


def _dots(sheet: Sheet, axes: Any, points: list[Point], scale: float) -> None:
    colour = sheet.colour["flow"]
    for point in points:
        if math.isfinite(point.low) and point.high > point.low:
            axes.plot([point.every] * 2, [scale * point.low, scale * point.high], color=colour, lw=5, alpha=0.35,
                      solid_capstyle="butt")  # fmt: skip
    axes.plot([p.every for p in points], [scale * p.mean for p in points], "o", ms=6, color=colour, zorder=5)
