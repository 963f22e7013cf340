"""The catalogue's handlers: the only functions that a scenario file may name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from evsim.event import Event
from evsim.lab.accounts import ACCOUNT_HANDLERS
from evsim.lab.analytics_steps import ANALYTICS_HANDLERS
from evsim.lab.audit_steps import AUDIT_HANDLERS
from evsim.lab.notify_steps import NOTIFY_HANDLERS
from evsim.lab.order_steps import ORDER_HANDLERS
from evsim.lab.stories import PLANTED_HANDLERS
from evsim.lab.sync_steps import SYNC_HANDLERS
from evsim.patterns.handler import Context


def charge(event: Event, ctx: Context) -> None:
    """Charge the card, note it, and tell the shop: effect, state and event, in this order."""
    ctx.effect("card charged")
    ctx.state["charged"] = ctx.state.get("charged", 0) + 1
    ctx.emit("order.paid")


def ship(event: Event, ctx: Context) -> None:
    """Hand the parcel over."""
    ctx.effect("parcel sent")
    ctx.emit("parcel.sent")


HANDLERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "charge": charge,
        "ship": ship,
        **ACCOUNT_HANDLERS,
        **PLANTED_HANDLERS,
        **AUDIT_HANDLERS,
        **SYNC_HANDLERS,
        **ANALYTICS_HANDLERS,
        **ORDER_HANDLERS,
        **NOTIFY_HANDLERS,
    }
)
"""The allow-list: what ``on:`` in a file may say."""
