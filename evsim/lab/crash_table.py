"""The table crash step × remedy: a part crashes once after each step of a delivery; what breaks, and what helps.

``crash_table(shop, "payment", promises)`` runs every remedy with a crash after every step, for several seeds. A cell
has a sign for each promise: kept, broken, nothing to judge, or not the same on every seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from evsim.errors import BadScenario, UnknownName, did_you_mean, shown
from evsim.lab.progress import counted
from evsim.lab.run import Run
from evsim.lab.scenario import Scenario
from evsim.sim.faults import Crash
from evsim.view.checks import judge
from evsim.view.figure import Figure
from evsim.view.plots.crash_table import crash_matrix

STEPS = ("delivered", "handled", "saved", "sent", "acked")
"""The five steps of a delivery."""
SIGNS: Mapping[str, str] = MappingProxyType({"ok": "·", "VIOLATED": "X", "unknown": "?"})
MIXED = "~"
"""The sign of a promise that is kept on some seeds and broken on others."""
Remedy = Mapping[str, Any] | Callable[[Scenario], Scenario]
"""Settings of the part that crashes, or a function that gives another scenario."""
REMEDIES: Mapping[str, Remedy] = MappingProxyType(
    {
        "nothing": {"inbox": False, "outbox": False},
        "inbox": {"inbox": True, "outbox": False},
        "outbox": {"inbox": False, "outbox": True},
        "inbox + outbox": {"inbox": True, "outbox": True},
    }
)


@dataclass(frozen=True)
class Trial:
    """What is tried: the scenario, who crashes at which of its deliveries, for how long, and what is promised."""

    scenario: Scenario
    part: str
    promises: tuple[Any, ...]
    remedies: Mapping[str, Remedy]
    type: str | None
    nth: int
    down_s: float
    until_s: float

    def with_crash(self, remedy: str, step: Any) -> Scenario:
        """The scenario of one cell."""
        how = self.remedies[remedy]
        cured = how(self.scenario) if callable(how) else self.scenario.replace(self.part, **how)
        return cured.plus(Crash(self.part, after=step, type=self.type, nth=self.nth, down_s=self.down_s))


@dataclass(frozen=True)
class CrashTable:
    """What came of it: ``table["inbox", "saved"]`` gives the signs of a cell, one for each promise: ``"··X"``."""

    trial: Trial
    steps: tuple[str, ...]
    seeds: tuple[int, ...]
    states: Mapping[tuple[str, str], tuple[Counter[str], ...]]
    """For each cell and promise, how many seeds ended in which state."""
    names: tuple[str, ...]
    """What is promised, in words."""

    def __getitem__(self, cell: tuple[str, str]) -> str:
        self._known(*cell)
        return "".join(SIGNS[next(iter(each))] if len(each) == 1 else MIXED for each in self.states[cell])

    @property
    def rows(self) -> dict[str, list[str]]:
        """The signs, remedy by remedy."""
        return {remedy: [self[remedy, step] for step in self.steps] for remedy in self.trial.remedies}

    @property
    def is_certain(self) -> bool:
        """Whether every cell is the same on every seed."""
        return not any(MIXED in cell for row in self.rows.values() for cell in row)

    def run(self, remedy: str, step: str, seed: int | None = None) -> Run:
        """The run of a cell, to look at its story; with the first seed unless another is given."""
        self._known(remedy, step)
        scenario = self.trial.with_crash(remedy, step)
        return scenario.run(self.trial.until_s, self.seeds[0] if seed is None else seed, progress=False)

    def _known(self, remedy: str, step: str) -> None:
        for name, known in ((remedy, tuple(self.trial.remedies)), (step, self.steps)):
            if name not in known:
                raise UnknownName(f"the table has no {name!r}{did_you_mean(name, known)}")

    def figure(self) -> Figure:
        """The table as a picture."""
        return crash_matrix(self.rows, self.steps, self.names, self.trial.part, len(self.seeds))

    def __repr__(self) -> str:
        wide = max(len(remedy) for remedy in self.rows)
        lines = [f"{'':<{wide}}  " + "".join(f"{step:<12}" for step in self.steps)]
        lines += [
            f"{remedy:<{wide}}  " + "".join(f"{' '.join(cell):<12}" for cell in row)
            for remedy, row in self.rows.items()
        ]
        promised = [f"  {n}. {name}" for n, name in enumerate(self.names, start=1)]
        return "\n".join([line.rstrip() for line in lines] + ["X: broken, in the order of the promises", *promised])


def crash_table(
    scenario: Scenario,
    part: str,
    promises: Sequence[Any],
    *,
    remedies: Mapping[str, Remedy] = REMEDIES,
    steps: Sequence[str] = STEPS,
    seeds: Iterable[int] = range(1, 11),
    type: str | None = None,  # noqa: A002 - the name that it has in Crash
    nth: int = 2,
    down_s: float = 1.0,
    until_s: float = 60.0,
    progress: bool | None = None,
) -> CrashTable:
    """Crash ``part`` once after each step of its ``nth`` delivery (of an event of this ``type``), under each remedy.

    Raises BadScenario before anything runs when a scenario cannot run, and afterwards when in one of them the part
    never came to crash, for then the table would show promises kept that nobody has tried.
    """
    kept, tried = tuple(seeds), tuple(promises)
    if not tried or not kept or not remedies or not steps:
        raise BadScenario("a crash table needs at least one promise, one seed, one remedy and one step")
    for step in steps:
        if step not in STEPS:
            raise UnknownName(f"no step is called {shown(step)}{did_you_mean(str(step), STEPS)}")
    trial = Trial(scenario, part, tried, dict(remedies), type, nth, down_s, until_s)
    cells = {(remedy, step): trial.with_crash(remedy, step).check() for remedy in remedies for step in steps}
    states: dict[tuple[str, str], tuple[Counter[str], ...]] = {cell: tuple(Counter() for _ in tried) for cell in cells}
    names: tuple[str, ...] = ()
    for cell, seed in counted(_pairs(cells, kept), len(cells) * len(kept), progress):
        names = _try(trial, cells[cell], cell, seed, states[cell])
    return CrashTable(trial, tuple(steps), kept, states, names)


def _pairs(cells: Iterable[tuple[str, str]], seeds: Sequence[int]) -> Iterator[tuple[tuple[str, str], int]]:
    return ((cell, seed) for cell in cells for seed in seeds)


def _try(
    trial: Trial, scenario: Scenario, cell: tuple[str, str], seed: int, states: tuple[Counter[str], ...]
) -> tuple[str, ...]:
    """Run one cell with one seed, count the states of its verdicts, and give the names of the promises."""
    history = scenario.run(trial.until_s, seed, progress=False).history
    if not any(what.step == "crashed" for what in history.whats):
        raise BadScenario(
            f"{trial.part!r} never crashed after {cell[1]!r} with {cell[0]!r} and seed {seed}: its delivery number "
            f"{trial.nth} did not come in {trial.until_s:g} s; give a smaller nth=, another type=, or a later until_s="
        )
    verdicts = [judge(promise, history) for promise in trial.promises]
    for count, verdict in zip(states, verdicts, strict=True):
        count[verdict.state] += 1
    return tuple(verdict.promise for verdict in verdicts)
