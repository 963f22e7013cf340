"""Exercises of notebook 07: the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from evsim.classroom.exercise import Exercise, Outcome, broken, held
from evsim.lab.scenario import Scenario
from evsim.laws import Constant, Exponential, Zipf
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.publisher import Publisher

RATE, WORK_S, BEHIND_MOST_S = 40.0, 0.1, 5.0
PARTITIONS_MOST, MEMBERS_MOST = 48, 16
MEMBER_COSTS, BUDGET = 4, 80
"""A member costs as much as so many partitions, and all together at most this."""
TYPES = (
    "parcel.sent",
    "bill.paid",
    "visit.made",
    "basket.filled",
    "trip.booked",
    "letter.sent",
    "offer.made",
    "ticket.sold",
)
"""Other names of keys, and with them another draw of the hash."""


def _objective(group: Any) -> Outcome:
    if not isinstance(group, Mapping) or set(group) != {"partitions", "members"}:
        return broken(f"my_group = {group!r}", ask="which two numbers does the exercise ask for?")
    for name, most in (("partitions", PARTITIONS_MOST), ("members", MEMBERS_MOST)):
        number = group[name]
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= most:
            return broken(f"{number!r} {name}", ask=f"how many whole {name}, from 1 to {most}?")
    cost = group["partitions"] + MEMBER_COSTS * group["members"]
    if cost > BUDGET:
        return broken(
            f"{group['partitions']} partitions and {group['members']} members cost {cost}, and you have {BUDGET}",
            ask="how many members does the work need, and what is it that the others would wait for?",
        )
    for seed, event_type in enumerate(TYPES, start=1):
        run = _chain(group, event_type).run(120, seed=seed, progress=False)
        behind_s = run.summary()["lag_max_s"]
        if behind_s > BEHIND_MOST_S:
            return broken(
                f"one of the chains fell {behind_s:.0f} s behind with {group['partitions']} partitions "
                f"and {group['members']} members",
                "run.lag() of a shop like this one",
                "is it all members that are behind, or the reader of one partition?",
            )
    return held(f"for {len(TYPES)} chains of shops that you have not seen, at a cost of {cost}")


def _chain(group: Mapping[str, int], event_type: str) -> Scenario:
    shop = Publisher("shop", to="orders", rate=RATE, key=Zipf(500, 0.8), type=event_type)
    billing = Consumer("billing", of="orders", members=group["members"], service_s=Exponential(WORK_S))
    return Scenario(shop, Log("orders", partitions=group["partitions"]), billing, name="objective")


def _ceiling(ceiling: Callable[..., Any]) -> Outcome:
    for partitions, s, speed in ((6, 1.0, 50.0), (16, 1.2, 100.0), (9, 0.0, 20.0)):
        counts = _sample(partitions, s)
        answer = ceiling(dict(counts), speed)
        if isinstance(answer, bool) or not isinstance(answer, int | float) or answer <= 0:
            return broken(f"for {partitions} partitions it gave {answer!r}", ask="how many events a second?")
        for load, keeps_up in ((0.9, True), (1.25, False)):
            left = _left_behind(partitions, s, speed, load * answer)
            if (left < 0.02) != keeps_up:
                word = "fell behind" if keeps_up else "kept up all the same"
                return broken(
                    f"{partitions} partitions with Zipf {s:g}, {speed:g} a second a member: yours says {answer:.4g}/s, "
                    f"and a group with {load * answer:.4g}/s {word}",
                    "run.lag() at that rate",
                    "which partition falls behind first, and how much of all events does it get?",
                )
    return held("for three logs, each run a little below and a little above your ceiling")


def _sample(partitions: int, s: float) -> Counter[str]:
    shop = Publisher("shop", to="orders", rate=5000, key=Zipf(1000, s))
    run = Scenario(shop, Log("orders", partitions=partitions), name="sample").run(10, seed=3, progress=False)
    return Counter(record.place for record in run.history.of("stored"))


def _left_behind(partitions: int, s: float, speed: float, rate: float) -> float:
    """The share of all events that was not handled after a while."""
    shop = Publisher("shop", to="orders", rate=rate, key=Zipf(1000, s))
    group = Consumer("billing", of="orders", members=partitions, service_s=Constant(1 / speed))
    run = Scenario(shop, Log("orders", partitions=partitions), group, name="ceiling").run(60, seed=3, progress=False)
    found = run.summary()
    return 1 - len(run.history.of("handled")) / float(found["published"])


EXERCISES = (
    Exercise(
        "07.1",
        "Reach the objective",
        "the group is never more than five seconds behind, for any chain of customers, and within the budget",
        "my_group",
        _objective,
    ),
    Exercise(
        "07.2",
        "The ceiling",
        "a group keeps up below your number, and falls behind above it",
        "my_ceiling(counts, speed)",
        _ceiling,
    ),
)
