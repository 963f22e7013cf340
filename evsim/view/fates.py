"""What has become of each event, for each group that was to have it: handled, waiting, put aside, or lost.

*Lost* is what can never be handled any more: its last copy was dropped before any log had stored it; retention
deleted it before the group came to it; or the group's position has passed it and no member has it in hand. What
merely waits, is on its way, or is in hand is not lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from evsim.history import History, What
from evsim.view.ledger import Flags, Ledger, Whole, is_partition, log_of
from evsim.view.piles import copies, is_pile


class Fate(IntEnum):
    """What has become of an event."""

    FOREIGN = 0
    """It was not meant for this group."""
    WAITING = 1
    HANDLED = 2
    SKIPPED = 3
    """There was nothing to do for it, or an inbox knew it."""
    SUPERSEDED = 4
    """Compaction removed it before the group had read it, since a later event of its key had come."""
    ASIDE = 5
    """It was put aside, as a dead letter or into a retry topic."""
    FAILED = 6
    DROPPED = 7
    EXPIRED = 8
    PASSED = 9
    """The position went past it, or it was acknowledged and then forgotten."""
    OVERFLOWED = 10
    EXHAUSTED = 11
    """It was delivered too often."""
    GONE = 12
    """The broker itself has lost it."""
    MISSED = 13
    """Nobody of the group was listening."""
    SHED = 14
    """It had waited for too long, and the group dropped it."""


class Fates(NamedTuple):
    """For each event its fate in one group, and the row that decided it (-1: none)."""

    fate: Whole
    row: Whole

    @property
    def lost(self) -> Flags:
        """Which events can never be handled."""
        return self.fate >= Fate.DROPPED


class Loss(NamedTuple):
    """One event that can never be handled by a group; ``group`` is empty where it never reached any log."""

    event: int
    group: str
    fate: Fate
    row: int


def fates(ledger: Ledger, group: str) -> Fates:
    """What has become of each event in this group."""
    history, entered = ledger.history, ledger.entered(group)
    fate = np.where(entered >= 0, int(Fate.WAITING), int(Fate.FOREIGN)).astype(np.int64)
    row = np.full(history.event_count, -1, dtype=np.int64)

    def decide(which: Whole, outcome: Fate) -> None:
        open_ = (which >= 0) & (fate <= Fate.WAITING)
        fate[open_], row[open_] = int(outcome), which[open_]

    for step, outcome in (
        ("handled", Fate.HANDLED),
        ("dead_lettered", Fate.ASIDE),
        ("skipped", Fate.SKIPPED),
        ("expired", Fate.EXPIRED),
        ("compacted", Fate.SUPERSEDED),
        ("shed", Fate.SHED),
    ):
        decide(ledger.first(ledger.rows(step, group=group)), outcome)
    if ledger.is_consumer(group):
        decide(ledger.first(ledger.moved_on(group)), Fate.ASIDE)
    if not ledger.is_consumer(group):
        decide(ledger.first(ledger.rows("failed", group=group)), Fate.FAILED)
        return Fates(fate, row)
    if is_pile(ledger, group):
        for which, outcome in _ends_of_piles(ledger, group):
            decide(which, outcome)
        decide(np.where(fate == Fate.WAITING, dropped(ledger), -1), Fate.DROPPED)
        return Fates(fate, row)
    decide(_truncated(ledger, group), Fate.GONE)
    decide(ledger.first(ledger.rows("missed", group=group)), Fate.MISSED)
    waiting = fate == Fate.WAITING
    if waiting.any():
        decide(_passed(ledger, group, waiting), Fate.PASSED)
        decide(np.where(waiting, dropped(ledger), -1), Fate.DROPPED)
    return Fates(fate, row)


def _ends_of_piles(ledger: Ledger, group: str) -> Iterator[tuple[Whole, Fate]]:
    """For each event of which no copy is left, by what the last of them ended; and what was missed."""
    count = ledger.history.event_count
    found = copies(ledger, group)
    left = np.zeros(count, dtype=bool)
    left[found.event[found.ended < 0]] = True
    last = np.full(count, -1, dtype=np.int64)
    np.maximum.at(last, found.event, found.ended)
    last[left] = -1
    steps = np.array([what.step for what in ledger.history.whats])
    step = np.where(last >= 0, steps[ledger.what[np.maximum(last, 0)]], "")
    aside = ledger.first(ledger.rows("dead_lettered")[::-1])
    yield np.where((step != "") & (step != "acked") & (aside == last + 1), aside, -1), Fate.ASIDE
    for name, outcome in _ENDED.items():
        yield np.where(step == name, last, -1), outcome
    yield np.where((step == "acked") & _forgotten(ledger, last), last, -1), Fate.PASSED
    yield ledger.first(ledger.rows("missed", group=group)), Fate.MISSED


_ENDED = {
    "compacted": Fate.SUPERSEDED,
    "expired": Fate.EXPIRED,
    "overflowed": Fate.OVERFLOWED,
    "rejected": Fate.SKIPPED,
    "exhausted": Fate.EXHAUSTED,
    "lost": Fate.GONE,
}


def _forgotten(ledger: Ledger, acks: Whole) -> Flags:
    """Whether the member that acknowledged an event has crashed, or left, since then."""
    found = np.zeros(len(acks), dtype=bool)
    rows = np.maximum(acks, 0)
    nodes = np.array([what.node for what in ledger.history.whats])
    for node in {what.node for what in ledger.history.whats if what.step in {"crashed", "left"}}:
        ends = ledger.rows("crashed", "left", node=node)
        if len(ends):
            found |= (acks >= 0) & (nodes[ledger.what[rows]] == node) & (rows < ends[-1])
    return found


def _truncated(ledger: Ledger, group: str) -> Whole:
    """For each event the row in which the log lost its last copy (a failover, a power cut), or -1."""
    reads = ledger.reads[group]
    here = np.array([log_of(place) in reads for place in ledger.places], dtype=bool)
    stored, gone = ledger.rows_of(ledger.wanted("stored") & here), ledger.rows_of(ledger.wanted("lost") & here)
    if not len(gone):
        return np.full(ledger.history.event_count, -1, dtype=np.int64)
    last_stored, last_gone = ledger.first(stored[::-1]), ledger.first(gone[::-1])
    return np.where((last_stored >= 0) & (last_gone > last_stored), last_gone, -1)


def dropped(ledger: Ledger) -> Whole:
    """For each event that was lost before any log stored it the row of its last drop; -1 for all others.

    A drop on a link takes all copies of one sending; a log that is down turns away one copy. A publisher that waits for
    answers sends again what was dropped; there it is lost that was given up, shed, or in the memory at a crash.
    """
    count = ledger.history.event_count

    def times(rows: Whole) -> Whole:
        about = ledger.event[rows]
        return np.bincount(about[about >= 0], minlength=count)[:count]

    rows = ledger.rows("dropped")
    on_link = np.array([">" in what.node for what in ledger.history.whats], dtype=bool)[ledger.what[rows]]
    sent = times(ledger.rows("published")) - times(rows[on_link])
    away = times(rows[~on_link])
    gone = (sent <= 0) | (away >= sent + times(ledger.rows("duplicated")))
    last = ledger.first(rows[::-1])
    never = ~ledger.seen(ledger.rows("stored", "handled", "failed", "missed", "pushed"))
    refused = ledger.first(ledger.rows("unroutable", "given_up", "shed", "lost")[::-1])
    waiting = [name for name, part in ledger.history.parts.items() if part.get("acks", "none") != "none"]
    for name in waiting:
        gone &= ~ledger.seen(ledger.rows("published", node=name))
    return np.where(never & gone & (last >= 0), last, np.where(never, refused, -1))


def _passed(ledger: Ledger, group: str, waiting: Flags) -> Whole:
    """For each waiting event the row that shows that the group's position went past it for good, or -1."""
    found = np.full(ledger.history.event_count, -1, dtype=np.int64)
    rows = ledger.rows("acked", group=group)
    acks = rows[waiting[ledger.event[rows]]]
    lost = acks[~_in_hand(ledger, acks)]
    found[ledger.event[lost]] = lost
    met = waiting & ~ledger.seen(ledger.rows("acked", "delivered", group=group))
    stores = ledger.rows_of(ledger.stored_for(group))
    stores = stores[waiting[ledger.event[stores]]]
    first, beyond, last = _reach(ledger, group)
    place, number, event = _place_ids(ledger)[ledger.what[stores]], ledger.number[stores], ledger.event[stores]
    jumped = met[event] & (number >= first[place]) & (number < beyond[place])
    found[event[jumped]] = last[place[jumped]]
    found[event[number >= beyond[place]]] = -1  # a second copy is still to come
    return found


