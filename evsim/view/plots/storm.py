"""A retry storm: what was asked, what was asked again, and what came of it; beside it the same run as a path."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from evsim.view import measures
from evsim.view.faults import Fault, faults_of
from evsim.view.figure import Figure, empty
from evsim.view.ledger import Floats
from evsim.view.series import bins_of
from evsim.view.sheet_size import top_below
from evsim.view.words import rate, share, si

if TYPE_CHECKING:
    from evsim.history import History
    from evsim.view.sheet import Key, Sheet

HIGH = 190
STEPS = 16
"""The path has at most so many corners."""
_WELL = 0.95
_KEYS: tuple[Key, ...] = (
    ("line", "ink", "new requests"),
    ("long", "again", "with retries"),
    ("bar", "done", "answered in time (goodput)"),
    ("dot", "soft", "capacity"),
)


class Storm(NamedTuple):
    """Rates per second in bins of time, and what the service can do at most."""

    edges: Floats
    new: Floats
    all: Floats
    good: Floats
    capacity: float | None

    def mean(self, values: Floats, first: bool) -> float:
        """The mean over the first or the last tenth of the run."""
        tenth = max(1, len(values) // 10)
        return float(np.mean(values[:tenth] if first else values[-tenth:]))


def storm(history: History) -> Figure:
    """New requests, requests with retries, and goodput over time; and the path of goodput against total load."""
    start, end = measures.span(history)
    sent = measures.published(history)
    if not sent or end <= start:
        return empty("Nobody asked for anything in this run", f"{si(end - start, 's')} of simulated time.")
    seen = _storm(history, bins_of(sent, end - start))
    faults = faults_of(history, end)

    def draw(sheet: Sheet) -> None:
        _draw(sheet, seen, faults)

    width = float(seen.edges[1] - seen.edges[0])
    subtitle = f"Requests in bins of {si(width, 's')}. Right: the same run as a path, from ● to ✕."
    height = top_below(len(faults)) + HIGH + 52
    return Figure(_claim(seen), subtitle, _facts(history, seen, faults), draw, height=height, keys=_KEYS)


def _storm(history: History, bins: int) -> Storm:
    new = measures.rate_series(history, "published", bins)
    again = measures.rate_series(history, "retried", bins)
    good = measures.rate_series(history, "handled", bins)
    return Storm(new.edges, new.values, new.values + again.values, good.values, _capacity(history))


def _capacity(history: History) -> float | None:
    """What the services that stand in a line can answer per second at most: workers over their mean service time."""
    most = []
    for part in history.parts.values():
        law = part.get("service_s")
        if part.get("kind") == "service" and part.get("workers") and isinstance(law, dict):
            mean = law.get("mean", law.get("value"))
            if mean:
                most.append(part["workers"] / float(mean))
    return min(most) if most else None


def _claim(seen: Storm) -> str:
    peak, usual = float(seen.new.max()), seen.mean(seen.new, True)
    late, kept = seen.mean(seen.new, False), seen.mean(seen.good, False)
    if not seen.all.sum() > seen.new.sum():
        return f"Nobody asked twice: {rate(kept)} answered of {rate(late)} asked"
    if kept >= _WELL * late:
        return f"Retries came and went: at the end {share(kept, late)} of all requests are answered"
    if peak > 1.5 * max(usual, late):
        return f"The load went back to {rate(late)}; the trouble stayed: {share(kept, late)} are answered"
    return f"Retries fill the service: {share(kept, late)} of {rate(late)} are answered in time"


def _facts(history: History, seen: Storm, faults: list[Fault]) -> dict[str, str]:
    width = float(seen.edges[1] - seen.edges[0])
    facts = {
        "new requests": f"{rate(seen.mean(seen.new, False))} at the end, {rate(float(seen.new.max()))} at most",
        "with retries": f"{rate(seen.mean(seen.all, False))} at the end, {rate(float(seen.all.max()))} at most",
        "goodput": f"{rate(seen.mean(seen.good, False))} at the end, {rate(seen.mean(seen.good, True))} at the start",
        "attempts": f"{seen.all.sum() / max(float(seen.new.sum()), 1e-9):.3g} a request",
    }
    if seen.capacity is not None:
        facts["capacity"] = rate(seen.capacity)
    facts["faults"] = "; ".join(map(str, faults)) or "none"
    facts["bins"] = si(width, "s")
    seed = history.meta.get("seed")
    return facts | ({"seed": str(seed)} if seed is not None else {})


def _draw(sheet: Sheet, seen: Storm, faults: list[Fault]) -> None:
    from evsim.view.sheet import DASHES, plain, seconds

    top = top_below(len(faults))
    axes = sheet.axes(74, top, 590, top + HIGH)
    colour = sheet.colour
    axes.stairs(seen.good, seen.edges, fill=True, color=colour["done"], alpha=0.75, lw=0, zorder=2)
    axes.stairs(seen.all, seen.edges, color=colour["again"], lw=2.0, ls=DASHES["long"], baseline=None, zorder=3)
    axes.stairs(seen.new, seen.edges, color=colour["ink"], lw=1.6, baseline=None, zorder=4)
    if seen.capacity is not None:
        axes.axhline(seen.capacity, color=colour["soft"], lw=1.4, ls=DASHES["dot"], zorder=1)
    axes.set_ylim(0, 1.12 * max(float(seen.all.max()), seen.capacity or 0.0))
    axes.set_xlim(seen.edges[0], seen.edges[-1])
    plain(axes.yaxis)
    seconds(axes.xaxis, float(seen.edges[-1]), 7)
    sheet.name_y(axes, "requests per second")
    sheet.name_x(axes, "simulated time")
    sheet.ribbon(faults, [axes])
    _path(sheet, seen, top)


def _path(sheet: Sheet, seen: Storm, top: float) -> None:
    """Goodput against total load, in a few steps from the beginning to the end."""
    from evsim.view.sheet import plain

    axes = sheet.axes(672, top, 876, top + HIGH)
    chunks = np.array_split(np.arange(len(seen.all)), min(STEPS, len(seen.all)))
    load = np.array([seen.all[chunk].mean() for chunk in chunks])
    good = np.array([seen.good[chunk].mean() for chunk in chunks])
    axes.plot(load, good, color=sheet.colour["flow"], lw=2.2, alpha=0.6, zorder=2)
    axes.plot(load[:1], good[:1], "o", ms=9, color=sheet.colour["done"], zorder=3)
    axes.plot(load[-1:], good[-1:], "X", ms=9, color=sheet.colour["fault"], zorder=4)
    axes.set_xlim(0, 1.15 * float(load.max()))
    high = float(max(good.max(), 1e-9))
    axes.set_ylim(-0.06 * high, 1.15 * high)
    plain(axes.xaxis)
    plain(axes.yaxis)
    sheet.text(636, top - 10, "goodput per second", role="soft")
    sheet.name_x(axes, "all requests per second")
