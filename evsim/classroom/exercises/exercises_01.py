"""Exercises of notebook 01: why events?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from evsim.classroom.exercise import Exercise, Outcome, broken, held, unproved
from evsim.lab.scenario import Scenario
from evsim.laws import Constant
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash
from evsim.sim.publisher import Publisher

GOAL = 0.95
EACH = 0.99


def _longest(n: Any) -> Outcome:
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        return broken(f"my_n = {n!r}", ask="a chain has a whole number of services, at least one: what would 3 give?")
    met, longer = EACH**n, EACH ** (n + 1)
    if met < GOAL:
        return broken(
            f"{n} services that are each there 99 % of the time answer {100 * met:.1f} % of the requests",
            f"share_answered(chain({n}))",
            "by what is the availability multiplied with each further service?",
        )
    if longer >= GOAL:
        return broken(
            f"with {n} services {100 * met:.1f} % are answered, and with one more still {100 * longer:.1f} %",
            f"share_answered(chain({n + 1}))",
            "the promise asks for the longest chain: how far can you go?",
        )
    return held(f"with {100 * met:.1f} % for {n} services and {100 * longer:.1f} % for {n + 1}")


def _drain(formula: Callable[..., Any]) -> Outcome:
    for rate, capacity, down_s in ((8.0, 10.0, 20.0), (5.0, 20.0, 60.0), (12.0, 16.0, 30.0)):
        answer = formula(rate, capacity, down_s)
        if isinstance(answer, bool) or not isinstance(answer, (int, float)):
            return broken(
                f"for {rate:g}/s, {capacity:g}/s and {down_s:g} s it gave {answer!r}", ask="how many seconds?"
            )
        measured = _measured_drain(rate, capacity, down_s)
        if measured is None:
            return unproved("the backlog did not drain in the run")
        if abs(answer - measured) > 0.1 * measured + 1:
            return broken(
                f"for {rate:g}/s offered, {capacity:g}/s possible and {down_s:g} s down: "
                f"yours says {answer:.4g} s, the run took {measured:.4g} s",
                "outage.run(until_s=300, seed=7).throughput()",
                "how large is the backlog when the consumer comes back, and how fast does it shrink?",
            )
    return held("for three outages, measured in runs")


def _measured_drain(rate: float, capacity: float, down_s: float) -> float | None:
    """How long after its return a consumer needs until nothing waits any more."""
    back = 30.0 + down_s
    shop = Scenario(
        Publisher("shop", to="orders", gap_s=Constant(1 / rate)),
        Log("orders"),
        Consumer("mail", of="orders", service_s=Constant(1 / capacity)),
        Crash("mail", at_s=30, down_s=down_s),
    )
    history = shop.run(until_s=back + 3 * rate * down_s / (capacity - rate), seed=1, progress=False).history
    for handled in history.of("handled", from_s=back):
        stored = history.of("stored", event=handled.event_id)
        if handled.time - stored.time[0] <= 1.5 / capacity:
            return float(handled.time - back)
    return None


EXERCISES = (
    Exercise(
        "01.1", "The longest chain", "the longest chain that still answers 95 % of its requests", "my_n", _longest
    ),
    Exercise(
        "01.2",
        "How long does it take to catch up?",
        "your formula tells the time to drain the backlog of an outage, within a tenth",
        "my_drain_s(rate, capacity, down_s)",
        _drain,
    ),
)