def _place_ids(ledger: Ledger) -> Whole:
    ids = {place: number for number, place in enumerate(dict.fromkeys(ledger.places))}
    return np.array([ids[place] for place in ledger.places], dtype=np.int64)


def _reach(ledger: Ledger, group: str) -> tuple[Whole, Whole, Whole]:
    """For each place the first offset that the group met, the one it has come to, and the row that shows it."""
    ids = _place_ids(ledger)
    count = int(ids.max(initial=-1)) + 1
    steps = ("acked", "expired") if ledger.at_once(group) > 1 else ("acked", "delivered", "skipped", "expired")
    rows = ledger.rows(*steps, group=group)
    place, number = ids[ledger.what[rows]], ledger.number[rows].astype(np.int64)
    upto = number + ledger.wanted("acked", "expired")[ledger.what[rows]]
    first, beyond = np.full(count, np.iinfo(np.int32).max, dtype=np.int64), np.full(count, -1, dtype=np.int64)
    np.minimum.at(first, place, number)
    np.maximum.at(beyond, place, upto)
    last = np.full(count, -1, dtype=np.int64)
    furthest = upto == beyond[place]
    last[place[furthest][::-1]] = rows[furthest][::-1]
    return first, beyond, last


def _in_hand(ledger: Ledger, acks: Whole) -> Flags:
    """Whether the member that acknowledged an event before handling it still has it in hand, in this batch.

    It has as long as it did not go on to a later offset, nor lose its memory or the partition.
    """
    history, last = ledger.history, ledger.last_rows()
    codes = {what: code for code, what in enumerate(history.whats)}
    forgot: dict[tuple[str, str], int] = {}
    for what, row in zip(history.whats, last.tolist(), strict=True):
        if what.step in {"crashed", "joined", "left", "assigned", "revoked"}:
            spot = (what.node, what.place if is_partition(what.place) else "")
            forgot[spot] = max(forgot.get(spot, -1), row)
    held = np.full(len(history.whats), -1, dtype=np.int64)
    for code in np.unique(ledger.what[acks]).tolist():
        _, node, place = history.whats[code]
        begun = [codes.get(What(step, node, place)) for step in ("delivered", "skipped")]
        met = max((int(last[each]) for each in begun if each is not None), default=-1)
        if met > max(forgot.get((node, ""), -1), forgot.get((node, place), -1)):
            held[code] = ledger.number[met]
    limit = held[ledger.what[acks]]
    return np.asarray((limit >= 0) & (ledger.number[acks] >= limit))


