"""Callers that protect themselves, services with a line; and the storm that retries make of a short trouble."""

from __future__ import annotations

import pytest
from shops import ids, run

from evsim.errors import BadScenario
from evsim.lab.scenario import Scenario
from evsim.laws import Constant, Exponential
from evsim.patterns.breaker import Breaker
from evsim.patterns.handler import Unavailable
from evsim.patterns.retry import Backoff, Retry
from evsim.sim.broker.log import Log
from evsim.sim.calling import Calling
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash
from evsim.sim.profile import Spike
from evsim.sim.publisher import Publisher
from evsim.sim.service import Service

_AT_ONCE = Backoff(0.0, 1, 0.0, "none")


def test_a_service_with_one_worker_is_a_single_server_queue():
    shop = Scenario(
        Publisher("shop", to="bank", rate=8), Service("bank", service_s=Exponential(0.1), workers=1), name="mm1"
    )
    found = shop.replicate(20, 2000).interval("latency_mean_s")
    assert found.mean == pytest.approx(0.5, rel=0.05)


def test_a_full_line_refuses_as_erlang_says():
    """M/M/1/K: with ρ = 0.9 and ten places, of which one is being served, 5.08 % are lost."""
    shop = Scenario(
        Publisher("shop", to="bank", rate=9), Service("bank", service_s=Exponential(0.1), workers=1, room=9)
    )
    asked = refused = 0
    for seed in range(12):
        history = shop.run(2000, seed=seed).history
        asked += len(ids(history, "published"))
        refused += len(ids(history, "refused"))
    assert refused / asked == pytest.approx(0.0508, rel=0.05)


def test_attempts_grow_as_the_geometric_sum():
    """Three retries at p = 0.3 make 1.417 attempts of each request."""
    shop = Scenario(
        Publisher("shop", to="bank", rate=50, calling=Calling(retry=Retry(4, _AT_ONCE))),
        Service("bank", availability=0.7),
    )
    history = shop.run(1000, seed=4).history
    attempts = len(ids(history, "published")) + len(ids(history, "retried"))
    assert attempts / len(ids(history, "published")) == pytest.approx(1.417, rel=0.02)


def test_a_caller_stops_waiting_and_the_service_goes_on_working():
    history = run(
        Publisher("shop", to="bank", gap_s=Constant(10.0), calling=Calling(timeout_s=1, retry=Retry(2, _AT_ONCE))),
        Service("bank", service_s=Constant(3.0)),
        until_s=18,
    )
    assert [record.time for record in history.of("timed_out")] == [11.0, 12.0]
    assert len(ids(history, "answered")) == 2, "both attempts were worked at, for nobody"
    assert ids(history, "failed", node="shop") == ["shop.1"]


def test_an_open_breaker_spares_a_service_that_is_down():
    def asked(calling):
        history = run(
            Publisher("shop", to="bank", rate=20, calling=calling),
            Service("bank", service_s=Constant(0.01)),
            Crash("bank", at_s=10, down_s=20),
            until_s=60,
        )
        failed = [r for r in history.of("failed", node="shop") if r.time > 32]
        return len(ids(history, "refused", node="bank")), len(failed)

    without, _ = asked(Calling())
    spared, after = asked(Calling(breaker=Breaker(window=10, least=5, open_s=2, probes=1)))
    assert spared < 0.1 * without
    assert after == 0, "it closes again when the service is back"


def test_at_most_so_many_questions_are_out():
    history = run(
        Publisher("shop", to="bank", rate=50, calling=Calling(at_once=3)), Service("bank", service_s=1.0), until_s=20
    )
    out = most = 0
    for record in history.of(("called", "answered")):
        out += 1 if record.step == "called" else -1
        most = max(most, out)
    assert most == 3


def test_handlers_call_with_the_same_protection():
    seen = []

    async def pay(event, ctx):
        try:
            await ctx.call("bank")
        except Unavailable:
            seen.append(ctx.now)

    run(
        Publisher("shop", to="bus", gap_s=Constant(5.0), count=1),
        Log("bus"),
        Consumer("pay", of="bus", on={"order.placed": pay}, calling=Calling(timeout_s=0.5, retry=Retry(3, _AT_ONCE))),
        Service("bank", service_s=60),
        until_s=20,
    )
    assert seen == [6.5]


def _recovers(load, attempts, *, budget=None, patience_s=None, until_s=400):
    """Whether a shop that met three times its load for 15 s is well at the end."""
    retry = Retry(attempts, _AT_ONCE, budget=budget) if attempts > 1 else None
    shop = Scenario(
        Publisher(
            "shop",
            to="bank",
            rate=Spike(100 * load, 300 * load, at_s=20, for_s=15),
            calling=Calling(timeout_s=1.0, retry=retry),
        ),
        Service("bank", service_s=Exponential(0.01), workers=1, patience_s=patience_s),
    )
    history = shop.run(until_s, seed=3).history
    late = [record.step for record in history.of(("handled", "failed"), node="shop", from_s=until_s - 20)]
    return late.count("handled") > 0.95 * len(late)


@pytest.mark.parametrize(("load", "attempts"), [(0.55, 2), (0.7, 2), (0.45, 4), (0.9, 2)])
def test_above_the_threshold_the_bad_state_sustains_itself(load, attempts):
    """With r retries trouble stays when load * (r + 1) > 1 (Bronson et al., HotOS 2021)."""
    assert load * attempts > 1
    assert not _recovers(load, attempts)


@pytest.mark.parametrize(("load", "attempts"), [(0.55, 1), (0.7, 1), (0.2, 4)])
def test_below_it_the_line_drains(load, attempts):
    assert load * attempts < 1
    assert _recovers(load, attempts)


@pytest.mark.parametrize("cure", [{"budget": 0.1}, {"patience_s": 1.0}])
@pytest.mark.parametrize("load", [0.55, 0.7])
def test_a_retry_budget_or_dropping_expired_work_brings_it_back(load, cure):
    assert _recovers(load, 2, **cure)


def test_calling_a_broker_is_refused():
    with pytest.raises(BadScenario, match="'calling' is about asking a service"):
        Scenario(Publisher("shop", to="bus", rate=1, calling=Calling()), Log("bus")).check()


def test_room_without_workers_is_refused():
    with pytest.raises(BadScenario, match="workers="):
        Scenario(Publisher("shop", to="bank", rate=1), Service("bank", room=3)).check()
