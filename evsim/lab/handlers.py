"""The catalogue's handlers: the only functions that a scenario file may name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from evsim.event import Event
from evsim.patterns.handler import Context


def charge_card(event: Event, ctx: Context) -> None:
    """Take the money for an order, and say so."""
    amount = event.data.get("amount", 0)
    ctx.effect("card charged", key=event.key, amount=amount)
    ctx.emit("payment.taken", {"amount": amount})


def send_parcel(event: Event, ctx: Context) -> None:
    """Send what was paid for, and say so."""
    ctx.effect("parcel sent", key=event.key)
    ctx.emit("parcel.sent")


def thank_customer(event: Event, ctx: Context) -> None:
    """Write a friendly mail."""
    ctx.effect("mail sent", key=event.key)


def do_nothing(event: Event, ctx: Context) -> None:
    """Take note, and leave the world as it is."""


HANDLERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {each.__name__: each for each in (charge_card, send_parcel, thank_customer, do_nothing)}
)
"""The allow-list: what ``on:`` in a file may say."""
