"""Little's law, L = λ W, held against every run: when it fails, rows are missing or wrong.

The law is exact on any window, with every stay counted as far as it lies inside. So L is had from the rows as they
come, one in, one out, without asking who; λ W from each event's own stay. A history whose two sides differ is not the
history of anything; nor is one in which time runs backwards, an event is handled before it was published, is handled
without having been delivered, or was delivered and never finished although its member went on. A *last* row that is
missing cannot be seen: that event then counts as still inside.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evsim.history import History
from evsim.view.ledger import Ledger, Whole, is_partition, span

_TOLERANCE = 1e-9
_OUT = ("handled", "skipped", "expired", "dead_lettered")


class Little(NamedTuple):
    """Both sides of the law; ``holds`` is None when there was nothing to judge, ``reason`` says why it fails."""

    in_system: float | None
    rate: float | None
    stay_s: float | None
    gap: float | None
    holds: bool | None
    reason: str


def little(history: History, group: str | None = None) -> Little:
    """Little's law over the whole run; a customer is an event on its way to one group that reads its log."""
    start, stop = span(history)
    ledger = Ledger(history)
    groups = ledger.named(group)
    stays, customers, area = 0.0, 0, 0.0
    reasons = []
    if len(history) and bool(np.any(np.diff(history.time) < 0)):
        row = int(np.argmax(np.diff(history.time) < 0)) + 1
        reasons.append(
            f"time runs backwards at row {row}, from {history.time[row - 1]:.6g} s to {history.time[row]:.6g} s"
        )
    for name in groups:
        entered, left = _entered_and_left(ledger, name)
        came = entered >= 0
        out = np.where(left >= 0, history.time[left] if len(history) else 0.0, stop)
        stays += float(np.sum(np.clip(out[came], start, stop) - np.clip(history.time[entered[came]], start, stop)))
        customers += int(came.sum())
        area += _area(history, entered, left, stop)
        reasons += _oddities(ledger, name, entered, left)
    if not customers or stop <= start:
        return Little(None, None, None, None, False if reasons else None, "; ".join(reasons) or "nothing was published")
    in_system, rate, stay_s = area / (stop - start), customers / (stop - start), stays / customers
    gap = abs(in_system - rate * stay_s) / max(in_system, rate * stay_s, 1e-300)
    if gap > _TOLERANCE and not reasons:
        reasons.append(f"L = {in_system:.6g} but λ W = {rate * stay_s:.6g}")
    return Little(in_system, rate, stay_s, gap, not reasons, "; ".join(reasons))


def _entered_and_left(ledger: Ledger, group: str) -> tuple[Whole, Whole]:
    """For each event the row by which it set out for the group and the first by which it left, or -1.

    An event that never reached a log leaves when its last copy is dropped.
    """
    entered = ledger.entered(group)
    done = _OUT if ledger.is_consumer(group) else (*_OUT, "failed")
    left = ledger.first(ledger.rows(*done, group=group))
    stored = ledger.seen(ledger.rows("stored"))
    dropped = ledger.first(ledger.rows("dropped")[::-1])
    return entered, np.where((left < 0) & (entered >= 0) & ~stored, dropped, left)


def _area(history: History, entered: Whole, left: Whole, stop: float) -> float:
    """The time integral of the number inside, one row after the other."""
    rows = np.concatenate([entered[entered >= 0], left[left >= 0]])
    change = np.repeat([1, -1], [int((entered >= 0).sum()), int((left >= 0).sum())])
    order = np.argsort(rows, kind="stable")
    times = np.append(history.time[rows[order]], stop)
    return float(np.cumsum(change[order]) @ np.diff(times)) if len(rows) else 0.0


def _oddities(ledger: Ledger, group: str, entered: Whole, left: Whole) -> list[str]:
    """What cannot have happened so."""
    found = []
    history = ledger.history
    early = np.flatnonzero((left >= 0) & (entered > left))
    if len(early):
        found.append(f"{history.id_of(int(early[0]))} left {group} before it was published")
    orphans = np.flatnonzero((left >= 0) & (entered < 0))
    if len(orphans):
        found.append(f"{history.id_of(int(orphans[0]))} came to {group} and was never published")
    if ledger.is_consumer(group):
        found += _open_deliveries(ledger, group)
    return found


def _open_deliveries(ledger: Ledger, group: str) -> list[str]:
    """A member has one event in hand: each delivery ends before the next, each handling had one."""
    wanted = ledger.wanted(
        "delivered", "handled", "failed", "crashed", "joined", "left", "assigned", "revoked", group=group
    )
    rows = ledger.rows_of(wanted)
    if not ledger.wanted("delivered", group=group).any():
        return []
    nodes = {what.node for what, good in zip(ledger.history.whats, wanted, strict=True) if good}
    ids = {node: number for number, node in enumerate(sorted(nodes))}
    node_of = np.array([ids.get(what.node, -1) for what in ledger.history.whats])
    kind_of = np.array([_kind(what.step, what.place) for what in ledger.history.whats])
    order = np.argsort(node_of[ledger.what[rows]], kind="stable")
    rows = rows[order]
    node, kind = node_of[ledger.what[rows]], kind_of[ledger.what[rows]]
    same = np.concatenate([[False], node[1:] == node[:-1]])
    before = np.where(same, np.concatenate([[2], kind[:-1]]), 2)
    history, found = ledger.history, []
    never_ended = np.flatnonzero((kind == 0) & (before == 0))
    if len(never_ended):
        row = rows[never_ended[0] - 1]
        who = history.record_at(int(row))
        found.append(f"{who.node} received {who.event_id} at {who.time:.6g} s and never finished it, yet went on")
    same_event = np.concatenate([[False], ledger.event[rows[1:]] == ledger.event[rows[:-1]]])
    never_begun = np.flatnonzero((kind == 1) & ((before != 0) | ~same_event))
    if len(never_begun):
        who = history.record_at(int(rows[never_begun[0]]))
        found.append(f"{who.node} handled {who.event_id} at {who.time:.6g} s, which had not been delivered to it")
    return found


def _kind(step: str, place: str) -> int:
    """0: a delivery begins; 1: it ends; 2: whatever was in hand is gone."""
    if step == "delivered":
        return 0
    return 1 if step in {"handled", "failed"} and is_partition(place) else 2
