"""Scenarios that the notebooks and the command line share, by name, and the handlers that files may name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from evsim.event import Event
from evsim.lab.scenario import Scenario
from evsim.laws import Exponential
from evsim.patterns.handler import Context
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash
from evsim.sim.network import Link
from evsim.sim.publisher import Publisher
from evsim.sim.service import Service


def charge(event: Event, ctx: Context) -> None:
    """Charge the card, note it, and tell the shop: effect, state and event, in this order."""
    ctx.effect("card charged")
    ctx.state["charged"] = ctx.state.get("charged", 0) + 1
    ctx.emit("order.paid")


def ship(event: Event, ctx: Context) -> None:
    """Hand the parcel over, and say so."""
    ctx.effect("parcel sent")
    ctx.emit("parcel.sent")


HANDLERS: dict[str, Callable[..., Any]] = {"charge": charge, "ship": ship}
"""The only functions that a scenario file may name."""


HELLO = Scenario(
    Publisher("shop", to="orders", rate=20),
    Log("orders", partitions=1),
    Consumer("billing", of="orders", service_s=Exponential(0.03)),
    name="hello",
)

ORDER_SHOP = Scenario(
    Publisher("shop", to="orders", rate=20),
    Link("shop", "orders", delay_s=Exponential(0.002)),
    Log("orders", partitions=3),
    Consumer("billing", of="orders", members=3, service_s=Exponential(0.05)),
    Consumer("shipping", of="orders", members=2, service_s=Exponential(0.04)),
    name="order-shop",
)

OUTAGE = ORDER_SHOP.plus(Crash("billing", at_s=60, down_s=60)).called("outage")

PAYMENT = Scenario(
    Publisher("shop", to="bus", rate=2),
    Log("bus"),
    Consumer("payment", of="bus", service_s=Exponential(0.1), on={"order.placed": charge}),
    Consumer("shipping", of="bus", service_s=Exponential(0.1), on={"order.paid": ship}),
    name="payment",
)

CHAIN = Scenario(
    Publisher("shop", to="payment", rate=5),
    Service("payment", service_s=Exponential(0.03), calls=("stock",), availability=0.99),
    Service("stock", service_s=Exponential(0.03), calls=("courier",), availability=0.99),
    Service("courier", service_s=Exponential(0.03), availability=0.99),
    name="chain",
)

CATALOG: dict[str, Scenario] = {each.name: each for each in (HELLO, ORDER_SHOP, OUTAGE, PAYMENT, CHAIN)}
"""Every scenario that has a name of its own."""
