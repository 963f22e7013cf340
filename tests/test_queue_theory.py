"""The queue against formulas: shared against own, loss of a full one, and a window for duplicates."""

from __future__ import annotations

import math
from statistics import fmean

import numpy as np
import pytest
from shops import run

from evsim.laws import Exponential
from evsim.sim.broker.exchange import Exchange
from evsim.sim.broker.queue import Queue
from evsim.sim.consumer import Consumer
from evsim.sim.network import Link
from evsim.sim.publisher import Publisher
from evsim.sim.router import Router


def sojourn_s(history):
    """The mean time from publishing to having been handled, after a warm-up."""
    published, handled = history.of("published"), history.of("handled")
    sent = np.zeros(history.event_count)
    sent[published.event] = published.time
    late = handled.time > 50
    return float((handled.time - sent[handled.event])[late].mean())


def erlang_c(load, servers):
    """The probability that a customer has to wait."""
    terms = [load**n / math.factorial(n) for n in range(servers)]
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    return last / (sum(terms) + last)


@pytest.mark.parametrize(("rate", "mu", "members"), [(32.0, 10.0, 4), (12.0, 8.0, 2)])
def test_a_shared_queue_waits_by_erlang_c(rate, mu, members):
    """C2: 0.1746 s for four who share 32/s; four with a queue of their own would need 0.5 s."""
    expected = erlang_c(rate / mu, members) / (members * mu - rate) + 1 / mu
    worker = Consumer("worker", of="tasks", members=members, prefetch=1, service_s=Exponential(1 / mu))
    seen = fmean(
        sojourn_s(run(Publisher("shop", to="tasks", rate=rate), Queue("tasks"), worker, until_s=1500, seed=seed))
        for seed in range(24)
    )
    assert seen == pytest.approx(expected, rel=0.03)


def test_four_with_a_queue_of_their_own_wait_nearly_three_times_as_long():
    """C2: each is M/M/1 with 8/s."""
    alone = (
        Publisher("shop", to="tasks", rate=8.0),
        Queue("tasks"),
        Consumer("worker", of="tasks", prefetch=1, service_s=Exponential(0.1)),
    )
    assert fmean(sojourn_s(run(*alone, until_s=3000, seed=seed)) for seed in range(24)) == pytest.approx(0.5, rel=0.03)


@pytest.mark.parametrize(("rho", "room"), [(0.9, 10), (0.8, 5), (0.5, 3)])
def test_a_full_queue_refuses_by_the_formula(rho, room):
    """S10: M/M/1/K; the room counts the one in service, which is not waiting any more."""
    expected = (1 - rho) * rho**room / (1 - rho ** (room + 1))
    parts = (
        Publisher("shop", to="tasks", rate=100 * rho),
        Queue("tasks", max_length=room - 1, overflow="reject-publish"),
        Consumer("worker", of="tasks", prefetch=1, service_s=Exponential(0.01)),
    )
    shares = []
    for seed in range(12):
        history = run(*parts, until_s=400, seed=seed)
        shares.append(len(history.of("dropped")) / history.event_count)
    assert fmean(shares) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(("window_s", "mean_s"), [(300, 120), (300, 300), (60, 90)])
def test_duplicates_later_than_the_window_get_through(window_s, mean_s):
    """C10: e^(-W/m); 0.082 and 0.368 for five minutes."""
    parts = (
        Publisher("shop", to="double", rate=20, count=15_000),
        Exchange("double", type="fanout", bindings={"tasks": "", "copies": ""}),
        Queue("copies"),
        Router("again", of="copies", routes={"tasks": "#"}),
        Link("again", "tasks", delay_s=Exponential(mean_s), ordered=False),
        Queue("tasks", visibility_timeout_s=30, fifo=True, deduplication_s=window_s),
    )
    shares = []
    for seed in range(3):
        history = run(*parts, until_s=750 + 15 * mean_s, seed=seed)
        shares.append(len(history.of("stored", place="tasks")) / 15_000 - 1)
    assert fmean(shares) == pytest.approx(math.exp(-window_s / mean_s), rel=0.03)
