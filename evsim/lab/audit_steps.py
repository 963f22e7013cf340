"""Handlers of the audit: what keeps every event, and what makes a second event of the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from evsim.event import Event
from evsim.patterns.handler import Context

BUS, LEDGER = "bus", "ledger"
"""The log that is audited, and the event store that keeps what it saw."""


async def keep(event: Event, ctx: Context) -> None:
    """Append the event itself: a second try changes nothing, for the store knows its id."""
    await ctx.append(LEDGER, str(event.key), event)


async def keep_a_copy(event: Event, ctx: Context) -> None:
    """Planted: what is kept has an id of its own each time, so that the store cannot tell a second try."""
    copy = Event(f"{event.id}.copy{ctx.attempt}", "copy.kept", ctx.now, "audit", {"of": event.id}, key=event.key)
    await ctx.append(LEDGER, str(event.key), copy)


def bill(event: Event, ctx: Context) -> None:
    """Make an invoice for an order."""
    if event.id not in ctx.state:
        ctx.state[event.id] = True
        ctx.emit("invoice.sent", {"order": event.key})


AUDIT_HANDLERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {"keep": keep, "keep_a_copy": keep_a_copy, "bill": bill}
)
