"""How long until it was handled: the share of events that were done within which time, and what theory says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from evsim.view import measures
from evsim.view.figure import Figure, empty
from evsim.view.ledger import Floats
from evsim.view.series import Curve, curve, groups_of, nines
from evsim.view.words import claim_of, count, si

if TYPE_CHECKING:
    from evsim.history import History
    from evsim.view.sheet import Key, Sheet

ROLES = (("flow", "line"), ("undo", "long"), ("done", "short"), ("wait", "dot"))
"""The colours and lines of up to four series, in this order."""
MARKED = (0.5, 0.99)


class Series(NamedTuple):
    """The latencies of one group, and the law that fits the parts, if there is one."""

    name: str
    values: Floats
    curve: Curve
    law: Any
    reason: str

    def at(self, share: float) -> float:
        """The exact percentile."""
        return measures.percentile(self.values, share) or 0.0


def latency(history: History, group: str | None = None, *, theory: bool = True) -> Figure:
    """The cumulative distribution of the time from published to handled; dashed, what theory says of such parts.

    Groups that read the same events get a curve each.
    """
    return latency_of([history], group, theory=theory)


def latency_of(histories: Sequence[History], group: str | None = None, *, theory: bool = True) -> Figure:
    """The same of several runs of one scenario, pooled, with a 95 % band over their seeds."""
    names: list[str | None] = [*groups_of(histories[0], group)] if histories else []
    if len(names) > len(ROLES):
        names = [None]
    found = [_series(histories, name, theory) for name in names]
    series = [one for one in found if len(one.values) and one.values.max() > 0]
    seeds = [history.meta.get("seed") for history in histories]
    if not series:
        return _no_latency(histories, sum(len(one.values) for one in found))
    subtitle = "Share of events that were handled within …, counted from when they were published"
    if len(histories) > 1:
        band = "; shaded: 95 % interval" if len(histories) > 2 else ""
        subtitle += f". {len(histories)} seeds pooled{band}."
    else:
        subtitle += f"; seed {seeds[0]}." if seeds[0] is not None else "."
    keys = _keys(series, len(histories) > 1)

    def draw(sheet: Sheet) -> None:
        _draw(sheet, series)

    return Figure(_claim(series), subtitle, _facts(series, seeds), draw, height=424, keys=keys)


def _series(histories: Sequence[History], group: str | None, theory: bool) -> Series:
    samples = [measures.latencies(history, group) for history in histories]
    values = np.concatenate([np.empty(0), *samples])
    law, reason = _predicted(histories[0], group) if theory else (None, "not asked for")
    return Series(group or "all", values, curve(samples) if len(values) else curve([np.zeros(1)]), law, reason)


def _predicted(history: History, group: str | None) -> tuple[Any, str]:
    """The law that fits the parts, or None and why there is none."""
    from evsim.view.theory import predict

    prediction = predict(history, group)
    return prediction.law, prediction.reason


# -------------------------------------------------------------------- words


def _no_latency(histories: Sequence[History], handled: int) -> Figure:
    sent = sum(measures.published(history) for history in histories)
    facts = {"published": count(sent, "event"), "handled": count(handled, "event")}
    if handled:
        return empty(
            f"All of {count(handled, 'event')} were handled at once: no time passed", "Nothing to draw.", facts
        )
    return empty("Nothing was handled: there is no latency to show", f"{count(sent, 'event')} published.", facts)


def _claim(series: list[Series]) -> str:
    if len(series) == 1:
        one = series[0]
        half, most = si(one.at(0.5), "s"), si(one.at(0.99), "s")
        if len(one.values) == 1:
            return f"The only event that was handled took {half}"
        if one.values.min() == one.values.max():
            return f"All {count(len(one.values), 'event')} took the same time, {half}"
        return f"Half of the events were done within {half}, 99 in 100 within {most}"
    slow, fast = max(series, key=lambda one: one.at(0.99)), min(series, key=lambda one: one.at(0.99))
    slowest, fastest = si(slow.at(0.99), "s"), si(fast.at(0.99), "s")
    return claim_of(
        f"99 in 100 within {fastest} at {fast.name}, within {slowest} at {slow.name}",
        f"99 in 100 events were done within {fastest} here, within {slowest} there",
    )


def _facts(series: list[Series], seeds: list[Any]) -> dict[str, str]:
    facts: dict[str, str] = {}
    for one in series:
        before = f"{one.name} " if len(series) > 1 else ""
        facts |= {
            f"{before}handled": count(len(one.values), "event"),
            f"{before}mean": si(float(one.values.mean()), "s"),
            f"{before}p50, p95, p99": ", ".join(si(one.at(share), "s") for share in (0.5, 0.95, 0.99)),
            f"{before}theory": _theory_told(one),
        }
    known = [str(seed) for seed in seeds if seed is not None]
    return facts | ({"seeds" if len(seeds) > 1 else "seed": _seeds_told(known)} if known else {})


def _seeds_told(seeds: list[str]) -> str:
    return ", ".join(seeds) if len(seeds) <= 6 else f"{', '.join(seeds[:3])} … {seeds[-1]}"


def _theory_told(one: Series) -> str:
    return (
        f"{one.law.name}, mean {si(one.law.mean_sojourn_s, 's')}"
        if one.law is not None
        else f"none: {one.reason.removeprefix('no law for this run: ')}"
    )


def _keys(series: list[Series], pooled: bool) -> tuple[Key, ...]:
    named = len(series) > 1
    keys = [(glyph, role, one.name if named else "measured") for one, (role, glyph) in zip(series, ROLES, strict=False)]
    laws = list(dict.fromkeys(one.law.name for one in series if one.law is not None))
    keys += [("dash", "ink", f"theory {', '.join(laws)}")] if laws else []
    return (*keys, ("dot", "soft", "fewer than ten events beyond"))


# -------------------------------------------------------------------- picture


def _draw(sheet: Sheet, series: list[Series]) -> None:
    from evsim.view.sheet import log_ticks

    axes = sheet.axes(74, 108, 796, 368, grid="both")
    top = max(2.6, max(float(one.curve.nines[-1]) for one in series) + 0.12)
    low, high = _range(series)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(0, top)
    for one, (role, glyph) in zip(series, ROLES, strict=False):
        _draw_curve(sheet, axes, one, role, glyph)
    for number, one in enumerate(one for one in series if one.law is not None):
        _draw_law(sheet, axes, one.law, number, (low, high), top)
    for share in MARKED:
        _mark(sheet, axes, series, share)
    shares = [0, 0.5, 0.9, 0.99, 0.999, 0.9999]
    axes.set_yticks([float(nines(share)) for share in shares], [f"{100 * share:g} %" for share in shares])
    axes.set_ylim(0, top)
    log_ticks(axes.xaxis, low, high, "s")
    sheet.name_x(axes, "time from published to handled (logarithmic)")
    sheet.name_y(axes, "share done by then (each step up is ten times rarer)")


def _range(series: list[Series]) -> tuple[float, float]:
    """From where one in ten is done, to beyond the slowest."""
    values = np.concatenate([one.values[one.values > 0] for one in series])
    low, high = float(np.quantile(values, 0.1)), float(values.max())
    return (low / 2, high * 2) if high < 1.5 * low else (max(low / 1.6, high / 1e5), high * 1.35)


def _draw_curve(sheet: Sheet, axes: Any, one: Series, role: str, glyph: str) -> None:
    from evsim.view.sheet import DASHES

    colour, (at, latency_s, low, high, trusted) = sheet.colour[role], one.curve
    if low is not None and high is not None:
        axes.fill_betweenx(at, low, high, color=colour, alpha=0.22, lw=0, zorder=2)
    axes.plot(latency_s[:trusted], at[:trusted], color=colour, lw=2.2, ls=DASHES[glyph], zorder=3)
    axes.plot(latency_s[trusted - 1 :], at[trusted - 1 :], color=colour, lw=1.4, ls=DASHES["dot"], zorder=3)


def _draw_law(sheet: Sheet, axes: Any, law: Any, number: int, reach: tuple[float, float], top: float) -> None:
    times = np.geomspace(*reach, 400)
    at = nines(np.clip([law.cdf(time) for time in times], 0, 1))
    axes.plot(times, at, color=sheet.colour["ink"], lw=1.2, dashes=(5, 3), zorder=4)
    place = min(int(np.searchsorted(at, (0.97 - 0.08 * number) * top)), len(times) - 1)
    sheet.tag(axes, (times[place], at[place]), law.name, (9, 0))


def _mark(sheet: Sheet, axes: Any, series: list[Series], share: float) -> None:
    """A ring on each curve; words to the left of the leftmost and to the right of the rightmost."""
    level = float(nines(share))
    axes.axhline(level, color=sheet.colour["soft"], lw=0.9, ls=(0, (1, 1.6)), zorder=1.5)
    ordered = sorted(zip(series, ROLES, strict=False), key=lambda pair: pair[0].at(share))
    for place, (one, (role, _)) in enumerate(ordered):
        value = one.at(share)
        axes.plot([value], [level], "o", ms=6.5, mfc=sheet.colour["paper"], mec=sheet.colour[role], mew=2, zorder=6)
        name = f"p{100 * share:g}  {si(value, 's')}"
        if place == 0:
            sheet.tag(axes, (value, level), name, (-11, 9), ha="right")
        elif place == len(ordered) - 1:
            sheet.tag(axes, (value, level), name, (11, -9))
