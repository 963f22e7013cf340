"""What is handled out of the order of its key: the number of each event in its key against the order of handling."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import NamedTuple

import numpy as np

from evsim.errors import UnknownName, did_you_mean
from evsim.history import History
from evsim.view.keys import Keys
from evsim.view.ledger import Flags, Floats, Ledger, Whole


class Inversions(NamedTuple):
    """What a group handled, in its order: the key of each event, its number in the key as published, and how late.

    ``late[i]`` is by how many places event i came behind the youngest of its key that was handled before it; 0 if in
    order. ``overtaken[i]`` is how many younger ones of its key were handled before it. Counted are first handlings of
    events that were published.
    """

    group: str
    events: Whole
    labels: Whole
    numbers: Whole
    late: Whole
    overtaken: Whole
    times: Floats

    @property
    def out_of_order(self) -> Flags:
        """Which events were handled after a younger one of their key."""
        return self.late > 0

    @property
    def comparable(self) -> int:
        """How many events were not the first of their key that was handled: those that could be out of order."""
        return len(self.events) - len(np.unique(self.labels))

    @property
    def share(self) -> float:
        """The share of the comparable events that are out of order; 0 when there are none."""
        return float(self.out_of_order.sum()) / self.comparable if self.comparable else 0.0

    def left(self, held_back: int) -> float:
        """The share that stays out of order if so many events of a key are held back, as a resequencer can."""
        return float((self.overtaken > held_back).sum()) / self.comparable if self.comparable else 0.0

    def mended_by(self, share: float = 0.001) -> int:
        """How many events of a key must be held back so that no larger share stays out of order."""
        allowed = int(share * self.comparable)
        return int(np.sort(self.overtaken)[-allowed - 1]) if len(self.overtaken) > allowed else 0


def inversions(history: History, group: str | None = None) -> Inversions:
    """How a group kept the order of keys; the group with most events out of order, unless one is named."""
    ledger, keys = Ledger(history), Keys(history)
    families = ledger.families()
    if group is not None and group not in families:
        raise UnknownName(f"no group called {group!r} handled anything{did_you_mean(group, families)}")
    found = [_of_group(ledger, keys, name, families[name]) for name in ([group] if group else families)]
    none = np.zeros(0, np.int64)
    nothing = Inversions("", none, none, none, none, none, np.zeros(0))
    return max(found, key=lambda each: int(each.out_of_order.sum()), default=nothing)


def _of_group(ledger: Ledger, keys: Keys, group: str, members: list[str]) -> Inversions:
    published = ledger.first(ledger.rows("published"))
    handled = ledger.first(ledger.rows_of_all("handled", members))
    events = np.flatnonzero((handled >= 0) & (published >= 0))
    labels, numbers = keys.labels[events], _numbers(published, keys.labels)[events]
    by_handling = np.lexsort((handled[events], labels))
    late = np.zeros(len(events), dtype=np.int64)
    late[by_handling] = _behind(labels[by_handling], numbers[by_handling])
    order = np.argsort(handled[events], kind="stable")
    late, labels, numbers, times = late[order], labels[order], numbers[order], ledger.time[handled[events[order]]]
    return Inversions(group, events[order], labels, numbers, late, _overtaken(labels, numbers, late), times)


def _numbers(published: Whole, labels: Whole) -> Whole:
    """The number of each event in its key, from 1 on, in the order of publication; 0 for what was not published."""
    numbers = np.zeros(len(published), dtype=np.int64)
    events = np.flatnonzero(published >= 0)
    events = events[np.lexsort((published[events], labels[events]))]
    numbers[events] = np.arange(len(events)) - _starts(labels[events]) + 1
    return numbers


def _overtaken(labels: Whole, numbers: Whole, late: Whole) -> Whole:
    """For each event how many with a larger number of its label came before it."""
    found = np.zeros(len(labels), dtype=np.int64)
    seen: dict[int, list[int]] = {int(label): [] for label in np.unique(labels[late > 0])}
    for place in np.flatnonzero(np.isin(labels, list(seen))).tolist():
        before, number = seen[int(labels[place])], int(numbers[place])
        found[place] = len(before) - bisect_left(before, number)
        insort(before, number)
    return found


def _starts(labels: Whole) -> Whole:
    """Where the run of each label begins, for each of its places."""
    first = np.ones(len(labels), dtype=bool)
    first[1:] = labels[1:] != labels[:-1]
    return np.maximum.accumulate(np.where(first, np.arange(len(labels)), 0)) if len(labels) else np.zeros(0, np.int64)


def _behind(labels: Whole, numbers: Whole) -> Whole:
    """By how much each number falls behind the largest before it in the run of its label."""
    far = _starts(labels) * (len(labels) + 1)
    return np.maximum.accumulate(far + numbers) - far - numbers
