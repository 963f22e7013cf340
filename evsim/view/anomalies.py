"""Anomalies that Jepsen has names for, and promises across topics: each a frozen value with ``judge(history)``.

Lost write, duplicate, unexpected and non-monotonic poll as in Jepsen's analyses of queues and logs
(https://jepsen.io/analyses, https://jepsen.io/consistency/phenomena); the *poll skip* is ``no_poll_skip``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from evsim.history import History
from evsim.view.fates import Fate, fates
from evsim.view.keys import Keys
from evsim.view.ledger import Ledger, Whole
from evsim.view.promises import busy_keys
from evsim.view.verdict import Verdict, others


def _told(name: str, history: History, rows: list[int], line: str, noun: str) -> Verdict:
    """VIOLATED, with the first of these rows as the witness."""
    event = int(history.event[rows[0]])
    id_ = (history.id_of(event),) if event >= 0 else ()
    key = history.key_of(event) if event >= 0 else None
    return Verdict("VIOLATED", name, (line, *others(len(rows) - 1, noun)), key, id_, (float(history.time[rows[0]]),))


@dataclass(frozen=True)
class NoLostWrites:
    """What the broker has confirmed to a publisher is not lost (Jepsen: lost write)."""

    def judge(self, history: History) -> Verdict:
        """VIOLATED with the first confirmed event that is gone; unknown when nothing was ever confirmed."""
        name = "what was confirmed is not lost"
        ledger = Ledger(history)
        confirmed = ledger.first(ledger.rows("confirmed"))
        if not (confirmed >= 0).any():
            return Verdict("unknown", name, ("nothing was confirmed; publishers with acks are",))
        stored, gone = ledger.first(ledger.rows("stored")[::-1]), ledger.first(ledger.rows("lost")[::-1])
        lost = (confirmed >= 0) & (gone > stored) & ~ledger.seen(ledger.rows("handled"))
        if not lost.any():
            return Verdict("ok", name)
        rows = np.sort(gone[lost]).tolist()
        record = history.record_at(rows[0])
        line = f"{record.event_id} was confirmed, and lost by {record.node} at {record.time:.3f} s"
        return _told(name, history, rows, line, "such event")


@dataclass(frozen=True)
class NoDuplicates:
    """No event is handled twice by one group (Jepsen: duplicate)."""

    def judge(self, history: History) -> Verdict:
        """VIOLATED with the event that was handled again first."""
        name = "no event is handled twice"
        ledger, again = Ledger(history), []
        for group in ledger.each(None):
            rows = ledger.rows("handled", group=group)
            rows = rows[ledger.event[rows] >= 0]
            _, first = np.unique(ledger.event[rows], return_index=True)
            again += np.delete(rows, first).tolist()
        if not len(ledger.rows("handled")):
            return Verdict("unknown", name, ("nothing was handled",))
        if not again:
            return Verdict("ok", name)
        record = history.record_at(min(again))
        return _told(
            name, history, sorted(again), f"{record.event_id} was handled again by {record.node}"
            f" at {record.time:.3f} s", "such handling",
        )  # fmt: skip


@dataclass(frozen=True)
class NothingUnexpected:
    """Nobody is given what nobody has published (Jepsen: unexpected)."""

    def judge(self, history: History) -> Verdict:
        """VIOLATED with the first delivery of an event that was never published."""
        name = "nobody gets what nobody has sent"
        ledger = Ledger(history)
        rows = ledger.rows("delivered", "handled")
        if not len(rows):
            return Verdict("unknown", name, ("nothing was delivered",))
        sent = ledger.seen(ledger.rows("published"))
        about = ledger.event[rows]
        odd = rows[(about >= 0) & ~sent[np.maximum(about, 0)]].tolist()
        if not odd:
            return Verdict("ok", name)
        record = history.record_at(odd[0])
        line = f"{record.node} got {record.event_id} at {record.time:.3f} s, which was never published"
        return _told(name, history, odd, line, "such delivery")


@dataclass(frozen=True)
class MonotonicPolls:
    """While a member owns a partition, what it gets from there never lies before what it had (non-monotonic poll)."""

    def judge(self, history: History) -> Verdict:
        """VIOLATED with the first step back; a crash, a new assignment or a reset begin anew."""
        name = "polls never go back"
        ledger = Ledger(history)
        last: dict[tuple[str, str], int] = {}
        odd: list[int] = []
        polled = 0
        whats = ledger.history.whats
        rows = ledger.rows("delivered", "assigned", "crashed", "joined", "lost")
        for row, code, number in zip(
            rows.tolist(), ledger.what[rows].tolist(), ledger.number[rows].tolist(), strict=True
        ):
            step, node, place = whats[code]
            if step == "delivered":
                polled += 1
                if number < last.get((node, place), -1):
                    odd.append(row)
                last[node, place] = number
            elif step == "assigned":
                last.pop((node, place), None)
            elif step == "lost":
                last = {spot: each for spot, each in last.items() if spot[1] != place}
            else:
                last = {spot: each for spot, each in last.items() if spot[0] != node}
        if not polled or not any("/" in what.place for what in whats if what.step == "delivered"):
            return Verdict("unknown", name, ("nobody read a partition",))
        odd = [row for row in odd if "/" in whats[ledger.what[row]].place and self._owns(ledger, row)]
        if not odd:
            return Verdict("ok", name)
        record = history.record_at(odd[0])
        line = f"{record.node} went back to offset {record.number} of {record.place} at {record.time:.3f} s"
        return _told(name, history, odd, line, "such step")

    @staticmethod
    def _owns(ledger: Ledger, row: int) -> bool:
        """Share groups own nothing, and promise no order."""
        return not ledger.history.parts.get(ledger.owners[ledger.what[row]], {}).get("share")


@dataclass(frozen=True)
class InCausalOrder:
    """Who handles an event and its cause handles the cause first, whichever topics they came through."""

    def judge(self, history: History) -> Verdict:
        """VIOLATED with the first event that was handled before its cause; unknown where no group handles both."""
        name = "causes are handled before what they have caused"
        ledger = Ledger(history)
        causes = Keys(history).causes
        odd: list[int] = []
        pairs = 0
        for groups in ledger.families().values():
            first = ledger.first(ledger.rows_of_all("handled", groups))
            about = np.flatnonzero((causes >= 0) & (first >= 0))
            before = first[causes[about]]
            both = before >= 0
            pairs += int(both.sum())
            odd += first[about[both & (before > first[about])]].tolist()
            never = self._never(ledger, groups, about[~both], causes)
            odd += first[never].tolist()
        if odd:
            record = history.record_at(min(odd))
            line = f"{record.node} handled {record.event_id} at {record.time:.3f} s, before what has caused it"
            return _told(name, history, sorted(odd), line, "such event")
        return Verdict("ok", name) if pairs else Verdict("unknown", name, ("no group handles an event and its cause",))

    @staticmethod
    def _never(ledger: Ledger, groups: list[str], about: Whole, causes: Whole) -> Whole:
        """Of these events those whose cause was for the same group, and waits."""
        waiting = np.zeros(ledger.history.event_count, dtype=bool)
        for group in groups:
            waiting |= fates(ledger, group).fate == Fate.WAITING
        return about[waiting[causes[about]]]


@dataclass(frozen=True)
class Converges:
    """Two read models say the same in the end: for each key the last note of both effects is equal."""

    one: str
    other: str
    field: str = "value"

    def judge(self, history: History) -> Verdict:
        """VIOLATED with the first key about which they differ."""
        name = f"«{self.one}» and «{self.other}» agree in the end"
        last = self._last(history)
        if not last[self.one] or not last[self.other]:
            missing = self.one if not last[self.one] else self.other
            return Verdict("unknown", name, (f"«{missing}» never happened",))
        keys = dict.fromkeys([*last[self.one], *last[self.other]])
        differ = [key for key in keys if last[self.one].get(key, (None,))[0] != last[self.other].get(key, (None,))[0]]
        if not differ:
            return Verdict("ok", name)
        busy = busy_keys(history)
        wrong = [key for key in differ if key not in busy]
        if not wrong:
            return Verdict("unknown", name, (f"{len(differ)} keys were still under way when the run stopped",))
        told = [f"«{effect}» says {self._said(last[effect], wrong[0])}" for effect in (self.one, self.other)]
        rows = [last[effect][wrong[0]][1] for effect in (self.one, self.other) if wrong[0] in last[effect]]
        line = f"{wrong[0]}: {', '.join(told)}"
        return Verdict(
            "VIOLATED", name, (line, *others(len(wrong) - 1, "such key")), wrong[0], (),
            (float(history.time[max(rows)]),),
        )  # fmt: skip

    @staticmethod
    def _said(known: dict[str, tuple[Any, int]], key: str) -> str:
        return f"{known[key][0]!r}" if key in known else "nothing"

    def _last(self, history: History) -> dict[str, dict[str, tuple[Any, int]]]:
        ledger, keys = Ledger(history), Keys(history)
        found: dict[str, dict[str, tuple[Any, int]]] = {self.one: {}, self.other: {}}
        for row in ledger.rows("effect").tolist():
            place = ledger.places[ledger.what[row]]
            if place in found:
                note = history.notes[int(ledger.number[row])] if ledger.number[row] >= 0 else {}
                key = str(note["key"]) if "key" in note else keys.text(int(keys.labels[ledger.event[row]]))
                found[place][key] = (note.get(self.field), row)
        return found


@dataclass(frozen=True)
class SchemaReadable:
    """Nobody is given a version of a schema that it does not understand."""

    def judge(self, history: History) -> Verdict:
        """VIOLATED with the first such delivery; unknown where no consumer says which ``versions`` it knows."""
        name = "everybody understands what it gets"
        ledger = Ledger(history)
        known = {part: set(each["versions"]) for part, each in history.parts.items() if each.get("versions")}
        odd: list[int] = []
        met = 0
        versions = np.array([template.version for template in history.templates], dtype=np.int64)
        for group, understood in known.items():
            rows = ledger.rows("delivered", group=group)
            rows = rows[ledger.event[rows] >= 0]
            met += len(rows)
            version = versions[history.table["template"][ledger.event[rows]]] if len(rows) else rows
            odd += rows[~np.isin(version, sorted(understood))].tolist()
        if not met:
            return Verdict("unknown", name, ("no consumer that says which versions it knows was given anything",))
        if not odd:
            return Verdict("ok", name)
        record = history.record_at(min(odd))
        event = history.event_at(int(history.event[min(odd)]))
        line = f"{record.node} was given version {event.version} of {event.type} ({event.id}) at {record.time:.3f} s"
        return _told(name, history, sorted(odd), line, "such delivery")


# -------------------------------------------------------------------- what users write


def no_lost_writes() -> NoLostWrites:
    """What was confirmed to a publisher is not lost."""
    return NoLostWrites()


def no_duplicates() -> NoDuplicates:
    """No group handles an event twice."""
    return NoDuplicates()


def nothing_unexpected() -> NothingUnexpected:
    """Nobody gets what nobody has published."""
    return NothingUnexpected()


def monotonic_polls() -> MonotonicPolls:
    """A member that owns a partition never goes back in it."""
    return MonotonicPolls()


def in_causal_order() -> InCausalOrder:
    """A group handles causes before what they have caused, across topics too."""
    return InCausalOrder()


def converges(one: str, other: str, field: str = "value") -> Converges:
    """The last notes of two effects agree for each key: read models that tell the same in the end."""
    return Converges(one, other, field)


def schema_readable() -> SchemaReadable:
    """No consumer is given a version that it does not name among its ``versions``."""
    return SchemaReadable()
