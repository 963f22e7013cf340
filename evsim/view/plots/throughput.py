"""What came in, what was handled, and what waited, second by second."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from evsim.view import measures
from evsim.view.faults import Fault, faults_of
from evsim.view.figure import Figure
from evsim.view.sheet_size import ROW, TOP
from evsim.view.words import count, si

if TYPE_CHECKING:
    from evsim.history import History
    from evsim.view.sheet import Sheet

BINS_MAX, BIN_EVENTS = 150, 8
_KEYS = (("line", "flow", "published"), ("line", "done", "handled"), ("bar", "wait", "waiting"))


def throughput(history: History, group: str | None = None) -> Figure:
    """Rates of publishing and handling over time, and the backlog below; faults shaded."""
    start, end = measures.span(history)
    bins = _bins(measures.published(history), end - start)
    came = measures.rate_series(history, "published", bins)
    done = measures.rate_series(history, "handled", bins, group)
    waiting = measures.backlog_series(history, group, bins)
    faults = faults_of(history, end)
    most = measures.backlog_most(history, group)
    lag = measures.lag_most(history, group)
    facts = {
        "published": f"{count(measures.published(history), 'event')}, {si(measures.arrival_rate(history))}/s",
        "handled": f"{si(measures.throughput(history, group))}/s",
        "backlog": f"{most if most is not None else 'nothing'} at most, {si(lag, 's')} behind at most",
        "faults": "; ".join(f"{f.name} {f.start_s:.4g} to {f.end_s:.4g} s" for f in faults) or "none",
    }
    who = group or "all consumers"
    subtitle = f"{who}, seed {history.meta.get('seed', 'unknown')}, {end:.4g} s in bins of {si((end - start) / bins, 's')}."

    def draw(sheet: Sheet) -> None:
        _draw(sheet, came, done, waiting, faults)

    height = 410 + ROW * len(faults)
    return Figure(_claim(most, lag, faults), subtitle, facts, draw, height=height, keys=_KEYS)


def _bins(events: int, length_s: float) -> int:
    """Bins of a round number of seconds where possible, with some events in each."""
    wished = max(1, min(BINS_MAX, events // BIN_EVENTS))
    for step in (0.01, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000):
        if length_s / step <= wished:
            return max(1, round(length_s / step))
    return wished


def _claim(most: int | None, lag: float | None, faults: list[Fault]) -> str:
    if most is None:
        return "Nobody consumed in this run"
    if faults and lag:
        return f"The outage left {count(most, 'event')} waiting and consumers {si(lag, 's')} behind"
    return f"At most {count(most, 'event')} waited, the oldest for {si(lag, 's')}"


def _draw(
    sheet: Sheet, came: measures.Series, done: measures.Series, waiting: measures.Series, faults: list[Fault]
) -> None:
    top = TOP + 14 + ROW * len(faults)
    rates = sheet.axes(74, top, 876, top + 130)
    for series, role in ((came, "flow"), (done, "done")):
        rates.stairs(series.values, series.edges, color=sheet.colour[role], lw=1.8, baseline=None)
    highest = max(float(came.values.max(initial=0)), float(done.values.max(initial=0)), 1e-9)
    rates.set_ylim(0, 1.15 * highest)
    rates.tick_params(labelbottom=False)
    backlog = sheet.axes(74, top + 168, 876, top + 258)
    backlog.stairs(waiting.values, waiting.edges, color=sheet.colour["wait"], fill=True, alpha=0.75)
    backlog.set_ylim(0, 1.15 * max(float(waiting.values.max(initial=0)), 1.0))
    for axes in (rates, backlog):
        axes.set_xlim(came.edges[0], max(came.edges[-1], came.edges[0] + 1e-9))
        axes.yaxis.set_major_formatter(lambda value, _: f"{np.round(value, 6):g}")
        axes.locator_params(axis="y", nbins=4)
    backlog.xaxis.set_major_formatter(lambda value, _: f"{np.round(value, 6):g} s")
    sheet.name_y(rates, "events per second")
    sheet.name_y(backlog, "events waiting")
    sheet.name_x(backlog, "simulated time")
    sheet.ribbon(faults, (rates, backlog))
