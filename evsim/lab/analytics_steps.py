"""Handlers of real-time analytics: departures by hour and airport, and orders joined with a table of prices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from evsim.event import Event
from evsim.patterns.handler import Context
from evsim.patterns.window import Tumbling, Windows, windowing

HOUR_S = 3600.0


def board_with(bound_s: float, **late: Any) -> Callable[[Event, Context], None]:
    """Departures by scheduled hour and airport, when one waits this long for stragglers."""
    windows = Windows(Tumbling(HOUR_S), bound_s=bound_s, **late)
    return windowing(windows, key=lambda event: str(event.data["origin"]))


board = board_with(1800.0, late="side")
board.__name__ = "board"


def enrich(event: Event, ctx: Context) -> None:
    """Join a stream with a table: keep the newest price, and look it up for each order."""
    if event.type == "price.changed":
        if event.data["version"] > ctx.state.get("version", 0):
            ctx.state["version"], ctx.state["price"] = event.data["version"], event.data["price"]
        return
    ctx.effect("enriched", version=ctx.state.get("version", 0))


ANALYTICS_HANDLERS: Mapping[str, Callable[..., Any]] = MappingProxyType({"board": board, "enrich": enrich})
