"""The trade of lingering: how long until an event is confirmed, and how many share a request, by the time held back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from evsim.errors import BadScenario
from evsim.history import History
from evsim.view.figure import Figure
from evsim.view.intervals import interval
from evsim.view.linger import Linger
from evsim.view.publishing import Sendings, publishers
from evsim.view.words import digits, rate, si

if TYPE_CHECKING:
    from evsim.view.sheet import Key, Sheet

TOP, BOTTOM = 114, 352
_CURVE = 200
_KEYS: tuple[Key, ...] = (
    ("point", "flow", "measured, mean to the confirmation"),
    ("dash", "ink", "formula"),
    ("dot", "soft", "all of the linger, and half of it"),
)

Spread = tuple[float, float, float]


class Point(NamedTuple):
    """What was measured with one linger: each a mean with its interval over seeds."""

    linger_s: float
    confirm_s: Spread
    batch: Spread


class Setting(NamedTuple):
    """What all runs of the curve have in common."""

    rate: float
    delay_s: float
    request_s: float
    record_s: float

    def law(self, linger_s: float) -> Linger:
        """The formula for one linger."""
        return Linger(self.rate, linger_s, self.request_s, self.record_s)


def linger_curve(runs: Mapping[float, Any]) -> Figure:
    """Runs by their ``linger_s``, one or several for each: ``linger_curve({0.0: run, 0.01: [run, run]})``.

    Left, the mean time from published to confirmed; right, how many events a request carries. Dashed is the formula for
    one publisher and one partition; it has no limit where the broker would be at work all the time.
    """
    if not runs:
        raise BadScenario("no runs were given; expected runs by their linger, such as {0.0: run, 0.01: other}")
    histories = {float(linger_s): _histories(given) for linger_s, given in sorted(runs.items())}
    points = [_point(linger_s, seeds) for linger_s, seeds in histories.items()]
    setting = _setting(next(iter(histories.values()))[0])
    seeds = max(len(each) for each in histories.values())

    def draw(sheet: Sheet) -> None:
        _draw(sheet, points, setting)

    subtitle = f"{rate(setting.rate)} published" + (f", {seeds} seeds; bars: 95 % interval." if seeds > 1 else ".")
    if setting.request_s or setting.record_s:
        costs = f"{si(setting.request_s, 's')} a request and {si(setting.record_s, 's')} an event"
        subtitle = f"{subtitle[:-1]}; the broker needs {costs}."
    return Figure(_claim(points), subtitle, _facts(points, setting), draw, height=400, keys=_KEYS)


def _histories(given: Any) -> list[History]:
    several = given if isinstance(given, Sequence) else [given]
    return [each if isinstance(each, History) else each.history for each in several]


def _point(linger_s: float, histories: list[History]) -> Point:
    sendings = [Sendings(history) for history in histories]
    times = [each.confirm_times() for each in sendings]
    if not all(len(each) for each in times):
        raise BadScenario(
            f"nothing was confirmed with linger_s={linger_s:g}; give the publisher acks='leader' or 'all'"
        )
    return Point(
        linger_s,
        _spread([float(each.mean()) for each in times]),
        _spread([float(each.batches().mean()) for each in sendings]),
    )


def _spread(values: list[float]) -> Spread:
    if len(values) == 1:
        return values[0], values[0], values[0]
    mean, low, high = interval(values)
    return mean, low, high


def _setting(history: History) -> Setting:
    """What the formula needs to know, from the parts."""
    name = publishers(history)[0]
    publisher = history.parts[name]
    broker = history.parts.get(publisher.get("to", ""), {})
    given = publisher.get("rate")
    per_second = float(given) if isinstance(given, int | float) else len(history.of("published")) / history.time[-1]
    ways = [_mean(part.get("delay_s")) * _directions(history, part) for part in history.parts.values()
            if part.get("kind") == "link" and name in {part.get("start"), part.get("end")}]  # fmt: skip
    return Setting(per_second, sum(ways), _mean(broker.get("request_s")), _mean(broker.get("record_s")))


def _directions(history: History, link: Mapping[str, Any]) -> int:
    """2 for a link that serves both directions, as one without a twin does."""
    twin = any(
        other.get("kind") == "link" and (other.get("start"), other.get("end")) == (link.get("end"), link.get("start"))
        for other in history.parts.values()
    )
    return 1 if twin else 2


def _mean(law: Any) -> float:
    """The mean of a duration as a description has it: a number, or a law."""
    if isinstance(law, Mapping):
        return float(law.get("value", law.get("mean", 0.0)))
    return float(law or 0.0)


def _claim(points: list[Point]) -> str:
    first, best = points[0], min(points, key=lambda point: point.confirm_s[0])
    if len(points) == 1:
        return f"With {si(first.linger_s, 's')} of linger an event is confirmed after {si(first.confirm_s[0], 's')}"
    if best is first or best.confirm_s[0] > 0.95 * first.confirm_s[0]:
        last = points[-1]
        return (
            f"Holding events back for {si(last.linger_s, 's')} fills a request with {digits(last.batch[0])} of them, "
            f"and costs {si(last.confirm_s[0] - first.confirm_s[0], 's')}"
        )
    return (
        f"Waiting makes it faster: {si(best.confirm_s[0], 's')} with {si(best.linger_s, 's')} of linger, "
        f"{si(first.confirm_s[0], 's')} {'with none' if not first.linger_s else 'with ' + si(first.linger_s, 's')}"
    )


def _facts(points: list[Point], setting: Setting) -> dict[str, str]:
    facts = {}
    for point in points:
        law = setting.law(point.linger_s)
        formula = law.confirm_mean_s + setting.delay_s
        told = si(formula, "s") if math.isfinite(formula) else "no limit"
        facts[f"linger {si(point.linger_s, 's') if point.linger_s else 'none'}"] = (
            f"confirmed after {si(point.confirm_s[0], 's')} (formula {told}), "
            f"{digits(point.batch[0])} a request (formula {digits(law.batch_mean)})"
        )
    return facts


def _draw(sheet: Sheet, points: list[Point], setting: Setting) -> None:
    from evsim.view.sheet import DASHES, plain

    most = 1.04 * max(point.linger_s for point in points) or 0.001
    scale, unit = (1.0, "s") if most >= 2 else (1000.0, "ms")
    lingers = np.linspace(0.0, most, _CURVE)
    laws = [setting.law(float(each)) for each in lingers]
    left, right = sheet.axes(74, TOP, 560, BOTTOM, grid="both"), sheet.axes(646, TOP, 876, BOTTOM, grid="both")
    highest = 1.12 * scale * max(point.confirm_s[2] for point in points)
    _dash(sheet, left, scale * lingers, [scale * (law.confirm_mean_s + setting.delay_s) for law in laws])
    _dash(sheet, right, scale * lingers, [law.batch_mean for law in laws])
    base = scale * (setting.delay_s + setting.request_s + setting.record_s)
    for share, name in ((1.0, "all"), (0.5, "half")):
        left.plot(scale * lingers, base + share * scale * lingers, color=sheet.colour["soft"], lw=1.2,
                  ls=DASHES["dot"], zorder=1)  # fmt: skip
        at = min(0.72 * scale * most, max(0.0, 0.86 * highest - base) / share)
        move, side = ((-8, 4), "right") if name == "all" else ((8, -6), "left")
        sheet.tag(left, (at, base + share * at), name, move, ha=side, fontsize=8.5, color=sheet.colour["soft"])
    for axes, spreads, by in ((left, [p.confirm_s for p in points], scale), (right, [p.batch for p in points], 1.0)):
        _dots(sheet, axes, [scale * point.linger_s for point in points], spreads, by)
        axes.set_xlim(-0.02 * scale * most, scale * most)
        plain(axes.xaxis, 6)
        plain(axes.yaxis, 5)
        sheet.name_x(axes, f"linger in {unit}")
    left.set_ylim(0, highest)
    right.set_ylim(0, 1.12 * max(points[-1].batch[2], laws[-1].batch_mean))
    sheet.name_y(left, f"mean time to the confirmation in {unit}")
    sheet.text(610, TOP - 9, "events in a request", 8.5, "soft")


def _dash(sheet: Sheet, axes: Any, xs: Any, ys: list[float]) -> None:
    finite = [y if math.isfinite(y) else math.nan for y in ys]
    axes.plot(xs, finite, color=sheet.colour["ink"], lw=1.2, dashes=(5, 3), zorder=4)


def _dots(sheet: Sheet, axes: Any, xs: list[float], spreads: list[Spread], scale: float) -> None:
    colour = sheet.colour["flow"]
    for x, (_, low, high) in zip(xs, spreads, strict=True):
        if math.isfinite(low) and high > low:
            axes.plot([x, x], [scale * low, scale * high], color=colour, lw=5, alpha=0.35, solid_capstyle="butt")
    axes.plot(xs, [scale * mean for mean, *_ in spreads], "o", ms=6, color=colour, zorder=5)
