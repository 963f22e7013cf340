"""Faults that cannot be as they are planned: one that strikes what is down already, or after the end of the run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from evsim.sim.faults import Crash, Fault, Pause


def overlaps(parts: Iterable[Any]) -> Iterator[tuple[int, str]]:
    """Each crash or pause of a part that is down or paused at that moment, by its place in the list, and a sentence."""
    timed = [(place, part) for place, part in enumerate(parts) if isinstance(part, (Crash, Pause)) and _span(part)]
    timed.sort(key=lambda found: (_span(found[1]) or (0.0, 0.0))[0])
    busy: dict[str, Crash | Pause] = {}
    for place, fault in timed:
        before, begins = busy.get(fault.part), fault.at_s
        if before is not None and begins is not None and begins < _end(before):
            yield place, _sentence(fault, before)
        if before is None or _end(fault) > _end(before):
            busy[fault.part] = fault


def _span(fault: Crash | Pause) -> tuple[float, float] | None:
    """From when to when it lasts, if that is known before the run."""
    if fault.at_s is None:
        return None
    lasts_s = fault.for_s if isinstance(fault, Pause) else fault.down_s
    return fault.at_s, fault.at_s + (math.inf if lasts_s is None else lasts_s)


def _end(fault: Crash | Pause) -> float:
    span = _span(fault)
    return math.inf if span is None else span[1]


def _sentence(fault: Crash | Pause, before: Crash | Pause) -> str:
    state = "paused" if isinstance(before, Pause) else "down"
    end = _end(before)
    if end == math.inf:
        return f"{fault!r}: {fault.part!r} never comes back after {before!r}; give that one a down_s, or leave this out"
    return (
        f"{fault!r}: {fault.part!r} is {state} until {end:g} s already ({before!r}); let it strike at {end:g} or later"
    )


def too_late(parts: Iterable[Any], until_s: float) -> Iterator[str]:
    """Each fault that would begin after the end of a run, a sentence each."""
    for part in parts:
        at_s = getattr(part, "at_s", None) if isinstance(part, Fault) else None
        if at_s is not None and at_s > until_s:
            late = f"{part!r} would begin at {at_s:g} s, but the run ends at {until_s:g} s"
            yield f"{late}; run longer, or let it begin earlier"
