"""Who owns which partition through every rebalance: a bar for each time with an owner, and a gap where nobody works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evsim.view.faults import Fault, faults_of
from evsim.view.figure import Figure, empty
from evsim.view.ledger import span
from evsim.view.owners import Owning, ownings, rebalances, untended
from evsim.view.scene import natural
from evsim.view.series import consumers_of
from evsim.view.sheet_size import top_below
from evsim.view.words import claim_of, count, digits, si

if TYPE_CHECKING:
    from evsim.history import History
    from evsim.view.sheet import Key, Sheet

LEFT, RIGHT, PITCH, BAR = 134, 876, 21, 0.74
"""Pixels: the panel's sides, from partition to partition; the height of a bar, as a share of that."""
PLACES_MAX = 24
"""With more partitions, only those with the longest gaps are shown."""
_TONES = ("flow", "done", "undo", "again")
"""Members take turns with these colours; their names stand in the bars."""
Gap = tuple[str, float, float]


def ownership(history: History, group: str | None = None) -> Figure:
    """The owner of each partition over time, and when nobody worked on it; for one group, or the first."""
    name = next(iter(consumers_of(history, group)), None)
    end = span(history)[1]
    owned = ownings(history, name, end) if name is not None and end > 0 else []
    if name is None or not owned:
        return empty("Nobody owned a partition in this run", "Only the groups of a log own partitions.")
    gaps, faults = untended(history, name, end), faults_of(history, end)
    places, all_places = _shown(owned, gaps), len({owning.place for owning in owned})
    seed = history.meta.get("seed")
    few = f"; the {len(places)} with the longest gaps of {all_places}" if len(places) < all_places else ""
    subtitle = f"The owners of each partition of {name}{few}" + (f"; seed {seed}." if seed is not None else ".")
    keys: tuple[Key, ...] = (("bar", "wash_flow", "owner"),) + ((("hatch", "fault", "nobody at work"),) if gaps else ())

    def draw(sheet: Sheet) -> None:
        _draw(sheet, (places, end), owned, gaps, faults)

    height = top_below(len(faults)) + PITCH * len(places) + 52
    facts = _facts(history, name, owned, gaps, faults)
    return Figure(_claim(name, gaps, all_places), subtitle, facts, draw, height=height, keys=keys)


def _shown(owned: list[Owning], gaps: list[Gap]) -> list[str]:
    places = sorted({owning.place for owning in owned}, key=natural)
    if len(places) <= PLACES_MAX:
        return places
    idle = {place: sum(end - start for where, start, end in gaps if where == place) for place in places}
    worst = set(sorted(places, key=lambda place: -idle[place])[:PLACES_MAX])
    return [place for place in places if place in worst]


def _claim(group: str, gaps: list[Gap], places: int) -> str:
    if not gaps:
        return f"{group}: every partition had an owner at work, all the time"
    idle_s, hit = sum(end - start for _, start, end in gaps), len({place for place, *_ in gaps})
    head = f"{digits(idle_s)} partition-seconds with nobody at work"
    return claim_of(f"{head}, on {hit} of {count(places, 'partition')}", head)


def _facts(history: History, group: str, owned: list[Owning], gaps: list[Gap], faults: list[Fault]) -> dict[str, str]:
    bands = rebalances(history, group)
    longest = max(gaps, key=lambda gap: gap[2] - gap[1], default=None)
    facts = {
        "members": str(len({owning.member for owning in owned})),
        "rebalances": f"{len(bands)}, {si(max((end - start for start, end in bands), default=0.0), 's')} at most",
        "nobody at work": f"{digits(sum(end - start for _, start, end in gaps))} partition-seconds",
    }
    if longest is not None:
        facts["longest gap"] = f"{si(longest[2] - longest[1], 's')}, {longest[0]} from {si(longest[1], 's')}"
    return facts | {"faults": "; ".join(map(str, faults)) or "none"}


def _draw(
    sheet: Sheet, panel: tuple[list[str], float], owned: list[Owning], gaps: list[Gap], faults: list[Fault]
) -> None:
    from evsim.view import brush
    from evsim.view.sheet import MONO, seconds

    places, end = panel
    top = top_below(len(faults))
    axes = sheet.axes(LEFT, top, RIGHT, top + PITCH * len(places))
    axes.set_xlim(0, end)
    axes.set_ylim(len(places) - 0.5, -0.5)
    axes.set_yticks(range(len(places)), places, family=MONO, fontsize=8.5)
    axes.tick_params(axis="y", length=0)
    seconds(axes.xaxis, end, 9)
    rows, pixel = {place: row for row, place in enumerate(places)}, (RIGHT - LEFT) / end
    members = sorted({owning.member for owning in owned}, key=natural)
    tones = {member: _TONES[number % len(_TONES)] for number, member in enumerate(members)}
    for member, place, start, stop in (owning for owning in owned if owning.place in rows):
        tone, y = tones[member], rows[place]
        brush.bar(sheet, axes, start, stop, y, BAR, fill=f"wash_{tone}", edge=tone, zorder=2)
        brush.inside(sheet, axes, start + 4 / pixel, y, member, (stop - start) * pixel - 8, fontsize=8, zorder=5)
    for place, start, stop in (gap for gap in gaps if gap[0] in rows):
        y = rows[place]
        brush.bar(sheet, axes, start, stop, y, BAR, fill="wash_fault", edge="fault", hatch="//////", zorder=3)
    sheet.name_x(axes, "simulated time")
    sheet.ribbon(faults, [axes])
