"""The matrix of who got what: publishers down, places across, and at the end what found no way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evsim.view.figure import Figure, empty
from evsim.view.plots.matrix import ROW, TOP, draw_matrix
from evsim.view.routing import NOWHERE, Routing
from evsim.view.routing import routing as routed
from evsim.view.words import count, grouped, share

if TYPE_CHECKING:
    from evsim.history import History
    from evsim.view.sheet import Key, Sheet

ROWS_MAX, PLACES_MAX = 16, 7
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
    places = [*found.places[: PLACES_MAX - 1], found.places[-1]] if len(found.places) > PLACES_MAX else found.places

    def cell(down: int, across: int) -> tuple[int, str]:
        place = places[across]
        number = int(found.counts[down, found.places.index(place)])
        return number, "wash_fault" if place == NOWHERE else "wash_done"

    draw_matrix(sheet, found.sources[:ROWS_MAX], places, cell)
