"""What went wrong in a run, read from the rows that the faults left: for ribbons and for shading."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from evsim.history import part_of

if TYPE_CHECKING:
    from evsim.history import History

ROWS_MAX = 6
_PAIRS = {"crashed": ("restarted", "down", "fault"), "paused": ("resumed", "paused", "again"), "cut": ("healed", "cut", "fault")}


class Fault(NamedTuple):
    """A fault with its name, from when to when, and the colour role that it has."""

    name: str
    start_s: float
    end_s: float
    role: str


def faults_of(history: History, end_s: float) -> list[Fault]:
    """The faults of a run in order of their beginning; more than six are merged by what they were."""
    found = sorted(_all(history, end_s), key=lambda fault: (fault.start_s, fault.name))
    found = list(dict.fromkeys(found))
    return found if len(found) <= ROWS_MAX else _merged(found)


def _all(history: History, end_s: float) -> Iterable[Fault]:
    open_since: dict[tuple[str, str], float] = {}
    ends = {end: (begin, word, role) for begin, (end, word, role) in _PAIRS.items()}
    for record in history.of((*_PAIRS, *ends)):
        if record.step in _PAIRS:
            open_since[record.node, record.step] = record.time
        else:
            begin, word, role = ends[record.step]
            start = open_since.pop((record.node, begin), None)
            if start is not None:
                yield Fault(f"{_owner(history, record.node)} {word}", start, record.time, role)
    for (node, begin), start in open_since.items():
        _, word, role = _PAIRS[begin]
        yield Fault(f"{_owner(history, node)} {word}", start, end_s, role)


def _owner(history: History, node: str) -> str:
    """The part, when all its members are hit alike the rows become one; a single member keeps its own name."""
    members = history.parts.get(part_of(node), {}).get("members", 1)
    crashes = history.of(("crashed", "paused"), node=part_of(node)) if node != part_of(node) else ()
    return part_of(node) if node != part_of(node) and len({r.node for r in crashes}) >= members else node


def _merged(faults: list[Fault]) -> list[Fault]:
    kinds: dict[str, list[Fault]] = {}
    for fault in faults:
        kinds.setdefault(fault.name.rpartition(" ")[2], []).append(fault)
    return [
        Fault(f"{len(same)} × {word}", same[0].start_s, max(fault.end_s for fault in same), same[0].role)
        for word, same in kinds.items()
    ]
