"""Who is behind, and by how long: what waits in each partition, the seconds beside it, the owner below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evsim.view import measures
from evsim.view.faults import Fault, faults_of
from evsim.view.figure import Figure, empty
from evsim.view.owners import Owning, ownings, untended
from evsim.view.series import Strip, bins_of, consumers_of, strips_of
from evsim.view.sheet_size import RIBBON, ROW
from evsim.view.words import claim_of, count, grouped, si

if TYPE_CHECKING:
    from evsim.history import History
    from evsim.view.sheet import Sheet

STRIPS_MAX, SHOWN = 9, 8
"""With more partitions than the first, only the worst few are shown."""
LEFT, RIGHT, PITCH, FILL, OWNER = 134, 752, 62, 38, 12
"""Pixels: the panels' sides, from strip to strip, the height of the filling, the height of the owner's bar."""
_KEYS = (
    ("bar", "flow", "events waiting"),
    ("bar", "wash_flow", "owner of the partition"),
    ("hatch", "fault", "nobody at work"),
)


def lag(history: History, group: str | None = None) -> Figure:
    """The backlog of each partition of one group over time; the group that was furthest behind, unless named."""
    groups = consumers_of(history, group)
    group = max(groups, key=lambda name: measures.lag_most(history, name) or 0.0, default=None)
    start, end = measures.span(history)
    if group is None or end <= start:
        return empty("Nobody reads a log in this run", "There is no lag to show.")
    strips = strips_of(history, group, bins_of(measures.published(history), end - start))
    if not strips:
        return empty(f"Nothing was stored for {group}", "There is no lag to show.")
    shown = strips
    if len(strips) > STRIPS_MAX:
        worst = sorted(strips, key=lambda strip: -strip.worst_s)[:SHOWN]
        shown = [strip for strip in strips if strip in worst]
    faults = faults_of(history, end)
    owned, alone = ownings(history, group, end), untended(history, group, end)
    seed = history.meta.get("seed")
    subtitle = f"What {group} had still to acknowledge, by partition"
    subtitle += f"; the worst {SHOWN} of {len(strips)}" if len(shown) < len(strips) else ""
    subtitle += f"; seed {seed}." if seed is not None else "."
    facts = {strip.place: _told(strip) for strip in shown}
    facts |= {"faults": "; ".join(map(str, faults)) or "none"}
    keys = tuple(key for key, wanted in zip(_KEYS, (True, bool(owned), bool(alone)), strict=True) if wanted)

    def draw(sheet: Sheet) -> None:
        _draw(sheet, shown, faults, owned, alone)

    height = _top(len(faults)) + PITCH * len(shown) + 46
    return Figure(_claim(group, strips), subtitle, facts, draw, height=height, keys=keys)


def _told(strip: Strip) -> str:
    most = f"{count(strip.most, 'event')} and {si(strip.worst_s, 's')} at most"
    return f"{most}, {si(strip.now_s, 's')} at the end"


def _claim(group: str, strips: list[Strip]) -> str:
    worst = max(strips, key=lambda strip: strip.worst_s)
    if worst.worst_s == 0:
        return f"{group} was never behind"
    behind = f"{group} fell {si(worst.worst_s, 's')} behind in {worst.place}"
    most = f"{behind}, {grouped(worst.most)} events"
    return claim_of(most, behind, f"The group fell {si(worst.worst_s, 's')} behind, {grouped(worst.most)} events")


def _top(faults: int) -> int:
    return RIBBON + ROW * faults + 22


def _draw(
    sheet: Sheet, strips: list[Strip], faults: list[Fault], owned: list[Owning], alone: list[tuple[str, float, float]]
) -> None:
    top = _top(len(faults))
    edges = strips[0].waiting.edges
    most = max(1.0, *(float(strip.waiting.values.max(initial=0)) for strip in strips))
    sheet.text(RIGHT + 68, top - 9, "worst", 8.5, "soft", ha="right")
    sheet.text(RIGHT + 134, top - 9, "at the end", 8.5, "soft", ha="right")
    panels = []
    for number, strip in enumerate(strips):
        y = top + PITCH * number
        panels.append(_strip(sheet, strip, y, most))
        _owners(sheet, strip.place, y + FILL + 2, (edges[0], edges[-1]), owned, alone)
    _time_axis(sheet, top + PITCH * len(strips) - 6, edges)
    sheet.ribbon(faults, panels)


def _strip(sheet: Sheet, strip: Strip, y: float, most: float) -> Any:
    from evsim.view.sheet import MONO, shorten
    from evsim.view.words import digits

    axes = sheet.axes(LEFT, y, RIGHT, y + FILL)
    axes.stairs(strip.waiting.values, strip.waiting.edges, fill=True, color=sheet.colour["flow"], alpha=0.8, lw=0)
    axes.set_xlim(strip.waiting.edges[0], strip.waiting.edges[-1])
    axes.set_ylim(0, 1.08 * most)
    axes.set_yticks([0, most], ["0", digits(most)])
    axes.tick_params(axis="x", length=0, labelbottom=False)
    name = sheet.text(16, y + FILL / 2 + 4, strip.place, 9, family=MONO)
    shorten(sheet, name, LEFT - 16 - 12 - 7 * len(digits(most)), middle=True)
    for x, seconds in ((RIGHT + 68, strip.worst_s), (RIGHT + 134, strip.now_s)):
        sheet.text(x, y + FILL / 2 + 4, si(seconds, "s"), 9, ha="right")
    return axes


def _owners(
    sheet: Sheet,
    place: str,
    y: float,
    reach: tuple[float, float],
    owned: list[Owning],
    alone: list[tuple[str, float, float]],
) -> None:
    from evsim.view import brush

    axes = sheet.axes(LEFT, y, RIGHT, y + OWNER, grid="")
    axes.set_xlim(*reach)
    axes.set_ylim(0, 1)
    axes.axis("off")
    pixel = (RIGHT - LEFT) / (reach[1] - reach[0])
    for member, _, start, end in (owning for owning in owned if owning.place == place):
        brush.bar(sheet, axes, start, end, 0.5, 1.0, fill="wash_flow", edge="flow")
        working_s = max(
            (begin for where, begin, stop in alone if where == place and begin <= start < stop), default=start
        )
        room = (end - working_s) * pixel - 8
        words = brush.inside(sheet, axes, start + 4 / pixel, 0.5, member, room)
        if words is not None:
            words.set_zorder(6)
    for _, start, end in (gap for gap in alone if gap[0] == place):
        brush.bar(sheet, axes, start, end, 0.5, 1.0, fill="wash_fault", edge="fault", hatch="//////")


def _time_axis(sheet: Sheet, y: float, edges: Any) -> None:
    from evsim.view.sheet import seconds

    axes = sheet.axes(LEFT, y, RIGHT, y + 1, grid="")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    seconds(axes.xaxis, edges[-1])
    sheet.name_x(axes, "simulated time")
