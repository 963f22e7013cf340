"""evsim: a lab for event-driven architecture.

``import evsim as ev`` opens the front door. The rooms behind it are entered when a name is first used, so that the
door opens at once; ``__all__`` holds what the course meets first, and a few more names are found when asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evsim import classroom
    from evsim.event import Event
    from evsim.history import History
    from evsim.lab import catalog, data
    from evsim.lab.scenario import Scenario
    from evsim.lab.text import source
    from evsim.laws import Constant, Exponential, LogNormal, Uniform, Zipf
    from evsim.sim.broker.log import Log
    from evsim.sim.consumer import Consumer
    from evsim.sim.faults import Crash, Delay, Drop, Duplicate, Partition, Pause
    from evsim.sim.network import Link
    from evsim.sim.publisher import Publisher
    from evsim.sim.service import Service
    from evsim.sim.world import World
    from evsim.view.checks import at_least_once, at_most_once, every, exactly_once, in_order_by_key, nothing_lost

__version__ = "0.1.0"

__all__ = [  # noqa: RUF022 - in the order in which the course meets them
    "Scenario", "Publisher", "Log", "Consumer", "Exponential", "Event", "History", "source",
    "Service", "Link", "Crash", "Pause", "Constant", "LogNormal", "Uniform", "Zipf",
    "Drop", "Duplicate", "Delay", "Partition",
    "nothing_lost", "at_most_once", "at_least_once", "exactly_once", "in_order_by_key", "every",
    "classroom", "catalog", "data", "World",
]  # fmt: skip

_ROOMS = {
    "event": ("Event",),
    "history": ("History",),
    "laws": (
        "Constant", "Exponential", "Uniform", "Normal", "LogNormal", "Gamma", "Erlang", "Pareto", "Empirical",
        "Mixture", "Choice", "Zipf",
    ),
    "sim.world": ("World",),
    "sim.publisher": ("Publisher",),
    "sim.profile": ("Ramp", "Diurnal", "Spike"),
    "sim.broker.base": ("Message",),
    "sim.broker.log": ("Log",),
    "sim.broker.queue": ("Queue",),
    "sim.broker.exchange": ("Exchange",),
    "sim.broker.pubsub": ("PubSub",),
    "sim.broker.stream": ("Stream",),
    "sim.broker.webhook": ("Webhook", "Replay"),
    "patterns.webhooks": ("Gone",),
    "patterns.inbox": ("Inbox",),
    "patterns.aggregate": ("Aggregate", "Decider"),
    "patterns.commands": ("CommandBus",),
    "patterns.projection": ("BlueGreen", "ReadModel", "catch_up"),
    "design": ("EventCatalogue", "EventType", "Entity"),
    "sim.consumer": ("Consumer", "Timed", "Durable", "Share"),
    "sim.router": ("Router", "Wiretap"),
    "sim.resequencer": ("Resequencer",),
    "sim.relay": ("Relay",),
    "sim.cache": ("Cache",),
    "sim.service": ("Service",),
    "sim.event_store": ("EventStore",),
    "sim.saga": ("Saga",),
    "sim.projection": ("Projection",),
    "sim.clients": ("Clients",),
    "patterns.saga": ("Step", "Plan"),
    "patterns.participant": ("participant", "choreographed", "reactions"),
    "sim.network": ("Link",),
    "sim.faults": ("Crash", "Pause", "Drop", "Duplicate", "Delay", "Partition", "Join", "Leave"),
    "sim.gray": ("Slow", "Reorder", "Corrupt", "Poison"),
    "sim.envelopes": ("Skew", "WrongVersion"),
    "sim.disks": ("DiskFull",),
    "sim.calling": ("Calling",),
    "patterns.retry": ("Retry", "Backoff"),
    "patterns.breaker": ("Breaker", "RateLimit"),
    "sim.redrive": ("Redrive",),
    "sim.campaign": ("Campaign",),
    "sim.growth": ("AddPartitions",),
    "patterns.handler": ("Unavailable", "Reject", "Requeue"),
    "view.checks": ("at_most_once", "at_least_once", "exactly_once", "in_order_by_key", "nothing_lost", "every"),
    "view.conservation": ("conserved",),
    "view.stories": ("all_or_nothing",),
    "view.applied": ("applied_once",),
    "view.sessions": ("read_your_writes", "monotonic_reads"),
    "view.sagas": ("no_stuck_sagas", "stuck_sagas", "saga_numbers", "tracks"),
    "view.promises": ("recovers_within", "nothing_stuck", "conserves", "one_owner", "no_poll_skip", "in_time"),
    "view.anomalies": (
        "no_lost_writes", "no_duplicates", "nothing_unexpected", "monotonic_polls", "in_causal_order", "converges",
        "schema_readable",
    ),
    "view.plots": (
        "anomaly_table", "bars", "causality", "lines", "linger_curve", "snapshot_curve", "durability_price",
        "side_by_side",
    ),
    "view.plots.compatibility": ("compatibility",),
    "view.plots.store_timeline": ("store_timeline",),
    "view.figure": ("use_theme",),
    "view.linger": ("Linger", "best_linger_s"),
    "view.snapshots": ("Snapshots",),
    "view.conflicts": ("appends", "attempts_at_once", "conflict_share"),
    "lab.durability": ("append_times",),
    "lab.scenario": ("Scenario",),
    "lab.cures": ("cures",),
    "lab.crash_table": ("crash_table",),
    "lab.rollout": ("roll_out", "roll_out_all"),
    "lab.text": ("source",),
    "lab.token": ("replay",),
    "errors": (
        "EvsimError", "BadEvent", "BadSchema", "BadScenario", "BadFile", "BadToken", "UnknownName", "HandlerFailed",
        "BadExercise",
    ),
}  # fmt: skip
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}
_WHOLE_ROOMS = {
    "classroom": "classroom", "data": "lab.data", "catalog": "lab.catalog", "profile": "sim.profile", "store": "store",
    "schema": "schema", "ordering": "lab.ordering", "isolation": "lab.isolation", "saga_odds": "patterns.saga_odds",
    "coupling": "patterns.coupling",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _WHOLE_ROOMS:
        found: Any = importlib.import_module(f"evsim.{_WHOLE_ROOMS[name]}")
    elif name in _HOMES:
        found = getattr(importlib.import_module(f"evsim.{_HOMES[name]}"), name)
    else:
        raise AttributeError(_unknown(name))
    globals()[name] = found
    return found


def _unknown(name: str) -> str:
    sentence = f"evsim has nothing called {name!r}"
    if name.startswith("_"):
        return sentence
    from evsim.errors import did_you_mean

    hint = did_you_mean(name, [*__all__, *_HOMES, *_WHOLE_ROOMS])
    return sentence + (hint if "did you mean" in hint else "; dir(evsim) lists what it has")


def __dir__() -> list[str]:
    return sorted({*__all__, *_HOMES, *_WHOLE_ROOMS, "__version__"})
