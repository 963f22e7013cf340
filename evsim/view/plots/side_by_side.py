"""The same customers in several worlds: one number of each run over time, in one picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from evsim.errors import BadScenario, did_you_mean
from evsim.view import measures
from evsim.view.faults import Fault, faults_of
from evsim.view.figure import Figure, empty
from evsim.view.ledger import Floats
from evsim.view.plots.lines import Claim
from evsim.view.series import bins_of
from evsim.view.sheet_size import top_below
from evsim.view.words import digits, si

if TYPE_CHECKING:
    from evsim.history import History
    from evsim.view.sheet import Key, Sheet

HIGH = 230
RUNS_MAX = 4
EVENTS_PLENTY = 10_000
"""Bins are of a round number of seconds, as many as are for a run with so many events."""
_LOOKS = (("flow", "line"), ("again", "long"), ("done", "short"), ("ink", "dot"))
Points = Sequence[tuple[float, float]]


class Measure(NamedTuple):
    """What can be shown of a run over time."""

    title: str
    series: Callable[[History, str | None, int], measures.Series]


def _rate(*steps: str) -> Callable[[History, str | None, int], measures.Series]:
    def series(history: History, group: str | None, bins: int) -> measures.Series:
        each = [measures.rate_series(history, step, bins, group) for step in steps]
        return measures.Series(each[0].edges, np.sum([one.values for one in each], axis=0))

    return series


MEASURES: Mapping[str, Measure] = {
    "backlog": Measure("events waiting", measures.backlog_series),
    "lag": Measure("age of the oldest, in seconds", measures.lag_series),
    "attempts": Measure("attempts per second", _rate("published", "retried")),
    "handled": Measure("handled per second", _rate("handled")),
}


def side_by_side(
    runs: Mapping[str, Any],
    what: str = "backlog",
    *,
    claim: Claim,
    group: str | None = None,
    theory: Mapping[str, Points] | None = None,
    bins: int | None = None,
) -> Figure:
    """``side_by_side({"log": run, "queue": other}, "backlog", claim="…")``: two to four runs in one picture.

    ``what`` is ``"backlog"`` (events waiting, the most in each bin), ``"lag"`` (the age of the oldest that is not dealt
    with, in seconds), ``"attempts"`` or ``"handled"`` (per second). ``theory`` names straight lines through points
    ``(time, value)``, dashed. ``claim`` is a sentence, or a function that makes it from the facts.
    """
    if what not in MEASURES:
        raise BadScenario(f"nothing called {what!r} can be shown side by side{did_you_mean(what, MEASURES)}")
    if len(runs) > RUNS_MAX:
        raise BadScenario(f"{len(runs)} runs are refused; expected at most {RUNS_MAX}: more make several figures")
    measure = MEASURES[what]
    histories = {name: getattr(run, "history", run) for name, run in runs.items()}
    ends = {name: measures.span(history)[1] for name, history in histories.items()}
    if not ends or not max(ends.values()):
        return empty("Nothing was measured", f"{_capital(measure.title)}, over time.")
    length_s = max(ends.values())
    cut = {name: max(1, round((bins or bins_of(EVENTS_PLENTY, length_s)) * ends[name] / length_s)) for name in ends}
    found = {name: measure.series(history, group, cut[name]) for name, history in histories.items()}
    longest = max(ends, key=lambda name: ends[name])
    faults = faults_of(histories[longest], ends[longest])
    facts = {name: _told(series, what) for name, series in found.items()}
    facts |= {"faults": "; ".join(map(str, faults)) or "none"}
    width = found[longest].edges[1] - found[longest].edges[0]
    seeds = dict.fromkeys(str(history.meta.get("seed")) for history in histories.values())
    subtitle = f"{_capital(measure.title)}, in bins of {si(float(width), 's')}; seed {', '.join(seeds)}."
    keys: list[Key] = [(glyph, role, name) for name, (role, glyph) in zip(found, _LOOKS, strict=False)]
    keys += [("dash", "soft", name) for name in theory or ()]

    def draw(sheet: Sheet) -> None:
        _draw(sheet, measure.title, found, theory or {}, faults)

    height = top_below(len(faults)) + HIGH + 52
    told = claim if isinstance(claim, str) else claim(facts)
    return Figure(told, subtitle, facts, draw, height=height, keys=tuple(keys))


def _told(series: measures.Series, what: str) -> str:
    values = series.values
    most, at = float(values.max()), float(series.edges[int(values.argmax())])
    if what in {"attempts", "handled"}:
        width = float(series.edges[1] - series.edges[0])
        return f"{digits(round(float(values.sum()) * width))} in all, {digits(most)}/s at most, at {si(at, 's')}"
    unit = " s" if what == "lag" else ""
    return f"{digits(most)}{unit} at most, at {si(at, 's')}; {digits(float(values[-1]))}{unit} at the end"


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _draw(
    sheet: Sheet,
    title: str,
    found: Mapping[str, measures.Series],
    theory: Mapping[str, Points],
    faults: Sequence[Fault],
) -> None:
    from evsim.view.sheet import DASHES, plain, seconds

    top = top_below(len(faults))
    axes = sheet.axes(74, top, 866, top + HIGH)
    for points in theory.values():
        axes.plot(*zip(*points, strict=True), color=sheet.colour["soft"], lw=1.4, ls=DASHES["dash"], zorder=2)
    for (role, glyph), series in zip(_LOOKS, found.values(), strict=False):
        axes.stairs(
            series.values, series.edges, color=sheet.colour[role], lw=1.8, ls=DASHES[glyph], baseline=None, zorder=4
        )
    end = max(float(series.edges[-1]) for series in found.values())
    axes.set_xlim(0, end)
    axes.set_ylim(0, 1.1 * max(1e-9, *(_most(series.values) for series in found.values())))
    plain(axes.yaxis, 5)
    seconds(axes.xaxis, end)
    sheet.name_x(axes, "simulated time")
    sheet.name_y(axes, title)
    sheet.ribbon(faults, [axes])


def _most(values: Floats) -> float:
    return float(values.max(initial=0.0))
