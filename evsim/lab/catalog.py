"""Scenarios with a name, shared by notebooks and command line, and the handlers that a file may name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from evsim.errors import UnknownName, did_you_mean
from evsim.lab.accounts import withdraw, withdraw_blind
from evsim.lab.analytics import ANALYTICS, JOIN
from evsim.lab.auditing import AUDIT, AUDIT_COPIES, AUDIT_FORGETS
from evsim.lab.handlers import HANDLERS, charge, ship
from evsim.lab.notifying import NOTIFICATIONS, NOTIFICATIONS_KEYLESS
from evsim.lab.ordering import ORDER_PROCESSING
from evsim.lab.planted import PLANTED, SAGA, TRANSFER
from evsim.lab.reading import READ_MODEL, READ_MODEL_DOUBLES, READ_MODEL_FORGETS
from evsim.lab.scenario import Scenario
from evsim.lab.syncing import SYNC, SYNC_BY_ARRIVAL
from evsim.laws import Constant, Exponential
from evsim.patterns.retry import Backoff, Retry
from evsim.sim.broker.log import Log
from evsim.sim.broker.queue import Queue
from evsim.sim.calling import Calling
from evsim.sim.consumer import Consumer, Timed
from evsim.sim.event_store import EventStore
from evsim.sim.faults import Crash, Delay, Pause
from evsim.sim.network import Link
from evsim.sim.publisher import Publisher
from evsim.sim.service import Service

__all__ = [
    "ANALYTICS", "AUDIT", "CATALOG", "CHAIN", "HANDLERS", "HELLO", "INCIDENT", "JOIN", "ORDER_PROCESSING",
    "ORDER_SHOP", "OUTAGE", "PAYMENT", "READ_MODEL", "SAGA", "SYNC", "TRANSFER", "WITHDRAWALS", "WITHDRAWALS_BLIND",
    "about", "charge", "get", "names", "ship",
]  # fmt: skip

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

INCIDENT = Scenario(
    Publisher("shop", to="bus", rate=4),
    Link("shop", "bus", delay_s=Exponential(0.01)),
    Log("bus", partitions=4),
    Consumer(
        "payment",
        of="bus",
        members=3,
        service_s=Exponential(0.15),
        on={"order.placed": charge},
        commit=Timed(2.0),
        session_timeout_s=10,
    ),
    Consumer("shipping", of="bus", members=2, service_s=Exponential(0.1), on={"order.paid": ship}, inbox=True),
    Pause("shipping-1", at_s=20, for_s=8),
    Delay("shop", "bus", extra_s=Constant(0.4), share=0.2, at_s=30, for_s=10),
    Crash("payment-2", at_s=47.3, down_s=25),
    Pause("payment-3", at_s=75, for_s=3),
    name="incident",
)

WITHDRAWALS = Scenario(
    Publisher("customers", to="commands", rate=5, count=40, type="withdraw.money"),
    Queue("commands"),
    Consumer(
        "machines",
        of="commands",
        members=3,
        on={"withdraw.money": withdraw},
        retry=Retry(100, Backoff(0.1, cap_s=2.0)),
        calling=Calling(timeout_s=2.0, retry=Retry(3, Backoff(0.2))),
    ),
    EventStore("store", append_s=Exponential(0.004), read_s=Constant(0.002), durability="sync", sync_s=Constant(0.002)),
    name="withdrawals",
)

WITHDRAWALS_BLIND = WITHDRAWALS.replace("machines", on={"withdraw.money": withdraw_blind}).called("withdrawals-blind")

_ABOUT = {
    "hello": "one shop, one log, one consumer: the first run",
    "order-shop": "billing and shipping read the same orders, each at its own pace",
    "outage": "the order shop, whose billing is down for a minute",
    "payment": "cards are charged and parcels sent by handlers",
    "incident": "a night with four faults, one of which cost a customer money",
    "chain": "a shop that waits for three services in a row; no log",
    "withdrawals": "three cash machines write to one account in an event store, each expecting the version it has read",
    "withdrawals-blind": "the same with a planted bug: they append whatever has come in between",
    "audit": "everything on the bus is kept in an event store, once and in order",
    "audit-forgets": "the same with a planted bug: it commits before it has kept anything",
    "audit-copies": "the same with a planted bug: what it keeps has a new id each time",
    "read-model": "customers write orders and read them back from a read model that lags behind",
    "read-model-forgets": "the same with a planted bug: it writes its checkpoint before its rows",
    "read-model-doubles": "the same with a planted bug: it writes its checkpoint after its rows, and has no inbox",
    "sync": "three copies of a source's rows, one of them by a queue; right in any order",
    "sync-by-arrival": "the same with a planted bug: the last change that comes wins, and deleted rows come back",
    "analytics": "two weeks of real flights, an hour a second: departures by hour and airport",
    "join": "orders that are given the newest price that has come, which need not be the newest",
    "notifications": "a post is told to all who follow its author: once, in time, and not at night",
    "notifications-keyless": "the same with a planted bug: the provider is asked without a key, and tells some twice",
    "saga": "pay, reserve, or give the money back: right, whatever crashes",
    "transfer": "money from one account to another: right, whatever crashes",
    "order-processing": "an orchestrated saga of five steps: who has paid gets a parcel or the money back",
} | {each.name: f"the {each.name.partition('-')[0]} with a planted bug, to be found by a search" for each in PLANTED}

CATALOG: Mapping[str, Scenario] = MappingProxyType(
    {
        s.name: s
        for s in (
            HELLO,
            ORDER_SHOP,
            OUTAGE,
            PAYMENT,
            INCIDENT,
            CHAIN,
            WITHDRAWALS,
            WITHDRAWALS_BLIND,
            AUDIT,
            AUDIT_FORGETS,
            AUDIT_COPIES,
            ANALYTICS,
            JOIN,
            SYNC,
            SYNC_BY_ARRIVAL,
            READ_MODEL,
            READ_MODEL_FORGETS,
            READ_MODEL_DOUBLES,
            NOTIFICATIONS,
            NOTIFICATIONS_KEYLESS,
            SAGA,
            TRANSFER,
            ORDER_PROCESSING,
            *PLANTED,
        )
    }
)
"""Every scenario that has a name of its own, simplest first."""


def names() -> list[str]:
    """The names of the scenarios."""
    return list(CATALOG)


def get(name: str) -> Scenario:
    """The scenario of this name."""
    if name not in CATALOG:
        raise UnknownName(f"no scenario called {name!r} in the catalogue{did_you_mean(name, CATALOG)}")
    return CATALOG[name]


def about(name: str) -> str:
    """What a scenario is, in a few words."""
    return _ABOUT[get(name).name]
