"""Two heads: how many events were written, how many of them can be seen; and the gap between the two over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evsim.view.faults import Fault, faults_of
from evsim.view.figure import Figure, empty
from evsim.view.sheet_size import RIBBON, ROW
from evsim.view.staleness import Sides, behind, sides
from evsim.view.words import claim_of, count, grouped, si

if TYPE_CHECKING:
    from evsim.history import History
    from evsim.view.sheet import Key, Sheet

LEFT, RIGHT, HEADS, GAP = 84, 866, 200, 70
POINTS_MAX = 3000
_KEYS: tuple[Key, ...] = (
    ("line", "ink", "written"),
    ("line", "done", "can be seen"),
    ("pale", "flow", "the gap: events written and not yet seen"),
)


def heads(history: History, view: str | None = None) -> Figure:
    """Write head against projection head, with the gap between them and what went wrong."""
    found = sides(history, view)
    if not found.written.any():
        return empty(f"Nothing was written that {found.view} could show", "There are no heads to compare.")
    faults = [fault for fault in faults_of(history, found.end_s) if found.view in fault.name] or faults_of(
        history, found.end_s
    )
    times, gap = behind(found)
    widest = int(np.argmax(gap))
    after = found.after_s()
    facts = {
        "written": f"{count(int(found.written.sum()), 'event')} to {found.source}",
        "seen": f"{count(int(np.isfinite(found.seen_s).sum()), 'event')} in {found.view}",
        "widest gap": f"{count(int(gap[widest]), 'event')}, at {si(float(times[widest]), 's')}",
        "oldest answer": si(float(np.max(after[np.isfinite(after)], initial=0.0)), "s"),
        "faults": "; ".join(map(str, faults)) or "none",
    }
    facts |= _recoveries(found, faults)
    seed = history.meta.get("seed")
    subtitle = f"Events in {found.source}, and of those the ones that {found.view} shows"
    subtitle += f"; seed {seed}." if seed is not None else "."
    top = RIBBON + ROW * len(faults) + (26 if faults else 14)

    def draw(sheet: Sheet) -> None:
        _draw(sheet, found, faults, top)

    height = top + HEADS + 26 + GAP + 44
    return Figure(_claim(found, int(gap[widest]), after), subtitle, facts, draw, height=height, keys=_KEYS)


def caught_up_s(found: Sides, from_s: float) -> float | None:
    """When the read model first has nothing to do after this moment; None if never."""
    times, gap = behind(found)
    at = int(np.searchsorted(times, from_s, side="right")) - 1
    if at >= 0 and gap[at] == 0:
        return from_s
    later = np.flatnonzero(gap[max(0, at) :] == 0)
    return float(times[max(0, at) + later[0]]) if len(later) else None


def _recoveries(found: Sides, faults: list[Fault]) -> dict[str, str]:
    told = {}
    for fault in faults:
        if fault.moments or fault.end_s >= found.end_s:
            continue
        done = caught_up_s(found, fault.end_s)
        took = "not by the end" if done is None else f"{si(done - fault.end_s, 's')} after its end"
        told[f"caught up after {fault.name}"] = took
    return told


def _claim(found: Sides, widest: int, after: Any) -> str:
    oldest = si(float(np.max(after[np.isfinite(after)], initial=0.0)), "s")
    short = f"{found.view} was at most {grouped(widest)} events behind"
    return claim_of(f"{short}, and its answers at most {oldest} old", short)


def _draw(sheet: Sheet, found: Sides, faults: list[Fault], top: int) -> None:
    from evsim.view.sheet import plain, seconds

    stored = np.sort(found.stored_s[found.written])
    seen = np.sort(found.seen_s[np.isfinite(found.seen_s)])
    times, gap = behind(found)
    upper = sheet.axes(LEFT, top, RIGHT, top + HEADS)
    lower = sheet.axes(LEFT, top + HEADS + 26, RIGHT, top + HEADS + 26 + GAP)
    at = np.linspace(0, found.end_s, POINTS_MAX)
    written, shown = (np.searchsorted(each, at, side="right") for each in (stored, seen))
    upper.fill_between(at, shown, written, color=sheet.colour["flow"], alpha=0.25, lw=0, zorder=2)
    upper.plot(at, written, color=sheet.colour["ink"], lw=1.6, zorder=4)
    upper.plot(at, shown, color=sheet.colour["done"], lw=1.8, zorder=3)
    steps = np.searchsorted(times, at, side="right") - 1
    depth = np.where(steps >= 0, gap[np.maximum(steps, 0)], 0)
    lower.fill_between(at, 0, depth, color=sheet.colour["flow"], alpha=0.4, lw=0.8, zorder=2)
    for axes in (upper, lower):
        axes.set_xlim(0, found.end_s)
        axes.set_ylim(0, None)
    upper.tick_params(axis="x", labelbottom=False)
    plain(upper.yaxis, 5)
    plain(lower.yaxis, 2)
    seconds(lower.xaxis, found.end_s)
    sheet.name_x(lower, "simulated time")
    sheet.name_y(upper, "events")
    sheet.name_y(lower, "behind")
    sheet.ribbon(faults, [upper, lower])
