"""The matrix of who got what: publishers down, places across, and at the end what found no way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evsim.view.figure import Figure, empty
from evsim.view.routing import NOWHERE, Routing
from evsim.view.routing import routing as routed
from evsim.view.words import count, grouped, share

if TYPE_CHECKING:
    from evsim.history import History
    from evsim.view.sheet import Key, Sheet

ROWS_MAX, PLACES_MAX = 16, 7
TOP, ROW, LEFT, RIGHT = 112, 26, 200, 884
_KEYS: tuple[Key, ...] = (("bar", "wash_done", "events that came to a place"), ("bar", "wash_fault", "found no way"))


def routing(history: History) -> Figure:
    """A row for each publisher, a column for each place that its events came to."""
    found = routed(history)
    total = int(found.published.sum())
    if not total or not found.places:
        return empty("No event came anywhere in this run", "Who got what.")
    facts = {source: _fact(found, row) for row, source in enumerate(found.sources[:ROWS_MAX])}
    if len(found.sources) > ROWS_MAX:
        facts["others"] = f"{len(found.sources) - ROWS_MAX} more publishers"

    def draw(sheet: Sheet) -> None:
        _draw(sheet, found)

    height = TOP + ROW * min(len(found.sources), ROWS_MAX) + 24
    subtitle = "Publishers down, places across: how many events of each came there."
    return Figure(_claim(found, total), subtitle, facts, draw, height=height, keys=_KEYS)


def _claim(found: Routing, total: int) -> str:
    if found.unroutable:
        return f"{share(found.unroutable, total)} of {count(total, 'event')} found no way"
    return f"All {count(total, 'event')} found a way"


def _fact(found: Routing, row: int) -> str:
    came = [f"{grouped(int(n))} {place}" for place, n in zip(found.places, found.counts[row], strict=True) if n]
    return f"{grouped(int(found.published[row]))} published: {', '.join(came) or 'none came anywhere'}"


def _draw(sheet: Sheet, found: Routing) -> None:
    from matplotlib.patches import Rectangle

    from evsim.view.sheet import shorten

    places = [*found.places[: PLACES_MAX - 1], found.places[-1]] if len(found.places) > PLACES_MAX else found.places
    sources = found.sources[:ROWS_MAX]
    wide = min(150.0, (RIGHT - LEFT) / len(places))
    axes = sheet.axes(LEFT, TOP, LEFT + wide * len(places), TOP + ROW * len(sources), grid="")
    axes.axis("off")
    axes.set_xlim(0, len(places))
    axes.set_ylim(len(sources), 0)
    for across, place in enumerate(places):
        words = sheet.text(LEFT + wide * (across + 0.5), TOP - 10, place, 9, ha="center", weight="bold")
        shorten(sheet, words, wide - 8)
    for down, source in enumerate(sources):
        words = sheet.text(LEFT - 12, TOP + ROW * (down + 0.5) + 3, source, 9, ha="right")
        shorten(sheet, words, LEFT - 32)
        for across, place in enumerate(places):
            number = int(found.counts[down, found.places.index(place)])
            role = "paper" if not number else "wash_fault" if place == NOWHERE else "wash_done"
            look: dict[str, Any] = {"fc": sheet.colour[role], "ec": sheet.colour["lane"], "lw": 0.8}
            axes.add_patch(Rectangle((across + 0.03, down + 0.08), 0.94, 0.84, **look))
            text, ink = (grouped(number), "ink") if number else ("–", "soft")
            axes.text(across + 0.5, down + 0.5, text, ha="center", va="center", fontsize=9, color=sheet.colour[ink])