# -------------------------------------------------------------------- counted


def losses(history: History, group: str | None = None) -> list[Loss]:
    """Every event that is lost to a group, in the order in which it happened; one dropped on its way counts once."""
    ledger = Ledger(history)
    found: dict[tuple[int, str], Loss] = {}
    if group is None:
        on_the_way = dropped(ledger)
        for event in np.flatnonzero(on_the_way >= 0).tolist():
            found[event, ""] = Loss(event, "", Fate.DROPPED, int(on_the_way[event]))
        for name in event_stores(history):
            gone = forsworn(ledger, name)
            found |= {(e, name): Loss(e, name, Fate.GONE, int(gone[e])) for e in np.flatnonzero(gone >= 0).tolist()}
    for name in ledger.each(group):
        outcome = fates(ledger, name)
        for event in np.flatnonzero(outcome.lost).tolist():
            fate = Fate(int(outcome.fate[event]))
            where = "" if fate == Fate.DROPPED else name
            found.setdefault((event, where), Loss(event, where, fate, int(outcome.row[event])))
    return sorted(found.values(), key=lambda loss: (loss.row, loss.event, loss.group))


def event_stores(history: History) -> list[str]:
    """The event stores among the parts."""
    return [name for name, part in history.parts.items() if part.get("kind") == "event_store"]


def kept(ledger: Ledger) -> Flags:
    """For each event whether an event store holds it at the end."""
    held = np.zeros(ledger.history.event_count, dtype=bool)
    for store in event_stores(ledger.history):
        stored = ledger.first(ledger.rows("stored", node=store)[::-1])
        held |= stored > ledger.first(ledger.rows("lost", node=store)[::-1])
    return held


def forsworn(ledger: Ledger, store: str) -> Whole:
    """For each event the row in which an event store lost it after it had been confirmed to who appended it, or -1."""
    confirmed = ledger.seen(ledger.rows_of(ledger.wanted("confirmed") & np.array([p == store for p in ledger.places])))
    stored = ledger.first(ledger.rows("stored", node=store)[::-1])
    gone = ledger.first(ledger.rows("lost", node=store)[::-1])
    return np.where(confirmed & (gone > stored), gone, -1)


def lost(history: History, group: str | None = None) -> list[str]:
    """The ids of the events that can never be handled: once for each group that has lost it, once if no log has it."""
    return [history.id_of(loss.event) for loss in losses(history, group)]


def dead_lettered(history: History, group: str | None = None) -> int:
    """How many events were put aside, once for each group."""
    return _events(history, "dead_lettered", group)


def expired(history: History, group: str | None = None) -> int:
    """How many events retention deleted before a group had come to them, once for each group."""
    return _events(history, "expired", group)


def _events(history: History, step: str, group: str | None) -> int:
    ledger = Ledger(history)
    return sum(int(ledger.seen(_rows_for(ledger, step, name)).sum()) for name in ledger.named(group))


def _rows_for(ledger: Ledger, step: str, group: str) -> Whole:
    """The rows of this step by the group itself, and by the queue that it takes from."""
    codes = ledger.wanted(step, group=group)
    if is_pile(ledger, group):
        reads = ledger.reads[group]
        codes = codes | (ledger.wanted(step) & np.array([w.node in reads for w in ledger.history.whats], dtype=bool))
    return ledger.rows_of(codes)
