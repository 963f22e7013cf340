"""What went wrong in a run, read from the rows that the faults left: for ribbons and for shading."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from evsim.history import History, part_of
from evsim.view.words import grouped, si

ROWS_MAX = 6
_BEGIN = {
    "crashed": ("restarted", "down", "fault"),
    "paused": ("resumed", "paused", "again"),
    "cut": ("healed", "cut", "fault"),
    "filled": ("healed", "full", "fault"),
    "slowed": ("healed", "slow", "again"),
    "skewed": ("healed", "skewed", "again"),
    "misversioned": ("healed", "misversioned", "again"),
}
_ENDS = {end for end, _, _ in _BEGIN.values()}
_MOMENTS = {"dropped": ("lost", "fault"), "duplicated": ("doubled", "again"), "delayed": ("held up", "again")}


class Fault(NamedTuple):
    """A fault with its name, from when to when, and the colour role that it has; or single moments."""

    name: str
    start_s: float
    end_s: float
    role: str
    moments: tuple[float, ...] = ()

    def __str__(self) -> str:
        if self.moments:
            return self.name
        return f"{self.name} {si(self.start_s, 's')} to {si(self.end_s, 's')}"


def faults_of(history: History, end_s: float) -> list[Fault]:
    """The faults of a run in order of their beginning; more than six are merged by what they were."""
    found = sorted(_of_parts(history, end_s), key=lambda fault: (fault.start_s, fault.name))
    lasting = found if len(found) <= ROWS_MAX - 2 else _merged(found)
    return [*lasting, *_moments(history)]


class Outage(NamedTuple):
    """One node (or link) that was out of order."""

    node: str
    step: str
    start_s: float
    end_s: float


def outages(history: History, end_s: float) -> list[Outage]:
    """When which node was down or paused, and which link was cut; what never ended lasts until ``end_s``."""
    since: dict[tuple[str, str], float] = {}
    found = []
    for record in history.of((*_BEGIN, *sorted(_ENDS))):
        if record.step in _BEGIN:
            since[record.node, record.step] = record.time
            continue
        open_ = (step for node, step in since if node == record.node and _BEGIN[step][0] == record.step)
        step = next(open_, None)
        if step is not None:
            found.append(Outage(record.node, step, since.pop((record.node, step)), record.time))
    return found + [Outage(node, step, start, end_s) for (node, step), start in since.items()]


def _of_parts(history: History, end_s: float) -> Iterable[Fault]:
    """One fault for all members of a part, and both ways of a link, that were hit at the same time."""
    alike: dict[tuple[str, str, float, float], list[str]] = {}
    for node, step, start_s, end in outages(history, end_s):
        alike.setdefault((_owner(node), step, start_s, end), []).append(node)
    for (owner, step, start_s, end), nodes in alike.items():
        _, word, role = _BEGIN[step]
        members = history.parts.get(owner, {}).get("members", 1)
        whole = "–" in owner or len(nodes) >= max(2, members)
        for name in [owner] if whole else nodes:
            yield Fault(f"{name} {word}", start_s, end, role)


def _owner(node: str) -> str:
    start, arrow, end = node.partition(">")
    return "–".join(sorted((part_of(start), part_of(end)))) if arrow else part_of(node)


def _merged(faults: list[Fault]) -> list[Fault]:
    kinds: dict[str, list[Fault]] = {}
    for fault in faults:
        kinds.setdefault(fault.name.rpartition(" ")[2], []).append(fault)
    return [
        Fault(f"{len(same)} × {word}", same[0].start_s, max(fault.end_s for fault in same), same[0].role)
        for word, same in kinds.items()
    ]


def _moments(history: History) -> Iterable[Fault]:
    """Single events that were lost, doubled or held up on their way."""
    for step, (word, role) in _MOMENTS.items():
        times = history.of(step).time
        if len(times):
            yield Fault(f"{grouped(len(times))} {word}", float(times[0]), float(times[-1]), role, tuple(times.tolist()))
