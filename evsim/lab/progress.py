"""What a person sees and can do while a run lasts: a bar, and Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from evsim.lab.text import WIDTH
from evsim.sim.world import World

T = TypeVar("T")
PATIENCE_S = 0.5
"""A run that is over before this much real time shows no bar."""
POINTS = 200
"""So often does the bar look at the clock of the world, evenly over simulated time."""


@contextmanager
def watched(world: World, until_s: float, progress: bool | None = None) -> Iterator[None]:
    """Show how far the run is; it costs the run nothing but a few light calls, and the history does not know of it."""
    if not (somebody_watches() if progress is None else progress):
        yield
        return
    start_s = float(world.now)
    bar = _bar(until_s - start_s)
    step_s = (until_s - start_s) / POINTS

    def look(point: int) -> None:
        bar.update(world.now - start_s - bar.n)
        if point < POINTS - 1:
            world.call_at(start_s + (point + 1) * step_s, look, point + 1)

    world.call_at(start_s + step_s, look, 1)
    try:
        yield
    finally:
        bar.close()


def counted(things: Iterable[T], total: int, progress: bool | None = None) -> Iterator[T]:
    """These things, with a bar that says how many are done."""
    if not (somebody_watches() if progress is None else progress):
        yield from things
        return
    from tqdm import tqdm

    layout = "{percentage:3.0f} % |{bar}| {n} of {total} schedules, {remaining} left"
    yield from tqdm(things, total=total, delay=PATIENCE_S, leave=False, file=sys.stdout, bar_format=layout, ncols=WIDTH)


def somebody_watches() -> bool:
    """Whether there is a terminal or a notebook, and EVSIM_PROGRESS is not ``off``."""
    if os.environ.get("EVSIM_PROGRESS", "").lower() == "off":
        return False
    return sys.stdout.isatty() or "ipykernel" in sys.modules


def _bar(total_s: float) -> Any:
    from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[type-arg]
        """A bar without a thread of its own."""

        monitor_interval = 0

    layout = "{percentage:3.0f} % |{bar}| {n:.0f} of {total:.0f} s simulated, {remaining} left"
    return Bar(total=total_s, delay=PATIENCE_S, leave=False, file=sys.stdout, bar_format=layout, ncols=WIDTH, nrows=20)


@contextmanager
def interruptible(world: World) -> Iterator[None]:
    """Let Ctrl-C stop the run between two events; a second Ctrl-C is an ordinary KeyboardInterrupt.

    Only in the main thread, where Python hears signals, and not where Ctrl-C is ignored.
    """
    before = signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None
    if before in (None, signal.SIG_IGN):
        yield
        return
    presses = 0

    def stop(*_: Any) -> None:
        nonlocal presses
        presses += 1
        if presses > 1:
            raise KeyboardInterrupt
        world.interrupt()

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if presses > 1:
        # A SimPy process that was under way has swallowed the exception: it keeps whatever is raised in it.
        raise KeyboardInterrupt
