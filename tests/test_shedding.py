"""Consumers that protect others and themselves: a rate limit for all members, and patience that ends."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shops import ids, offsets, run

from evsim.lab.scenario import Scenario
from evsim.laws import Constant, Exponential
from evsim.patterns.breaker import RateLimit
from evsim.sim.broker.log import Log
from evsim.sim.broker.queue import Queue
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash, Pause
from evsim.sim.profile import Spike
from evsim.sim.publisher import Publisher
from evsim.view.checks import nothing_lost
from evsim.view.measures import latencies
from evsim.view.prediction import predict


def _shop(broker, *more, gap_s=0.01, count=100, **settings):
    return (
        Publisher("shop", to="orders", gap_s=Constant(gap_s), count=count),
        broker,
        Consumer("billing", of="orders", **settings),
        *more,
    )


@pytest.mark.parametrize("broker", [Log("orders", partitions=4), Queue("orders")], ids=["log", "queue"])
@pytest.mark.parametrize("parallel", [1, 3])
def test_all_members_together_begin_no_more_than_the_limit(broker, parallel):
    parallel = parallel if broker.kind == "log" else 1
    settings = {"members": 3, "rate_limit": RateLimit(10, burst=5), "parallel": parallel, "prefetch": 20}
    history = run(*_shop(broker, **settings))
    times = history.of("delivered").time
    assert len(times) == 100
    for start in times:
        assert ((times >= start) & (times < start + 1.0)).sum() <= 15
    assert times[-1] == pytest.approx(0.01 + 9.5, abs=0.1)


def test_what_is_skipped_needs_no_turn():
    history = run(*_shop(Log("orders"), types=("order.cancelled",), rate_limit=RateLimit(1)))
    assert history.of("skipped").time[-1] == pytest.approx(1.0)


def test_a_crash_while_it_waits_for_its_turn_loses_nothing():
    faults = (Crash("billing", at_s=2.05, down_s=1), Pause("billing", at_s=5.05, for_s=2))
    history = run(*_shop(Log("orders"), *faults, rate_limit=RateLimit(10)))
    assert offsets(history, "acked") == [*range(100)]
    gaps = [b - a for a, b in pairwise(history.of("delivered").time)]
    assert sum(gap < 0.1 - 1e-6 for gap in gaps) <= 1, "only the one whose turn came during the pause is late"


@settings(max_examples=20, deadline=None)
@given(st.floats(1, 50), st.integers(1, 20), st.integers(1, 4), st.integers(0, 100))
def test_in_any_window_there_are_at_most_the_burst_and_the_rate(rate, burst, members, seed):
    parts = (
        Publisher("shop", to="orders", rate=40),
        Log("orders", partitions=4),
        Consumer(
            "billing",
            of="orders",
            members=members,
            rate_limit=RateLimit(rate, burst=burst),
            service_s=Exponential(0.02),
        ),
    )
    times = run(*parts, until_s=20, seed=seed).of("delivered").time
    for first in range(0, len(times), 7):
        ahead = np.arange(len(times) - first)
        assert np.all(ahead + 1 <= burst + rate * (times[first:] - times[first]) + 1 + 1e-6)


def test_what_has_waited_too_long_is_shed_and_the_others_are_in_time():
    def shop(**settings):
        return run(
            Publisher("shop", to="orders", rate=Spike(5, 100, at_s=10, for_s=5)),
            Log("orders"),
            Consumer("billing", of="orders", service_s=Exponential(0.1), **settings),
            until_s=90,
        )

    patient, hasty = shop(), shop(patience_s=2)
    assert latencies(patient).max() > 30
    assert latencies(hasty).max() < 3.5
    assert len(ids(hasty, "shed")) > 300
    assert set(ids(hasty, "shed")) | set(ids(hasty, "handled")) >= set(ids(hasty, "acked"))
    verdict = nothing_lost().judge(hasty)
    assert verdict.state == "VIOLATED"
    assert "for it had waited too long" in verdict.lines[0]
    assert "billing did not handle" in hasty.story(ids(hasty, "shed")[0])


@pytest.mark.parametrize("broker", [Log("orders"), Queue("orders")], ids=["log", "queue"])
def test_with_a_place_for_it_what_is_shed_is_kept_with_its_reason(broker):
    parts = _shop(broker, Log("aside"), service_s=Constant(0.1), patience_s=2, dead_letter="aside")
    history = run(*parts)
    put_aside = ids(history, "dead_lettered")
    assert 50 < len(put_aside) < 90
    assert set(put_aside) | set(ids(history, "handled")) == {f"shop.{n}" for n in range(1, 101)}
    assert {history.notes[record.number]["reason"] for record in history.of("parked")} == {"waited for more than 2 s"}
    assert nothing_lost().judge(history).state == "ok"


def test_the_limit_is_the_capacity_and_no_law_knows_it():
    parts = _shop(Log("orders"), rate_limit=RateLimit(10), service_s=Constant(0.01))
    assert "capacity 10/s" in str(Scenario(*parts).explain())
    assert "rate limit" in str(predict(run(*parts)))


def test_a_long_line_of_old_events_is_shed_without_losing_breath():
    history = run(*_shop(Log("orders"), Crash("billing", at_s=0.5, down_s=30), gap_s=0.001, count=5000, patience_s=5))
    assert len(ids(history, "shed")) > 4000
