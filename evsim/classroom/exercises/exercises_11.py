"""Exercises of notebook 11: retries, back-off and dead letters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from evsim.classroom.exercise import Exercise, Outcome, broken, held
from evsim.errors import EvsimError
from evsim.lab.run import Run
from evsim.lab.scenario import Scenario
from evsim.laws import Exponential, Zipf
from evsim.patterns.retry import Backoff, Retry
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash
from evsim.sim.publisher import Publisher
from evsim.sim.service import Service

POISON, ORDERS, OLDEST_S, UNTIL_S = "shop.100", 1200, 40.0, 180.0
SEEDS = (21, 22, 23, 24)
BASE_S, CAP_S = 0.5, 10.0


async def _charge(event: Any, ctx: Any) -> None:
    if event.id == POISON:
        raise ValueError("unknown currency")
    await ctx.call("bank")
    ctx.effect("card charged")


def _under_fire(retry: Retry, seed: int) -> Run:
    """The shop of the notebook, with its poison order and its outage."""
    settings: dict[str, Any] = {"on": {"order.placed": _charge}, "members": 2, "dead_letter": "aside"}
    patience = Retry(20, Backoff(1, cap_s=5))
    return Scenario(
        Publisher("shop", to="orders", rate=10, key=Zipf(20, 0), count=ORDERS),
        Log("orders", partitions=2),
        Service("bank", service_s=Exponential(0.05)),
        Consumer("billing", of="orders", retry=retry, **settings),
        Log("later"),
        Consumer("again", of="later", group="billing", delay_s=5, retry=patience, **settings),
        Log("aside"),
        Crash("bank", at_s=25, down_s=20),
        name="under fire",
    ).run(until_s=UNTIL_S, seed=seed, progress=False)


def _policy(retry: Any) -> Outcome:
    if not isinstance(retry, Retry):
        return broken(f"my_retry = {retry!r}", ask="which policy do the rows of POLICIES have?")
    for seed in SEEDS:
        try:
            run = _under_fire(retry, seed)
        except EvsimError as problem:
            return broken(str(problem), ask="which logs are there?")
        handled = {record.event_id for record in run.history.of("handled")}
        aside = {str(record.event_id) for record in run.history.of() if record.step == "dead_lettered"} - {POISON}
        oldest_s = run.summary("billing")["lag_max_s"]
        look = f"under_fire(my_retry, seed={seed})"
        if aside:
            return broken(
                f"{len(aside)} good orders were given up, {min(aside, key=_number)} for one",
                f"{look}.dead_letters()",
                "how long did all its attempts take together, and how long was the bank away?",
            )
        if len(handled) < ORDERS - 1:
            return broken(
                f"{ORDERS - 1 - len(handled)} good orders were not handled in {UNTIL_S:.0f} s",
                f'{look}.summary("billing")',
                "who was in front of them, and how long may it stay there?",
            )
        if oldest_s > OLDEST_S:
            return broken(
                f"an unfinished order of billing was {oldest_s:.1f} s old, and may be {OLDEST_S:.0f}",
                f'{look}.summary("billing")["lag_max_s"]',
                "who was in front of it, and how long may it stay there?",
            )
    return held(f"for {len(SEEDS)} shops that you have not seen")


def _number(event_id: str) -> int:
    return int(event_id.split(".")[1])


def _wait(wait_s: Callable[..., Any]) -> Outcome:
    for failures in (1, 2, 3, 5, 6, 40, 5000):
        ceiling_s = min(CAP_S, BASE_S * 2 ** min(failures - 1, 10))
        for luck in (0.0, 0.25, 0.5, 0.999):
            draws: list[float] = []

            def draw(luck: float = luck, draws: list[float] = draws) -> float:
                draws.append(luck)
                return luck

            answer = wait_s(failures, draw)
            if isinstance(answer, bool) or not isinstance(answer, int | float):
                return broken(f"after {failures} failures it gave {answer!r}", ask="how many seconds?")
            if len(draws) != 1:
                return broken(
                    f"after {failures} failures it drew {len(draws)} times", ask="how many chances does one wait need?"
                )
            if abs(answer - luck * ceiling_s) > 1e-9:
                return broken(
                    f"after {failures} failures, with a draw of {luck:g}, it waits for {answer:.4g} s; "
                    f"the ceiling is {ceiling_s:g} s",
                    f"my_wait_s({failures}, lambda: {luck:g})",
                    "what part of the ceiling should that draw be?",
                )
    return held("for one failure up to five thousand in a row")


EXERCISES = (
    Exercise(
        "11.1",
        "A policy for both accidents",
        "only the poison order is given up, and no unfinished order of billing is older than 40 s",
        "my_retry",
        _policy,
    ),
    Exercise(
        "11.2",
        "Full jitter of your own",
        "your wait is a draw between 0 and the ceiling, however often it has failed",
        "my_wait_s(failures, draw)",
        _wait,
    ),
)
