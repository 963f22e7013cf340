"""Exercises of notebook 00: a run that can be repeated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from evsim.classroom.exercise import Exercise, Outcome, broken, held, unproved
from evsim.lab.catalog import HELLO

SEEDS = range(1, 21)
SHARE_LOW, SHARE_HIGH = 0.03, 0.25


def _busier(seed: Any) -> Outcome:
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        return broken(f"my_seed = {seed!r}", ask="a seed is a whole number, not below zero: what would 8 give?")
    if seed == 7:
        return unproved("seed 7 was compared with itself", "try another one")
    known, mine = (HELLO.run(until_s=60, seed=each, progress=False).summary()["published"] for each in (7, seed))
    if mine <= known:
        return broken(
            f"seed {seed} brings {mine} orders in the minute, seed 7 brings {known}",
            f"shop.run(until_s=60, seed={seed}).summary()",
            "must you guess, or can a loop look at many seeds?",
        )
    return held(f"with {mine} orders instead of {known}", "Is this seed a better shop, or a luckier minute?")


def _repeatable(handler: Callable[..., Any]) -> Outcome:
    shop = HELLO.replace("billing", on={"order.placed": handler})
    orders = granted = 0
    for seed in SEEDS:
        one, two = (shop.run(until_s=20, seed=seed, progress=False) for _ in range(2))
        if one.history.digest() != two.history.digest():
            return broken(
                f"two runs with seed {seed} differ: {_first_difference(one, two)}",
                f"shop.run(until_s=20, seed={seed}).history.digest()",
                "what does your handler look at that is not in the event and not in ctx?",
            )
        orders += len(one.history.of("handled"))
        granted += len(one.history.of("effect"))
    if not granted:
        return unproved("no coupon was granted in any run", "call ctx.effect for some of the orders")
    share = granted / orders
    if not SHARE_LOW <= share <= SHARE_HIGH:
        return broken(
            f"{granted} of {orders} orders got a coupon, which is {100 * share:.0f} %",
            "run.history.of('effect')",
            "how could the number in event.key say about one in ten?",
        )
    return held(f"for {len(SEEDS)} seeds, each run twice")


def _first_difference(one: Any, two: Any) -> str:
    counts = [len(run.history.of("effect")) for run in (one, two)]
    if counts[0] != counts[1]:
        return f"{counts[0]} coupons and {counts[1]} coupons"
    return "the coupons went to different orders"


EXERCISES = (
    Exercise("00.1", "A busier minute", "your seed brings more orders in one minute than seed 7", "my_seed", _busier),
    Exercise(
        "00.2",
        "Luck that can be repeated",
        "the same seed gives the same history, and about one order in ten gets a coupon",
        "my_handler(event, ctx)",
        _repeatable,
    ),
)
