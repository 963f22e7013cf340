"""Find the bug: look for a schedule that breaks a promise, shrink it, and tell it in a few lines with a token.

Two ways in turn: every crash point in order of size (nothing is missed up to that size), and schedules drawn by chance
with seeds, kinds of fault and orders of their own (swarm testing: Groce et al., ISSTA 2012).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice, zip_longest
from typing import TYPE_CHECKING, Any

from evsim.chance import Chance
from evsim.errors import BadScenario, shown
from evsim.lab.progress import counted
from evsim.lab.schedules import FAULTS, Case, Lottery, known, refuse_without_parts, systematic
from evsim.lab.shrink import shrunk
from evsim.lab.text import Text
from evsim.story import brief
from evsim.view.words import count

if TYPE_CHECKING:
    from evsim.lab.run import Run
    from evsim.lab.scenario import Scenario
    from evsim.view.figure import Figure
    from evsim.view.verdict import Verdict

LINES_MAX = 12
"""A counterexample is told in at most so many lines."""

_BATCH = 16


@dataclass(frozen=True, repr=False)
class Found:
    """A schedule that breaks a promise, as small as it could be made; ``first`` is how it was when it was found."""

    verdict: Verdict
    case: Case
    run: Run
    first: Case
    tried: int
    shrinking: int
    found: bool = True

    @property
    def token(self) -> Text:
        """What replays it."""
        return self.run.token

    @property
    def scenario(self) -> Scenario:
        """The scenario with the faults that break it."""
        return self.case.scenario

    @property
    def story(self) -> Text:
        """What happened, in at most twelve lines."""
        names = [self.verdict.key] if self.verdict.key else list(self.verdict.event_ids)
        return Text(brief(self.run.history, names, LINES_MAX) if names else "")

    def timeline(self) -> Any:
        """A figure of it."""
        names = [self.verdict.key] if self.verdict.key else list(self.verdict.event_ids)
        return self.run.timeline(*names)

    def __repr__(self) -> str:
        events = count(self.run.history.event_count, "event")
        faults = self.case.faults
        found = f"found by schedule {self.tried}, made" if self.tried > 1 else "made"
        how = f"{found} smaller in {count(self.shrinking, 'run')}: {events}"
        lines = [str(self.verdict), "", how, *(f"  {fault!r}" for fault in faults)]
        return "\n".join([*lines, "", str(self.story), "", f"token  {self.token}"])


@dataclass(frozen=True, repr=False)
class Covered:
    """No schedule broke a promise; what was tried."""

    promises: tuple[str, ...]
    tried: int
    interrupted: bool = False
    unknown: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    places: Counter[tuple[str, str]] = field(default_factory=Counter)
    found: bool = False

    def coverage(self) -> Figure:
        """A figure: how often each kind of fault was injected where."""
        from evsim.view.plots import coverage

        return coverage(self.places, self.tried)

    def __repr__(self) -> str:
        much = f"{count(self.tried, 'schedule')} tried" + (
            ", then stopped from the keyboard" if self.interrupted else ""
        )
        lines = [f"not broken: {'; '.join(self.promises)}", f"{much}; faults injected in them:"]
        lines += [f"  {name:<22}{times:>6}" for name, times in sorted(self.faults.items())] or ["  none"]
        if self.unknown:
            lines.append(f"in {count(self.unknown, 'schedule')} a promise could not be judged")
        return "\n".join(lines)


def search(
    scenario: Scenario,
    promises: Sequence[Any],
    *,
    budget: int = 2000,
    until_s: float = 60.0,
    seed: int = 1,
    faults: tuple[str, ...] = FAULTS,
    most: int = 2,
    deliveries: int = 6,
    executor: Executor | None = None,
    progress: bool | None = None,
) -> Found | Covered:
    """Try ``budget`` schedules until one breaks a promise; then shrink it.

    Every second schedule is the next crash point (after each step of the first ``deliveries`` of each part that takes
    some, up to ``most`` at once), the others are drawn. Equal arguments try equal schedules in the same order, with an
    ``executor`` too, which may be any of ``concurrent.futures``. Raises BadScenario when there is nothing to search.
    """
    if not promises:
        raise BadScenario("search was given no promise; expected one such as at_most_once('card charged')")
    if type(budget) is not int or budget < 1:
        raise BadScenario(f"budget={shown(budget)} is refused; expected a number of schedules, at least 1")
    refuse_without_parts(scenario.check())
    lottery = Lottery(scenario, until_s, known(faults), most, Chance(seed))
    points = systematic(scenario, seed, until_s, deliveries, most) if "crash" in faults else iter(())
    cases = islice(_in_turn(points, lottery.cases(seed)), budget)
    first: Case | None = None
    broken = partial(_broken, promises=tuple(promises))
    seen, places, tried, unknown, interrupted = Counter[str](), Counter[tuple[str, str]](), 0, 0, False
    try:
        for case, state in counted(_judged(cases, broken, executor), budget, progress):
            first, tried = first or case, tried + 1
            seen.update(_kind(fault) for fault in case.faults)
            places.update((_kind(fault), _place(fault)) for fault in case.faults)
            unknown += state == "unknown"
            if state == "VIOLATED":
                return _smallest(case, scenario, tuple(promises), tried, budget)
    except KeyboardInterrupt:
        interrupted = True
    whole = first or Case(scenario, seed, until_s)
    names = tuple(verdict.promise for verdict in whole.run().check(*promises))
    return Covered(names, tried, interrupted, unknown, seen, places)


def shrink(run: Run, promises: Sequence[Any], budget: int = 500) -> Found:
    """The smallest run that breaks the same promise as this one; every fault in it may go. BadScenario if none does."""
    if not any(verdict.state == "VIOLATED" for verdict in run.check(*promises)):
        raise BadScenario(
            "this run breaks none of these promises, so there is nothing to shrink; give one that it breaks"
        )
    case = Case(run.scenario, run.seed, run.until_s, run.ties)
    return _smallest(case, run.scenario.without(*case.faults), tuple(promises), 1, 4 * budget)


def _in_turn(first: Iterator[Case], second: Iterator[Case]) -> Iterator[Case]:
    """One of each in turn; when the first has none left, the second goes on alone."""
    missing = object()
    both = chain.from_iterable(zip_longest(first, second, fillvalue=missing))
    return (case for case in both if case is not missing)  # type: ignore[misc]


def _judged(
    cases: Iterator[Case], judge: Callable[[Case], str], executor: Executor | None
) -> Iterable[tuple[Case, str]]:
    """Each case with the worst state of its verdicts, in order; side by side where there is an executor."""
    if executor is None:
        return ((case, judge(case)) for case in cases)
    return _side_by_side(cases, judge, executor)


def _side_by_side(
    cases: Iterator[Case], judge: Callable[[Case], str], executor: Executor
) -> Iterator[tuple[Case, str]]:
    while some := list(islice(cases, 8 * _BATCH)):
        yield from zip(some, executor.map(judge, some, chunksize=_BATCH), strict=True)


def _broken(case: Case, promises: tuple[Any, ...]) -> str:
    """The worst state of the promises' verdicts in the run of this case."""
    states = {verdict.state for verdict in case.run().check(*promises)}
    return "VIOLATED" if "VIOLATED" in states else "unknown" if "unknown" in states else "ok"


def _smallest(case: Case, keep: Scenario, promises: tuple[Any, ...], tried: int, budget: int) -> Found:
    run = case.run()
    worst = next(n for n, verdict in enumerate(run.check(*promises)) if verdict.state == "VIOLATED")

    def broken(run: Run) -> Verdict | None:
        verdict: Verdict = run.check(promises[worst])[0]
        return verdict if verdict.state == "VIOLATED" else None

    small, run, spent = shrunk(case, run, broken, keep, max(200, budget // 4))
    verdict = broken(run)
    assert verdict is not None
    return Found(verdict, small, run, case, tried, spent)


def _place(fault: Any) -> str:
    """The part or the link that a fault hits."""
    return str(fault.part) if hasattr(fault, "part") else f"{fault.start}>{fault.end}"


def _kind(fault: Any) -> str:
    """``crash after saved``, ``pause``, …"""
    after = getattr(fault, "after", None)
    return f"{fault.kind} after {after}" if after else str(fault.kind)
