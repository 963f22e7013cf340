"""How busy the members of a group are.

A member is at work from *delivered* to *handled* (or *failed*), cut off by a crash and by the end of the run. A pause
is not work, nor is a member that is down; both count as time in the group, which is from *joined* to *left*.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from evsim.history import History
from evsim.view.ledger import Flags, Ledger, Whole, window

_WORKING = {
    "delivered": 1,
    "handled": 0,
    "failed": 0,
    "crashed": 0,
    "joined": 0,
    "assigned": 0,
    "revoked": 0,
    "left": 0,
}
_PAUSED = {"paused": 1, "resumed": 0, "crashed": 0, "restarted": 0}
_PRESENT = {"joined": 1, "left": 0}


def utilisation(
    history: History, group: str | None = None, *, from_s: float | None = None, to_s: float | None = None
) -> float | None:
    """The mean of the members' utilisations; None when there is no member."""
    shares = list(utilisations(history, group, from_s=from_s, to_s=to_s).values())
    return sum(shares) / len(shares) if shares else None


def utilisations(
    history: History, group: str | None = None, *, from_s: float | None = None, to_s: float | None = None
) -> dict[str, float]:
    """For each member the share of its time in the group during which it was at work."""
    ledger = Ledger(history)
    found: dict[str, float] = {}
    for name in ledger.each(group):
        found |= _of_group(ledger, name, *window(history, from_s, to_s))
    return found


def _of_group(ledger: Ledger, group: str, start: float, stop: float) -> dict[str, float]:
    """The members' states are step functions of their rows; the busy time is the time at work and not paused."""
    history = ledger.history
    rows = ledger.rows(*(_WORKING | _PAUSED), group=group)
    if not len(rows):
        return {}
    nodes = sorted({what.node for what in history.whats})
    number_of = np.array([nodes.index(what.node) for what in history.whats])
    order = np.argsort(number_of[history.what[rows]], kind="stable")
    rows = rows[order]
    numbers, member = np.unique(number_of[history.what[rows]], return_inverse=True)
    begins, ends = np.diff(member, prepend=-1) != 0, np.diff(member, append=-1) != 0
    times = np.clip(history.time[rows], start, stop)
    lengths = np.where(ends, stop, np.append(times[1:], stop)) - times
    working, paused, present = (
        _state(history, rows, begins, sets, at_first) for sets, at_first in ((_WORKING, 0), (_PAUSED, 0), (_PRESENT, 1))
    )
    hands = ledger.at_once(group)
    working = working if hands == 1 else _depth(history, rows, begins)
    busy = np.bincount(member, lengths * working * (1 - paused)) / hands
    newcomer = ledger.wanted("joined")[history.what[rows[begins]]]
    there = np.bincount(member, lengths * present) + np.where(newcomer, 0.0, times[begins] - start)
    shares = zip(numbers.tolist(), busy.tolist(), there.tolist(), strict=True)
    return {nodes[number]: busy_s / there_s for number, busy_s, there_s in shares if there_s > 0}


def _state(history: History, rows: Whole, begins: Flags, sets: Mapping[str, int], at_first: int) -> Whole:
    """A state that some steps set and the others leave as it was: its value after each row."""
    of_code = np.array([sets.get(what.step, -1) for what in history.whats], dtype=np.int64)
    value = of_code[history.what[rows]]
    value[begins & (value < 0)] = at_first
    return value[np.maximum.accumulate(np.where(value >= 0, np.arange(len(value)), 0))]


def _depth(history: History, rows: Whole, begins: Flags) -> Whole:
    """How many events each member handles after each of its rows, where it can be several at once."""
    steps = np.array([what.step for what in history.whats])[history.what[rows]]
    change = (steps == "delivered").astype(np.int64) - np.isin(steps, ("handled", "failed"))
    total = np.cumsum(change)
    anew = begins | np.isin(steps, ("crashed", "joined", "assigned", "revoked", "left"))
    floor = np.where(steps == "delivered", total - 1, np.where(np.isin(steps, ("handled", "failed")), total + 1, total))
    last = np.maximum.accumulate(np.where(anew, np.arange(len(rows)), 0))
    return np.maximum(total - floor[last], 0)
