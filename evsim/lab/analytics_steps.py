"""Handlers of real-time analytics: departures by hour and airport, and orders joined with a table of prices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from evsim.event import Event
from evsim.patterns.handler import Context
from evsim.patterns.join import Row, joining
from evsim.patterns.window import Tumbling, Windows, windowing

HOUR_S = 3600.0


def board_with(bound_s: float, **late: Any) -> Callable[[Event, Context], None]:
    """Departures by scheduled hour and airport, when one waits this long for stragglers."""
    windows = Windows(Tumbling(HOUR_S), bound_s=bound_s, **late)
    return windowing(windows, key=lambda event: str(event.data["origin"]))


board = board_with(1800.0, late="side")
board.__name__ = "board"


def _product(event: Event) -> str:
    return str(event.data.get("product", "price-1"))


def _price(event: Event, ctx: Context, row: Row | None) -> None:
    ctx.effect("enriched", row=_product(event), version=row["version"] if row else 0)


enrich = joining("price.changed", _price, key=_product)
enrich.__name__ = "enrich"


ANALYTICS_HANDLERS: Mapping[str, Callable[..., Any]] = MappingProxyType({"board": board, "enrich": enrich})
