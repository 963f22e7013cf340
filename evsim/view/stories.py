"""All or nothing: a story that began ends with all of its effects, or with each of them undone again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from evsim.errors import BadScenario, shown
from evsim.history import History
from evsim.view.effects import labels_of
from evsim.view.keys import Keys
from evsim.view.ledger import Ledger, Whole
from evsim.view.promises import busy_keys
from evsim.view.verdict import Verdict, joined, others


@dataclass(frozen=True)
class AllOrNothing:
    """Each story that began ends with all of its effects done, or with each that was done undone again."""

    do: tuple[str, ...]
    undo: Mapping[str, str] = field(default_factory=dict)

    def judge(self, history: History) -> Verdict:
        """VIOLATED with the first story that stopped half way, when nothing of it is under way any more."""
        name = f"{joined(f'«{each}»' for each in self.do)}: all, or nothing"
        ledger, keys = Ledger(history), Keys(history)
        found = {each: _effects(ledger, keys, each) for each in (*self.do, *self.undo.values())}
        labels = np.unique(np.concatenate([labels for _, labels in found.values()]))
        if not len(labels):
            return Verdict("unknown", name, ("none of it ever happened",))
        counts = {each: np.bincount(np.searchsorted(labels, mine), minlength=len(labels))
                  for each, (_, mine) in found.items()}  # fmt: skip
        net = np.stack([counts[e] - (counts[self.undo[e]] if e in self.undo else 0) for e in self.do])
        half = np.flatnonzero(~((net >= 1).all(axis=0) | (net == 0).all(axis=0)))
        busy = busy_keys(history)
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
        return Verdict("VIOLATED", name, (line, *others(len(wrong) - 1, "such story")), key, (), (float(last[spot]),))


def _effects(ledger: Ledger, keys: Keys, effect: str) -> tuple[Whole, Whole]:
    """The rows of an effect, and the label of the key that each is about."""
    codes = np.array([what.step == "effect" and what.place == effect for what in ledger.history.whats], dtype=bool)
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
