"""How complete a count by windows is, by how long one waits for stragglers: read from the order of arrival alone."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from evsim.errors import BadScenario, UnknownName, did_you_mean, shown
from evsim.history import History
from evsim.patterns.window import Tumbling
from evsim.view.ledger import Flags, Floats, Ledger, Whole

REACH = 0.25
"""Bounds are judged up to this share of the time that the events tell of, unless said otherwise."""


class Completeness(NamedTuple):
    """For each event that is judged, the bound that must be exceeded for it to be counted in its window.

    ``needed_s`` is in order; infinite if the event never came. Judged are the windows that would be final by the end
    with a bound of ``reach_s``; ``rate`` is how many events a second there are, on their own clocks.
    """

    where: str
    needed_s: Floats
    reach_s: float
    rate: float

    def share(self, bound_s: float) -> float:
        """The share of events that are counted when one waits for so long."""
        return float(np.searchsorted(self.needed_s, bound_s, side="left")) / len(self.needed_s)

    def bound_s(self, share: float) -> float | None:
        """How long one must wait to count this share; None if that is beyond what is judged."""
        place = max(0, math.ceil(share * len(self.needed_s) - 1e-9) - 1)
        needed_s = max(0.0, float(self.needed_s[place]))
        return needed_s if needed_s < self.reach_s else None


def completeness(
    history: History, size_s: float, where: str | None = None, *, reach_s: float | None = None
) -> Completeness:
    """How many events are counted in windows of ``size_s`` seconds, for any bound of the watermark.

    Events count in the order in which they were handled by the group ``where``, or stored by the broker of that name;
    without a name, by the group that handled most. The watermark is that of the slowest source, as in
    ``evsim.patterns.window``, so that the speed of a replay changes nothing.
    """
    windows = Tumbling(size_s)
    if reach_s is not None and not 0 < reach_s < math.inf:
        raise BadScenario(f"reach_s={shown(reach_s)} is no time to wait; expected seconds above 0")
    name, rows = _arrivals(history, where)
    came = history.event[rows]
    if not len(came):
        return Completeness(name, np.zeros(0), reach_s or 0.0, 0.0)
    moments = history.table["timestamp"].astype(np.float64)
    ends = np.array([windows.spans(at_s)[0].end_s for at_s in moments.tolist()])
    seen, last_s = _seen(history, came, moments)
    needed = np.full(len(moments), math.inf)
    needed[came] = seen - ends[came]
    meant = _meant(history, came)
    first_s = float(moments[meant].min())
    reach_s = REACH * (last_s - first_s) if reach_s is None else reach_s
    judged = meant & (ends + reach_s <= last_s)
    rate = len(came) / (float(moments[came].max()) - first_s) if len(came) > 1 and last_s > first_s else 0.0
    return Completeness(name, np.sort(needed[judged]), reach_s, rate)


def _arrivals(history: History, where: str | None) -> tuple[str, Whole]:
    """Who or what is meant, and the rows by which events came there first, in order."""
    ledger = Ledger(history)
    families = ledger.families()
    brokers = list(dict.fromkeys(what.node for what in history.whats if what.step == "stored"))
    found = {group: ledger.rows_of_all("handled", members) for group, members in families.items()}
    found = {group: rows for group, rows in found.items() if len(rows)}
    found |= {broker: ledger.rows("stored", node=broker) for broker in brokers if broker not in found}
    if where is not None and where not in found:
        raise UnknownName(f"nothing came to {where!r}{did_you_mean(where, found)}")
    known = [name for name in found if name in families] or list(found)
    name = where or max(known, key=lambda each: len(found[each]), default="")
    rows = found.get(name, np.zeros(0, np.int64))
    first = ledger.first(rows)
    return name, np.sort(first[first >= 0])


def _meant(history: History, came: Whole) -> Flags:
    """Which events are of the types that came: those that are missing may be under way, or lost."""
    templates = history.table["template"]
    types = {history.templates[each].type for each in np.unique(templates[came]).tolist()}
    wanted = np.array([each.type in types for each in history.templates], dtype=bool)
    return np.asarray(wanted[templates], dtype=bool)


def _seen(history: History, came: Whole, moments: Floats) -> tuple[Floats, float]:
    """How far the slowest source had come, by its events, before each arrival; and after the last."""
    templates = history.table["template"]
    marks: dict[str, float] = {}
    seen, slowest = np.full(len(came), -math.inf), -math.inf
    for place, event in enumerate(came.tolist()):
        seen[place] = slowest
        source, at_s = history.templates[templates[event]].source, float(moments[event])
        if at_s > marks.get(source, -math.inf):
            marks[source] = at_s
            slowest = min(marks.values())
    return seen, slowest
