"""A run while it goes on: advanced, stepped, interrupted, finished; and the bar that shows how far it is."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from evsim.errors import BadScenario
from evsim.lab import data
from evsim.lab.run import Run
from evsim.sim.world import World

if TYPE_CHECKING:
    from evsim.lab.scenario import Scenario

SHOWN_AFTER_S = 0.5
TICKS = 200


class Session:
    """A run in the making. However it is cut into pieces, the history is that of one uninterrupted run."""

    def __init__(self, scenario: Scenario, seed: int, until_s: float | None) -> None:
        if until_s is not None and not 0 < until_s < float("inf"):
            raise BadScenario(f"until_s={until_s!r} is refused; expected a positive number of seconds, such as 60")
        self.scenario, self.seed, self.until_s = scenario, seed, until_s
        self.world = World(seed=seed, load=data.script)
        self.world.build(scenario.parts)
        self.world.history.meta |= {"scenario": scenario.name, "scenario_digest": scenario.digest(), "seed": seed}

    @property
    def now(self) -> float:
        """How far the run has come, in simulated seconds."""
        return float(self.world.now)

    def run_until(self, time_s: float) -> Session:
        """Advance to this time."""
        self.world.run(until=float(time_s))
        return self

    def step(self) -> Session:
        """Do the next single thing that happens in this world."""
        self.world.step()
        return self

    def to_the_end(self, *, progress: bool | None = None) -> Run:
        """Run to the end; Ctrl-C stops it early and keeps what has happened."""
        assert self.until_s is not None, "a session that runs to its end needs until_s"
        with _interruptible(self.world), _bar(self.world, self.until_s, progress):
            self.world.run(until=self.until_s)
        return self.finish()

    def finish(self) -> Run:
        """What has happened until now, as a Run."""
        self.world.close()
        history = self.world.history
        history.meta |= {"until_s": self.now, "interrupted": self.world.interrupted}
        return Run(self.scenario, self.seed, self.now, history, interrupted=self.world.interrupted)

    def __repr__(self) -> str:
        return f"{self.scenario.name}, seed {self.seed}: at {self.now:.6g} s, {len(self.world.history)} records so far"


@contextmanager
def _interruptible(world: World) -> Iterator[None]:
    """Let the first Ctrl-C stop the run before its next event; the second one is Python's own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def stop(*_: Any) -> None:
        world.interrupt()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _bar(world: World, until_s: float, wanted: bool | None) -> Iterator[None]:
    """A progress bar, if the run lasts; it is driven by a few calls in simulated time and costs the loop nothing."""
    if not _shown(wanted):
        yield
        return
    from tqdm.auto import tqdm  # noqa: PLC0415 - only who looks needs it

    bar = tqdm(total=round(until_s, 6), unit="s", delay=SHOWN_AFTER_S, leave=False, file=sys.stdout, bar_format=_FORMAT)
    start = world.now

    def tick(number: int) -> None:
        bar.update(world.now - start - bar.n)
        if number < TICKS:
            world.plan_at(start + (until_s - start) * (number + 1) / TICKS, tick, number + 1)

    world.plan_at(start, tick, 0)
    try:
        yield
    finally:
        bar.close()


_FORMAT = "{desc}{percentage:3.0f} % |{bar}| {n:.0f} of {total:.0f} s, {remaining} left"


def _shown(wanted: bool | None) -> bool:
    if wanted is not None:
        return wanted
    if os.environ.get("EVSIM_PROGRESS", "").lower() in {"off", "0", "no"}:
        return False
    return sys.stdout is not None and (sys.stdout.isatty() or "ipykernel" in sys.modules)
