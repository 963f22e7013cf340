"""What came in, what was handled, and what waited, second by second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from evsim.view import measures
from evsim.view.faults import Fault, faults_of
from evsim.view.figure import Figure, empty
from evsim.view.series import CatchUp, bins_of, catch_up, consumers_of, groups_of
from evsim.view.sheet_size import top_below
from evsim.view.words import claim_of, count, grouped, rate, share, si

if TYPE_CHECKING:
    from evsim.history import History
    from evsim.view.sheet import Key, Sheet

ROLES = (("done", "line"), ("undo", "long"), ("again", "short"))
"""The colours and lines of up to three groups; published is always flow."""
RATES, BACKLOG, GAP = 138, 96, 44
"""Heights in pixels: the upper panel, the lower, and what lies between."""


class Flow(NamedTuple):
    """What one group handled, and what waited for it."""

    name: str
    handled: measures.Series
    waiting: measures.Series | None


def throughput(history: History, group: str | None = None) -> Figure:
    """Rates of publishing and handling over time, and the backlog below; faults shaded."""
    start, end = measures.span(history)
    sent = measures.published(history)
    if not sent or end <= start:
        return empty("Nothing was published in this run", f"{si(end - start, 's')} of simulated time.")
    bins = bins_of(sent, end - start)
    came = measures.rate_series(history, "published", bins)
    failed = measures.rate_series(history, "failed", bins)
    flows = _flows(history, group, bins)
    faults = faults_of(history, end)
    reading = consumers_of(history, group)
    worst = max(reading, key=lambda name: measures.backlog_most(history, name) or 0, default=None)
    caught = catch_up(history, worst, faults[0].start_s if faults else start) if worst is not None else None
    facts = _facts(history, group, flows, faults, worst, caught)
    seed = history.meta.get("seed")
    subtitle = f"{count(sent, 'event')} in {si(end - start, 's')}, counted in bins of {si((end - start) / bins, 's')}"
    subtitle += f"; seed {seed}." if seed is not None else "."
    keys = _keys(flows, bool(failed.values.any()))
    height = top_below(len(faults)) + RATES + 44 + ((BACKLOG + GAP) if reading else 0)

    def draw(sheet: Sheet) -> None:
        _draw(sheet, came, failed, flows, faults)

    claim = _claim(history, group, worst, caught, faults)
    return Figure(claim, subtitle, facts, draw, height=height, keys=keys)


def _flows(history: History, group: str | None, bins: int) -> list[Flow]:
    """One for each group; all together when they are too many to be told apart."""
    names: list[str | None] = [*groups_of(history, group)]
    reading = consumers_of(history, group)
    found = []
    for name in names if len(names) <= len(ROLES) else [None]:
        waits = name in reading or (name is None and bool(reading))
        waiting = measures.backlog_series(history, name, bins) if waits else None
        found.append(Flow(name or "all", measures.rate_series(history, "handled", bins, name), waiting))
    return found


# -------------------------------------------------------------------- words


def _facts(
    history: History,
    group: str | None,
    flows: list[Flow],
    faults: list[Fault],
    worst: str | None,
    caught: CatchUp | None,
) -> dict[str, str]:
    sent = measures.published(history)
    facts = {"published": f"{count(sent, 'event')}, {rate(measures.arrival_rate(history))}"}
    for flow in flows:
        name = None if flow.name == "all" else flow.name
        title = f"handled by {flow.name}" if len(flows) > 1 else "handled"
        facts[title] = rate(measures.throughput(history, name))
    failed = len(history.of("failed"))
    if failed:
        facts["failed"] = f"{grouped(failed)}, {share(failed, sent)} of all"
    if worst is not None and caught is not None:
        title = f"backlog of {worst}" if len(flows) > 1 else "backlog"
        facts[title] = f"{count(caught.most, 'event')} at most, at {si(caught.most_at_s, 's')}"
        facts["lag"] = f"{si(measures.lag_most(history, worst), 's')} at most"
    lost = len(measures.lost(history, group))
    if lost:
        facts["lost"] = f"{grouped(lost)}, {share(lost, sent)} of all"
    facts["faults"] = "; ".join(map(str, faults)) or "none"
    if faults and caught is not None:
        facts["caught up"] = _caught_up(caught, _last_end(history, faults))
    seed = history.meta.get("seed")
    return facts | ({"seed": str(seed)} if seed is not None else {})


def _last_end(history: History, faults: list[Fault]) -> float:
    """When the last fault that lasted was over."""
    start, end = measures.span(history)
    return min(end, max((fault.end_s for fault in faults if not fault.moments), default=start))


def _caught_up(caught: CatchUp, over_s: float) -> str:
    if caught.again_at_s is None:
        return "not before the end"
    return f"at {si(caught.again_at_s, 's')}, {si(max(0.0, caught.again_at_s - over_s), 's')} after the fault"


def _claim(history: History, group: str | None, worst: str | None, caught: CatchUp | None, faults: list[Fault]) -> str:
    came, done = measures.arrival_rate(history), measures.throughput(history, group or worst)
    if caught is None or worst is None:
        return f"{rate(came)} came in, {rate(done)} were handled"
    most, lasting = grouped(caught.most), [fault for fault in faults if not fault.moments]
    lost = len(measures.lost(history, worst))
    if not done:
        return f"{rate(came)} came in, and nothing was handled"
    if lost and not lasting:
        return f"{count(lost, 'event')} of {grouped(measures.published(history, worst))} never reached a handler"
    if caught.most <= 1:
        return f"Nothing piled up: {rate(came)} came in and each event was handled at once"
    if lasting and caught.most > 2 * max(caught.before, 1):
        if caught.again_at_s is None:
            return claim_of(
                f"{most} events piled up for {worst}, which did not catch up before the end",
                f"{most} events piled up, and they were not caught up with",
            )
        late = max(0.0, caught.again_at_s - _last_end(history, faults))
        return claim_of(
            f"{most} events piled up for {worst}; caught up {si(late, 's')} after the fault",
            f"{most} events piled up; caught up {si(late, 's')} after the fault",
        )
    behind = (came or 0) - (done or 0)
    if behind > 0.03 * (came or 0) and caught.again_at_s is None:
        return f"Handling fell behind: {rate(came)} came in, {rate(done)} were handled"
    return f"Handling kept up with {rate(came)}: at most {most} events waited"


def _keys(flows: list[Flow], failed: bool) -> tuple[Key, ...]:
    handled = [
        (glyph, role, f"handled by {flow.name}" if len(flows) > 1 else "handled")
        for flow, (role, glyph) in zip(flows, ROLES, strict=False)
    ]
    return (("line", "flow", "published"), *handled, *((("dot", "fault", "failed"),) if failed else ()))


# -------------------------------------------------------------------- picture


def _draw(sheet: Sheet, came: measures.Series, failed: measures.Series, flows: list[Flow], faults: list[Fault]) -> None:
    from evsim.view.sheet import DASHES, plain, seconds

    top = top_below(len(faults))
    panels = [sheet.axes(74, top, 876, top + RATES)]
    highest = max(float(series.values.max(initial=0)) for series in (came, *(flow.handled for flow in flows)))
    _steps(sheet, panels[0], came, "flow", "-", 1.6)
    panels[0].stairs(came.values, came.edges, fill=True, color=sheet.colour["flow"], alpha=0.14, lw=0)
    for flow, (role, glyph) in zip(flows, ROLES, strict=False):
        _steps(sheet, panels[0], flow.handled, role, DASHES[glyph], 2.0)
    if failed.values.any():
        _steps(sheet, panels[0], failed, "fault", DASHES["dot"], 2.0)
    panels[0].set_ylim(0, 1.12 * max(highest, 1e-9))
    sheet.name_y(panels[0], "events per second")
    if any(flow.waiting is not None for flow in flows):
        panels.append(_backlog(sheet, flows, top + RATES + GAP))
    for axes in panels:
        axes.set_xlim(came.edges[0], came.edges[-1])
        plain(axes.yaxis)
        seconds(axes.xaxis, came.edges[-1])
        axes.tick_params(labelbottom=axes is panels[-1])
    sheet.name_x(panels[-1], "simulated time")
    sheet.ribbon(faults, panels)


def _steps(sheet: Sheet, axes: Any, series: measures.Series, role: str, style: Any, width: float) -> None:
    axes.stairs(series.values, series.edges, color=sheet.colour[role], lw=width, ls=style, baseline=None, zorder=3)


def _backlog(sheet: Sheet, flows: list[Flow], top: float) -> Any:
    from evsim.view.sheet import DASHES

    axes = sheet.axes(74, top, 876, top + BACKLOG)
    most = 1.0
    for flow, (role, glyph) in zip(flows, ROLES, strict=False):
        if flow.waiting is None:
            continue
        axes.stairs(
            flow.waiting.values, flow.waiting.edges, fill=True, color=sheet.colour[role], alpha=0.3, lw=0, zorder=2
        )
        _steps(sheet, axes, flow.waiting, role, DASHES[glyph], 1.4)
        most = max(most, float(flow.waiting.values.max(initial=0)))
    axes.set_ylim(0, 1.12 * most)
    sheet.name_y(axes, "events waiting, most within each bin")
    return axes
