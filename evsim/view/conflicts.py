"""How often writers get in each other's way at an event store, counted, and what the formulas say."""

from __future__ import annotations

import math
from typing import NamedTuple

from evsim.errors import BadScenario
from evsim.history import History

__all__ = ["Appends", "appends", "attempts_at_once", "conflict_share"]


class Appends(NamedTuple):
    """How many appends were tried, and how many of them met a conflict."""

    tried: int
    conflicts: int

    @property
    def share(self) -> float:
        """The share of appends that met a conflict."""
        return self.conflicts / self.tried if self.tried else 0.0


def appends(history: History, store: str | None = None, by: str | None = None) -> Appends:
    """The appends that an event store has decided, of all writers or of those of the consumer ``by``."""
    stores = {name for name, part in history.parts.items() if part.get("kind") == "event_store"}
    if store is not None and store not in stores:
        raise BadScenario(f"{store!r} is no event store of this run; there are: {', '.join(sorted(stores)) or 'none'}")
    counts = {"answered": 0, "conflicted": 0}
    for step in counts:
        rows = [code for code, what in enumerate(history.whats)
                if what.step == step and what.node in ({store} if store else stores)
                and (by is None or what.place == by or what.place.rpartition("-")[0] == by)]  # fmt: skip
        mask = sum((history.what == code for code in rows), start=history.what < 0)
        counts[step] = int((mask & (history.number == 1)).sum() if step == "answered" else mask.sum())
    return Appends(counts["answered"] + counts["conflicted"], counts["conflicted"])


def conflict_share(rate: float, between_s: float) -> float:
    """1 - exp(-λd): the chance that one of ``rate`` other writes a second falls between reading and appending."""
    if not (rate >= 0 and between_s >= 0):
        raise BadScenario(f"rate={rate:g} and between_s={between_s:g} are refused; expected numbers from 0")
    return -math.expm1(-rate * between_s)


def attempts_at_once(writers: int) -> int:
    """N (N + 1) / 2: what N writers need who start at once and try again without any wait; each round one wins."""
    if writers < 1:
        raise BadScenario(f"{writers} writers are refused; expected 1 or more")
    return writers * (writers + 1) // 2
