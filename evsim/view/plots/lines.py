"""Measured against theory: points with their intervals over seeds, and the formula dashed; and plain bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evsim.errors import BadScenario
from evsim.view import measures
from evsim.view.figure import Figure
from evsim.view.words import digits

if TYPE_CHECKING:
    from evsim.view.sheet import Sheet

Points = Mapping[float, Sequence[float] | float]
_SERIES = (("flow", "point"), ("undo", "point"), ("done", "point"), ("wait", "point"))
BARS_MAX = 16


def lines(
    series: Mapping[str, Points],
    *,
    x: str,
    y: str,
    claim: str,
    theory: Mapping[str, Mapping[float, float]] | None = None,
) -> Figure:
    """Compare what was measured with a formula.

    ``series`` maps a name to ``{x: values}``; several values, one for each seed, become a mean with its 95 % interval.
    ``theory`` maps a name to ``{x: value}`` and is dashed. At most four series: more are better told apart in figures
    of their own.
    """
    if not 0 < len(series) <= len(_SERIES):
        raise BadScenario(f"{len(series)} series are refused; expected one to four, for more make several figures")
    curves = {
        name: [(at, *_spread(values)) for at, values in sorted(points.items())] for name, points in series.items()
    }
    dashed = {name: sorted(points.items()) for name, points in (theory or {}).items()}
    facts = {
        name: ", ".join(f"{digits(at)}: {_told(*spread)}" for at, *spread in curve) for name, curve in curves.items()
    }
    for name, curve in dashed.items():
        known = {at for points in curves.values() for at, *_ in points}
        facts[name] = ", ".join(f"{digits(at)}: {digits(value)}" for at, value in curve if at in known)
    seeds = max((len(v) for points in series.values() for v in points.values() if isinstance(v, Sequence)), default=1)
    subtitle = f"{y[0].upper()}{y[1:]}, by {x}." + (f" Bars: 95 % interval over {seeds} seeds." if seeds > 1 else "")
    keys = [("point", role, name) for name, (role, _) in zip(curves, _SERIES, strict=False)]
    keys += [("dash", "ink", name) for name in dashed]

    def draw(sheet: Sheet) -> None:
        _draw_lines(sheet, curves, dashed, x, y)

    return Figure(claim, subtitle, facts, draw, height=400, keys=tuple(keys))


compare_lines = lines


def _spread(values: Sequence[float] | float) -> tuple[float, float, float]:
    if isinstance(values, (int, float)):
        return float(values), float(values), float(values)
    if len(values) == 1:
        return float(values[0]), float(values[0]), float(values[0])
    mean, low, high = measures.interval(values)
    return mean, low, high


def _told(mean: float, low: float, high: float) -> str:
    return digits(mean) if low == high else f"{digits(mean)} ({digits(low)} to {digits(high)})"


def _draw_lines(sheet: Sheet, curves: Any, dashed: Any, x: str, y: str) -> None:
    axes = sheet.axes(74, 112, 866, 342, grid="both")
    for curve in dashed.values():
        axes.plot(*zip(*curve, strict=True), color=sheet.colour["ink"], lw=1.2, dashes=(5, 3))
    for (role, _), curve in zip(_SERIES, curves.values(), strict=False):
        for at, mean, low, high in curve:
            axes.plot([at, at], [low, high], color=sheet.colour[role], lw=5, alpha=0.35, solid_capstyle="butt")
            axes.plot([at], [mean], "o", color=sheet.colour[role], ms=6)
        axes.plot([c[0] for c in curve], [c[1] for c in curve], color=sheet.colour[role], lw=1, alpha=0.5)
    low, high = axes.get_ylim()
    axes.set_ylim(min(0.0, low) if low <= 0.5 * high else low, high)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{round(value, 9):g}")
    sheet.name_x(axes, x)
    sheet.name_y(axes, y)


def bars(values: Mapping[str, float], *, x: str, claim: str) -> Figure:
    """A number for each of a few names, one bar a name."""
    if not 0 < len(values) <= BARS_MAX:
        raise BadScenario(f"{len(values)} bars are refused; expected one to {BARS_MAX}")
    facts = {name: f"{value:,.6g}".replace(",", " ") for name, value in values.items()}

    def draw(sheet: Sheet) -> None:
        _draw_bars(sheet, values, facts, x)

    return Figure(claim, f"{x[0].upper()}{x[1:]}.", facts, draw, height=120 + 30 * len(values))


def _draw_bars(sheet: Sheet, values: Mapping[str, float], told: Mapping[str, str], x: str) -> None:
    axes = sheet.axes(200, 76, 800, 76 + 30 * len(values), grid="x")
    axes.barh(range(len(values)), list(values.values()), height=0.62, color=sheet.colour["flow"])
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.set_yticks(range(len(values)), list(values))
    axes.set_xlim(0, 1.02 * max(max(values.values()), 1e-9))
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0, labelcolor=sheet.colour["ink"])
    axes.xaxis.set_major_formatter(lambda value, _: f"{round(value, 9):g}")
    for n, name in enumerate(values):
        axes.annotate(told[name], (values[name], n), xytext=(6, 0), textcoords="offset points", va="center", fontsize=9,
                      color=sheet.colour["ink"], annotation_clip=False)  # fmt: skip
    sheet.name_x(axes, x)
