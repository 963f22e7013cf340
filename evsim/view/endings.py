"""Whether what was begun comes to an end: an event and all that it causes, its *flow*.

A flow is stuck when something of it was lost, put aside or refused; or was handled by a member that crashed before it
had sent what follows, and is not delivered again. (That something follows is known from other events of the same type
that the same group handled.) A flow of which something still waits, is on its way, in hand, or in an outbox is under
way, and not judged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evsim.errors import did_you_mean
from evsim.history import History
from evsim.view.fates import Fate, dropped, event_stores, fates, forsworn, kept
from evsim.view.keys import Keys
from evsim.view.ledger import Flags, Ledger, Whole
from evsim.view.verdict import Verdict, fate_told, joined, others, under_way


@dataclass(frozen=True)
class Ends:
    """Every event of one type ends: it and all that it causes is handled by each group that reads it.

    With ``at``, it ends when an event of one of these types is published in its flow, whatever else waits.
    """

    type: str
    at: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The promise in words."""
        where = f" in {joined(self.at, 'or')}" if self.at else ""
        return f"every {self.type} ends{where}"

    def judge(self, history: History) -> Verdict:
        """VIOLATED with the stuck flow of which the fewest rows tell."""
        flows = Flows(history, self.type)
        if not len(flows.roots):
            types = dict.fromkeys(each.type for each in history.templates)
            missing = "" if self.type in types else did_you_mean(self.type, types)
            return Verdict("unknown", self.name, (f"no {self.type} was published{missing}",))
        stuck, open_ = flows.any(flows.stuck >= 0), flows.any(flows.open)
        if self.at:
            there = (flows.published & (flows.stuck_by_drop < 0)) | flows.kept
            reached = flows.any(there & flows.of_types(self.at))
            broken, pending = ~reached & (stuck | ~open_), ~reached & ~stuck & open_
        else:
            broken, pending = stuck, ~stuck & open_
        told = under_way(int(pending[flows.roots].sum()))
        if broken[flows.roots].any():
            return self._witness(flows, flows.roots[broken[flows.roots]], told)
        if pending[flows.roots].all():
            return Verdict("unknown", self.name, (f"none has had the time to: {told[0]}",))
        return Verdict("ok", self.name, told)

    def _witness(self, flows: Flows, broken: Whole, told: tuple[str, ...]) -> Verdict:
        history, ledger, keys = flows.history, flows.ledger, flows.keys
        about = ledger.event[ledger.event >= 0]
        rows = np.bincount(flows.anchor[about], minlength=history.event_count)
        root = int(broken[np.lexsort((flows.first[broken], rows[broken]))[0]])
        stuck = flows.stuck_at(root)
        if stuck is not None:
            event, row, reason = stuck, int(flows.stuck[stuck]), flows.reason(stuck)
        else:
            members = np.flatnonzero(flows.anchor == root)
            members = members[flows.first[members] >= 0]
            event = int(members[np.argmax(flows.first[members])])
            row, reason = int(flows.first[event]), "was the last of it, and nothing is under way"
        key, event_id = keys.text(int(keys.labels[root])), history.id_of(event)
        lines = (f"{key}: {event_id} ({history.type_of(event)}) {reason}", *others(len(broken) - 1, flows.noun), *told)
        ids = tuple(dict.fromkeys([history.id_of(root), event_id]))
        return Verdict("VIOLATED", self.name, lines, key, ids, (float(history.time[row]),))


FORWARDERS = {"router", "wiretap", "resequencer", "relay"}
"""The kinds of part that send on what they take: with them, what follows an event is the event itself."""


