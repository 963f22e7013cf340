"""More promises: a system recovers, nothing gets stuck, money is conserved, one owner at a time, answers in time.

Each is a frozen value with ``judge(history)``, like those of ``evsim.view.checks``. Names of anomalies follow Jepsen's
where it has one (https://jepsen.io/analyses).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from evsim.errors import BadScenario, shown
from evsim.history import History
from evsim.view import measures
from evsim.view.fates import Fate, fates
from evsim.view.keys import Keys
from evsim.view.ledger import Flags, Ledger, Whole, is_partition, span
from evsim.view.verdict import Verdict, others
from evsim.view.words import si

_HEALS = ("restarted", "resumed", "healed")
_BREAKS = ("crashed", "paused", "cut", "slowed", "filled")


@dataclass(frozen=True)
class RecoversWithin:
    """So many seconds after the last fault has healed, everything published until then has been dealt with."""

    seconds: float

    def judge(self, history: History) -> Verdict:
        """VIOLATED with the oldest event that nobody has dealt with by then; unknown without a fault that healed."""
        name = f"everything is delivered within {si(self.seconds, 's')} after the last fault has healed"
        ledger = Ledger(history)
        heals, breaks = ledger.rows(*_HEALS), ledger.rows(*_BREAKS)
        if not len(heals):
            return Verdict("unknown", name, ("no fault healed in this run",))
        if len(breaks) and breaks[-1] > heals[-1]:
            return Verdict("unknown", name, ("the last fault had not healed when the run stopped",))
        healed_s = float(history.time[heals[-1]])
        due_s = healed_s + self.seconds
        late = list(_unsettled(ledger, published_s=healed_s, due_s=min(due_s, span(history)[1])))
        if late and due_s > span(history)[1]:
            return Verdict("unknown", name, (f"the run stopped before {due_s:.3f} s, when it is due",))
        if not late:
            return Verdict("ok", name)
        event, group, row = min(late, key=lambda each: each[2])
        key, id_ = Keys(history).text(int(Keys(history).labels[event])), history.id_of(event)
        line = f"{id_} ({key}), published at {history.time[row]:.3f} s: {group} had not dealt with it at {due_s:.3f} s"
        return Verdict("VIOLATED", name, (line, *others(len(late) - 1, "such event")), key, (id_,), (due_s,))


@dataclass(frozen=True)
class NothingStuck:
    """No event that can still be handled waits for longer than so many seconds."""

    seconds: float

    def judge(self, history: History) -> Verdict:
        """VIOLATED with the event that has waited longest, at the end of the run."""
        name = f"nothing is stuck for more than {si(self.seconds, 's')}"
        ledger, end_s = Ledger(history), span(history)[1]
        if not len(ledger.rows("published")):
            return Verdict("unknown", name, ("nothing was published",))
        if end_s < self.seconds:
            return Verdict("unknown", name, (f"the run lasted {end_s:.3f} s only",))
        stuck = list(_unsettled(ledger, published_s=end_s - self.seconds, due_s=end_s))
        if not stuck:
            return Verdict("ok", name)
        event, group, row = min(stuck, key=lambda each: each[2])
        key, id_ = Keys(history).text(int(Keys(history).labels[event])), history.id_of(event)
        line = f"{id_} ({key}), published at {history.time[row]:.3f} s, still waits for {group} at {end_s:.3f} s"
        return Verdict("VIOLATED", name, (line, *others(len(stuck) - 1, "such event")), key, (id_,), (end_s,))


def _unsettled(ledger: Ledger, published_s: float, due_s: float) -> list[tuple[int, str, int]]:
    """Events published until one time that a group had not dealt with at another: event, group, row it set out by.

    An event that was swallowed without a trace is among them; one that is known to be lost is not.
    """
    time, found = ledger.time, []
    for group in ledger.each(None):
        entered, fate = ledger.entered(group), fates(ledger, group)
        out = (entered >= 0) & (time[np.maximum(entered, 0)] <= published_s) & ~fate.lost
        settled = (fate.fate > Fate.WAITING) & (time[np.maximum(fate.row, 0)] <= due_s)
        found += [(event, group, int(entered[event])) for event in np.flatnonzero(out & ~settled).tolist()]
    return found


@dataclass(frozen=True)
class Conserves:
    """For each key, what was taken is what was given: the amounts of two effects are the same in sum."""

    taken: str
    given: str
    amount: str = "amount"

    def judge(self, history: History) -> Verdict:
        """VIOLATED with the first key whose sums differ, when nothing of it is under way any more."""
        name = f"«{self.taken}» and «{self.given}» are the same in sum for each key"
        sums, last = self._sums(history)
        if not sums:
            return Verdict("unknown", name, (f"neither «{self.taken}» nor «{self.given}» happened",))
        busy = busy_keys(history)
        wrong = [key for key, (taken, given) in sums.items() if abs(taken - given) > 1e-9 and key not in busy]
        if not wrong:
            waits = sum(abs(taken - given) > 1e-9 for taken, given in sums.values())
            more = (f"{waits} keys were still under way when the run stopped",) if waits else ()
            return Verdict("ok" if len(sums) > waits else "unknown", name, more)
        key = min(wrong, key=lambda each: last[each])
        taken, given = sums[key]
        line = f"{key}: {taken:g} taken, {given:g} given"
        return Verdict("VIOLATED", name, (line, *others(len(wrong) - 1, "such key")), key, (), (last[key],))

    def _sums(self, history: History) -> tuple[dict[str, tuple[float, float]], dict[str, float]]:
        keys, ledger = Keys(history), Ledger(history)
        sums: dict[str, tuple[float, float]] = {}
        last: dict[str, float] = {}
        for row in ledger.rows("effect").tolist():
            place = ledger.places[ledger.what[row]]
            if place not in {self.taken, self.given}:
                continue
            note = history.notes[int(ledger.number[row])] if ledger.number[row] >= 0 else {}
            key = str(note["key"]) if "key" in note else keys.text(int(keys.labels[ledger.event[row]]))
            amount = float(note.get(self.amount, 1.0))
            taken, given = sums.get(key, (0.0, 0.0))
            sums[key] = (taken + amount, given) if place == self.taken else (taken, given + amount)
            last[key] = float(history.time[row])
        return sums, last


def busy_keys(history: History) -> set[str]:
    """Keys of events that some group has not dealt with."""
    ledger, keys = Ledger(history), Keys(history)
    waiting = np.zeros(history.event_count, dtype=bool)
    for group in ledger.each(None):
        waiting |= fates(ledger, group).fate == Fate.WAITING
    return {keys.text(int(label)) for label in np.unique(keys.labels[waiting])}


@dataclass(frozen=True)
class OneOwner:
    """At no time do two members of a group own the same partition, as the group itself counts.

    A member that has crashed owns nothing more, unless it comes back and goes on with what it had.
    """

    def judge(self, history: History) -> Verdict:
        """VIOLATED with the first assignment of a partition that somebody else had not given up."""
        name = "each partition has one owner at a time"
        ledger = Ledger(history)
        owner: dict[tuple[str, str], str] = {}
        asleep: dict[tuple[str, str], tuple[str, int]] = {}
        rows = ledger.rows("assigned", "revoked", "expelled", "left", "joined", "crashed")
        if not len(ledger.rows("assigned")):
            return Verdict("unknown", name, ("no partition was ever assigned",))
        for row in rows.tolist():
            time, step, node, place, *_ = history.record_at(row)
            spot = (ledger.owners[ledger.what[row]], place)
            if step == "assigned":
                other = owner.get(spot, node)
                sleeper, since = asleep.pop(spot, (node, row))
                if sleeper != node and _works_at(ledger, sleeper, place, since, row):
                    other = sleeper
                if other != node:
                    line = f"{place} was given to {node} at {time:.3f} s, and {other} still had it"
                    return Verdict("VIOLATED", name, (line,), times=(time,))
                owner[spot] = node
            elif step == "revoked":
                if owner.get(spot) == node:
                    del owner[spot]
                if asleep.get(spot, ("", 0))[0] == node:
                    del asleep[spot]
            else:
                had = {each for each, who in owner.items() if who == node}
                owner = {each: who for each, who in owner.items() if who != node}
                if step == "crashed":
                    asleep |= dict.fromkeys(had, (node, row))
                else:
                    asleep = {each: who for each, who in asleep.items() if who[0] != node}
        return Verdict("ok", name)


def _works_at(ledger: Ledger, node: str, place: str, since: int, until: int) -> bool:
    """Whether a member has met an event of a partition between two rows."""
    here = np.array([what.node == node and what.place == place for what in ledger.history.whats], dtype=bool)
    met = ledger.rows_of(here & ledger.wanted("delivered", "skipped"))
    return bool(((met > since) & (met < until)).any())


@dataclass(frozen=True)
class NoPollSkip:
    """Each group meets the offsets of a partition one after the other: none is left out between two that it meets."""

    def judge(self, history: History) -> Verdict:
        """VIOLATED with the first gap (Jepsen: poll skip); what retention deleted, or nobody stored, is no gap."""
        name = "no offset is skipped"
        ledger = Ledger(history)
        judged = False
        for group in ledger.each(None):
            meets = ledger.wanted("delivered", "skipped", "expired", "compacted", group=group)
            for place in [place for place in dict.fromkeys(ledger.places) if is_partition(place)]:
                met = _rows_at(ledger, place, meets)
                if ledger.at_once(group) > 1:  # what lies beyond the position may still be in hand
                    done = ledger.number[_rows_at(ledger, place, ledger.wanted("acked", group=group))]
                    met = met[ledger.number[met] <= done.max(initial=-1)]
                judged = judged or len(met) > 1
                gap = _gap(ledger, place, ledger.number[met].astype(np.int64))
                if gap is not None:
                    before, after = gap
                    line = f"{group} met offset {after} of {place} and never {before}"
                    times = tuple(history.time[met[ledger.number[met] == after]][:1].tolist())
                    return Verdict("VIOLATED", name, (line,), times=times)
        return Verdict("ok" if judged else "unknown", name, () if judged else ("no group met two offsets",))


def _rows_at(ledger: Ledger, place: str, codes: Flags) -> Whole:
    return ledger.rows_of(codes & np.array([each == place for each in ledger.places], dtype=bool))


def _gap(ledger: Ledger, place: str, met: Whole) -> tuple[int, int] | None:
    """The first offset between two that were met, that was stored and not met; and the next one that was."""
    if not len(met):
        return None
    met = np.unique(met)
    stored = np.unique(ledger.number[_rows_at(ledger, place, ledger.wanted("stored"))].astype(np.int64))
    between = stored[(stored > met[0]) & (stored < met[-1])]
    missing = between[~np.isin(between, met)]
    if not len(missing):
        return None
    first = int(missing[0])
    return first, int(met[np.searchsorted(met, first)])


@dataclass(frozen=True)
class InTime:
    """A service level: this share of the events is handled within so many seconds after they were published."""

    seconds: float
    share: float = 0.99
    group: str | None = None

    def judge(self, history: History) -> Verdict:
        """VIOLATED with the share that was; what waits for longer than that at the end counts as late."""
        name = f"{100 * self.share:g} % are handled within {si(self.seconds, 's')}"
        waits = measures.latencies(history, self.group)
        late_now = sum(
            1
            for event, _, row in _unsettled(Ledger(history), span(history)[1] - self.seconds, span(history)[1])
            if event >= 0 and row >= 0
        )
        total = len(waits) + late_now
        if not total:
            return Verdict("unknown", name, ("nothing was handled",))
        kept = float((waits <= self.seconds).sum()) / total
        told = (f"{100 * kept:.2f} % of {total} were",)
        return Verdict("ok" if kept >= self.share else "VIOLATED", name, told if kept < self.share else ())


# -------------------------------------------------------------------- what users write


def recovers_within(seconds: float) -> RecoversWithin:
    """So many seconds after the last fault has healed, all that was published until then has been dealt with."""
    return RecoversWithin(_positive(seconds, "recovers_within"))


def nothing_stuck(seconds: float = 30.0) -> NothingStuck:
    """No event waits for longer than so many seconds."""
    return NothingStuck(_positive(seconds, "nothing_stuck"))


def conserves(taken: str, given: str, amount: str = "amount") -> Conserves:
    """The amounts (notes of the effects; 1 when there is none) of two effects are the same in sum for each key."""
    return Conserves(taken, given, amount)


def one_owner() -> OneOwner:
    """No partition is given to a member while another of its group has it."""
    return OneOwner()


def no_poll_skip() -> NoPollSkip:
    """No offset is left out between two that a group meets."""
    return NoPollSkip()


def in_time(seconds: float, share: float = 0.99, group: str | None = None) -> InTime:
    """This share of the events is handled within so many seconds."""
    if not 0 < share <= 1:
        raise BadScenario(f"in_time was given share={shown(share)}; expected a share such as 0.99")
    return InTime(_positive(seconds, "in_time"), share, group)


def _positive(seconds: Any, promise: str) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < float("inf"):
        raise BadScenario(f"{promise} was given {shown(seconds)}; expected a number of seconds above 0, such as 30")
    return float(seconds)
