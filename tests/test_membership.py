"""Who is in a group: static and dynamic members, sessions and poll intervals."""

from __future__ import annotations

import pytest
from shops import ids, run

from evsim.laws import Constant, Exponential
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash, Join, Leave
from evsim.sim.publisher import Publisher
from evsim.view.owners import untended


def _shop(*more, **settings):
    settings = {"members": 3, "service_s": Constant(0.01), "session_timeout_s": 10} | settings
    return (
        Publisher("shop", to="orders", rate=20),
        Log("orders", partitions=6),
        Consumer("billing", of="orders", **settings),
        *more,
    )


def _steps(history, step):
    known = {what.step for what in history.whats}
    return [(record.time, record.node) for record in history.of(step)] if step in known else []


def test_a_static_member_that_is_back_in_time_finds_its_partitions():
    history = run(*_shop(Crash("billing-2", at_s=5, down_s=3)), until_s=60)
    assert _steps(history, "expelled") == []
    assert sum(end - start for _, start, end in untended(history, "billing", 60)) == pytest.approx(2 * 3, abs=0.1)


def test_a_dynamic_member_that_is_back_makes_all_wait_until_its_old_session_ends():
    history = run(*_shop(Crash("billing-2", at_s=5, down_s=3), static=False), until_s=60)
    assert _steps(history, "expelled") == [(15.0, "billing-2")]
    assert {record.time for record in history.of("assigned") if record.time > 0} == {15.0}
    quiet = [r for r in history.of("delivered") if 8.1 < r.time < 15]
    assert quiet == [], "everybody has given up its partitions"
    assert len(set(ids(history, "handled"))) >= len(ids(history, "published")) - 2


def test_a_dynamic_member_that_says_goodbye_is_not_waited_for():
    history = run(*_shop(Leave("billing-2", at_s=5), static=False), until_s=30)
    assert max(record.time for record in history.of("assigned")) == pytest.approx(5.0, abs=0.05)


def test_a_dynamic_member_that_stays_away_is_expelled_after_its_session():
    history = run(*_shop(Crash("billing-2", at_s=5, down_s=None), static=False), until_s=60)
    assert _steps(history, "expelled") == [(15.0, "billing-2")]


def test_who_handles_for_too_long_is_out_and_its_work_is_done_again():
    """max.poll.interval.ms: the events are read again from the commit, and the late acknowledgement is fenced."""
    history = run(
        Publisher("shop", to="orders", gap_s=Constant(1.0), count=1),
        Log("orders"),
        Consumer("billing", of="orders", members=2, service_s=Constant(25.0), poll_interval_s=10),
        until_s=60,
    )
    assert [node for _, node in _steps(history, "expelled")][:1] == ["billing-1"]
    assert 11 <= _steps(history, "expelled")[0][0] <= 21
    assert [node for _, node in _steps(history, "fenced")][:1] == ["billing-1"]
    assert ids(history, "delivered").count("shop.1") >= 2


def test_nobody_is_out_who_comes_back_in_time():
    history = run(*_shop(service_s=Exponential(0.1), poll_interval_s=5), until_s=120)
    assert _steps(history, "expelled") == []


def _stopped(protocol, members, partitions, rebalance_s):
    """Partition-seconds without an owner in a rolling restart: each member says goodbye, and another one joins."""
    parts = [
        Publisher("shop", to="orders", rate=5),
        Log("orders", partitions=partitions),
        Consumer("billing", of="orders", members=members, protocol=protocol, rebalance_s=rebalance_s),
    ]
    for n in range(1, members + 1):
        parts += [Leave(f"billing-{n}", at_s=60 * n), Join("billing", at_s=60 * n + 30)]
    history = run(*parts, until_s=60 * (members + 2))
    return sum(end - start for _, start, end in untended(history, "billing", 60 * (members + 2)))


@pytest.mark.parametrize(("members", "partitions", "rebalance_s"), [(10, 100, 5), (4, 24, 3), (5, 20, 8)])
def test_a_rolling_restart_stops_all_partitions_or_only_those_that_move(members, partitions, rebalance_s):
    """S9: eager 2 N P R partition-seconds, cooperative 2 P R."""
    eager = _stopped("eager", members, partitions, rebalance_s)
    cooperative = _stopped("cooperative", members, partitions, rebalance_s)
    assert eager == pytest.approx(2 * members * partitions * rebalance_s, rel=0.03)
    assert cooperative == pytest.approx(2 * partitions * rebalance_s, rel=0.03)


def test_those_who_keep_a_partition_go_on_with_it_during_the_rebalance():
    history = run(*_shop(Join("billing", at_s=5), protocol="cooperative", rebalance_s=4), until_s=30)
    meanwhile = {record.place for record in history.of("delivered", from_s=5.1, to_s=8.9)}
    revoked = {record.place for record in history.of("revoked")}
    assert len(revoked) == 1
    assert meanwhile == {f"orders/{n}" for n in range(6)} - revoked
