"""The same scenario with many seeds: what is luck and what is not."""

from __future__ import annotations

from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from evsim.errors import BadScenario, UnknownName, did_you_mean
from evsim.view import measures
from evsim.view.words import si

if TYPE_CHECKING:
    from evsim.lab.scenario import Scenario


class Interval(NamedTuple):
    """A mean over seeds with the interval that holds the true mean with 95 % confidence."""

    mean: float
    low: float
    high: float

    def __repr__(self) -> str:
        return f"{self.mean:.4g} ({self.low:.4g} to {self.high:.4g})"


class Replications:
    """The summaries of several runs, one for each seed."""

    def __init__(self, scenario: Scenario, seeds: list[int], summaries: list[dict[str, Any]]) -> None:
        self.scenario, self.seeds, self.summaries = scenario, seeds, summaries

    def values(self, name: str) -> list[float]:
        """One number of every run that has it."""
        if self.summaries and name not in self.summaries[0]:
            raise UnknownName(f"no measure called {name!r}{did_you_mean(name, self.summaries[0])}")
        return [summary[name] for summary in self.summaries if summary[name] is not None]

    def interval(self, name: str, level: float = 0.95) -> Interval:
        """Mean and confidence interval (Student's t over the seeds) of one number."""
        return Interval(*measures.interval(self.values(name), level))

    def __len__(self) -> int:
        return len(self.summaries)

    def __repr__(self) -> str:
        lines = [f"{self.scenario.name}, {len(self)} seeds from {self.seeds[0]}: mean (95 % interval)"]
        for name in ("throughput", "latency_mean_s", "latency_p99_s", "backlog_max", "utilisation"):
            values = self.values(name)
            if len(values) > 1:
                lines.append(f"  {name:<16}{_shown(name, self.interval(name))}")
        return "\n".join(lines)


def _shown(name: str, interval: Interval) -> str:
    if name.endswith("_s"):
        return f"{si(interval.mean, 's')} ({si(interval.low, 's')} to {si(interval.high, 's')})"
    return repr(interval)


def replicate(scenario: Scenario, n: int, *, until_s: float, first_seed: int = 1, executor: Executor | None = None) -> Replications:
    """Run ``n`` seeds here, or side by side on any executor of ``concurrent.futures``."""
    if n < 1:
        raise BadScenario(f"n={n} is refused; expected at least one replication")
    scenario.check()
    seeds = list(range(first_seed, first_seed + n))
    one = partial(_summary, scenario, until_s)
    return Replications(scenario, seeds, list(executor.map(one, seeds) if executor else map(one, seeds)))


def _summary(scenario: Scenario, until_s: float, seed: int) -> dict[str, Any]:
    return dict(scenario.run(until_s=until_s, seed=seed, progress=False).summary())
