"""Data synchronisation: a source of customers, its changes captured in a compacted log, and three copies of it.

The search index reads the change log itself. Billing reads a queue with three workers that a wiretap fills: changes of
one customer overtake each other there. The mailing list is like the search index, and was once away for long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from evsim.lab.scenario import Scenario
from evsim.lab.sync_steps import (
    SOURCE,
    compare,
    copied,
    copy_by_arrival,
    copy_by_version,
    edit,
    list_rows,
)
from evsim.laws import Choice, Constant, Exponential, Uniform, Zipf
from evsim.sim.broker.log import Log
from evsim.sim.broker.queue import Queue
from evsim.sim.consumer import Consumer
from evsim.sim.publisher import Publisher
from evsim.sim.router import Wiretap
from evsim.view.anomalies import Converges

COPIES = ("search", "billing", "mailing")


def in_step(copy: str) -> Converges:
    """The copy has what the source has, row by row and version by version, in the end."""
    return Converges(SOURCE, copied(copy), "version")


def _copy(name: str, of: str, how: Callable[..., None], **settings: Any) -> Consumer:
    on = {"customer.changed": how, "customer.deleted": how, "customers.listed": compare}
    return Consumer(name, of=of, on=on, **settings)


def _synced(name: str, how: Callable[..., None]) -> Scenario:
    wishes = {"value": Uniform(0, 100), "gone": Choice((False, True), weights=(9, 1))}
    return Scenario(
        Publisher(
            "app", to="edits", type="edit.customer", rate=4, key=Zipf(20, 0.5, stem="customer"), data=wishes, count=200
        ),
        Log("edits"),
        Consumer(
            "crm", of="edits", on={"edit.customer": edit, "list.customers": list_rows}, outbox="changes", inbox=True
        ),
        Log("changes", compaction=True, tombstones=("customer.deleted",), clean_every_s=5, delete_retention_s=10),
        _copy("search", "changes", how, service_s=Exponential(0.02)),
        _copy("mailing", "changes", how, service_s=Exponential(0.02)),
        Wiretap("fan", of="changes", to="tasks"),
        Queue("tasks"),
        _copy("billing", "tasks", how, members=3, service_s=Exponential(0.2)),
        name=name,
    )


SYNC = _synced("sync", copy_by_version)
SYNC_BY_ARRIVAL = _synced("sync-by-arrival", copy_by_arrival)
EVERY_NIGHT = Publisher("night", to="edits", type="list.customers", gap_s=Constant(45.0), key="all customers", count=2)
"""What asks for a reconciliation every forty-five seconds, twice."""
