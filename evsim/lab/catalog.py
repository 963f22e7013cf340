"""Scenarios with a name, shared by notebooks and command line, and the handlers that a file may name."""

from __future__ import annotations

from evsim.errors import UnknownName, did_you_mean
from evsim.lab.handlers import HANDLERS, charge_card, send_parcel
from evsim.lab.scenario import Scenario
from evsim.laws import Exponential, LogNormal
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash
from evsim.sim.publisher import Publisher
from evsim.sim.service import Service

__all__ = ["HANDLERS", "SCENARIOS", "get", "names"]

_HELLO = Scenario(
    Publisher("shop", to="orders", rate=20),
    Log("orders", partitions=1),
    Consumer("billing", of="orders", service_s=Exponential(0.03)),
    name="hello",
)

_ORDER_SHOP = Scenario(
    Publisher("shop", to="orders", rate=20, data={"amount": LogNormal(40, 400)}),
    Log("orders", partitions=3),
    Consumer("billing", of="orders", members=2, service_s=Exponential(0.03), on={"order.placed": charge_card}),
    Consumer("shipping", of="orders", members=2, service_s=Exponential(0.04), on={"payment.taken": send_parcel}),
    name="order-shop",
)

_CHAIN = Scenario(
    Publisher("shop", to="payment", rate=20),
    Service("payment", service_s=Exponential(0.03), calls=("stock",), availability=0.99),
    Service("stock", service_s=Exponential(0.02), calls=("courier",), availability=0.99),
    Service("courier", service_s=Exponential(0.05), availability=0.99),
    name="chain",
)

_ABOUT = {
    "hello": (_HELLO, "one shop, one log, one consumer: the first run"),
    "order-shop": (_ORDER_SHOP, "orders are paid and shipped through a log of three partitions"),
    "outage": (
        _ORDER_SHOP.plus(Crash("billing", at_s=30, down_s=60)).called("outage"),
        "the order shop, whose billing is down for a minute",
    ),
    "chain": (_CHAIN, "a shop that waits for three services in a row, with no log between"),
}

SCENARIOS = {name: scenario for name, (scenario, _) in _ABOUT.items()}


def names() -> list[str]:
    """The names of the scenarios, simplest first."""
    return list(SCENARIOS)


def about(name: str) -> str:
    """What a scenario is, in a few words."""
    get(name)
    return _ABOUT[name][1]


def get(name: str) -> Scenario:
    """The scenario of this name."""
    if name not in SCENARIOS:
        raise UnknownName(f"no scenario called {name!r} in the catalogue{did_you_mean(name, SCENARIOS)}")
    return SCENARIOS[name]
