"""Exercises of notebook 09: publishing well."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from evsim.classroom.exercise import Exercise, Outcome, broken, held
from evsim.errors import EvsimError
from evsim.lab.run import Run
from evsim.lab.scenario import Scenario
from evsim.laws import Constant
from evsim.sim.broker.log import Log
from evsim.sim.faults import Crash
from evsim.sim.network import Link
from evsim.sim.publisher import Publisher
from evsim.view.linger import Linger

RATE, REQUESTS_MOST, CONFIRM_MOST_S = 300.0, 100.0, 0.06
SEEDS = (11, 12, 13)


def _objective(settings: Any) -> Outcome:
    if not isinstance(settings, Mapping) or set(settings) != {"acks", "linger_s"}:
        return broken(f"my_settings = {settings!r}", ask="which two settings does the exercise ask for?")
    try:
        _shop(settings)
    except EvsimError as problem:
        return broken(str(problem), ask="what values may these settings have?")
    for seed in SEEDS:
        calm = _run(settings, seed)
        found = calm.publishing()
        if not found["confirmed"]:
            return broken("no order was ever confirmed", "run.publishing()", "who is asked for an answer?")
        requests = _requests(calm)
        if requests > REQUESTS_MOST:
            return broken(
                f"the broker saw {requests:.0f} requests a second, and may see {REQUESTS_MOST:.0f}",
                'run.publishing()["batch_mean"]',
                "how many orders must share a request, and how long does it take until so many have come?",
            )
        if found["confirm_p99_s"] > CONFIRM_MOST_S:
            return broken(
                f"99 % of the orders were confirmed within {1000 * found['confirm_p99_s']:.0f} ms, "
                f"and should be within {1000 * CONFIRM_MOST_S:.0f}",
                'run.publishing()["confirm_p99_s"]',
                "which part of that did the first order of a batch wait for the others?",
            )
        lost = _run(settings, seed, Crash("orders-1", at_s=10, down_s=5, power=True)).publishing()["lost_after_ack"]
        if lost:
            return broken(
                f"{lost} orders were confirmed and are gone after the power cut",
                'power_cut("leader").publishing()',
                "how many machines had them when they were confirmed?",
            )
    return held("for three shops that you have not seen, with and without a power cut")


def _shop(settings: Mapping[str, Any]) -> Scenario:
    log = Log("orders", replicas=3, min_insync_replicas=2, replication_s=Constant(0.02), flush_every_s=1, failover_s=3)
    shop = Publisher("shop", to="orders", rate=RATE, batch_bytes=1_000_000, request_timeout_s=1, **settings)
    return Scenario(shop, log, Link("shop", "orders", delay_s=Constant(0.001)), name="objective")


def _run(settings: Mapping[str, Any], seed: int, *faults: Any) -> Run:
    return _shop(settings).plus(*faults).run(until_s=20, seed=seed, progress=False)


def _requests(run: Run) -> float:
    """How many requests the broker saw in a second."""
    found = run.publishing()
    return float(found["published"] / found["batch_mean"] / run.until_s)


def _formula(wait_s: Callable[..., Any]) -> Outcome:
    for rate, linger_s in ((8.0, 0.03), (120.0, 0.015), (900.0, 0.05)):
        answer = wait_s(rate, linger_s)
        if isinstance(answer, bool) or not isinstance(answer, int | float):
            return broken(f"for {rate:g}/s and a linger of {linger_s:g} s it gave {answer!r}", ask="how many seconds?")
        measured = _measured_wait_s(rate, linger_s)
        if abs(answer - measured) > 0.04 * measured:
            return broken(
                f"for {rate:g}/s and a linger of {1000 * linger_s:g} ms: "
                f"yours says {1000 * answer:.4g} ms, the run measured {1000 * measured:.4g} ms",
                f"shop({rate:g}, {linger_s:g}).run(until_s=60, seed=1).publishing()",
                "how long does the first of a batch wait, and how long do the others?",
            )
    return held("for three shops, measured in runs")


def _measured_wait_s(rate: float, linger_s: float) -> float:
    """The mean wait of some ten thousand events."""
    shop = Publisher("shop", to="orders", rate=rate, acks="all", linger_s=linger_s, batch_bytes=10**8)
    until_s = 10_000 * Linger(rate, linger_s).batch_mean ** 0.5 / rate
    run = Scenario(shop, Log("orders"), name="lingering").run(until_s=until_s, seed=1, progress=False)
    return float(run.publishing()["confirm_mean_s"])


EXERCISES = (
    Exercise(
        "09.1",
        "Meet the objective",
        "at most 100 requests a second, 99 % confirmed within 60 ms, no confirmed order lost in a power cut",
        "my_settings",
        _objective,
    ),
    Exercise(
        "09.2",
        "The mean of waiting",
        "your formula tells the mean wait that lingering adds, within four per cent",
        "my_wait_s(rate, linger_s)",
        _formula,
    ),
)
