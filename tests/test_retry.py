"""How long to wait, and when to stop: pure values, so each law can be checked on any numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsim.chance import Chance
from evsim.errors import BadScenario
from evsim.patterns.breaker import Breaker, LiveBreaker, LiveBulkhead, LiveRateLimit, RateLimit
from evsim.patterns.retry import Backoff, Budget, Retry

_JITTERS = ("none", "full", "equal", "decorrelated")


@given(
    st.sampled_from(_JITTERS),
    st.floats(0.001, 10),
    st.floats(1, 10),
    st.floats(0.001, 100),
    st.integers(1, 5000),
    st.floats(0, 100),
    st.floats(0, 1, exclude_max=True),
)
def test_no_wait_is_longer_than_the_cap_nor_negative(jitter, base, factor, cap, failures, before, chance):
    backoff = Backoff(base, factor, cap, jitter)
    assert 0 <= backoff.wait_s(failures, before, lambda: chance) <= max(cap, 0)


@pytest.mark.parametrize("jitter", ["none", "full", "equal"])
@pytest.mark.parametrize("failures", [1, 3, 12])
def test_the_mean_is_what_it_says(jitter, failures):
    backoff = Backoff(0.1, 2, 20, jitter)
    draw = Chance(5).uniforms(f"{jitter} {failures}")
    waits = [backoff.wait_s(failures, 0.0, draw) for _ in range(20_000)]
    assert sum(waits) / len(waits) == pytest.approx(backoff.mean_s(failures), rel=0.02)


def test_waits_double_until_the_cap():
    assert [Backoff(1, 2, 10, "none").wait_s(n, 0, lambda: 0.5) for n in range(1, 7)] == [1, 2, 4, 8, 10, 10]


def test_decorrelated_waits_lie_between_the_base_and_three_times_the_last():
    backoff, draw, before = Backoff(0.1, cap_s=5, jitter="decorrelated"), Chance(1).uniforms("x"), 0.0
    for _ in range(500):
        wait = backoff.wait_s(1, before, draw)
        assert 0.1 <= wait <= min(5, max(0.3, 3 * before)) + 1e-12
        before = wait
    with pytest.raises(ValueError, match="measure"):
        backoff.mean_s(2)


@given(st.floats(0, 1), st.integers(1, 12))
def test_amplification_is_the_mean_number_of_attempts(failing, attempts):
    expected = sum(failing**n for n in range(attempts))
    assert Retry(attempts).amplification(failing) == pytest.approx(expected)


def test_amplification_at_the_published_numbers():
    assert Retry(attempts=4).amplification(0.3) == pytest.approx(1.417, abs=5e-4)


@given(st.floats(0.01, 1), st.integers(1, 500))
def test_retries_never_exceed_their_budget(share, requests):
    budget = Budget(share, reserve=0)
    taken = 0
    for n in range(1, requests + 1):
        budget.pay()
        taken += sum(budget.take() for _ in range(5))
        assert taken <= share * n + 1e-6


class TestBreaker:
    def test_it_opens_at_the_failure_rate_and_lets_probes_through_later(self):
        breaker = LiveBreaker(Breaker(failing=0.5, window=10, least=4, open_s=5, probes=2))
        for well in (True, True, False):
            (breaker.succeeded if well else breaker.failed)(0.0)
        assert breaker.allows(0.0)
        breaker.failed(1.0)
        assert breaker.state == "open"
        assert not breaker.allows(5.9)
        assert [breaker.allows(6.0) for _ in range(3)] == [True, True, False]
        breaker.succeeded(6.1)
        assert breaker.state == "half-open"
        breaker.succeeded(6.2)
        assert breaker.state == "closed"

    def test_a_probe_that_fails_opens_it_again(self):
        breaker = LiveBreaker(Breaker(failing=1.0, window=1, least=1, open_s=5, probes=1))
        breaker.failed(0.0)
        assert breaker.allows(5.0)
        breaker.failed(5.5)
        assert not breaker.allows(10.4)
        assert breaker.allows(10.5)

    @given(st.lists(st.booleans(), max_size=60))
    def test_it_never_opens_while_too_few_calls_are_known(self, calls):
        breaker = LiveBreaker(Breaker(failing=0.1, window=100, least=61))
        for well in calls:
            (breaker.succeeded if well else breaker.failed)(0.0)
        assert breaker.state == "closed"

    def test_a_window_too_small_to_judge_is_refused(self):
        with pytest.raises(BadScenario, match="window=10"):
            Breaker(window=5, least=10)


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=80), st.floats(0.5, 50), st.integers(1, 10))
def test_no_second_has_more_calls_than_rate_and_burst(gaps, rate, burst):
    limit, now, made = LiveRateLimit(RateLimit(rate, burst)), 0.0, []
    for gap in gaps:
        now += gap
        made.append(now + limit.wait_s(now))
    assert made == sorted(made)
    for first in range(len(made)):
        for last in range(first, len(made)):
            assert last - first + 1 <= burst + rate * (made[last] - made[first]) + 1e-6 + 1


def test_a_bulkhead_has_only_so_much_room():
    bulkhead = LiveBulkhead(2)
    assert [bulkhead.enter() for _ in range(3)] == [True, True, False]
    bulkhead.leave()
    assert bulkhead.enter()
