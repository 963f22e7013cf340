"""Completeness against delay: the share of events that a count by windows holds, by how long one waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evsim.patterns.window import late_share
from evsim.view.completeness import Completeness
from evsim.view.completeness import completeness as completeness_of
from evsim.view.figure import Figure, empty
from evsim.view.series import BEYOND_LEAST, nines
from evsim.view.sheet_size import TOP
from evsim.view.words import count, grouped, share, si

if TYPE_CHECKING:
    from evsim.history import History
    from evsim.view.ledger import Floats
    from evsim.view.sheet import Key, Sheet

HIGH = 262
MARKED = (0.9, 0.99, 0.999)
FEW = 3
"""The tail is drawn until so many are still to come."""
_MEASURED: Key = ("line", "flow", "measured")
_FEW: Key = ("dot", "soft", "fewer than ten events beyond")


def completeness(
    history: History,
    size_s: float,
    where: str | None = None,
    *,
    mean_s: float | None = None,
    reach_s: float | None = None,
) -> Figure:
    """The share of events that are counted in windows of ``size_s`` seconds, by how long one waits for stragglers.

    ``where`` is the group or the broker at which they come; ``reach_s`` the longest wait that is judged. Dashed, what
    theory says of delays that are exponential with the mean ``mean_s``.
    """
    found = completeness_of(history, size_s, where, reach_s=reach_s)
    if not len(found.needed_s):
        return empty("No window is old enough to be judged", "Let the run go on for longer, or give a shorter reach_s.")
    bounds = _bounds(found)
    law = None if mean_s is None else np.array([late_share(at, mean_s, size_s, found.rate) for at in bounds.tolist()])

    def draw(sheet: Sheet) -> None:
        _draw(sheet, found, bounds, law)

    keys = [_MEASURED, _FEW, *([("dash", "ink", f"exponential delays, mean {si(mean_s, 's')}")] if mean_s else [])]
    seed = history.meta.get("seed")
    subtitle = f"{count(len(found.needed_s), 'event')} at {found.where}, in windows of {si(size_s, 's')}"
    subtitle += f"; seed {seed}." if seed is not None else "."
    return Figure(_claim(found), subtitle, _facts(found, law), draw, height=TOP + HIGH + 52, keys=tuple(keys))


def _bounds(found: Completeness) -> Floats:
    """The waits that are drawn: up to where next to none comes any more, or the longest that is judged."""
    last = found.bound_s(1 - FEW / max(FEW + 1, len(found.needed_s)))
    return np.linspace(0.0, min(found.reach_s, 1.2 * last) if last else found.reach_s, 400)


def _claim(found: Completeness) -> str:
    bound_s = found.bound_s(0.99)
    if found.share(0) == 1:
        return "Every event is counted without any wait"
    if bound_s is None:
        return f"Within {si(found.reach_s, 's')}, {share(found.share(found.reach_s))} of the events are counted"
    return f"To count 99 % of the events, wait for {si(bound_s, 's')}"


def _facts(found: Completeness, law: Floats | None) -> dict[str, str]:
    facts = {"at once": f"{share(found.share(0))} are counted"}
    for part in MARKED:
        bound_s = found.bound_s(part)
        facts[f"{100 * part:g} %"] = "not within what is judged" if bound_s is None else f"after {si(bound_s, 's')}"
    never = int((found.needed_s == np.inf).sum())
    facts["never came"] = grouped(never) if never else "none"
    if law is not None:
        facts["theory"] = f"{share(1 - float(law[0]))} at once, {share(1 - float(law[-1]))} at the right end"
    return facts


def _draw(sheet: Sheet, found: Completeness, bounds: Floats, law: Floats | None) -> None:
    from evsim.view.sheet import DASHES, seconds

    axes = sheet.axes(74, TOP, 866, TOP + HIGH, grid="both")
    counted = np.array([found.share(at) for at in bounds.tolist()])
    beyond = np.round((1 - counted) * len(found.needed_s))
    trusted = int(np.searchsorted(-beyond, -BEYOND_LEAST, side="right"))
    level = nines(np.where(beyond > 0, counted, 1 - 1 / (2 * len(found.needed_s))))
    colour = sheet.colour["flow"]
    axes.plot(bounds[:trusted], level[:trusted], color=colour, lw=2.2, zorder=3)
    axes.plot(bounds[max(0, trusted - 1) :], level[max(0, trusted - 1) :], color=colour, lw=1.4, ls=DASHES["dot"])
    top = max(1.15, float(level.max()) + 0.15)
    if law is not None:
        axes.plot(bounds, nines(1 - law), color=sheet.colour["ink"], lw=1.2, dashes=(5, 3), zorder=4)
    for part in MARKED:
        _ring(sheet, axes, found, part, float(bounds[-1]))
    shares = [each for each in (0, 0.5, 0.9, 0.99, 0.999, 0.9999) if float(nines(each)) <= top]
    axes.set_yticks([float(nines(each)) for each in shares], [f"{100 * each:g} %" for each in shares])
    axes.set_ylim(0, top)
    axes.set_xlim(0, float(bounds[-1]))
    seconds(axes.xaxis, float(bounds[-1]), 8)
    sheet.name_x(axes, "how long one waits for stragglers, on the events' own clocks")
    sheet.name_y(axes, "share counted (each step up is ten times fewer missing)")


def _ring(sheet: Sheet, axes: Any, found: Completeness, part: float, last_s: float) -> None:
    bound_s = found.bound_s(part)
    if not bound_s or bound_s > last_s:
        return
    at = (bound_s, float(nines(part)))
    axes.plot([at[0]], [at[1]], "o", ms=6.5, mfc=sheet.colour["paper"], mec=sheet.colour["flow"], mew=2, zorder=6)
    right = bound_s > 0.75 * last_s
    sheet.tag(axes, at, f"{100 * part:g} %  {si(bound_s, 's')}", (-11, 9) if right else (11, -9),
              ha="right" if right else "left")  # fmt: skip
