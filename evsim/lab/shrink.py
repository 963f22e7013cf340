"""Make a schedule that breaks a promise smaller, step by step, as long as the promise stays broken."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evsim.errors import EvsimError
from evsim.lab.schedules import Case
from evsim.laws import Constant
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash, Fault
from evsim.sim.network import Link, part_of_known
from evsim.sim.publisher import Publisher

if TYPE_CHECKING:
    from evsim.lab.run import Run
    from evsim.lab.scenario import Scenario

Broken = Callable[["Run"], Any]
"""Gives the verdict of a run when the promise is broken in it, else None."""

_STEPS = ("handled", "saved", "sent", "delivered", "acked")
_FEW = (1, 2, 3, 5, 8, 13, 21, 34)
_PLAIN = {"down_s": (1.0, 5.0), "for_s": (1.0, 5.0, 60.0), "share": (1.0,), "nth": (1, 2, 3, 4, 5)}


def shrunk(case: Case, run: Run, broken: Broken, keep: Scenario, budget: int) -> tuple[Case, Run, int]:
    """The smallest case that was found in ``budget`` runs, its run, and how many runs it took.

    What ``keep`` holds of faults is the user's own and stays.
    """
    spent, again = 0, True
    while again and spent < budget:
        again = False
        for candidate in _simpler(case, run, broken(run), keep):
            if spent >= budget:
                break
            spent += 1
            smaller = _try(candidate, broken)
            if smaller is not None and not _slipped(case, candidate, broken, keep):
                case, run, again = candidate, smaller, True
                break
    return case, run, spent


def _try(case: Case, broken: Broken) -> Run | None:
    """The run of a case in which the promise is broken, or None."""
    try:
        if case.scenario.problems():
            return None
        run = case.run()
        return run if broken(run) is not None else None
    except EvsimError:
        return None


def _slipped(case: Case, candidate: Case, broken: Broken, keep: Scenario) -> bool:
    """Whether the promise is broken only since somebody is left out who had a share in keeping it."""
    before, after = _handlers(case), _handlers(candidate)
    if after == before:
        return False
    faults = _added(candidate, keep)
    return not faults or _try(replace(candidate, scenario=candidate.scenario.without(*faults)), broken) is not None


def _handlers(case: Case) -> int:
    return sum(isinstance(part, Consumer) and part.on is not None for part in case.scenario.parts)


def _simpler(case: Case, run: Run, verdict: Any, keep: Scenario) -> Iterator[Case]:
    """Cases that are simpler by one thing; what saves most comes first."""
    yield from _fewer_faults(case, keep)
    yield from _crashes_at_a_step(case, keep)
    yield from _shorter(case, verdict)
    yield from _fewer_events(case, run)
    yield from _fewer_parts(case)
    yield from _plainer_faults(case, keep)
    yield from _plainer_chance(case)


def _fewer_faults(case: Case, keep: Scenario) -> Iterator[Case]:
    for fault in _added(case, keep):
        yield replace(case, scenario=case.scenario.without(fault))


def _crashes_at_a_step(case: Case, keep: Scenario) -> Iterator[Case]:
    """A crash after a step of the first deliveries says more than one at a time, and needs fewer events before it."""
    for fault in _added(case, keep):
        owner = fault.part if isinstance(fault, Crash) else None
        part = case.scenario.named.get(part_of_known(owner, case.scenario.named)) if owner else None
        if getattr(fault, "at_s", None) is None or not isinstance(part, Consumer):
            continue
        for nth in (1, 2):
            for step in _STEPS:
                yield _with(case, fault, part=part.name, at_s=None, after=step, nth=nth)


def _shorter(case: Case, verdict: Any) -> Iterator[Case]:
    """End soon after the last moment of which the witness speaks."""
    last = max(verdict.times, default=case.until_s)
    for until_s in (math.ceil(last + 0.001), math.ceil(last + 1) + 5, math.ceil(2 * last) + 1):
        if until_s < 0.9 * case.until_s:
            yield replace(case, until_s=float(until_s))


def _fewer_events(case: Case, run: Run) -> Iterator[Case]:
    scenario = case.scenario
    publishers = [part for part in scenario.parts if isinstance(part, Publisher)]
    for part in publishers if len(publishers) > 1 else ():
        yield replace(case, scenario=scenario.without(part.name))
    for part in publishers:
        published = len(run.history.of("published", node=part.name)) if _ever(run, part.name) else 0
        most = min(part.count or published, published)
        for n in (few for few in _FEW if few < most):
            yield replace(case, scenario=scenario.replace(part.name, count=n))
        if part.count is None and most:
            yield replace(case, scenario=scenario.replace(part.name, count=most))
        if part.count is not None and 1 < most <= part.count:
            yield replace(case, scenario=scenario.replace(part.name, count=most - 1))


def _ever(run: Run, node: str) -> bool:
    return any(what.step == "published" and what.node == node for what in run.history.whats)


def _fewer_parts(case: Case) -> Iterator[Case]:
    scenario = case.scenario
    for part in scenario.parts:
        if isinstance(part, Consumer) and len([p for p in scenario.parts if isinstance(p, Consumer)]) > 1:
            yield replace(case, scenario=scenario.without(part.name))
        if isinstance(part, Consumer) and part.members > 1:
            yield from (
                replace(case, scenario=scenario.replace(part.name, members=n)) for n in (1, 2) if n < part.members
            )
        if isinstance(part, Log) and part.partitions > 1:
            yield from (
                replace(case, scenario=scenario.replace(part.name, partitions=n)) for n in (1, 2) if n < part.partitions
            )
        if isinstance(part, Link):
            yield replace(case, scenario=scenario.without(part))


def _plainer_faults(case: Case, keep: Scenario) -> Iterator[Case]:
    for fault in _added(case, keep):
        for field, values in _PLAIN.items():
            given = getattr(fault, field, None)
            for value in values:
                if given is not None and _size(field, value) < _size(field, given):
                    yield _with(case, fault, **{field: value})
        at_s = getattr(fault, "at_s", None)
        if at_s:
            for plainer in (float(math.floor(at_s / 4)), float(math.floor(at_s / 2)), float(math.floor(at_s))):
                if plainer != at_s:
                    yield _with(case, fault, at_s=plainer)


def _size(field: str, value: float) -> float:
    """How much there is to say about a setting of a fault: the share of all is the plainest, else small is plain."""
    return 1 - value if field == "share" else value


def _plainer_chance(case: Case) -> Iterator[Case]:
    if case.ties:
        yield replace(case, ties=0)
    for seed in range(1, 4):
        if case.seed > 3:
            yield replace(case, seed=seed)
    for part in case.scenario.parts:
        if isinstance(part, Consumer) and not isinstance(part.service_s, Constant):
            plain = Constant(float(f"{part.service_s.mean:.2g}"))
            yield replace(case, scenario=case.scenario.replace(part.name, service_s=plain))


def _added(case: Case, keep: Scenario) -> list[Fault]:
    own = [part for part in keep.parts if isinstance(part, Fault)]
    return [fault for fault in case.faults if fault not in own]


def _with(case: Case, fault: Fault, **changes: Any) -> Case:
    """The case with another setting of one fault."""
    parts = [part.but(**changes) if part is fault else part for part in case.scenario.parts]
    return replace(case, scenario=type(case.scenario)(*parts, name=case.scenario.name))
