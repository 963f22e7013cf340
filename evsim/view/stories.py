"""All or nothing: a story that began ends with all of its effects, or with each of them undone again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from evsim.errors import BadScenario, shown
from evsim.history import History
from evsim.view.effects import labels_of
from evsim.view.keys import Keys
from evsim.view.ledger import Ledger, Whole, is_partition
from evsim.view.promises import busy_keys
from evsim.view.sagas import waiting_keys
from evsim.view.verdict import Verdict, joined, others


@dataclass(frozen=True)
class AllOrNothing:
    """Each story that began ends with all of its steps done equally often, or with each that was done undone again.

    A step is an effect, or the publishing of an event of this type; one event counts once, however often it is sent.
    """

    do: tuple[str, ...]
    undo: Mapping[str, str] = field(default_factory=dict)

    def judge(self, history: History) -> Verdict:
        """VIOLATED with the first story that stopped half way, when nothing of it is under way any more."""
        name = f"{joined(f'«{each}»' for each in self.do)}: all, or nothing"
        ledger, keys = Ledger(history), Keys(history)
        found = {each: _steps(ledger, keys, each) for each in (*self.do, *self.undo.values())}
        labels = np.unique(np.concatenate([labels for _, labels in found.values()]))
        if not len(labels):
            return Verdict("unknown", name, ("none of it ever happened",))
        counts = {each: np.bincount(np.searchsorted(labels, mine), minlength=len(labels))
                  for each, (_, mine) in found.items()}  # fmt: skip
        net = np.stack([counts[e] - (counts[self.undo[e]] if e in self.undo else 0) for e in self.do])
        half = np.flatnonzero((net < 0).any(axis=0) | (net.min(axis=0) != net.max(axis=0)))
        busy = busy_keys(history) | _in_hand(ledger, keys) | waiting_keys(history)
        wrong = [spot for spot in half.tolist() if keys.text(int(labels[spot])) not in busy]
        waits = len(half) - len(wrong)
        if not wrong:
            more = (f"{waits} were still under way when the run stopped",) if waits else ()
            return Verdict("ok" if len(labels) > waits else "unknown", name, more)
        last = np.zeros(len(labels))
        for rows, mine in found.values():
            np.maximum.at(last, np.searchsorted(labels, mine), ledger.time[rows])
        spot = min(wrong, key=lambda each: (float(sum(c[each] for c in counts.values())), float(last[each])))
        told = joined(f"«{each}» {int(count[spot])} ×" for each, count in counts.items())
        key = keys.text(int(labels[spot]))
        line = f"{key}: {told}, and nothing more to come"
        return Verdict("VIOLATED", name, (line, *others(len(wrong) - 1, "such case")), key, (), (float(last[spot]),))


def _in_hand(ledger: Ledger, keys: Keys) -> set[str]:
    """Keys of events that were delivered from a partition and lie beyond what their group has acknowledged there."""
    found: set[int] = set()
    places = [place for place in dict.fromkeys(ledger.places) if is_partition(place)]
    for group in ledger.each(None):
        mine, done = ledger.wanted("delivered", group=group), ledger.wanted("acked", group=group)
        for place in places:
            here = np.array([each == place for each in ledger.places], dtype=bool)
            met, acked = ledger.rows_of(mine & here), ledger.number[ledger.rows_of(done & here)]
            open_ = met[ledger.number[met] > acked.max(initial=-1)]
            found.update(keys.labels[ledger.event[open_]].tolist())
    return {keys.text(label) for label in found}


def _steps(ledger: Ledger, keys: Keys, name: str) -> tuple[Whole, Whole]:
    """The rows of an effect, or of the first publishing of each event of a type; and the key that each is about."""
    history = ledger.history
    of_type = np.array([each.type == name for each in history.templates], dtype=bool)
    if of_type.any():
        first = ledger.first(ledger.rows("published"))
        events = np.flatnonzero(of_type[history.table["template"]] & (first >= 0))
        return first[events], keys.labels[events]
    codes = np.array([what.step == "effect" and what.place == name for what in history.whats], dtype=bool)
    return labels_of(ledger, keys, ledger.rows_of(codes))


# -------------------------------------------------------------------- what users write


def all_or_nothing(do: Sequence[str], undo: Mapping[str, str] | None = None) -> AllOrNothing:
    """Each story ends all done, or all undone: ``all_or_nothing(("paid", "reserved"), undo={"paid": "refunded"})``."""
    if isinstance(do, str) or not do:
        raise BadScenario(f'all_or_nothing was given {shown(do)}; expected effects such as ("paid", "reserved")')
    for each in (*do, *(undo or {}).values()):
        _name(each, "all_or_nothing")
    for each in undo or {}:
        if each not in do:
            raise BadScenario(f"undo={shown(each)} undoes nothing that is done; expected one of {joined(do)}")
    return AllOrNothing(tuple(do), dict(undo or {}))


def _name(effect: object, promise: str) -> None:
    if not isinstance(effect, str) or not effect:
        raise BadScenario(f"{promise} was given {shown(effect)}; expected the name of an effect, such as 'paid'")
