"""The same scenario with many seeds: a number for each, and how sure we are of their mean."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evsim.errors import BadScenario, UnknownName, did_you_mean, shown
from evsim.view import intervals
from evsim.view.words import count

if TYPE_CHECKING:
    from evsim.lab.scenario import Scenario

_HEADLINES = ("throughput", "latency_mean_s", "latency_p50_s", "latency_p99_s", "backlog_max", "duplicates", "lost")


@dataclass(frozen=True, repr=False)
class Interval:
    """A mean over seeds and the interval that holds the true mean in ``level`` of all such experiments."""

    name: str
    mean: float
    half_width: float
    n: int
    level: float = 0.95

    @property
    def low(self) -> float:
        """Its lower end."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """Its upper end."""
        return self.mean + self.half_width

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __repr__(self) -> str:
        return f"{self.name} {self.mean:.4g} ± {self.half_width:.2g}  ({100 * self.level:g} %, {count(self.n, 'seed')})"


@dataclass(frozen=True, repr=False)
class Replications:
    """The summary of each seed."""

    scenario: Scenario
    until_s: float
    summaries: Mapping[int, Mapping[str, Any]]
    interrupted: bool = False

    @property
    def seeds(self) -> list[int]:
        """The seeds that were run."""
        return list(self.summaries)

    def values(self, name: str) -> list[float]:
        """One number of each summary that has it, in the order of the seeds."""
        known = next(iter(self.summaries.values()), {})
        if name not in known:
            raise UnknownName(f"no number called {name!r} in a summary{did_you_mean(name, known)}")
        return [float(summary[name]) for summary in self.summaries.values() if summary[name] is not None]

    def interval(self, name: str, level: float = 0.95) -> Interval:
        """The mean of this number over the seeds with its confidence interval (Student's t)."""
        numbers = self.values(name)
        mean, _, high = intervals.interval(numbers, level)
        return Interval(name, mean, high - mean, len(numbers), level)

    def __len__(self) -> int:
        return len(self.summaries)

    def __repr__(self) -> str:
        first, last = self.seeds[0], self.seeds[-1]
        lines = [f"{self.scenario.name}  {self.until_s:g} s  seeds {first} to {last}", ""]
        lines.append(f"  {'':<16}{'mean':>10}  {'± 95 %':>9}  {'least':>10}  {'most':>10}")
        known = next(iter(self.summaries.values()))
        for name in (name for name in _HEADLINES if name in known and self.values(name)):
            found, numbers = self.interval(name), self.values(name)
            wide = f"{found.half_width:.2g}" if math.isfinite(found.half_width) else "unknown"
            lines.append(f"  {name:<16}{found.mean:>10.4g}  {wide:>9}  {min(numbers):>10.4g}  {max(numbers):>10.4g}")
        if self.interrupted:
            lines.append(f"  stopped from the keyboard after {count(len(self), 'seed')}")
        return "\n".join(lines)


def replicate(
    scenario: Scenario, n: int, until_s: float, first_seed: int = 1, executor: Executor | None = None
) -> Replications:
    """Run ``n`` seeds in a row; Ctrl-C keeps the seeds that are done."""
    if type(n) is not int or n < 1:
        raise BadScenario(f"n={shown(n)} is refused; expected a number of seeds, at least 1")
    seeds = range(first_seed, first_seed + n)
    if executor is not None:
        found = executor.map(summary_of, [scenario] * n, [until_s] * n, seeds)
        return Replications(scenario, until_s, dict(zip(seeds, found, strict=True)))
    summaries: dict[int, Mapping[str, Any]] = {}
    try:
        for seed in seeds:
            summaries[seed] = summary_of(scenario, until_s, seed)
    except KeyboardInterrupt:
        if not summaries:
            raise
    return Replications(scenario, until_s, summaries, interrupted=len(summaries) < n)


def summary_of(scenario: Scenario, until_s: float, seed: int) -> Mapping[str, Any]:
    """The summary of one whole run."""
    run = scenario.run(until_s, seed, progress=False)
    if run.interrupted:
        raise KeyboardInterrupt
    return run.summary()
