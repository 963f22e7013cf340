"""Handlers of a saga and of a transfer of money, right ones and *planted* ones.

A step of a story is an event that says so: ``payment.taken``. Each handler knows by its state what it has done already,
and state and events are kept together (outbox), so the right versions survive a crash after any step. Every *planted*
one breaks one of these rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from evsim.event import Event
from evsim.patterns.handler import Context

EVERY = 3
"""Every third order is out of stock, so that its story has to be undone."""


def _once(event: Event, ctx: Context, type: str) -> None:  # noqa: A002
    """Say that it is done, unless it was said before."""
    if event.key not in ctx.state:
        ctx.state[str(event.key)] = True
        ctx.emit(type)


def _refused(event: Event) -> bool:
    number = str(event.key).rpartition("-")[2]
    return number.isdigit() and int(number) % EVERY == 0


# -------------------------------------------------------------------- the saga: pay, reserve, or give the money back


def take_payment(event: Event, ctx: Context) -> None:
    """Take the money, once for each order."""
    _once(event, ctx, "payment.taken")


def take_payment_again(event: Event, ctx: Context) -> None:
    """Planted: whoever is told twice takes twice."""
    ctx.emit("payment.taken")


def reserve(event: Event, ctx: Context) -> None:
    """Put the goods aside, or say that there are none."""
    _once(event, ctx, "stock.refused" if _refused(event) else "stock.reserved")


def reserve_unseen(event: Event, ctx: Context) -> None:
    """Planted: the goods are promised first, and looked for afterwards (steps in the wrong order)."""
    ctx.emit("stock.reserved")
    if _refused(event):
        ctx.emit("stock.refused")


def refund(event: Event, ctx: Context) -> None:
    """Give the money back, once."""
    _once(event, ctx, "payment.refunded")


def refund_again(event: Event, ctx: Context) -> None:
    """Planted: a compensation that is not idempotent."""
    ctx.emit("payment.refunded")


def refund_never(event: Event, ctx: Context) -> None:
    """Planted: the compensation is forgotten."""


def refund_first_try(event: Event, ctx: Context) -> None:
    """Planted: a second delivery is taken for one that was dealt with."""
    if ctx.attempt == 1:
        refund(event, ctx)


# -------------------------------------------------------------------- the transfer: from one account to another


def debit(event: Event, ctx: Context) -> None:
    """Take the money from one account, once."""
    _once(event, ctx, "money.debited")


def debit_again(event: Event, ctx: Context) -> None:
    """Planted: a debit that is not idempotent."""
    ctx.emit("money.debited")


def credit(event: Event, ctx: Context) -> None:
    """Give it to the other account, once."""
    _once(event, ctx, "money.credited")


def credit_again(event: Event, ctx: Context) -> None:
    """Planted: a credit that is not idempotent."""
    ctx.emit("money.credited")


def credit_first_try(event: Event, ctx: Context) -> None:
    """Planted: a second delivery is taken for one that was dealt with."""
    if ctx.attempt == 1:
        credit(event, ctx)


PLANTED_HANDLERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        each.__name__: each
        for each in (
            take_payment, take_payment_again, reserve, reserve_unseen, refund, refund_again, refund_never,
            refund_first_try, debit, debit_again, credit, credit_again, credit_first_try,
        )
    }
)  # fmt: skip
