"""Measured against theory: points with their intervals over seeds, and the formula dashed; and plain bars."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from evsim.errors import BadScenario
from evsim.view import measures
from evsim.view.figure import Figure, empty
from evsim.view.words import digits, grouped

if TYPE_CHECKING:
    from evsim.view.sheet import Key, Sheet

Points = Mapping[float, Sequence[float] | float]
Formula = Mapping[float, float] | Callable[[float], float]
Claim = str | Callable[[Mapping[str, str]], str]
"""The sentence above a figure, or what makes it from the facts."""
Curve = list[tuple[float, float, float, float]]
"""At which x, the mean, and its interval."""
_SERIES = (("flow", "point", "o"), ("undo", "diamond", "D"), ("done", "up", "^"), ("wait", "open", "s"))
BARS_MAX, DENSE, NAME_SHORT = 16, 121, 22


def lines(
    series: Mapping[str, Points],
    *,
    x: str,
    y: str,
    claim: Claim,
    theory: Mapping[str, Formula] | None = None,
    log_y: bool = False,
) -> Figure:
    """Compare what was measured with a formula.

    ``series`` maps a name to ``{x: values}``; several values, one for each seed, become a mean with its 95 % interval.
    ``theory`` maps a name to a function of x, or to ``{x: value}``, and is dashed; as many formulas as there are series
    belong to them one by one. At most four series: more are better told apart in figures of their own. ``claim`` is a
    sentence, or a function that makes it from the facts.
    """
    if len(series) > len(_SERIES):
        raise BadScenario(f"{len(series)} series are refused; expected one to four, for more make several figures")
    curves = {name: _curve(points) for name, points in series.items()}
    if not any(curves.values()):
        return empty("Nothing was measured", f"{_capital(y)}, by {x}.")
    known = {at for curve in curves.values() for at, *_ in curve}
    dashed = {name: _points(formula, known) for name, formula in (theory or {}).items()}
    facts = {
        name: ", ".join(f"{digits(at)}: {_told(*spread)}" for at, *spread in curve) for name, curve in curves.items()
    }
    for name, points in dashed.items():
        facts[name] = ", ".join(f"{digits(at)}: {digits(value)}" for at, value in points if at in known)
    seeds = max((len(v) for points in series.values() for v in points.values() if isinstance(v, Sequence)), default=1)
    subtitle = f"{_capital(y)}, by {x}." + (f" Bars: 95 % interval over {seeds} seeds." if seeds > 1 else "")
    keys: list[Key] = [(glyph, role, name) for name, (role, glyph, _) in zip(curves, _SERIES, strict=False)]
    roles = [role for role, *_ in _SERIES] if len(dashed) == len(curves) > 1 else ["ink"] * len(dashed)
    keys += [("dash", role, name) for name, role in zip(dashed, roles, strict=False)]

    def draw(sheet: Sheet) -> None:
        _draw_lines(sheet, curves, list(zip(dashed.values(), roles, strict=False)), (x, y), log_y=log_y)

    return Figure(_claimed(claim, facts), subtitle, facts, draw, height=408, keys=tuple(keys))


compare_lines = lines


def bars(values: Mapping[str, float], *, x: str, claim: Claim) -> Figure:
    """A number for each of a few names, one bar a name."""
    if len(values) > BARS_MAX:
        raise BadScenario(f"{len(values)} bars are refused; expected one to {BARS_MAX}")
    if not values:
        return empty("Nothing was measured", f"{_capital(x)}.")
    facts = {name: _number(value) for name, value in values.items()}

    def draw(sheet: Sheet) -> None:
        _draw_bars(sheet, values, facts, x)

    return Figure(_claimed(claim, facts), f"{_capital(x)}.", facts, draw, height=126 + 30 * len(values))


# -------------------------------------------------------------------- words


def _curve(points: Points) -> Curve:
    return [(float(at), *_spread(values)) for at, values in sorted(points.items())]


def _points(formula: Formula, known: set[float]) -> list[tuple[float, float]]:
    """A formula where something was measured, and densely in between."""
    if isinstance(formula, Mapping):
        return sorted((float(at), float(value)) for at, value in formula.items())
    between = np.linspace(min(known), max(known), DENSE).tolist()
    return [(at, float(formula(at))) for at in sorted({*known, *between})]


def _spread(values: Sequence[float] | float) -> tuple[float, float, float]:
    if isinstance(values, Sequence) and len(values) > 1:
        mean, low, high = measures.interval(values)
        return mean, low, high
    value = float(values[0] if isinstance(values, Sequence) else values)
    return value, value, value


def _told(mean: float, low: float, high: float) -> str:
    return digits(mean) if low == high else f"{digits(mean)} ± {(high - low) / 2:.2g}"


def _number(value: float) -> str:
    return grouped(value) if value == int(value) else digits(value)


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _claimed(claim: Claim, facts: Mapping[str, str]) -> str:
    return claim if isinstance(claim, str) else claim(facts)


# -------------------------------------------------------------------- pictures


def _draw_lines(
    sheet: Sheet,
    curves: dict[str, Curve],
    dashed: Sequence[tuple[list[tuple[float, float]], str]],
    names: tuple[str, str],
    *,
    log_y: bool,
) -> None:
    from evsim.view.sheet import log_ticks, plain, whole

    axes = sheet.axes(74, 114, 866, 350, grid="both")
    if log_y:
        axes.set_yscale("log")
    for points, role in dashed:
        axes.plot(*zip(*points, strict=True), color=sheet.colour[role], lw=1.3, dashes=(5, 3), zorder=4)
    for (role, glyph, shape), curve in zip(_SERIES, curves.values(), strict=False):
        colour = sheet.colour[role]
        for at, _, low, high in curve:
            if math.isfinite(low) and high > low:
                axes.plot([at, at], [low, high], color=colour, lw=5, alpha=0.35, solid_capstyle="butt", zorder=2)
        fill = sheet.colour["paper"] if glyph == "open" else colour
        look: dict[str, Any] = {"ls": "", "ms": 6, "mfc": fill, "mec": colour, "mew": 1.2, "zorder": 5}
        axes.plot([point[0] for point in curve], [point[1] for point in curve], marker=shape, **look)
        if len(dashed) != len(curves):  # else the formula is the line
            axes.plot([point[0] for point in curve], [point[1] for point in curve], color=colour, lw=1, alpha=0.5)
    low, high = axes.get_ylim()
    xs = {point[0] for curve in curves.values() for point in curve}
    if log_y:
        log_ticks(axes.yaxis, low, high)
    else:
        axes.set_ylim(min(0.0, low) if low <= 0.5 * high else low, high)
        plain(axes.yaxis, 6)
    if all(x == int(x) for x in xs):
        whole(axes.xaxis)
    else:
        plain(axes.xaxis, 8)
    sheet.name_x(axes, names[0])
    sheet.name_y(axes, names[1])


def _draw_bars(sheet: Sheet, values: Mapping[str, float], told: Mapping[str, str], x: str) -> None:
    from evsim.view import brush
    from evsim.view.sheet import plain, shorten

    left, top = 200 if max(map(len, values)) <= NAME_SHORT else 250, 76
    axes = sheet.axes(left, top, 800, top + 30 * len(values), grid="x")
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.set_yticks([])
    axes.set_xlim(min(0.0, *values.values()), 1.02 * max(1e-9, *values.values()))
    axes.spines["left"].set_visible(False)
    for row, (name, value) in enumerate(values.items()):
        brush.bar(sheet, axes, 0, value, row, 0.62, fill="flow", edge="flow")
        sheet.tag(axes, (max(value, 0), row), told[name], (6, 0))
        words = sheet.text(left - 10, top + 30 * (row + 0.5) + 4, name, 9, ha="right")
        shorten(sheet, words, left - 30)
    plain(axes.xaxis, 6)
    sheet.name_x(axes, x)
