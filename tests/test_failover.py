"""What a producer goes through when the leader dies: its connections break, and it comes back with the next leader."""

from __future__ import annotations

import pytest
from shops import run

from evsim.laws import Constant
from evsim.sim.broker.log import Log
from evsim.sim.faults import Crash, Partition, Pause
from evsim.sim.network import Link
from evsim.sim.publisher import Publisher
from evsim.view.publishing import publishing


def shop(*faults, acks="all", **settings):
    return (
        Publisher("shop", to="orders", rate=200, acks=acks),
        Link("shop", "orders", delay_s=Constant(0.001)),
        Log("orders", **({"replicas": 3, "min_insync_replicas": 2, "replication_s": 0.05, "failover_s": 3} | settings)),
        *faults,
    )


@pytest.mark.parametrize("acks", ["leader", "all"])
def test_a_leader_whose_process_dies_is_missed_for_as_long_as_the_election_takes(acks):
    """TCP tells the producer at once, and it asks the next leader; no request timeout (30 s) is waited for."""
    history = run(*shop(Crash("orders-1", at_s=20, down_s=30), acks=acks), until_s=60)
    confirmed = history.of("confirmed").time
    gaps = confirmed[1:] - confirmed[:-1]
    assert 2.9 < gaps.max() < 3.6
    assert publishing(history)["confirm_p99_s"] < 4


@pytest.mark.parametrize(
    "fault",
    [Crash("orders-1", at_s=20, down_s=30, power=True), Partition("shop", "orders", at_s=20, for_s=3)],
    ids=["power", "cut"],
)
def test_who_vanishes_without_a_word_is_waited_for_until_the_request_times_out(fault):
    history = run(*shop(fault, flush_every_s=1.0), until_s=80)
    confirmed = history.of("confirmed").time
    gaps = confirmed[1:] - confirmed[:-1]
    assert 29 < gaps.max() < 31


def test_a_log_of_one_machine_is_there_again_when_it_is_back():
    history = run(*shop(Crash("orders", at_s=20, down_s=5), replicas=1, min_insync_replicas=1), until_s=60)
    confirmed = history.of("confirmed").time
    assert 4.9 < (confirmed[1:] - confirmed[:-1]).max() < 5.3


def test_a_follower_that_keeps_pace_stays_in_sync():
    """It never has everything, and always what there was a moment ago: that is what counts (lastCaughtUpTime)."""
    history = run(*shop(replica_lag_time_max_s=5), until_s=60)
    assert len(history.of("shrunk")) == 0
    assert len(history.of("refused")) == 0


def test_a_follower_that_gets_nothing_leaves_the_in_sync_set_after_its_time():
    history = run(*shop(Pause("orders-3", at_s=20, for_s=30), replica_lag_time_max_s=5, failover_s=100), until_s=60)
    [left] = history.of("shrunk").time.tolist()
    assert left == pytest.approx(25, abs=0.2), "five seconds after it had everything"
    [back] = history.of("expanded").time.tolist()
    assert back == pytest.approx(50, abs=0.5)
