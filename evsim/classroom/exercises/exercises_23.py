"""Exercises of notebook 23: windows and watermarks."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

from evsim.classroom.exercise import Exercise, Outcome, broken, held
from evsim.patterns.window import Tumbling, Windows, late_share

MEAN_S, RATE, SIZE_S, MISSED, STEP_S = 1.5, 100.0, 1.0, 0.01, 0.25
STREAMS = 200


def _bound(bound_s: Any) -> Outcome:
    if isinstance(bound_s, bool) or not isinstance(bound_s, int | float) or not 0 <= bound_s < math.inf:
        return broken(f"my_bound_s = {bound_s!r}", ask="for how many seconds does one wait?")
    share = late_share(bound_s, MEAN_S, SIZE_S, RATE)
    if share > MISSED:
        return broken(
            f"with {bound_s:g} s, {100 * share:.2f} of 100 events are late",
            f"late_share({bound_s:g}, 1.5, 1.0, rate=100)",
            "how much longer must one wait to miss half as many?",
        )
    if late_share(bound_s - STEP_S, MEAN_S, SIZE_S, RATE) <= MISSED:
        return broken(
            f"{bound_s:g} s is longer than needed: only {100 * share:.2f} of 100 events are late",
            f"late_share({bound_s - STEP_S:g}, 1.5, 1.0, rate=100)",
            "how many may be?",
        )
    return held("by the formula, and nearly in the simulator")


def _windows(windows: Callable[..., Any]) -> Outcome:
    for seed in range(STREAMS):
        chance = random.Random(seed)
        size_s, bound_s = chance.choice((1.0, 5.0, 10.0)), chance.choice((0.0, 2.0, 7.0))
        moments = sorted(round(chance.uniform(0, 40), 1) for _ in range(min(seed + 1, 15)))
        events = sorted(
            ((at_s, chance.randint(1, 9)) for at_s in moments), key=lambda e: e[0] + chance.expovariate(0.4)
        )
        wanted = _right(events, size_s, bound_s)
        found = windows(list(events), size_s, bound_s)
        if found != wanted:
            start = min(set(found) ^ set(wanted) or {key for key in wanted if found[key] != wanted[key]})
            return broken(
                f"windows of {size_s:g} s, bound {bound_s:g} s, events {events}: the window from {start:g} s is "
                f"{found.get(start)!r}, and should be {wanted.get(start)!r}",
                ask="which of its events came when the watermark had passed its end?",
            )
    return held(f"for {STREAMS} streams that you have not seen")


def _right(events: list[tuple[float, int]], size_s: float, bound_s: float) -> dict[float, int]:
    counting = Windows(Tumbling(size_s), bound_s=bound_s, late="side")
    state: dict[str, Any] = {}
    sums: dict[float, int] = {}
    said = [each for at_s, value in events for each in counting.add(state, at_s, "all", value)]
    for each in [*said, *counting.finish(state)]:
        if each.what == "result":
            sums[each.span.start_s] = each.value
    return sums


EXERCISES = (
    Exercise("23.1", "Ninety-nine of a hundred", "99 of 100 events are counted, and nobody waits longer than needed",
             "my_bound_s", _bound),
    Exercise("23.2", "Windows of your own", "every event that is in time is in its window, and no late one",
             "my_windows(events, size_s, bound_s)", _windows),
)  # fmt: skip
