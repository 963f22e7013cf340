"""How well events were published: how fast they were confirmed, how often tried, and what was lost all the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from evsim.errors import UnknownName, did_you_mean
from evsim.history import History
from evsim.view.ledger import Flags, Floats, Ledger, Whole, span
from evsim.view.measures import percentile

ENDINGS = ("confirmed", "given_up", "shed")


def publishers(history: History) -> list[str]:
    """The publishers of this history, in the order of the scenario."""
    found = [name for name, part in history.parts.items() if part.get("kind") == "publisher"]
    return found or list(dict.fromkeys(what.node for what in history.whats if what.step == "published"))


class Sendings:
    """What became of the events of some publishers: each mask and each time has one entry for each event."""

    def __init__(self, history: History, publisher: str | None = None) -> None:
        known = publishers(history)
        if publisher is not None and publisher not in known:
            raise UnknownName(f"no publisher called {publisher!r} in this history{did_you_mean(publisher, known)}")
        self.history, self.ledger = history, Ledger(history)
        self.names = known if publisher is None else [publisher]
        self.first = self.ledger.first(self._rows("published"))
        self.published = self.first >= 0

    def _rows(self, *steps: str) -> Whole:
        """The rows of these steps at these publishers."""
        found = [self.ledger.rows(*steps, node=name) for name in self.names]
        return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *found]))

    def count(self, step: str) -> int:
        """How many rows of this step these publishers have: attempts, not events."""
        return len(self._rows(step))

    def ended(self, step: str) -> Flags:
        """For each event whether it ended so at its publisher."""
        return self.ledger.seen(self._rows(step))

    def confirm_times(self) -> Floats:
        """From published to confirmed, in seconds, for each event that was, in the order of confirmation."""
        rows = self._rows("confirmed")
        return np.asarray(self.history.time[rows] - self.history.time[self.first[self.history.event[rows]]])

    @property
    def copies(self) -> Whole:
        """How many copies of each event brokers have stored, less those that they have lost again."""
        count, event = self.history.event_count, self.history.event
        at_publisher = self.ledger.wanted("lost") & np.array(
            [what.node in publishers(self.history) for what in self.history.whats], dtype=bool
        )
        lost = self.ledger.rows_of(self.ledger.wanted("lost") & ~at_publisher)
        stored = np.bincount(event[self.ledger.rows("stored")], minlength=count)
        return np.asarray(stored[:count] - np.bincount(event[lost], minlength=count)[:count], dtype=np.int64)

    @property
    def unnoticed(self) -> Flags:
        """For each event whether it is gone from every broker though its publisher takes it for done.

        That is: it was confirmed, or no answer was asked for (``acks="none"``).
        """
        gone = self.ledger.seen(self.ledger.rows("dropped", "lost")) & (self.copies <= 0)
        trusting = [name for name in self.names if self.history.parts.get(name, {}).get("acks", "none") == "none"]
        unasked = np.zeros(self.history.event_count, dtype=bool)
        for name in trusting:
            unasked |= self.ledger.seen(self.ledger.rows("published", node=name))
        knows = self.ended("given_up") | self.ended("shed") | self.ended("lost")
        return np.asarray(gone & ~knows & (self.ended("confirmed") | unasked))

    def batches(self) -> Whole:
        """How many events were stored at a time: those of one partition that were stored at one moment."""
        rows = self.ledger.rows("stored")
        rows = rows[self.published[self.history.event[rows]]]
        rows = rows[np.lexsort((rows, self.history.what[rows]))]
        time, what = self.history.time[rows], self.history.what[rows]
        begins = (
            np.flatnonzero(np.concatenate([[True], (np.diff(time) != 0) | (np.diff(what) != 0)])) if len(rows) else rows
        )
        return np.diff(np.append(begins, len(rows)))


def publishing(history: History, publisher: str | None = None) -> dict[str, Any]:
    """How well events were published, by one publisher or all, always with the same names in the same order.

    ``goodput`` is confirmed events a second; ``retried`` and ``refused`` count attempts; ``lost_unsent`` was in the
    memory of a publisher that crashed; ``lost_after_ack`` is gone from every broker though the publisher takes it for
    done; ``repeated`` is stored more than once because it was retried.
    """
    sendings = Sendings(history, publisher)
    times, batches = sendings.confirm_times(), sendings.batches()
    start, end = span(history)
    retried = sendings.ended("retried")
    return {
        "published": int(sendings.published.sum()),
        "confirmed": len(times),
        "goodput": len(times) / (end - start) if end > start else None,
        "confirm_mean_s": float(times.mean()) if len(times) else None,
        "confirm_p50_s": percentile(times, 0.5),
        "confirm_p99_s": percentile(times, 0.99),
        "batch_mean": float(batches.mean()) if len(batches) else None,
        "retried": sendings.count("retried"),
        "refused": sendings.count("refused"),
        "given_up": int(sendings.ended("given_up").sum()),
        "shed": int(sendings.ended("shed").sum()),
        "lost_unsent": int(sendings.ended("lost").sum()),
        "lost_after_ack": int(sendings.unnoticed.sum()),
        "repeated": int((retried & (sendings.copies > 1)).sum()),
    }


def confirm_times(history: History, publisher: str | None = None) -> Floats:
    """From published to confirmed, in seconds, for each event that was, in the order of confirmation."""
    return Sendings(history, publisher).confirm_times()
