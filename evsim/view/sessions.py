"""What a session may rely on: it sees what it has written itself, and time does not go back for it.

Two of the session guarantees of D. Terry and others, *Session Guarantees for Weakly Consistent Replicated Data* (1994).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evsim.history import History
from evsim.view.ledger import Whole
from evsim.view.staleness import Reads, reads
from evsim.view.verdict import Verdict
from evsim.view.words import count, grouped


@dataclass(frozen=True)
class ReadYourWrites:
    """Who has written, and then reads, sees what it wrote, or something younger."""

    clients: str | None = None

    def judge(self, history: History) -> Verdict:
        """VIOLATED with the first answer that did not show the own write; unknown when nobody read anything."""
        found, name = reads(history, self.clients), "a session reads its own writes"
        if not len(found.event):
            return Verdict("unknown", name, ("no session read what it had written",))
        bad = np.flatnonzero(found.stale)
        if not len(bad):
            return Verdict("ok", name)
        first = int(bad[0])
        saw = f"saw version {found.version[first]} of it" if found.version[first] else "saw nothing of it"
        wrote = f"it had written version {found.own[first]}"
        return _violated(history, found, bad, name, f"{saw}, but {wrote}")


@dataclass(frozen=True)
class MonotonicReads:
    """Who has seen a version never sees an older one later."""

    clients: str | None = None

    def judge(self, history: History) -> Verdict:
        """VIOLATED with the first answer that was older than one before; unknown when no session read twice."""
        found, name = reads(history, self.clients), "a session never reads back in time"
        if not len(found.event) or np.bincount(found.session).max() < 2:
            return Verdict("unknown", name, ("no session read twice",))
        before = found.before
        bad = np.flatnonzero(found.version < before)
        if not len(bad):
            return Verdict("ok", name)
        first = int(bad[0])
        what = f"saw version {found.version[first]}, after it had seen version {before[first]}"
        return _violated(history, found, bad, name, what)


def _violated(history: History, found: Reads, bad: Whole, name: str, what: str) -> Verdict:
    first = int(bad[0])
    event, place = int(found.event[first]), found.places[first]
    session, at_s = found.sessions[int(found.session[first])], float(found.read_s[first])
    key = history.key_of(event)
    share = f"{grouped(len(bad))} of {count(len(found.event), 'answer')}"
    lines = (f"{session} asked {place} about {key} at {found.asked_s[first]:.3f} s, and {what}", f"so did {share}")
    return Verdict("VIOLATED", name, lines, key, (history.id_of(event),), (float(found.asked_s[first]), at_s))


def read_your_writes(clients: str | None = None) -> ReadYourWrites:
    """The promise that a session sees what it wrote itself."""
    return ReadYourWrites(clients)


def monotonic_reads(clients: str | None = None) -> MonotonicReads:
    """The promise that no session reads back in time."""
    return MonotonicReads(clients)
