"""Who owned which partition, and when nobody did."""

from __future__ import annotations

from typing import NamedTuple

from evsim.history import History
from evsim.view.faults import outages
from evsim.view.ledger import Ledger


class Owning(NamedTuple):
    """A member's time with a partition."""

    member: str
    place: str
    start_s: float
    end_s: float


_CHANGES = ("assigned", "revoked", "joined", "left", "expelled")


def ownings(history: History, group: str, end_s: float) -> list[Owning]:
    """Every time that a member of this group owned a partition, in order of the beginning."""
    ledger = Ledger(history)
    held: dict[str, tuple[str, float]] = {}
    found: list[Owning] = []

    def release(place: str, time: float) -> None:
        member, start = held.pop(place)
        if time > start:
            found.append(Owning(member, place, start, time))

    for row in ledger.rows(*_CHANGES, group=group).tolist():
        time, step, member, place, *_ = history.record_at(row)
        if step == "assigned":
            if place in held and held[place][0] != member:
                release(place, time)
            held.setdefault(place, (member, time))
        elif step == "revoked":
            if held.get(place, ("",))[0] == member:
                release(place, time)
        else:
            for each in [each for each, (owner, _) in held.items() if owner == member]:
                release(each, time)
    for place in list(held):
        release(place, end_s)
    return sorted(found, key=lambda owning: (owning.start_s, owning.place))


def untended(history: History, group: str, end_s: float) -> list[tuple[str, float, float]]:
    """When a partition had no owner that could work: between two owners, and while its owner was down."""
    owned = ownings(history, group, end_s)
    down = [outage for outage in outages(history, end_s) if outage.step == "crashed"]
    found = []
    last: dict[str, float] = {}
    for member, place, start, end in owned:
        if place in last and start > last[place]:
            found.append((place, last[place], start))
        last[place] = end
        found += [
            (place, max(start, fault.start_s), min(end, fault.end_s))
            for fault in down
            if fault.node == member and fault.start_s < end and fault.end_s > start
        ]
    found += [(place, end, end_s) for place, end in last.items() if end < end_s]
    return _joined(sorted(found))


def _joined(gaps: list[tuple[str, float, float]]) -> list[tuple[str, float, float]]:
    """Gaps of one partition that meet are one."""
    found: list[tuple[str, float, float]] = []
    for place, start, end in gaps:
        if found and found[-1][0] == place and start <= found[-1][2]:
            found[-1] = (place, found[-1][1], max(end, found[-1][2]))
        else:
            found.append((place, start, end))
    return found


def rebalances(history: History, group: str) -> list[tuple[float, float]]:
    """When a group was sharing its partitions out anew: from the first member that gave up to the next assignment."""
    ledger = Ledger(history)
    found, since = [], None
    for row in ledger.rows("assigned", "revoked", "expelled", "left", group=group).tolist():
        time, step, *_ = history.record_at(row)
        if step != "assigned":
            since = time if since is None else since
        elif since is not None:
            found.append((since, time))
            since = None
    return [(start, end) for start, end in found if end > start]
