"""Make ``events.jsonl.gz``: a few minutes of an order shop with everything that goes wrong on the way, and what did."""

from __future__ import annotations

from pathlib import Path

from evsim.history import History
from evsim.lab.catalog import charge, ship
from evsim.lab.data import Arrival, write
from evsim.lab.scenario import Scenario
from evsim.laws import Choice, Exponential, LogNormal
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Delay, Duplicate
from evsim.sim.network import Link
from evsim.sim.publisher import Publisher

SEED = 2026
UNTIL_S = 600.0

AMOUNT = LogNormal(24.0, 240.0)
CURRENCY = Choice(options=("EUR", "USD", "GBP"), weights=(6, 3, 1))
COUNTRY = Choice(options=("DE", "FR", "US", "GB", "NL"))

SHOP = Scenario(
    Publisher("till", to="orders", rate=4, version=1, data={"amount": AMOUNT}),
    Publisher("shop", to="orders", rate=7, version=2, data={"amount": AMOUNT, "currency": CURRENCY}),
    Publisher("app", to="orders", rate=3, version=3, data={"total": AMOUNT, "currency": CURRENCY, "country": COUNTRY}),
    Publisher("import", to="orders", rate=0.2, version=1, data={"amount": "twelve"}),
    Link("till", "orders", delay_s=Exponential(0.005)),
    Link("shop", "orders", delay_s=Exponential(0.005)),
    Link("app", "orders", delay_s=Exponential(0.15), ordered=False),
    Log("orders", partitions=4),
    Consumer("billing", of="orders", members=4, service_s=Exponential(0.05), on={"order.placed": charge}),
    Consumer("shipping", of="orders", members=2, service_s=Exponential(0.05), on={"order.paid": ship}),
    Duplicate("shop", "orders", share=0.03),
    Delay("app", "orders", extra_s=LogNormal(8.0, 90.0), share=0.1),
    name="orders",
)


def arrivals(history: History) -> list[Arrival]:
    """Everything that the log stored, in its order, with the ground truth of each arrival."""
    held_up = {record.event_id for record in history.of("delayed")}
    seen: set[str] = set()
    newest = float("-inf")
    made = []
    for record in history.of("stored", node="orders"):
        event = history.event_at(history.index(record.event_id))
        truths = {
            "duplicate": event.id in seen,
            "late": event.id in held_up,
            "out_of_order": event.timestamp < newest,
            "poison": event.source == "import",
        }
        seen.add(event.id)
        newest = max(newest, event.timestamp)
        made.append(Arrival(record.time, event, tuple(label for label, holds in truths.items() if holds)))
    return made


if __name__ == "__main__":
    everything = arrivals(SHOP.run(until_s=UNTIL_S, seed=SEED).history)
    target = Path(__file__).with_name("events.jsonl.gz")
    write(target, everything)
    print(f"{len(everything)} arrivals, {target.stat().st_size} bytes")
