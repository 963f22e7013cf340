"""Replication as Kafka has it: what is acknowledged, what survives, and what an unclean election costs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shops import ids, run
from strategies import possible

from evsim.errors import BadScenario
from evsim.lab.scenario import Scenario
from evsim.laws import Constant
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash, Partition, Pause
from evsim.sim.network import Link
from evsim.sim.publisher import Publisher


def steps(history, step):
    return [(record.time, record.node, record.number) for record in history.of(step)] if ids(history, step) else []


def noted(history, step):
    known = {what.step for what in history.whats}
    return [(record.time, record.node) for record in history.of(step)] if step in known else []


def test_consumers_see_what_all_in_sync_replicas_have():
    history = run(
        Publisher("shop", to="orders", gap_s=Constant(1.0), count=3),
        Log("orders", replicas=3, replication_s=Constant(0.25)),
        Consumer("billing", of="orders"),
        until_s=10,
    )
    stored = [record.time for record in history.of("stored")]
    assert [record.time for record in history.of("delivered")] == [time + 0.25 for time in stored]


def test_acks_leader_answers_before_the_followers_have_it_and_all_after():
    def confirmed(acks):
        history = run(
            Publisher("shop", to="orders", gap_s=Constant(1.0), count=1, acks=acks),
            Log("orders", replicas=3, replication_s=Constant(0.25)),
            until_s=5,
        )
        return [record.time for record in history.of("confirmed")]

    assert confirmed("leader") == [1.0]
    assert confirmed("all") == [1.25]


def test_an_acknowledged_write_is_lost_when_the_leader_dies_before_the_follower_has_it():
    """log-05: acks leader."""
    history = run(
        Publisher("shop", to="orders", gap_s=Constant(1.0), count=20, acks="leader"),
        Log("orders", replicas=2, replication_s=Constant(0.5), failover_s=2),
        Consumer("billing", of="orders"),
        Crash("orders-1", at_s=5.2, down_s=None),
        until_s=300,
    )
    assert "shop.5" in ids(history, "confirmed")
    assert ids(history, "lost") == ["shop.5"]
    assert "shop.5" not in ids(history, "handled")
    assert noted(history, "elected") == [(7.2, "orders-2")]


def test_with_acks_all_the_same_crash_loses_nothing_that_was_acknowledged():
    history = run(
        Publisher("shop", to="orders", gap_s=Constant(1.0), count=20, acks="all", request_timeout_s=3),
        Log("orders", replicas=2, replication_s=Constant(0.5), failover_s=2),
        Consumer("billing", of="orders"),
        Crash("orders-1", at_s=5.2, down_s=None),
        until_s=300,
    )
    assert set(ids(history, "confirmed")) <= set(ids(history, "handled"))
    assert len(set(ids(history, "handled"))) == 20


def test_with_too_few_in_sync_a_write_is_refused():
    """log-06: acks all, min in-sync 2, one of two replicas down."""
    history = run(
        Publisher(
            "shop", to="orders", gap_s=Constant(1.0), count=30, acks="all", request_timeout_s=2, delivery_timeout_s=5
        ),
        Log("orders", replicas=2, min_insync_replicas=2, failover_s=3),
        Crash("orders-2", at_s=10.5, down_s=None),
        until_s=200,
    )
    assert [node for _, node in noted(history, "shrunk")] == ["orders-2"]
    stored_late = [record.event_id for record in history.of("stored") if record.time > 13.5]
    assert stored_late == []
    assert ids(history, "refused")
    assert ids(history, "confirmed")[-1] == "shop.10"


def test_an_unclean_election_brings_the_log_back_and_loses_the_window():
    parts = (
        Publisher("shop", to="orders", gap_s=Constant(0.1), count=200, acks="leader"),
        Consumer("billing", of="orders"),
        Crash("orders-2", at_s=5, down_s=10),
        Crash("orders-1", at_s=14.05, down_s=None),
    )
    log = Log("orders", replicas=2, failover_s=2, replica_lag_time_max_s=3)
    clean = run(*parts, log, until_s=120)
    unclean = run(*parts, log.but(unclean_leader_election=True), until_s=120)
    assert noted(clean, "elected") == []
    assert ids(clean, "handled")[-1] == "shop.140", "without a leader in sync the partition stays away"
    assert [node for _, node in noted(unclean, "elected")] == ["orders-2"]
    lost = ids(unclean, "lost")
    assert lost[0] == "shop.50"
    assert lost[-1] == "shop.140"
    assert ids(unclean, "handled")[-1] == "shop.200"


def test_a_follower_that_is_cut_off_leaves_the_in_sync_set_and_joins_again():
    history = run(
        Publisher("shop", to="orders", gap_s=Constant(0.5), count=200),
        Log("orders", replicas=2, replica_lag_time_max_s=5),
        Partition("orders-1", "orders-2", at_s=10.1, for_s=20),
        Consumer("billing", of="orders"),
        until_s=120,
    )
    assert [node for _, node in noted(history, "shrunk")] == ["orders-2"]
    assert [node for _, node in noted(history, "expanded")] == ["orders-2"]
    assert noted(history, "shrunk")[0][0] == pytest.approx(15.5, abs=0.6)
    assert len(ids(history, "handled")) == 200


def test_a_leader_that_only_froze_goes_on_when_it_was_back_in_time():
    history = run(
        Publisher("shop", to="orders", gap_s=Constant(1.0), count=20),
        Log("orders", replicas=3),
        Pause("orders-1", at_s=5.5, for_s=4),
        Consumer("billing", of="orders"),
        until_s=60,
    )
    assert noted(history, "elected") == []
    assert len(ids(history, "handled")) == 20


def test_what_was_not_flushed_is_lost_with_the_power_and_kept_without():
    def lost(power, **flush):
        history = run(
            Publisher("shop", to="orders", gap_s=Constant(1.0), count=20, acks="leader"),
            Log("orders", **flush),
            Consumer("billing", of="orders", service_s=30.0),
            Crash("orders", at_s=14.5, down_s=1, power=power),
            until_s=900,
        )
        return ids(history, "lost")

    assert lost(False, flush_every_s=6) == []
    assert lost(True, flush_every_s=6) == ["shop.13", "shop.14"] or lost(True, flush_every_s=6) == [
        "shop.12",
        "shop.13",
        "shop.14",
    ]
    assert lost(True, flush_every_events=5) == ["shop.11", "shop.12", "shop.13", "shop.14"]
    assert lost(True, flush_every_events=1) == []


def test_replicas_make_up_for_a_power_cut_of_one_machine():
    history = run(
        Publisher("shop", to="orders", gap_s=Constant(1.0), count=20, acks="all", request_timeout_s=5),
        Log("orders", replicas=3, min_insync_replicas=2, flush_every_s=60, failover_s=2),
        Consumer("billing", of="orders"),
        Crash("orders-1", at_s=10.5, down_s=3, power=True),
        until_s=200,
    )
    assert set(ids(history, "confirmed")) <= set(ids(history, "handled"))
    assert len(set(ids(history, "handled"))) == 20


FAULTS = st.lists(
    st.one_of(
        st.builds(
            Crash,
            st.sampled_from(["orders-1", "orders-2", "orders-3"]),
            at_s=st.floats(1, 25).map(lambda s: round(s, 2)),
            down_s=st.sampled_from([0.5, 4.0, 30.0]),
        ),
        st.builds(
            Pause,
            st.sampled_from(["orders-1", "orders-2", "orders-3"]),
            at_s=st.floats(1, 25).map(lambda s: round(s, 2)),
            for_s=st.sampled_from([0.5, 4.0]),
        ),
    ),
    max_size=4,
).map(possible)


@settings(max_examples=60, deadline=None)
@given(FAULTS, st.integers(0, 10**6), st.sampled_from([1, 2]))
def test_what_was_acknowledged_by_all_is_never_lost_in_a_clean_election(faults, seed, least):
    """Kafka's own promise, for every plan of crashes: an acknowledged message is not lost while one replica lives."""
    history = run(
        Publisher("shop", to="orders", rate=8, count=200, acks="all", request_timeout_s=3, delivery_timeout_s=600),
        Link("shop", "orders", delay_s=Constant(0.01)),
        Log("orders", replicas=3, min_insync_replicas=least, replication_s=Constant(0.05), failover_s=2),
        Consumer("billing", of="orders"),
        *dict.fromkeys(faults),
        until_s=400,
        seed=seed,
    )
    handled = ids(history, "handled")
    assert set(ids(history, "confirmed")) <= set(handled)
    assert len(handled) == len(set(handled)), "an idempotent producer's retries make no duplicates"
    numbers = [int(id_.split(".")[1]) for id_ in handled]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ((Log("orders", min_insync_replicas=2),), "can never be in sync"),
        ((Log("orders"), Crash("orders", at_s=1, power=True)), "flush_every_s=30"),
        ((Log("orders", replicas=2), Crash("orders-3", at_s=1)), "orders-1, orders-2"),
    ],
)
def test_what_cannot_be_is_refused_before_the_run(parts, sentence):
    with pytest.raises(BadScenario, match=sentence):
        Scenario(Publisher("shop", to="orders", rate=1), *parts).check()


def test_an_unclean_leader_is_elected_when_it_comes_back_too():
    """The election found nobody; then a replica that is not in sync comes back, and is allowed to lead."""
    history = run(
        Publisher("shop", to="orders", gap_s=Constant(0.1), count=100),
        Log("orders", replicas=2, unclean_leader_election=True, replica_lag_time_max_s=1, failover_s=1),
        Crash("orders-2", at_s=0.55, down_s=5),
        Crash("orders-1", at_s=4.05, down_s=6),
        until_s=30,
    )
    assert noted(history, "elected")[0] == (5.55, "orders-2")
