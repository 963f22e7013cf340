"""How old the answers of a read model are: writes not yet seen after t seconds, and versions behind."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from evsim.view.figure import Figure, empty
from evsim.view.keys import Keys
from evsim.view.prediction import predict
from evsim.view.staleness import Sides, sides, versions_behind, versions_law
from evsim.view.words import claim_of, count, digits, grouped, share, si

if TYPE_CHECKING:
    from evsim.history import History
    from evsim.view.ledger import Floats
    from evsim.view.sheet import Key, Sheet

TOP, BOTTOM, MIDDLE, RIGHT = 114, 330, 74, 566
LEAST = 1e-3
"""What is rarer than this is not drawn."""
VERSIONS_MAX = 8
POINTS = 800
"""So many points are drawn of the whole, and as many of the rare end."""
_KEYS: tuple[Key, ...] = (("line", "flow", "measured"), ("dash", "ink", "formula"), ("bar", "flow", "share of time"))


def staleness(history: History, view: str | None = None, *, from_s: float = 0.0) -> Figure:
    """Staleness as a distribution, in seconds and in versions, of what was written from ``from_s`` on.

    Dashed are the formulas of the M/M/1, where the parts fit one: exp(-(μ - λ)t), and (1 - r)rⁿ with r = λm / (1 + λm).
    """
    found = sides(history, view)
    after = np.sort(found.after_s(from_s))
    if not len(after):
        return empty(f"Nothing was written that {found.view} could show", "There is no staleness to show.")
    behind = versions_behind(history, view, from_s=from_s)
    law = _law(history, found, from_s)
    seed = history.meta.get("seed")
    subtitle = f"From written in {found.source} to seen in {found.view}, {count(len(after), 'event')}"
    subtitle += f"; seed {seed}." if seed is not None else "."

    def draw(sheet: Sheet) -> None:
        _draw_seconds(sheet, after, law)
        _draw_versions(sheet, behind, law)

    keys = _KEYS if law is not None else (_KEYS[0], _KEYS[2])
    return Figure(_claim(found, after), subtitle, _facts(after, behind, law), draw, height=388, keys=keys)


class _Law:
    """What the formulas say: how much the projector could do beyond what comes, and the rate of one key."""

    def __init__(self, rate: float, service_rate: float, keys: int) -> None:
        self.spare, self.key_rate = service_rate - rate, rate / keys

    def hidden(self, after_s: Floats | float) -> Any:
        return np.exp(-self.spare * np.asarray(after_s))

    @property
    def versions(self) -> Floats:
        return versions_law(self.key_rate, 1 / self.spare, VERSIONS_MAX)


def _law(history: History, found: Sides, from_s: float) -> _Law | None:
    law: Any = predict(history, found.view).law
    chosen = np.flatnonzero(found.written & (found.stored_s >= from_s))
    if law is None or law.name != "M/M/1" or law.arrival_rate >= law.service_rate:
        return None
    return _Law(law.arrival_rate, law.service_rate, len(np.unique(Keys(history).labels[chosen])))


def _quantile(after: Floats, part: float) -> float:
    return float(after[min(len(after) - 1, math.ceil(part * len(after)) - 1)])


def _claim(found: Sides, after: Floats) -> str:
    p99 = _quantile(after, 0.99)
    if math.isinf(p99):
        return f"Some of what was written is never seen in {found.view}"
    short = f"99 % of what is written is seen within {si(p99, 's')}"
    return claim_of(f"{short} in {found.view}, half of it within {si(_quantile(after, 0.5), 's')}", short)


def _facts(after: Floats, behind: Floats, law: _Law | None) -> dict[str, str]:
    facts = {}
    for name, part in (("half", 0.5), ("99 %", 0.99), ("99.9 %", 0.999)):
        theory = f", formula {si(-math.log(1 - part) / law.spare, 's')}" if law else ""
        facts[f"{name} seen within"] = f"{si(_quantile(after, part), 's')}{theory}"
    for versions in range(min(3, len(behind))):
        theory = f", formula {share(float(law.versions[versions]))}" if law else ""
        facts[f"{count(versions, 'version')} behind"] = f"{share(float(behind[versions]))} of the time{theory}"
    facts["at most behind"] = count(len(behind) - 1, "version")
    facts["never seen"] = f"{grouped(int(np.isinf(after).sum()))} of {count(len(after), 'event')}"
    return facts


def _draw_seconds(sheet: Sheet, after: Floats, law: _Law | None) -> None:
    from evsim.view.sheet import seconds

    finite = after[np.isfinite(after)]
    longest = max(float(finite[-1]) if len(finite) else 1.0, 1e-6)
    if law is not None:
        longest = min(longest, 1.3 * math.log(1 / LEAST) / law.spare)
    axes = sheet.axes(MIDDLE, TOP, RIGHT, BOTTOM, grid="both")
    axes.set_yscale("log")
    axes.set_ylim(LEAST, 1.35)
    axes.set_xlim(0, longest)
    left = 1 - np.arange(1, len(finite) + 1) / len(after)
    every = max(1, len(finite) // POINTS)
    shown = np.union1d(np.arange(0, len(finite), every), np.arange(max(0, len(finite) - POINTS), len(finite)))
    axes.step([0, *finite[shown]], [1, *left[shown]], where="post", color=sheet.colour["flow"], lw=1.8, zorder=3)
    if law is not None:
        at = np.linspace(0, longest, 60)
        axes.plot(at, law.hidden(at), color=sheet.colour["ink"], lw=1.2, dashes=(5, 3), zorder=4)
    _percent_ticks(axes)
    seconds(axes.xaxis, longest, 6)
    sheet.name_x(axes, "time since it was written")
    sheet.name_y(axes, "writes that cannot be seen yet (log scale)")


def _percent_ticks(axes: Any) -> None:
    from matplotlib.ticker import NullLocator

    ticks = [1.0, 0.1, 0.01, 0.001]
    axes.set_yticks(ticks, [f"{100 * tick:g} %" for tick in ticks])
    axes.yaxis.set_minor_locator(NullLocator())


def _draw_versions(sheet: Sheet, behind: Floats, law: _Law | None) -> None:
    from evsim.view import brush
    from evsim.view.sheet import NOTE

    shown = behind[: VERSIONS_MAX + 1]
    axes = sheet.axes(656, TOP, 866, BOTTOM, grid="x")
    axes.set_xlim(0, 1.3 * float(shown.max(initial=1e-9)))
    axes.set_ylim(max(len(shown), 4) - 0.5, -0.5)
    for versions, value in enumerate(shown.tolist()):
        brush.bar(sheet, axes, 0, value, versions, 0.62, fill="flow", edge="flow")
        if law is not None:
            theory = float(law.versions[versions])
            axes.plot([theory] * 2, [versions - 0.42, versions + 0.42], color=sheet.colour["ink"], lw=1.4, zorder=5,
                      dashes=(2, 1.2))  # fmt: skip
        text = share(value) if value >= LEAST else "< 0.1 %"
        sheet.tag(axes, (max(value, float(law.versions[versions]) if law else 0.0), versions), text, (5, 0))
    axes.set_yticks(range(max(len(shown), 4)), [digits(n) for n in range(max(len(shown), 4))])
    axes.tick_params(axis="x", labelbottom=False, length=0)
    sheet.text(636, TOP - 9, "versions behind, share of time", NOTE, "soft")
