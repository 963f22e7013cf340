"""Real-time analytics: real flights counted by hour, and a join of orders with prices that are a little old."""

from __future__ import annotations

from typing import Any

from evsim.history import History
from evsim.lab.analytics_steps import board, enrich
from evsim.lab.scenario import Scenario
from evsim.laws import Exponential, Uniform
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.network import Link
from evsim.sim.publisher import Publisher

ANALYTICS = Scenario(
    Publisher("airports", replay="flights", to="flights", speed=3600.0),
    Log("flights"),
    Consumer("board", of="flights", on={"flight.departed": board}, to="boards"),
    Log("boards"),
    name="analytics",
)
"""Two weeks of flights, an hour a second: departures by scheduled hour and airport."""

JOIN = Scenario(
    Publisher(
        "prices", to="bus", type="price.changed", rate=2, key="price-1", sequence="version",
        data={"price": Uniform(5, 9)},
    ),
    Link("prices", "bus", delay_s=Exponential(0.25), ordered=False),
    Publisher("shop", to="bus", rate=20),
    Log("bus"),
    Consumer("till", of="bus", on={"price.changed": enrich, "order.placed": enrich}),
    name="join",
)  # fmt: skip
"""Orders that are given the newest price that has come, which need not be the newest that there is."""


def results(history: History, type: str = "window.closed") -> dict[tuple[str, float], object]:  # noqa: A002
    """What windows said, in the end: the value by key and start of the window."""
    found = {}
    for event in history.events:
        if event.type in {type, "window.corrected"}:
            found[str(event.key), float(event.data["start_s"]), float(event.data["end_s"])] = event.data["value"]
    return {(key, start_s): value for (key, start_s, _), value in found.items() if value is not None}


def stale_share(history: History, table: str = "price.changed") -> float:
    """The share of enriched events whose row was not the newest that had been published.

    Read from the effects that note the ``row`` and the ``version`` that was found, against the events of the ``table``.
    """
    newest: dict[str, Any] = {}
    stale = many = 0
    for record in history.of(("published", "effect")):
        if record.step == "published":
            event = history.event_at(history.index(str(record.event_id)))
            if event.type == table:
                newest[str(event.key)] = event.data["version"]
            continue
        note = history.notes[record.number] if record.number >= 0 else {}
        if "version" in note and "row" in note:
            many += 1
            stale += note["version"] < newest.get(note["row"], 0)
    return stale / many if many else 0.0
