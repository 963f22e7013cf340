"""How long until it was handled: the share of events that were done within which time, and what theory says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evsim.view import measures
from evsim.view.figure import Figure
from evsim.view.words import count, si

if TYPE_CHECKING:
    from evsim.history import History
    from evsim.view.sheet import Sheet

POINTS = 2000
"""A curve is drawn through at most so many of the sorted values."""
_KEYS = (("line", "flow", "measured"), ("dash", "ink", "theory"))


def latency(history: History, group: str | None = None, *, theory: bool = True) -> Figure:
    """The cumulative distribution of the time from published to handled, the tail on a logarithmic axis."""
    values = np.sort(measures.latencies(history, group))
    values = values[values > 0] if len(values) and values[-1] > 0 else values[:0]
    seed = history.meta.get("seed")
    of = f" by {group}" if group else ""
    sample = f"{count(len(values), 'event')} handled{of}" + (f", seed {seed}" if seed is not None else "")
    if not len(values):
        return Figure("Nothing was handled in this run", sample, {}, _nothing, height=200)
    law, reason = _predicted(history, group) if theory else (None, "not asked for")
    half, most = float(measures.percentile(values, 0.5) or 0), float(measures.percentile(values, 0.99) or 0)
    facts = {
        "mean": si(float(values.mean()), "s"),
        "p50, p99": f"{si(half, 's')}, {si(most, 's')}",
        "theory": f"{law.name}: mean {si(law.mean_sojourn_s, 's')}" if law is not None else reason,
    }
    claim = f"Half is done within {si(half, 's')}, 99 in 100 within {si(most, 's')}"
    subtitle = f"{sample}. Time from published to handled; upwards, the share that was done by then."

    def draw(sheet: Sheet) -> None:
        _draw(sheet, values, law, half, most)

    return Figure(claim, subtitle, facts, draw, height=410, keys=_KEYS if law is not None else _KEYS[:1])


def _predicted(history: History, group: str | None) -> tuple[Any, str]:
    """The law that fits the parts, or None and why there is none."""
    from evsim.view import theory as theories  # noqa: PLC0415 - beside the parameter of the same name

    prediction = theories.predict(history, group)
    return prediction.law, prediction.reason


def _nothing(sheet: Sheet) -> None:
    sheet.text(20, 120, "nothing to draw", 9, "soft")


def _draw(sheet: Sheet, values: np.ndarray, law: Any, half: float, most: float) -> None:
    axes = sheet.axes(74, 106, 776, 352, grid="both")
    axes.set_xscale("log")
    chosen = np.unique(np.linspace(0, len(values) - 1, min(len(values), POINTS)).astype(int))
    axes.plot(values[chosen], (chosen + 1) / len(values), color=sheet.colour["flow"], lw=2.2, drawstyle="steps-post")
    low, high = max(values[0], values[-1] / 1e5), values[-1] * 1.3
    if law is not None:
        times = np.geomspace(low, high, 300)
        axes.plot(times, [law.cdf(t) for t in times], color=sheet.colour["ink"], lw=1.2, dashes=(5, 3))
        axes.annotate(law.name, (high, law.cdf(high)), xytext=(6, -3), textcoords="offset points", fontsize=9,
                      color=sheet.colour["ink"], annotation_clip=False)  # fmt: skip
    for value, share, name in ((half, 0.5, "p50"), (most, 0.99, "p99")):
        axes.plot([value, value], [0, share], color=sheet.colour["soft"], lw=1, ls=(0, (1, 1.6)))
        axes.plot([value], [share], "o", ms=6, mfc=sheet.colour["paper"], mec=sheet.colour["flow"], mew=2)
        axes.annotate(f"{name}  {si(value, 's')}", (value, share), xytext=(-9, 6), textcoords="offset points", ha="right",
                      fontsize=9, color=sheet.colour["ink"])  # fmt: skip
    axes.set_xlim(low, high)
    axes.set_ylim(0, 1.04)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
    axes.minorticks_off()
    axes.xaxis.set_major_formatter(lambda value, _: si(value, "s"))
    sheet.name_x(axes, "time from published to handled (logarithmic)")
    sheet.name_y(axes, "share of events")
