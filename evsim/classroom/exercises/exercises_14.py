"""Exercises of notebook 14: ordering."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from evsim.classroom.exercise import Exercise, Outcome, broken, held
from evsim.errors import EvsimError
from evsim.lab.run import Run
from evsim.lab.scenario import Scenario
from evsim.laws import Exponential, Zipf
from evsim.sim.broker.log import Log
from evsim.sim.broker.queue import Queue
from evsim.sim.consumer import Consumer
from evsim.sim.publisher import Publisher
from evsim.view.checks import in_order_by_key
from evsim.view.words import digits

ORDERS, CUSTOMERS, HANDS, LEAST = 1500, 80, 6, 0.8
SEEDS = (41, 42)
STREAMS = 300


def _run(broker: Any, seed: int, **settings: Any) -> Run:
    shop = Publisher("shop", to="orders", rate=150, key=Zipf(CUSTOMERS, 0.5), count=ORDERS)
    return Scenario(shop, broker, Consumer("billing", of="orders", **settings)).run(400, seed, progress=False)


def _end_s(run: Run) -> float:
    handled = run.history.of("handled")
    return float(handled.time[-1]) if len(handled) == ORDERS else float("inf")


def _fast(settings_for: Callable[..., Any]) -> Outcome:
    service = Exponential(0.08)
    settings = settings_for(HANDS, service)
    if not isinstance(settings, dict):
        return broken(f"my_consumer gave {settings!r}", ask="which settings of ev.Consumer does it return, as a dict?")
    for seed in SEEDS:
        try:
            mine = _run(Log("orders"), seed, **settings)
        except (EvsimError, TypeError) as problem:
            return broken(str(problem), "ev.Consumer?", "which settings does a consumer have?")
        free = _run(Queue("orders"), seed, members=HANDS, service_s=service)
        if mine.scenario["billing"].service_s != service:  # type: ignore[attr-defined]
            return broken("the service time is not the one that was given", ask="is service_s among your settings?")
        verdict = mine.check(in_order_by_key())[0]
        if verdict.state != "ok":
            return broken(verdict.lines[0], "run.order()", "who may hold two events of one customer at once?")
        ratio = _end_s(free) / _end_s(mine)
        if ratio < LEAST:
            return broken(
                f"it needs {digits(_end_s(mine))} s where free workers need {digits(_end_s(free))} s",
                ask="how many hands work while one event is in hand?",
            )
    return held(f"for {len(SEEDS)} days that you have not seen")


def _sorter(sorter: Callable[..., Any]) -> Outcome:
    for seed in range(STREAMS):
        chance = random.Random(seed)
        numbers = list(range(1, min(seed + 2, 12)))
        coming = numbers + chance.choices(numbers, k=seed % 4)
        if seed:
            chance.shuffle(coming)
        state: dict[Any, Any] = {}
        out: list[Any] = []
        for number in coming:
            out += list(sorter(state, number, f"item {number}"))
        if out != [f"item {number}" for number in numbers]:
            return broken(f"numbers came as {coming}, and on went {out}", ask="which number is the next one to go on?")
    return held(f"for {STREAMS} orders of arrival")


EXERCISES = (
    Exercise(
        "14.1",
        "As fast as free",
        "every customer's events stay in order, at 80 % of the throughput without order",
        "my_consumer(hands, service)",
        _fast,
    ),
    Exercise(
        "14.2",
        "A resequencer of your own",
        "what comes in any order goes on in order, and once",
        "my_sorter(state, number, item)",
        _sorter,
    ),
)
