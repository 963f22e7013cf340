"""Histories written by hand, for the tests of those who read them."""

from __future__ import annotations

from typing import Any

import numpy as np

from evsim.event import Event
from evsim.history import History


def script(text: str, until_s: float = 10.0, events: dict[str, dict[str, Any]] | None = None) -> History:
    """A history from lines like ``0.5 delivered billing orders/0 shop.1 3``: time, step, node, place, event, number.

    ``-`` stands for no place and no event. Event ``shop.3`` has the key ``order-3`` and the type ``order.placed``,
    unless ``events`` says otherwise; an underscore in the name of an effect is a space.
    """
    history, known = History(), {}
    history.record(0.0, history.code("started", "run"))
    for line in text.strip().splitlines():
        time, step, node, *rest = line.split()
        place, event_id, number = (*rest, *("-", "-", "0")[len(rest) :])
        if event_id != "-" and event_id not in known:
            fields = {"type": "order.placed", "key": f"order-{event_id.rpartition('.')[2]}"}
            fields |= (events or {}).get(event_id, {})
            source = event_id.rpartition(".")[0]
            known[event_id] = history.add(Event(id=event_id, timestamp=float(time), source=source, data={}, **fields))
        where = "" if place == "-" else place.replace("_", " ") if step == "effect" else place
        history.record(float(time), history.code(step, node, where), known.get(event_id, -1), int(number))
    history.record(until_s, history.code("stopped", "run"))
    return history


def rows_of(history: History) -> list[tuple[float, int, int, int]]:
    """All rows, to be changed and written anew."""
    columns = (history.time, history.what, history.event, history.number)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def rewritten(history: History, rows: list[tuple[float, int, int, int]]) -> History:
    """The same events and words with other rows."""
    other = History()
    for what in history.whats:
        other.code(*what)
    for event in history.events:
        other.add(event)
    other.parts.update(history.parts)
    for row in rows:
        other.record(*row)
    return other


def queue(rate: float = 8.0, service_s: float = 0.1, n: int = 2000, seed: int = 1, cut: float = 1.0) -> History:
    """A textbook M/M/1 by Lindley's recursion, as a history; cut off at this share of the time."""
    chance = np.random.default_rng(seed)
    arrivals = np.cumsum(chance.exponential(1 / rate, n))
    services = chance.exponential(service_s, n)
    done = np.cumsum(services)
    ends = done + np.maximum.accumulate(arrivals - np.concatenate([[0.0], done[:-1]]))
    begins = np.maximum(arrivals, np.concatenate([[0.0], ends[:-1]]))
    steps = (arrivals, arrivals, begins, ends, ends)
    rows = [(time, order, n) for order, times in enumerate(steps) for n, time in enumerate(times)]
    history = History()
    codes = [
        history.code(*what)
        for what in (
            ("published", "shop", "orders"),
            ("stored", "orders", "orders/0"),
            ("delivered", "billing", "orders/0"),
            ("handled", "billing", "orders/0"),
            ("acked", "billing", "orders/0"),
        )
    ]
    history.record(0.0, history.code("started", "run"))
    template = history.template("shop", "shop", "order.placed", 1, "order")
    until_s = float(ends[-1]) * cut
    # At equal times: first what ends, then what begins; an event's own steps in their order.
    for time, order, number in sorted(rows, key=lambda row: (row[0], row[2], row[1])):
        if time > until_s:
            break
        if order == 0:
            history.new_event(time, template, number + 1, number + 1)
        history.record(float(time), codes[order], number, 0 if order == 0 else number)
    history.record(until_s, history.code("stopped", "run"))
    return history
