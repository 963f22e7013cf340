"""What a search has tried: kinds of fault down, the parts and links that they hit across."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from evsim.view.figure import Figure, empty
from evsim.view.plots.matrix import ROW, TOP, draw_matrix
from evsim.view.words import count, grouped

if TYPE_CHECKING:
    from evsim.view.sheet import Key, Sheet

PLACES_MAX, KINDS_MAX = 8, 24
_KEYS: tuple[Key, ...] = (("bar", "wash_flow", "times injected"),)


def coverage(injected: Mapping[tuple[str, str], int], tried: int) -> Figure:
    """How often each kind of fault was injected where, in so many schedules: ``{("pause", "billing"): 12, …}``."""
    if not injected:
        return empty("No fault was injected", f"{count(tried, 'schedule')} tried.")
    kinds = sorted({kind for kind, _ in injected})
    sums = {place: sum(n for (_, each), n in injected.items() if each == place) for _, place in injected}
    places = sorted(sums, key=lambda place: (">" in place, place))
    shown = places if len(places) <= PLACES_MAX else sorted(sums, key=lambda place: -sums[place])[:PLACES_MAX]
    holes = sum((kind, place) not in injected for kind in kinds for place in places if _fits(kind, place))
    facts = {kind: _fact(injected, kind, places) for kind in kinds}
    facts |= {"elsewhere": f"{len(places) - len(shown)} more places"} if len(shown) < len(places) else {}

    def draw(sheet: Sheet) -> None:
        some = kinds[:KINDS_MAX]
        draw_matrix(
            sheet, some, shown, lambda down, across: (injected.get((some[down], shown[across]), 0), "wash_flow")
        )

    total = f"{count(sum(injected.values()), 'fault')} in {count(tried, 'schedule')}"
    claim = f"{total}, every kind tried where it fits" if not holes else f"{total}; {count(holes, 'pair')} never tried"
    height = TOP + ROW * min(len(kinds), KINDS_MAX) + 24
    subtitle = "Kinds of fault down, what they hit across: how often it was tried."
    return Figure(claim, subtitle, facts, draw, height=height, keys=_KEYS)


def _fits(kind: str, place: str) -> bool:
    """Faults of links are for links, all others for parts; steps and duplicates are not for every one of them."""
    return (">" in place) == (kind in {"drop", "delay", "partition"}) and " after " not in kind and kind != "duplicate"


def _fact(injected: Mapping[tuple[str, str], int], kind: str, places: list[str]) -> str:
    return ", ".join(f"{place} {grouped(injected[kind, place])}" for place in places if (kind, place) in injected)
