"""The copies of events that lie in queues and streams, and how each of them ended: counted one by one, in any order.

A partition is read by a cursor; a queue, a stream and a share group are not: what is acknowledged there says nothing
of what came before it. So each copy (place and number) has a life of its own here: stored, pushed, perhaps put back,
and ended.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evsim.view.ledger import Flags, Ledger, Whole, is_partition

_TAKERS = ("consumer", "router", "wiretap", "resequencer", "relay")
ENDINGS = ("expired", "overflowed", "rejected", "exhausted", "lost")


class Copies(NamedTuple):
    """Every copy that a group could get: its event, and the rows of storing, of the last push, and of its end (-1)."""

    event: Whole
    place: Whole
    stored: Whole
    pushed: Whole
    ended: Whole


def is_pile(ledger: Ledger, group: str) -> bool:
    """Whether this group takes messages one by one, rather than reading partitions with a cursor."""
    part = ledger.history.parts.get(group, {})
    if part.get("share"):
        return True
    return ledger.takes_one_by_one(group) or bool(_places(ledger, group))


def _places(ledger: Ledger, group: str) -> list[str]:
    """The places that this group takes from, by what the rows say."""
    reads = ledger.reads.get(group, set())
    shared = bool(ledger.history.parts.get(group, {}).get("share"))
    return [
        place
        for place in dict.fromkeys(what.place for what in ledger.history.whats if what.step == "stored")
        if (place.rpartition("/")[0] if is_partition(place) else place) in reads and (shared or not is_partition(place))
    ]


def copies(ledger: Ledger, group: str) -> Copies:
    """The copies that were stored where this group takes from, in the order of storing."""
    places = {place: number for number, place in enumerate(_places(ledger, group))}
    of_code = np.array([places.get(place, -1) for place in ledger.places], dtype=np.int64)
    here = of_code >= 0
    stored = ledger.rows_of(ledger.wanted("stored") & here)
    if not len(stored):
        empty = np.empty(0, dtype=np.int64)
        return Copies(empty, empty, empty, empty, empty)
    keys = _keys(ledger, of_code, stored)
    order = np.argsort(keys, kind="stable")
    pushed = _latest(ledger, of_code, keys[order], ledger.wanted("pushed", group=group) & here)
    ends = (ledger.wanted("acked", "missed", "compacted", group=group) | _endings(ledger, group)) & here
    ended = _latest(ledger, of_code, keys[order], ends)
    back = np.empty(len(order), dtype=np.int64)
    back[order] = np.arange(len(order))
    return Copies(
        ledger.event[stored].astype(np.int64), of_code[ledger.what[stored]], stored, pushed[back], ended[back]
    )


def _endings(ledger: Ledger, group: str) -> Flags:
    """For each code whether a copy ends there for this group: for all, unless the row is about another consumer."""
    parts = ledger.history.parts
    others = [owner != group and parts.get(owner, {}).get("kind") in _TAKERS for owner in ledger.owners]
    return ledger.wanted(*ENDINGS) & ~np.array(others, dtype=bool)


def _keys(ledger: Ledger, of_code: Whole, rows: Whole) -> Whole:
    return (of_code[ledger.what[rows]] << 32) + ledger.number[rows].astype(np.int64)


def _latest(ledger: Ledger, of_code: Whole, keys: Whole, codes: Flags) -> Whole:
    """For each copy (by its key, sorted) the last of these rows that is about it, or -1."""
    rows = ledger.rows_of(codes)
    found = np.full(len(keys), -1, dtype=np.int64)
    mine = _keys(ledger, of_code, rows)
    spot = np.minimum(np.searchsorted(keys, mine), len(keys) - 1)
    known = keys[spot] == mine
    np.maximum.at(found, spot[known], rows[known])
    return found


def moves(ledger: Ledger, group: str) -> tuple[Whole, Whole]:
    """The rows by which the number of a group's waiting and unacknowledged messages changed, and by how much."""
    found = copies(ledger, group)
    ended = found.ended[found.ended >= 0]
    rows = np.concatenate([found.stored, ended])
    steps = np.concatenate([np.ones(len(found.stored), dtype=np.int64), -np.ones(len(ended), dtype=np.int64)])
    order = np.argsort(rows, kind="stable")
    return rows[order], steps[order]
