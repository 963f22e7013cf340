"""What an append costs by what it waits for, and what an acknowledgement is worth then."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from evsim.errors import BadScenario, did_you_mean
from evsim.view.figure import Figure
from evsim.view.intervals import interval
from evsim.view.words import digits, si

if TYPE_CHECKING:
    from evsim.view.sheet import Sheet

LEFT, RIGHT, WORTH, TOP, ROW = 200, 540, 652, 100, 46
_WAITS = {"none": "for nothing", "flush": "for the operating system", "sync": "for the disk"}
_LOST = {
    "none": ("nothing", "maybe the file"),
    "flush": ("nothing", "the last appends"),
    "sync": ("nothing", "nothing"),
}
"""What a killed process and a power cut take from SQLite with a write-ahead log and synchronous OFF, NORMAL, FULL
(https://www.sqlite.org/pragma.html#pragma_synchronous)."""


def durability_price(measured: Mapping[str, Sequence[float]], *, lost: Mapping[str, tuple[str, str]] = _LOST) -> Figure:
    """Seconds of an append by durability, as ``append_times`` gives them: ``{"none": […], "flush": […], "sync": […]}``.

    ``lost`` says for each what a killed process takes, and what a power cut; what stands there if nothing is said is
    true for our SQLite store.
    """
    if not measured or not all(measured.values()):
        raise BadScenario("nothing was measured; expected seconds by durability, as append_times() gives them")
    for name in measured:
        if name not in _WAITS:
            raise BadScenario(f"no durability called {name!r}{did_you_mean(name, _WAITS)}")
    order = [name for name in _WAITS if name in measured]
    spreads = {name: _spread(measured[name]) for name in order}

    def draw(sheet: Sheet) -> None:
        _draw(sheet, spreads, lost)

    rounds = max(len(values) for values in measured.values())
    subtitle = "Time of an append, on a log scale, and what is lost"
    subtitle += f"; bars: 95 % interval over {rounds} rounds." if rounds > 1 else "."
    return Figure(_claim(spreads), subtitle, _facts(spreads, lost), draw, height=TOP + ROW * len(order) + 56)


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    return interval(list(values)) if len(values) > 1 else (values[0], values[0], values[0])


def _claim(spreads: Mapping[str, tuple[float, float, float]]) -> str:
    if "sync" in spreads and len(spreads) > 1:
        other = next(name for name in ("flush", "none") if name in spreads)
        more = spreads["sync"][0] / spreads[other][0]
        return f"Waiting {_WAITS['sync']} costs {digits(more)} times as much as waiting {_WAITS[other]}"
    name = next(iter(spreads))
    return f"An append that waits {_WAITS[name]} takes {si(spreads[name][0], 's')}"


def _facts(spreads: Mapping[str, tuple[float, float, float]], lost: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    facts = {}
    for name, (mean, low, high) in spreads.items():
        spread = f" ± {si((high - low) / 2, 's')}" if high > low else ""
        killed, power = lost[name]
        facts[name] = f"{si(mean, 's')}{spread} an append; lost with the process: {killed}, with the power: {power}"
    return facts


def _draw(sheet: Sheet, spreads: Mapping[str, tuple[float, float, float]], lost: Mapping[str, tuple[str, str]]) -> None:
    from evsim.view import brush
    from evsim.view.sheet import log_ticks

    bottom = TOP + ROW * len(spreads)
    axes = sheet.axes(LEFT, TOP, RIGHT, bottom, grid="x")
    least = 10 ** math.floor(math.log10(0.9 * min(mean for mean, *_ in spreads.values())))
    most = 4 * max(high for *_, high in spreads.values())
    axes.set_xscale("log")
    axes.set_xlim(least, most)
    axes.set_ylim(len(spreads) - 0.5, -0.5)
    axes.set_yticks([])
    for x, words in ((WORTH, "lost: process killed"), (WORTH + 122, "lost: power cut")):
        sheet.text(x, TOP - 14, words, 8.5, "soft", ha="center")
    for row, (name, (mean, low, high)) in enumerate(spreads.items()):
        y = TOP + ROW * (row + 0.5)
        brush.bar(sheet, axes, least, mean, row, 0.5, fill="flow", edge="flow")
        axes.plot([max(low, least), high], [row, row], color=sheet.colour["ink"], lw=1.5, zorder=5)
        sheet.tag(axes, (max(mean, high), row), si(mean, "s"), (7, 0))
        sheet.text(LEFT - 12, y - 1, name, 10, ha="right")
        sheet.text(LEFT - 12, y + 14, f"waits {_WAITS[name]}", 7.5, "soft", ha="right")
        for x, words in zip((WORTH, WORTH + 122), lost[name], strict=True):
            sheet.text(x, y + 4, words, 9, "done" if words == "nothing" else "fault", ha="center")
    log_ticks(axes.xaxis, least, most if most < 50 * least else math.inf, "s")  # decades alone, if they are many
    sheet.name_x(axes, "time of an append (log scale)")
