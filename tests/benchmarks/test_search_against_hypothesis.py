"""Finding and shrinking a failing schedule: our search against Hypothesis' own generator and shrinker, same shop."""

from __future__ import annotations

import time
from statistics import median

import pytest
from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from evsim.lab.scenario import Scenario
from evsim.laws import Exponential
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash, Pause
from evsim.sim.publisher import Publisher
from evsim.view.checks import at_most_once

UNTIL_S = 30
PROMISE = at_most_once("card charged")


def charge(event, ctx):
    if ctx.state.get(event.id):
        return
    ctx.effect("card charged")
    ctx.state[event.id] = True


SHOP = Scenario(
    Publisher("shop", to="orders", rate=2, count=40),
    Log("orders"),
    Consumer("payment", of="orders", service_s=Exponential(0.1), on={"order.placed": charge}),
)
"""A crash after *handled* charges again: the note of what was charged is saved later."""
steps = st.sampled_from(["delivered", "handled", "saved", "sent", "acked"])
crashes = st.builds(
    lambda after, nth, down_s: Crash("payment", after=after, nth=nth, down_s=down_s),
    steps, st.integers(1, 6), st.sampled_from([1.0, 5.0]),
)  # fmt: skip
pauses = st.builds(lambda at_s, for_s: Pause("payment", at_s=at_s, for_s=for_s), st.floats(0, 24), st.floats(0.1, 5))
cases = st.tuples(st.lists(crashes | pauses, min_size=1, max_size=2), st.integers(1, 40), st.integers(1, 2000))


def by_hypothesis(seed: int) -> tuple[int, int, int, float]:
    """Runs, messages, faults and seconds until it has its smallest example."""
    runs = 0

    def breaks(case):
        nonlocal runs
        faults, count, chance = case
        shop = SHOP.replace("shop", count=count).plus(*dict.fromkeys(faults))
        if shop.problems():
            return False
        runs += 1
        return shop.run(UNTIL_S, seed=chance, progress=False).check(PROMISE)[0].state == "VIOLATED"

    begin = time.process_time()
    how = settings(
        max_examples=2000, database=None, phases=(Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck)
    )
    faults, count, _ = find(cases, breaks, settings=how, random=__import__("random").Random(seed))
    return runs, count, len(faults), time.process_time() - begin


def by_us(seed: int) -> tuple[int, int, int, float]:
    begin = time.process_time()
    found = SHOP.search(PROMISE, budget=2000, until_s=UNTIL_S, seed=seed, faults=("crash", "pause"), progress=False)
    messages = len(found.run.history.of("published"))
    return found.tried + found.shrinking, messages, len(found.case.faults), time.process_time() - begin


@pytest.mark.benchmark
def test_our_search_needs_no_more_than_hypothesis_and_tells_a_story_as_short():
    ours, theirs = [], []
    for seed in range(1, 8):
        ours.append(by_us(seed))
        try:
            theirs.append(by_hypothesis(seed))
        except NoSuchExample:
            theirs.append((2000, 0, 0, float("inf")))
    print("\n  find and shrink, seven seeds: runs, messages, faults, seconds (medians)")
    for name, found in (("Hypothesis", theirs), ("evsim", ours)):
        print(f"  {name:<12}", *(f"{median(each):>9.3g}" for each in zip(*found, strict=True)))
    assert median(each[3] for each in ours) <= median(each[3] for each in theirs)
    assert max(each[1] for each in ours) <= 3
    assert max(each[2] for each in ours) <= 2
