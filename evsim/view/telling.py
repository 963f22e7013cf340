"""The story of a few events in at most six numbered steps, and its point in one sentence."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evsim.history import History, Record, part_of
from evsim.view.ledger import Ledger, holds
from evsim.view.series import repeated
from evsim.view.words import claim_of, si, times

STEPS_MAX = 6
_BEFELL = {"crashed", "restarted", "paused", "resumed", "assigned", "expelled"}


class Step(NamedTuple):
    """A numbered moment of the story."""

    time: float
    lane: str
    text: str


def most_telling(history: History) -> int | None:
    """The event to look at when none is named: handled twice, delivered twice, lost, failed, or the slowest."""
    for steps in (("handled",), ("delivered", "skipped")):
        rows = repeated(history, *steps)
        if len(rows):
            return int(history.event[rows[0]])
    ledger = Ledger(history)
    for step in ("dropped", "dead_lettered", "failed", "expired"):
        about = history.event[ledger.rows(step)]
        if len(about[about >= 0]):
            return int(about[about >= 0][0])
    return _slowest(history, ledger)


def _slowest(history: History, ledger: Ledger) -> int | None:
    """The event that took longest from its publishing to its handling; the first where none was handled."""
    if not history.event_count:
        return None
    sent, done = ledger.first(ledger.rows("published")), ledger.first(ledger.rows("handled"))
    both = np.flatnonzero((sent >= 0) & (done >= 0))
    return int(both[np.argmax(history.time[done[both]] - history.time[sent[both]])]) if len(both) else 0


class Telling:
    """What happened to the events in focus, in order of time, with what befell those who had them in hand."""

    def __init__(self, history: History, focus: list[int]) -> None:
        self.history, self.focus = history, focus
        rows = np.flatnonzero(np.isin(history.event, focus))
        self.records = [history.record_at(row) for row in rows.tolist()]
        self._seen: dict[tuple[str | None, str, str], int] = {}
        self._many = len(focus) > 1
        told = [(self._step(record), record) for record in (history.record_at(row) for row in self._rows(rows))]
        self._found = [(weight, number, Step(record.time, lane, text))
                       for number, ((weight, lane, text), record) in enumerate(told) if text]  # fmt: skip

    def _rows(self, rows: np.ndarray) -> list[int]:
        """The rows of the focus, and between them those of what befell the nodes and partitions that had it."""
        if not len(rows):
            return []
        nodes, places = {r.node for r in self.records}, {r.place for r in self.records if r.step == "delivered"}
        befell = [
            code
            for code, what in enumerate(self.history.whats)
            if what.step in _BEFELL and (what.place in places if what.step == "assigned" else what.node in nodes)
        ]
        between = np.arange(rows[0], rows[-1] + 1)
        return np.union1d(rows, between[np.isin(self.history.what[between], befell)]).tolist()

    @property
    def steps(self) -> list[Step]:
        """At most six: the least important are left out."""
        chosen = sorted(self._found, key=lambda found: found[:2])[:STEPS_MAX]
        return [step for _, _, step in sorted(chosen, key=lambda found: found[1])]

    def _step(self, record: Record) -> tuple[int, str, str]:
        """How important a record is (0 most), its lane, and what it says; no text for what the picture shows alone."""
        group = part_of(record.node)
        count = self._seen[record.event_id, record.step, group] = (
            self._seen.get((record.event_id, record.step, group), 0) + 1
        )
        about = f" {record.event_id}" if self._many and record.event_id else ""
        again = count > 1
        match record.step:
            case "published":
                return 2, record.node, f"{record.node} publishes{about or ' it'}"
            case "stored":
                return (1, record.place, f"stored a second time in {record.place}") if again else (
                    5, record.place, f"{record.place} stores{about or ' it'}")  # fmt: skip
            case "delivered" if holds(self.history, record.place):
                text = (
                    f"{record.node} gets{about or ' it'} again"
                    if again
                    else f"{record.node} starts {'on' + about if about else 'the work'}"
                )
                return (1 if again else 3), record.node, text
            case "skipped":
                if again or self._seen.get((record.event_id, "delivered", group)):
                    return 1, record.node, f"{record.node} knows{about or ' it'} and skips it"
                return 7, record.node, f"{record.node} has nothing to do{f' for{about}' if about else ''}"
            case "handled":
                return (1, record.node, f"{record.node} has done it again") if again else (
                    4, record.node, f"{record.node} has done the work{about}")  # fmt: skip
            case "failed":
                return 1, record.node, f"{record.node} fails{about}"
            case "effect":
                return (0 if again else 2), record.node, f"{record.place}{', ' + times(count) if again else ''}"
            case "acked":
                return 5, record.node, f"acknowledged by {record.node}{about}"
            case "dead_lettered":
                return 0, record.node, f"{record.node} puts{about or ' it'} aside in {record.place}"
            case "dropped":
                return 0, record.node.partition(">")[0], f"lost on {record.node}"
            case "crashed":
                return 1, record.node, f"{record.node} crashes"
            case "paused":
                return 1, record.node, f"{record.node} freezes"
            case "restarted" | "resumed":
                return 4, record.node, f"{record.node} {'is back' if record.step == 'restarted' else 'goes on'}"
            case "expelled":
                return 3, record.node, f"the group gives {record.node} up"
            case "assigned":
                return (3 if again else 6), record.node, f"{record.place} goes to {record.node}"
            case "conflicted":
                return 1, record.place, f"{record.place} meets a conflict"
            case "lost" if ":" in record.place:
                return 0, record.node, f"{record.node} loses {record.event_id}"
            case "refused":
                return 0, record.node, f"{record.node} is not available"
            case "called":
                return 4, record.node, f"{record.node} is asked by {record.place}"
            case "answered":
                return 3, record.node, f"{record.node} answers {record.place}"
        return 9, record.node, ""

    # ---------------------------------------------------------------- the point

    def claim(self, name: str) -> str:
        """The point of the story in one sentence."""
        steps = [record.step for record in self.records]
        if "effect" in steps and (sentence := self._effects(name)):
            return sentence
        for step, verb in (("handled", "handled"), ("delivered", "delivered")):
            if sentence := self._repeated(name, step, verb):
                return sentence
        if "dead_lettered" in steps:
            return f"{name} was put aside after {times(steps.count('failed') or 1)} in hand"
        if "dropped" in steps and "handled" not in steps:
            return claim_of(f"{name} was lost on its way: {self._node('dropped')}", f"{name} was lost on its way")
        if "refused" in steps:
            return f"{name} failed: {self._node('refused')} was not available"
        if "handled" not in steps:
            return f"{name} was not handled in this run"
        if self._many:
            return f"{name}: {len(self.focus)} events in {si(self.took_s, 's')}, from first published to last handled"
        return f"{name} was handled {si(self.took_s, 's')} after it was published"

    def _effects(self, name: str) -> str | None:
        places = [record.place for record in self.records if record.step == "effect"]
        most = max(places, key=places.count)
        return f"{name}: {most} {times(places.count(most))}" if places.count(most) > 1 else None

    def _repeated(self, name: str, step: str, verb: str) -> str | None:
        met = [(r.event_id, part_of(r.node)) for r in self.records if r.step == step]
        if len(met) == len(set(met)):
            return None
        event, group = max(met, key=met.count)
        first, second = [r for r in self.records if r.step == step and (r.event_id, part_of(r.node)) == (event, group)][
            :2
        ]
        crash = self.history.of("crashed", from_s=first.time, to_s=second.time + 1e-9)
        head = f"{name} was {verb} {times(met.count((event, group)))}"
        if any(record.node == first.node for record in crash):
            acted = "before it was done" if step == "delivered" else "before it was acknowledged"
            return claim_of(f"{head}: {first.node} crashed {acted}", f"{head}, for {first.node} crashed", head)
        return claim_of(
            f"{head}: by {first.node}, then by {second.node}" if first.node != second.node else f"{head} by {group}",
            head,
        )

    def _node(self, step: str) -> str:
        return next(record.node for record in self.records if record.step == step)

    @property
    def took_s(self) -> float | None:
        """From the first publishing to the last handling."""
        sent = [record.time for record in self.records if record.step == "published"]
        done = [record.time for record in self.records if record.step == "handled"]
        return max(done) - min(sent) if sent and done else None

    def counted(self, *steps: str) -> int:
        """How many rows of the focus have one of these steps."""
        return sum(record.step in steps for record in self.records)
