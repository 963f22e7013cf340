"""Audit logging: everything that happens on a bus is kept in an event store, once and in order, whatever crashes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from evsim.history import History
from evsim.lab.audit_steps import BUS, LEDGER, bill, keep, keep_a_copy
from evsim.lab.scenario import Scenario
from evsim.laws import Exponential, Uniform, Zipf
from evsim.patterns.retry import Backoff, Retry
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.event_store import EventStore
from evsim.sim.publisher import Publisher
from evsim.view.verdict import Verdict

_PATIENCE = Retry(1000, Backoff(0.1, cap_s=2.0))
"""A ledger that does not answer is asked again: an audit gives nothing up."""
_TYPES = ("order.placed", "invoice.sent", "limit.changed")


def _audit(handler: Callable[..., Any], **settings: Any) -> Consumer:
    return Consumer("audit", of=BUS, members=2, on=dict.fromkeys(_TYPES, handler), retry=_PATIENCE, **settings)


AUDIT = Scenario(
    Publisher("shop", to=BUS, rate=5, key=Zipf(20, 0.5, stem="customer"), data={"amount": Uniform(5, 200)}),
    Publisher(
        "support",
        to=BUS,
        rate=1,
        type="limit.changed",
        key=Zipf(20, 0.5, stem="customer"),
        data={"limit": Uniform(0, 900)},
    ),
    Log(BUS, partitions=2),
    Consumer("billing", of=BUS, service_s=Exponential(0.02), on={"order.placed": bill}, outbox=True),
    EventStore(LEDGER, append_s=Exponential(0.004), durability="sync", sync_s=Exponential(0.004)),
    _audit(keep),
    name="audit",
)

AUDIT_FORGETS = AUDIT.replace("audit", commit="before").called("audit-forgets")
AUDIT_COPIES = AUDIT.replace("audit", on=dict.fromkeys(_TYPES, keep_a_copy)).called("audit-copies")


def audited(history: History) -> Verdict:
    """What lies on the bus is in the ledger once, unless it is still under way; and each key in its order."""
    name = "the ledger has all that lay on the bus, once"
    steps = {(what.step, what.node) for what in history.whats}
    if ("stored", BUS) not in steps or ("stored", LEDGER) not in steps:
        return Verdict("unknown", name, ("nothing was stored on the bus and in the ledger",))
    on_bus, kept = (_stored(history, node) for node in (BUS, LEDGER))
    for event_id, rows in kept.items():
        if len(rows) > 1:
            return _found(name, event_id, f"kept {len(rows)} times", [time for time, _ in rows])
    done = set(_ids(history, "acked", "audit"))
    for event_id, rows in on_bus.items():
        if event_id in done and event_id not in kept:
            return _found(name, event_id, "the audit is done with it, and the ledger does not have it", [rows[0][0]])
    return Verdict("ok", name)


def _ids(history: History, step: str, node: str) -> list[str]:
    if not any(what.step == step and (what.node == node or what.node.startswith(f"{node}-")) for what in history.whats):
        return []
    return [str(record.event_id) for record in history.of(step, node=node) if record.event_id]


def _stored(history: History, node: str) -> dict[str, list[tuple[float, int]]]:
    """When what was stored here and is still there; a copy counts as what it is a copy of."""
    found: dict[str, list[tuple[float, int]]] = {}
    for record in history.of("stored", node=node):
        event = history.event_at(history.index(str(record.event_id)))
        found.setdefault(str(event.data.get("of", event.id)), []).append((record.time, record.number))
    for event_id in _ids(history, "lost", node):
        found[event_id] = found.get(event_id, [])[1:]
    return {event_id: rows for event_id, rows in found.items() if rows}


def _found(name: str, event_id: str, what: str, times: list[float]) -> Verdict:
    moments = " and ".join(f"{time:.3f} s" for time in times)
    return Verdict("VIOLATED", name, (f"{event_id}: {what}, at {moments}",), None, (event_id,), tuple(times))
