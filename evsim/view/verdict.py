"""A verdict, and the words in which its witness speaks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evsim.view.fates import Fate
from evsim.view.ledger import Ledger

State = Literal["ok", "VIOLATED", "unknown"]
_INDENT = 10


@dataclass(frozen=True)
class Verdict:
    """Whether a promise was kept: ``ok``, ``VIOLATED`` with the smallest witness, or ``unknown`` with the reason.

    ``key``, ``event_ids`` and ``times`` say what the witness is about; ``look`` is what to type to see more.
    """

    state: State
    promise: str
    lines: tuple[str, ...] = ()
    key: str | None = None
    event_ids: tuple[str, ...] = ()
    times: tuple[float, ...] = ()

    @property
    def look(self) -> str | None:
        """What shows the whole story of the witness."""
        name = self.key or (self.event_ids[0] if self.event_ids else None)
        return None if name is None else f'run.story("{name}")'

    def __str__(self) -> str:
        return "\n".join([f"{self.state:<{_INDENT}}{self.promise}", *(f"{'':<{_INDENT}}{line}" for line in self.lines)])

    __repr__ = __str__


def times_told(times: Sequence[float]) -> str:
    """Some moments: ``1.475 s and 6.477 s``."""
    told = [f"{time:.3f} s" for time in times]
    if len(told) > 4:
        told = [*told[:3], f"… {told[-1]}"]
    return joined(told)


def joined(words: Iterable[str], last: str = "and") -> str:
    """Words as a list in a sentence."""
    *most, end = words
    return f"{', '.join(most)} {last} {end}" if most else end


def often(count: int) -> str:
    """How often, in words."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def others(count: int, noun: str) -> tuple[str, ...]:
    """A line that says how many more there are like the witness."""
    return (f"and {count} more {noun}{'s' if count > 1 else ''}",) if count > 0 else ()


def under_way(count: int) -> tuple[str, ...]:
    """A line that says how many could not be judged yet."""
    return (f"{count} {'was' if count == 1 else 'were'} still under way when the run stopped",) if count else ()


def fate_told(ledger: Ledger, group: str, fate: Fate, row: int) -> str:
    """What became of an event, and why, as far as the history shows it: ``expired at 3.000 s, before …``."""
    what, time = ledger.history.whats[ledger.what[row]], f"{ledger.time[row]:.3f} s"
    if fate == Fate.DROPPED and what.step in _NEVER_SENT:
        return _NEVER_SENT[what.step].format(node=what.node, place=what.place, time=time)
    if fate in _ENDS:
        return _ENDS[fate].format(node=what.node, place=what.place, time=time)
    if fate == Fate.DROPPED:
        where = f"on the way {what.node}" if ">" in what.node else f"at {what.node}, which was down,"
        return f"lost {where} at {time}"
    if fate == Fate.EXPIRED:
        return f"deleted by retention at {time}, before {group} had read it"
    if fate == Fate.PASSED:
        crash = _crash(ledger, what.node, row)
        seen = "acknowledged" if what.step == "acked" else "passed over"
        return f"{seen} by {what.node} at {time} and never handled{crash}"
    words = {
        Fate.HANDLED: "handled by {node} at {time}",
        Fate.SKIPPED: "skipped by {node} at {time}",
        Fate.SUPERSEDED: "removed by compaction at {time}: a later event had its key",
        Fate.ASIDE: "put aside in {place} by {node} at {time}",
        Fate.FAILED: "failed for {node} at {time}",
    }
    return words[fate].format(node=what.node, place=what.place, time=time)


_NEVER_SENT = {
    "unroutable": "unroutable: no queue was bound for it at {node}, at {time}",
    "given_up": "given up by {node} at {time}: {place} had not confirmed it in time",
    "shed": "never sent by {node}, at {time}: too much was waiting",
}
_ENDS = {
    Fate.OVERFLOWED: "dropped by {place} at {time}, for it was full",
    Fate.EXHAUSTED: "given up by {place} at {time}, for it had been delivered too often",
    Fate.GONE: "lost by {node} itself at {time}",
    Fate.MISSED: "missed by {node} at {time}: it was not listening",
    Fate.SHED: "dropped by {node} at {time}, for it had waited too long",
}


def _crash(ledger: Ledger, node: str, row: int) -> str:
    """The crash that explains a loss: the first of this node after the row, else the last before it."""
    crashes = ledger.rows("crashed", node=node)
    if not len(crashes):
        return ""
    spot = min(int(np.searchsorted(crashes, row)), len(crashes) - 1)
    return f": {node} crashed at {ledger.time[crashes[spot]]:.3f} s"
