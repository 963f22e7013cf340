"""Two shops with planted bugs, a saga and a transfer of money: most of them are right while nothing fails."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from evsim.lab.scenario import Scenario
from evsim.lab.stories import (
    credit,
    credit_again,
    credit_first_try,
    debit,
    debit_again,
    refund,
    refund_again,
    refund_first_try,
    refund_never,
    reserve,
    reserve_unseen,
    take_payment,
    take_payment_again,
)
from evsim.laws import Exponential
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.publisher import Publisher

_CAREFUL: Mapping[str, Any] = MappingProxyType({"of": "bus", "outbox": True, "service_s": Exponential(0.05)})

SAGA = Scenario(
    Publisher("shop", to="bus", rate=2),
    Log("bus"),
    Consumer("payment", on={"order.placed": take_payment}, **_CAREFUL),
    Consumer("stock", on={"payment.taken": reserve}, **_CAREFUL),
    Consumer("refunds", on={"stock.refused": refund}, **_CAREFUL),
    name="saga",
)

TRANSFER = Scenario(
    Publisher("bank", to="bus", rate=2, type="transfer.requested"),
    Log("bus"),
    Consumer("debits", on={"transfer.requested": debit}, **_CAREFUL),
    Consumer("credits", on={"money.debited": credit}, **_CAREFUL),
    name="transfer",
)


def _refunds(name: str, **changes: Any) -> Scenario:
    return SAGA.replace("refunds", **changes).called(f"saga-{name}")


def _credits(name: str, **changes: Any) -> Scenario:
    return TRANSFER.replace("credits", **changes).called(f"transfer-{name}")


PLANTED: tuple[Scenario, ...] = (
    SAGA.replace("payment", on={"order.placed": take_payment_again}).called("saga-pays-again"),
    SAGA.replace("stock", on={"payment.taken": reserve_unseen}).called("saga-reserves-unseen"),
    _refunds("refunds-again", on={"stock.refused": refund_again}),
    _refunds("refunds-never", on={"stock.refused": refund_never}),
    _refunds("refunds-first-try", on={"stock.refused": refund_first_try}),
    _refunds("refunds-too-early", commit="before"),
    _refunds("refunds-unsent", outbox=False),
    TRANSFER.replace("debits", on={"transfer.requested": debit_again}).called("transfer-debits-again"),
    _credits("credits-again", on={"money.debited": credit_again}),
    _credits("credits-first-try", on={"money.debited": credit_first_try}),
    _credits("credits-too-early", commit="before"),
    _credits("credits-unsent", outbox=False),
)
"""One planted bug each."""
