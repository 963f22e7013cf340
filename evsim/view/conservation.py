"""Conservation: what was stored is waiting, in flight, or has ended in exactly one way, at every instant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from evsim.history import History
from evsim.view.ledger import Floats, Ledger, Whole, is_partition
from evsim.view.piles import ENDINGS
from evsim.view.verdict import Verdict

STATES = ("waiting", "in flight", "acked", "dead lettered", *ENDINGS)
_WAITING, _OUT, _ACKED, _ASIDE = range(4)
_NEXT = {"stored": _WAITING, "requeued": _WAITING, "pushed": _OUT, "acked": _ACKED} | {
    step: STATES.index(step) for step in ENDINGS
}


class Balance(NamedTuple):
    """How many copies of a place are in each state after each of its rows: ``counts[i, STATES.index("acked")]``."""

    place: str
    time: Floats
    stored: Whole
    counts: Whole


def piles(history: History) -> list[str]:
    """The places whose messages are acknowledged one by one: queues, and what pushes like them."""
    ledger = Ledger(history)
    pushed = {what.place for what in history.whats if what.step == "pushed" and not is_partition(what.place)}
    kinds = {name for name, part in history.parts.items() if part.get("kind") == "queue"}
    codes = np.unique(history.what).tolist()
    stored = {history.whats[code].place for code in codes if history.whats[code].step == "stored"}
    return sorted(
        place for place in stored if place in kinds or (place in pushed and place not in ledger.history.parts)
    )


def balance(history: History, place: str) -> Balance:
    """The states of all copies of a queue over time."""
    rows = _rows(history, place)
    counts = np.zeros((len(rows), len(STATES)), dtype=np.int64)
    now = np.zeros(len(STATES), dtype=np.int64)
    stored = np.zeros(len(rows), dtype=np.int64)
    states: dict[int, int] = {}
    total = 0
    for n, (_, step, number) in enumerate(rows):
        before = states.get(number)
        after = _ASIDE if step == "dead_lettered" else _NEXT[step]
        if step == "stored":
            total += 1
        elif before is not None:
            now[before] -= 1
        if step == "stored" or before is not None:
            states[number] = after
            now[after] += 1
        counts[n], stored[n] = now, total
    return Balance(place, np.array([history.time[row] for row, *_ in rows], dtype=np.float64), stored, counts)


def _rows(history: History, place: str) -> list[tuple[int, str, int]]:
    """The rows that move copies of this place: the row, its step, and the number of the copy."""
    codes = {
        code: what.step
        for code, what in enumerate(history.whats)
        if (what.place == place and what.step in _NEXT) or (what.node == place and what.step == "dead_lettered")
    }
    rows = np.flatnonzero(np.isin(history.what, list(codes)))
    return [
        (row, codes[code], number)
        for row, code, number in zip(
            rows.tolist(), history.what[rows].tolist(), history.number[rows].tolist(), strict=True
        )
    ]


@dataclass(frozen=True)
class Conserved:
    """No copy of a queue comes from nowhere, ends twice, or is given to two at a time."""

    def judge(self, history: History) -> Verdict:
        """VIOLATED with the first row that cannot be."""
        name = "every message is waiting, in flight, or has ended once"
        places = piles(history)
        if not places:
            return Verdict("unknown", name, ("nothing lay in a queue",))
        for place in places:
            wrong = _first_wrong(history, place)
            if wrong is not None:
                row, line = wrong
                event = history.id_of(int(history.event[row]))
                said = (f"{place}: {event} {line} at {history.time[row]:.3f} s",)
                return Verdict("VIOLATED", name, said, None, (event,), (float(history.time[row]),))
        return Verdict("ok", name)


def _first_wrong(history: History, place: str) -> tuple[int, str] | None:
    states: dict[int, str] = {}
    for row, step, number in _rows(history, place):
        before = states.get(number)
        problem = _problem(before, step)
        if problem is not None and not (step == "dead_lettered" and number < 0):
            return row, problem
        states[number] = step
    return None


def _problem(before: str | None, step: str) -> str | None:
    """What is wrong with this step after that one, if anything."""
    if step == "stored":
        return None if before is None else "was stored twice under one number"
    if before is None:
        return None if step == "dead_lettered" else f"was {_said(step)}, but never stored"
    if step == "dead_lettered":
        return None if before in ENDINGS else f"was put aside while it was {_said(before)}"
    if before in {"acked", "dead_lettered", *ENDINGS}:
        return f"was {_said(step)} after it had been {_said(before)}"
    if step == "pushed" and before == "pushed":
        return "was given out twice at a time"
    if step == "requeued" and before != "pushed":
        return "came back without having been out"
    if step == "acked" and before != "pushed":
        return "was acknowledged by somebody who had not got it"
    return None


def _said(step: str) -> str:
    words = {"acked": "acknowledged", "pushed": "given out", "dead_lettered": "put aside", "requeued": "put back"}
    return words.get(step, step)


def conserved() -> Conserved:
    """Every message that was stored is waiting, in flight, or has ended in one way."""
    return Conserved()
