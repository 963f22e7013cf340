"""Exercises of notebook 21: user notifications."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from evsim.classroom.exercise import Exercise, Outcome, broken, held
from evsim.lab.catalog import get
from evsim.lab.notify_steps import HOUR_S, PROVIDER
from evsim.lab.notifying import capacity, nobody_forgotten, one_post, quiet_nights, told_once, waits
from evsim.lab.scenario import Scenario
from evsim.sim.faults import Crash, Drop
from evsim.view.verdict import Verdict

CROWDS = ((10_000, 60.0), (2_000, 8.0), (500, 5.0))
"""Followers of one author, and within how many seconds 99 of 100 pushes are to be with the provider."""
DEARER = 1.05
SEEDS = (1, 2, 3)


def _capacity(capacity_for: Callable[..., Any]) -> Outcome:
    for followers, within_s in CROWDS:
        rate = capacity_for(followers, within_s)
        crowd = f"{followers} followers within {within_s:g} s"
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < 1e6:
            return broken(f"for {crowd} it gave {rate!r}", ask="how many messages a second?")
        p99_s = _p99_s(followers, rate)
        if p99_s > within_s:
            return broken(
                f"{crowd}: with {rate:.5g} a second 99 of 100 are with it after {p99_s:.1f} s",
                f"one_post(capacity(day, {rate:.5g}), {followers})",
                "how many of them want a push, and how much of what you buy may the postman use?",
            )
        if _p99_s(followers, rate / DEARER) < within_s:
            return broken(
                f"{crowd}: {rate:.5g} a second is dearer than needed, {p99_s:.1f} s are enough for 99 of 100",
                ask="whom need you not count?",
            )
    return held(f"for {len(CROWDS)} crowds, each measured")


def _p99_s(followers: int, rate: float) -> float:
    """When 99 of 100 pushes are with the provider, who needs ``10 / rate`` seconds more for each."""
    post = one_post(capacity(get("notifications"), rate), followers)
    pushes = math.ceil(0.7 * followers)
    run = post.run(until_s=10 * HOUR_S + 2 + 2 * pushes / (0.75 * rate), seed=1, progress=False)
    found = sorted(waits(run.history))
    return found[math.ceil(0.99 * len(found)) - 1] - 10 / rate if found else math.inf


class _Trial(NamedTuple):
    """What goes wrong, in which scenario, until when, and within how many seconds everybody is to be told."""

    trouble: str
    scenario: Scenario
    until_s: float
    within_s: float


def _door(send: Callable[..., Any]) -> Outcome:
    for seed in SEEDS:
        for trial in _trials(send):
            outcome = _judged(trial, seed)
            if outcome is not None:
                return outcome
    return held(f"for {len(SEEDS)} seeds, with lost replies, a provider that is away, and alerts in the night")


def _trials(send: Callable[..., Any]) -> tuple[_Trial, ...]:
    day = get("notifications").replace("postman", on={"send.news": send, "send.alert": send})
    day = day.replace("courier", on={"send.alert": send})
    losing = one_post(day, 400).plus(Drop(PROVIDER, "postman", share=0.03))
    evening = one_post(day, 100, 21.95 * HOUR_S).plus(Crash(PROVIDER, at_s=21.9 * HOUR_S, down_s=0.5 * HOUR_S))
    return (
        _Trial("replies of the provider are lost", losing, 14 * HOUR_S, 2 * HOUR_S),
        _Trial("the provider is away in the evening", evening, 34 * HOUR_S, 12 * HOUR_S),
        _Trial("an alert in the night", one_post(day, 50, 2 * HOUR_S, urgent=True), 3 * HOUR_S, 60.0),
    )


def _judged(trial: _Trial, seed: int) -> Outcome | None:
    history = trial.scenario.run(until_s=trial.until_s, seed=seed, progress=False).history
    asks = {
        told_once: "by what does the provider know a message that it has seen?",
        quiet_nights: "what time is it when the message is at the door?",
        nobody_forgotten(trial.within_s): "what becomes of a message that is not sent now?",
    }
    for promise, ask in asks.items():
        verdict: Verdict = promise(history)
        if verdict.state == "VIOLATED":
            return broken(f"{trial.trouble}: {verdict.lines[0]}", ask=ask)
    return None


EXERCISES = (
    Exercise(
        "21.1", "How much to buy?", "99 of 100 pushes reach the provider in time, and with 5 % less they would not",
        "my_capacity(followers, within_s)", _capacity,
    ),
    Exercise(
        "21.2", "At the door", "nobody is told twice, nobody is woken for news, nobody is forgotten",
        "my_send(event, ctx)", _door,
    ),
)  # fmt: skip
