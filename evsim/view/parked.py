"""Dead letters by reason: how many were parked, after how many attempts, and how many went through in the end."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from evsim.history import History
from evsim.view.ledger import Ledger

_ENDINGS = ("rejected", "expired", "overflowed", "exhausted")
_WORDS = {
    "rejected": "rejected by the consumer",
    "expired": "expired before anybody took it",
    "overflowed": "the queue was full",
    "exhausted": "delivered too often",
}


@dataclass
class Reason:
    """One reason for which events of one consumer or queue were parked."""

    why: str
    who: str
    events: set[int] = field(default_factory=set)
    attempts: list[int] = field(default_factory=list)
    mended: int = 0
    """Of these events so many were handled after they had been parked."""


def reasons(history: History) -> list[Reason]:
    """Every reason, the most frequent first."""
    ledger = Ledger(history)
    found: dict[tuple[str, str], Reason] = {}
    last: dict[int, int] = {}
    for row in ledger.rows("parked").tolist():
        note = history.notes[int(ledger.number[row])]
        _add(found, str(note["reason"]), ledger.owners[ledger.what[row]], int(ledger.event[row]), int(note["attempts"]))
        last[int(ledger.event[row])] = row
    for row in ledger.rows("dead_lettered").tolist():
        before = history.whats[int(ledger.what[row - 1])] if row else None
        if before is not None and before.step in _ENDINGS and ledger.event[row - 1] == ledger.event[row]:
            event = int(ledger.event[row])
            _add(found, _WORDS[before.step], before.node, event, _pushes(ledger, event, row))
            last[event] = row
    handled = _last_handled(ledger)
    for reason in found.values():
        reason.mended = sum(int(handled[event]) > last[event] for event in reason.events)
    return sorted(found.values(), key=lambda reason: (-len(reason.events), reason.why))


def _add(found: dict[tuple[str, str], Reason], why: str, who: str, event: int, attempts: int) -> None:
    reason = found.setdefault((why, who), Reason(why, who))
    reason.events.add(event)
    reason.attempts.append(attempts)


def _pushes(ledger: Ledger, event: int, before: int) -> int:
    rows = ledger.rows("pushed")
    return int(((ledger.event[rows] == event) & (rows < before)).sum())


def _last_handled(ledger: Ledger) -> np.ndarray:
    """For each event the last row in which it was handled, or -1."""
    last = np.full(ledger.history.event_count, -1, dtype=np.int64)
    rows = ledger.rows("handled")
    last[ledger.event[rows]] = rows
    return last