class Flows:
    """The flows that begin with events of one type, and what became of each of their events."""

    def __init__(self, history: History, event_type: str) -> None:
        self.history, self.ledger, self.keys = history, Ledger(history), Keys(history)
        self.first = self.ledger.first(self.ledger.rows("published"))
        self.published = self.first >= 0
        begins = self.of_types((event_type,))
        self.kept = kept(self.ledger)
        self.anchor = _anchors(self.keys.causes, begins)
        self.roots = np.flatnonzero(begins & self.published)
        self.stuck = np.full(history.event_count, -1, dtype=np.int64)
        self._found: list[tuple[str, Whole, Whole]] = []
        self.stuck_by_drop = dropped(self.ledger)
        self.open = self._still_open()
        for group in self.ledger.groups:
            self._follow(group)

    @property
    def noun(self) -> str:
        """What the flows are called."""
        return self.keys.noun(self.keys.labels[self.roots])

    def of_types(self, types: tuple[str, ...]) -> Flags:
        """Which events have one of these types."""
        wanted = np.array([each.type in types for each in self.history.templates], dtype=bool)
        return np.asarray(wanted[self.history.table["template"]], dtype=bool)

    def any(self, flags: Flags) -> Flags:
        """For each event that begins a flow whether any event of the flow is flagged."""
        return np.bincount(self.anchor[flags], minlength=self.history.event_count) > 0

    def _still_open(self) -> Flags:
        """What waits in an outbox, or is on its way to a log that nobody reads; what an event store keeps is there."""
        caused = ~self.published & (self.keys.causes >= 0) & ~self.kept
        stored = self.ledger.seen(self.ledger.rows("stored"))
        read = np.zeros(self.history.event_count, dtype=bool)
        for group in self.ledger.groups:
            read |= self.ledger.entered(group) >= 0
        gone = ~read & (self.stuck_by_drop >= 0)
        self._mark("", np.where(gone, int(Fate.DROPPED), 0), np.where(gone, self.stuck_by_drop, -1))
        for store in event_stores(self.history):
            lost = forsworn(self.ledger, store)
            self._mark(store, np.where(lost >= 0, int(Fate.GONE), 0), lost)
        return caused | (self.published & ~read & ~stored & ~gone)

    def _follow(self, group: str) -> None:
        """What became of the events in one group."""
        found = fates(self.ledger, group)
        self.open |= found.fate == Fate.WAITING
        bad = (found.fate >= Fate.ASIDE) & ~((found.fate == Fate.ASIDE) & self._taken_up(found.row))
        self._mark(group, np.where(bad, found.fate, 0), np.where(bad, found.row, -1))
        unsent, again = self._unsent(group)
        self._mark(group, np.where(unsent >= 0, int(Fate.HANDLED), 0), unsent)
        self.open |= again

    def _mark(self, group: str, fate: Whole, row: Whole) -> None:
        self._found.append((group, fate, row))
        self.stuck = np.where((self.stuck < 0) & (row >= 0), row, self.stuck)

    def stuck_at(self, root: int) -> int | None:
        """The event at which the flow that begins here first got stuck, if it did."""
        stuck = np.flatnonzero((self.anchor == root) & (self.stuck >= 0))
        return int(stuck[np.argmin(self.stuck[stuck])]) if len(stuck) else None

    def reason(self, event: int) -> str:
        """Why the flow is stuck at this event."""
        for group, fate, row in self._found:
            if row[event] >= 0:
                told = fate_told(self.ledger, group, Fate(int(fate[event])), int(row[event]))
                more = ", but what follows was never sent" if fate[event] == Fate.HANDLED else ""
                return f"was {told}{more}" if fate[event] != Fate.FAILED else told
        raise AssertionError("a stuck event has a reason")

    def _taken_up(self, rows: Whole) -> Flags:
        """Whether some group reads the log in which a dead letter was put: then that group's handling counts."""
        logs = set().union(*self.ledger.reads.values()) if self.ledger.reads else set()
        read = np.array([place in logs for place in self.ledger.places], dtype=bool)
        return np.asarray((rows >= 0) & read[self.ledger.what[rows]], dtype=bool) if len(rows) else rows >= 0

    def _unsent(self, group: str) -> tuple[Whole, Flags]:
        """For each event the row of its handling, if what follows was never sent nor will be; and if it still may be.

        A member that crashes between *handled* and *sent* takes what it was about to send with it, unless an outbox
        has it. Delivered again it is handled again; acknowledged, or known to an inbox, it is not.
        """
        ledger, count = self.ledger, self.history.event_count
        handled = ledger.first(ledger.rows("handled", group=group))
        sent = ledger.seen(ledger.rows("sent", group=group))
        causes = self.keys.causes
        mine = np.array([template.source == group for template in self.history.templates], dtype=bool)
        children = np.flatnonzero((causes >= 0) & mine[self.history.table["template"]])
        followed = np.zeros(count, dtype=bool)
        followed[causes[children]] = True
        names = dict.fromkeys(template.type for template in self.history.templates)
        types = {name: number for number, name in enumerate(names)}
        of_template = np.array([types[template.type] for template in self.history.templates], dtype=np.int64)
        type_of = of_template[self.history.table["template"]]
        emits = np.zeros(len(types), dtype=bool)
        emits[type_of[followed]] = True
        emits |= self.history.parts.get(group, {}).get("kind") in FORWARDERS
        lost = (handled >= 0) & ~sent & ~followed & emits[type_of]
        final = ledger.seen(ledger.rows("acked", "skipped", group=group))
        has_handler = bool(self.history.parts.get(group, {}).get("on"))
        again = (handled >= 0) & ~sent & ~followed & ~final & (emits[type_of] | has_handler)
        return np.where(lost & final, handled, -1), again


def _anchors(causes: Whole, begins: Flags) -> Whole:
    """For each event the one that its flow begins with: the nearest cause that begins one, else the first of all."""
    here = np.arange(len(causes))
    anchor = np.where(begins | (causes < 0), here, causes)
    for _ in range(64):
        further = anchor[anchor]
        if np.array_equal(further, anchor):
            break
        anchor = further
    return anchor
