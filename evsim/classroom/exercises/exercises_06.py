"""Exercises of notebook 06: queue broker and prefetch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from evsim.classroom.exercise import Exercise, Outcome, broken, held
from evsim.lab.scenario import Scenario
from evsim.laws import Constant, Exponential
from evsim.sim.broker.queue import Queue
from evsim.sim.consumer import Consumer
from evsim.sim.network import Link
from evsim.sim.publisher import Publisher
from evsim.view.theory import MMc

BUSY = 0.99
WAYS = ((0.1, 0.004), (0.02, 0.01), (0.06, 0.0025), (0.001, 0.05))
"""Round trips, and the work for each job, in seconds."""
OFFICES = ((32.0, 10.0, 0.02), (7.0, 1.0, 0.5), (95.0, 20.0, 0.01))
"""Rate, speed of a clerk, and the wait that is allowed."""


def _prefetch(size_for: Callable[..., Any]) -> Outcome:
    for round_trip_s, work_s in WAYS:
        size = size_for(round_trip_s, work_s)
        way = f"a round trip of {1000 * round_trip_s:g} ms and {1000 * work_s:g} ms of work"
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            return broken(f"for {way} it gave {size!r}", ask="how many whole messages, at least one?")
        look = f"far_away({size}) with your delays"
        busy = _busy(round_trip_s, work_s, size)
        if busy < BUSY:
            ask = "how many jobs can be done while one acknowledgement travels?"
            return broken(f"{way}: with {size} in hand the worker is busy {100 * busy:.1f} %", look, ask)
        if size > 1 and _busy(round_trip_s, work_s, size - 1) >= BUSY:
            ask = "is the last one of the stack ever needed?"
            return broken(f"{way}: {size - 1} in hand would be enough, and yours says {size}", look, ask)
    return held(f"for {len(WAYS)} workers, near and far, each measured")


def _busy(round_trip_s: float, work_s: float, size: int) -> float:
    """How busy a worker is that never lacks work, from the second round trip on."""
    half = Constant(round_trip_s / 2)
    shop = Publisher("shop", to="jobs", gap_s=Constant(work_s / 2))
    worker = Consumer("worker", of="jobs", prefetch=size, service_s=Constant(work_s))
    links = Link("jobs", "worker", delay_s=half), Link("worker", "jobs", delay_s=half)
    begin_s, until_s = 40 * round_trip_s + 40 * work_s, 40 * round_trip_s + 1040 * work_s
    run = Scenario(shop, Queue("jobs"), worker, *links, name="far away").run(until_s, seed=1, progress=False)
    done = len(run.history.of("handled", from_s=begin_s, to_s=until_s))
    return done * work_s / (until_s - begin_s)


def _clerks(clerks_for: Callable[..., Any]) -> Outcome:
    for rate, speed, wait_s in OFFICES:
        clerks = clerks_for(rate, speed, wait_s)
        office = f"{rate:g} orders a second, {speed:g} a clerk, at most {1000 * wait_s:g} ms of waiting"
        if isinstance(clerks, bool) or not isinstance(clerks, int) or clerks < 1:
            return broken(f"for {office} it gave {clerks!r}", ask="how many clerks, as a whole number?")
        if clerks <= rate / speed:
            ask = "how many orders come, and how many can be done?"
            return broken(f"{office}: {clerks} clerks cannot keep up", ask=ask)
        wait = MMc(rate, speed, clerks).mean_wait_s
        if wait > wait_s:
            return broken(f"{office}: with {clerks} they wait {1000 * wait:.3g} ms", ask="would one more be enough?")
        if clerks - 1 > rate / speed and MMc(rate, speed, clerks - 1).mean_wait_s <= wait_s:
            return broken(f"{office}: {clerks - 1} would do, and yours says {clerks}", ask="where did you begin?")
    rate, speed, _ = OFFICES[0]
    measured = _measured_wait_s(rate, speed, clerks_for(*OFFICES[0]))
    return held(f"for {len(OFFICES)} offices; in a run of the first the wait was {1000 * measured:.2g} ms")


def _measured_wait_s(rate: float, speed: float, clerks: int) -> float:
    office = Consumer("clerk", of="orders", members=clerks, service_s=Exponential(1 / speed))
    shop = Scenario(Publisher("shop", to="orders", rate=rate), Queue("orders"), office, name="office")
    return float(shop.run(600, seed=1, progress=False).summary()["latency_mean_s"] - 1 / speed)


EXERCISES = (
    Exercise(
        "06.1",
        "The right size",
        "the worker is busy 99 % of the time, and with one less in hand it is not",
        "my_prefetch(round_trip_s, work_s)",
        _prefetch,
    ),
    Exercise(
        "06.2",
        "How many clerks?",
        "orders wait no longer than allowed, and with one clerk less they would",
        "my_clerks(rate, speed, wait_s)",
        _clerks,
    ),
)
