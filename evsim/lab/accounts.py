"""One account that several cash machines serve at once: handlers with an event store, a right one and a blind one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from evsim.event import Event
from evsim.history import History
from evsim.patterns.handler import Context
from evsim.store import ANY
from evsim.view.verdict import Verdict

STREAM, START, AMOUNT, THINKS_S = "account-7", 100, 10, 0.1
"""The account, what lies on it at first, what a customer wants, and how long a machine counts the notes."""


async def withdraw(event: Event, ctx: Context) -> None:
    """Pay out if there is enough; append only if nobody else has, since the balance was read."""
    seen = await ctx.read("store", STREAM)
    if any(each.event.causation_id == event.id for each in seen):
        return
    await ctx.sleep(THINKS_S)
    if START - sum(each.event.data["amount"] for each in seen) >= AMOUNT:
        await ctx.append("store", STREAM, ("money.withdrawn", {"amount": AMOUNT}), expected=seen.version)


async def withdraw_blind(event: Event, ctx: Context) -> None:
    """Planted: the same, and it appends whatever has come in between."""
    seen = await ctx.read("store", STREAM)
    if any(each.event.causation_id == event.id for each in seen):
        return
    await ctx.sleep(THINKS_S)
    if START - sum(each.event.data["amount"] for each in seen) >= AMOUNT:
        await ctx.append("store", STREAM, ("money.withdrawn", {"amount": AMOUNT}), expected=ANY)


ACCOUNT_HANDLERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {"withdraw": withdraw, "withdraw_blind": withdraw_blind}
)


def never_overdrawn(history: History) -> Verdict:
    """Nobody is paid more than lies on the account."""
    name, balance = "the account is never overdrawn", START
    steps = [what.step for what in history.whats]
    if "stored" not in steps:
        return Verdict("unknown", name, ("nothing was stored",))
    for record in history.of("stored", node="store"):
        event_id = str(record.event_id)
        balance -= history.event_at(history.index(event_id)).data["amount"]
        if balance < 0:
            line = f"{event_id} took the balance to {balance} at {record.time:.3f} s"
            return Verdict("VIOLATED", name, (line,), record.place, (event_id,), (record.time,))
    return Verdict("ok", name)
