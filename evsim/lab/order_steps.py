"""The steps of order processing, who does them, and the handlers that the catalogue's files may name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from evsim.patterns.participant import participant
from evsim.patterns.saga import Plan, Step

RESERVE = Step("reserve.stock", undo="release.stock", timeout_s=5, retries=2)
CHARGE = Step("charge.card", undo="refund.card", timeout_s=5, retries=2)
BOOK = Step("book.courier", undo="cancel.courier", timeout_s=5, retries=2)
SHIP = Step("ship.order", timeout_s=5, pivot=True)
TELL = Step("send.mail", timeout_s=5)

PLAN = Plan("order.placed", (RESERVE, CHARGE, BOOK, SHIP, TELL))
"""Five steps; shipping is the point of no return."""

SERVICES: Mapping[str, str] = MappingProxyType(
    {
        "reserve.stock": "stock", "charge.card": "payment", "book.courier": "courier", "ship.order": "shipping",
        "send.mail": "mail",
    }
)  # fmt: skip
"""Who does which step."""

REFUSES = 0.02
_LAST = {"send.mail"}

DOERS = {step.do: participant(step, refuses=0.0 if step.do in _LAST else REFUSES) for step in PLAN.flat}
ORDER_HANDLERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {command.replace(".", "_"): handler for on in DOERS.values() for command, handler in on.items()}
)
"""What a file may say of those who take part in the catalogue's order processing."""
