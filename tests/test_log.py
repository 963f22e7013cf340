"""The log, its groups and members: what an engineer who knows Kafka expects."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from shops import ids, run

from evsim.keys import partition_of
from evsim.laws import Constant, Exponential, Zipf
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer, Timed
from evsim.sim.faults import Crash, Delay, Drop, Duplicate, Join, Leave, Partition, Pause
from evsim.sim.network import Link
from evsim.sim.publisher import Publisher


def shop(**settings):
    """A shop of twenty evenly spaced orders a second, one partition, one member that needs 10 ms each."""
    settings = {"service_s": Constant(0.01)} | settings
    return (
        Publisher("shop", to="orders", gap_s=Constant(0.05)),
        Log("orders"),
        Consumer("billing", of="orders", **settings),
    )


def test_every_event_passes_the_steps_in_order():
    history = run(*shop(), until_s=1.01)
    steps = [record.step for record in history.of(event="shop.1")]
    assert steps == ["published", "stored", "delivered", "handled", "acked"]


def test_order_within_a_partition_and_every_event_once():
    history = run(*shop(), until_s=10.001)
    expected = [f"shop.{n}" for n in range(1, 200)]
    assert ids(history, "handled")[:199] == expected


def test_a_key_goes_to_the_partition_that_kafka_would_choose():
    history = run(Publisher("shop", to="orders", rate=50, key=Zipf(30, 1.0)), Log("orders", partitions=7), until_s=20)
    seen = {(history.key_of(history.index(r.event_id)), r.place) for r in history.of("stored")}
    assert len(seen) > 10
    assert all(place == f"orders/{partition_of(key, 7)}" for key, place in seen)


def test_events_without_a_key_are_spread_over_the_partitions():
    history = run(Publisher("shop", to="orders", rate=200, key=None), Log("orders", partitions=4), until_s=50)
    counts = Counter(r.place for r in history.of("stored"))
    assert len(counts) == 4
    assert max(counts.values()) < 1.1 * min(counts.values())


def test_each_partition_has_one_owner_and_all_are_owned():
    history = run(
        Publisher("shop", to="orders", rate=100),
        Log("orders", partitions=7),
        Consumer("billing", of="orders", members=3, service_s=0.001),
        until_s=5,
    )
    owners = {(r.place, r.node) for r in history.of("assigned")}
    assert Counter(node for _, node in owners) == {"billing-1": 3, "billing-2": 2, "billing-3": 2}
    assert len({place for place, _ in owners}) == 7
    assert len(ids(history, "handled")) > 400


def test_commit_after_a_crash_redelivers_from_the_committed_offset():
    history = run(*shop(), Crash("billing", after="handled", nth=3, down_s=1), until_s=5)
    assert Counter(ids(history, "handled"))["shop.3"] == 2
    assert sum(n - 1 for n in Counter(ids(history, "handled")).values()) == 1
    assert set(ids(history, "handled")) >= {f"shop.{n}" for n in range(1, 95)}


def test_commit_before_loses_what_was_in_hand_at_the_crash():
    history = run(*shop(commit="before"), Crash("billing", after="delivered", nth=3, down_s=1), until_s=5)
    handled = Counter(ids(history, "handled"))
    assert handled["shop.3"] == 0
    assert max(handled.values()) == 1
    assert set(handled) >= {f"shop.{n}" for n in range(1, 95)} - {"shop.3"}


@pytest.mark.parametrize("step", ["delivered", "handled", "saved", "sent", "acked"])
@pytest.mark.parametrize("commit", ["after", "before", "batch", Timed(0.3)])
def test_crash_step_by_commit_policy_comes_out_as_the_delivery_guarantee_says(step, commit):
    history = run(*shop(commit=commit, prefetch=4), Crash("billing", after=step, nth=30, down_s=1), until_s=8)
    handled = Counter(ids(history, "handled"))
    lost = [f"shop.{n}" for n in range(1, 140) if f"shop.{n}" not in handled]
    repeated = [event for event, count in handled.items() if count > 1]
    if commit == "before":
        assert not repeated
        assert (step == "delivered") == ("shop.30" in lost)
    else:
        assert not lost
    if commit == "after":
        assert repeated == (["shop.30"] if step in {"handled", "saved", "sent"} else [])


def test_timed_commits_repeat_half_a_period_of_work_on_average():
    """μc/2: a member that is never idle handles 50/s, commits every 2 s, crashes at 60 times spread over the period."""
    repeats = []
    for seed in range(60):
        parts = (
            Publisher("shop", to="orders", rate=200),
            Log("orders"),
            Consumer("billing", of="orders", service_s=0.02, commit=Timed(2.0)),
            Crash("billing", at_s=4.0 + (seed + 0.5) / 30, down_s=0.5),
        )
        handled = ids(run(*parts, until_s=12, seed=seed), "handled")
        repeats.append(len(handled) - len(set(handled)))
    assert np.mean(repeats) == pytest.approx(50 * 2.0 / 2, abs=3 * np.std(repeats) / np.sqrt(60))


def test_a_dead_member_is_expelled_after_the_session_timeout_and_the_others_take_over():
    history = run(
        Publisher("shop", to="orders", gap_s=0.01),
        Log("orders", partitions=4),
        Consumer("billing", of="orders", members=2, service_s=0.001, session_timeout_s=6),
        Crash("billing-2", at_s=10, down_s=None),
        until_s=30,
    )
    assert [round(r.time, 6) for r in history.of("expelled")] == [16.0]
    takeover = [r for r in history.of("assigned", node="billing-1") if r.time > 1]
    assert {r.place for r in takeover} == {f"orders/{n}" for n in range(4)}
    assert set(ids(history, "handled")) >= {f"shop.{n}" for n in range(1, 2900)}


def test_a_member_that_is_back_in_time_keeps_its_partitions_without_a_rebalance():
    history = run(
        Publisher("shop", to="orders", gap_s=0.01),
        Log("orders", partitions=4),
        Consumer("billing", of="orders", members=2, service_s=0.001),
        Crash("billing-2", at_s=10, down_s=5),
        until_s=30,
    )
    assert {r.number for r in history.of("assigned")} == {1}
    assert set(ids(history, "handled")) >= {f"shop.{n}" for n in range(1, 2990)}


def test_a_paused_member_loses_nothing_and_goes_on_where_it_stopped():
    history = run(*shop(), Pause("billing", at_s=1.052, for_s=3), until_s=10)
    handled = ids(history, "handled")
    assert handled == sorted(set(handled), key=lambda e: int(e.split(".")[1]))
    assert len(handled) >= 195
    [(began, ended)] = [
        (d.time, h.time)
        for d, h in zip(history.of("delivered"), history.of("handled"), strict=False)
        if d.time <= 1.052 < h.time
    ]
    assert ended - began == pytest.approx(3.01, abs=1e-6)


@pytest.mark.parametrize(("at_s", "for_s"), [(1.1, 0.2), (1.3, 0.2), (1.3, 2.0)])
def test_a_pause_within_the_work_makes_it_longer_by_the_pause(at_s, for_s):
    history = run(*shop(service_s=0.4), Pause("billing", at_s=at_s, for_s=for_s), until_s=4)
    [took] = [
        h.time - d.time
        for d, h in zip(history.of("delivered"), history.of("handled"), strict=False)
        if d.time < at_s < h.time
    ]
    assert took == pytest.approx(0.4 + for_s, abs=1e-6)


def test_a_zombies_commit_is_refused_by_generation():
    history = run(
        Publisher("shop", to="orders", gap_s=0.05),
        Log("orders", partitions=2),
        Consumer("billing", of="orders", members=2, service_s=0.04, session_timeout_s=6),
        Pause("billing-1", at_s=5.06, for_s=20),
        until_s=60,
    )
    fenced = list(history.of("fenced"))
    assert fenced
    assert all(r.node == "billing-1" for r in fenced)
    acked = Counter(ids(history, "acked"))
    assert max(acked.values()) == 1
    assert {r.node for r in history.of("acked", from_s=40)} == {"billing-1", "billing-2"}


def test_offsets_belong_to_the_group_and_survive_a_member_that_leaves():
    history = run(
        Publisher("shop", to="orders", gap_s=0.05, count=20),
        Log("orders"),
        Consumer("billing", of="orders", members=1, service_s=0.001),
        Leave("billing", at_s=3),
        Join("billing", at_s=5),
        until_s=10,
    )
    assert len(ids(history, "handled")) == 20


def test_a_newcomer_gets_its_share_and_nothing_is_handled_twice():
    history = run(
        Publisher("shop", to="orders", gap_s=0.01),
        Log("orders", partitions=4),
        Consumer("billing", of="orders", service_s=0.008),
        Join("billing", at_s=10),
        until_s=20,
    )
    handled = Counter(ids(history, "handled"))
    assert max(handled.values()) == 1
    assert {r.node for r in history.of("handled", from_s=11)} == {"billing", "billing-2"}


def test_a_rebalance_stops_the_group_for_as_long_as_it_takes():
    history = run(
        Publisher("shop", to="orders", gap_s=0.01),
        Log("orders", partitions=4),
        Consumer("billing", of="orders", service_s=0.001, rebalance_s=3),
        Join("billing", at_s=10),
        until_s=20,
    )
    assert not len(history.of("handled", from_s=10.01, to_s=13.0))
    assert len(history.of("handled", from_s=13.0, to_s=13.5)) > 300


def test_retention_that_passes_a_stopped_group_is_recorded_as_expired():
    history = run(
        Publisher("shop", to="orders", gap_s=0.1),
        Log("orders", retention_s=5),
        Consumer("billing", of="orders", service_s=0.001, session_timeout_s=100, auto_offset_reset="earliest"),
        Pause("billing", at_s=10, for_s=20),
        until_s=50,
    )
    expired = ids(history, "expired")
    assert 140 <= len(expired) <= 160
    assert not set(expired) & set(ids(history, "handled"))
    assert len(set(expired) | set(ids(history, "handled"))) >= 498


def test_auto_offset_reset_latest_jumps_to_the_end():
    history = run(
        Publisher("shop", to="orders", gap_s=0.1),
        Log("orders", retention_events=20),
        Consumer("billing", of="orders", service_s=0.001, session_timeout_s=100),
        Pause("billing", at_s=10.05, for_s=20),
        until_s=50,
    )
    after = [r for r in history.of("handled") if r.time > 10.5]
    assert after[0].time >= 30
    assert int(after[0].event_id.split(".")[1]) >= 280


def test_dropped_on_the_way_in_is_gone_and_known():
    history = run(*shop(), Drop("shop", "orders", share=0.2), until_s=50.001)
    dropped = ids(history, "dropped")
    assert 150 < len(dropped) < 250
    assert not set(dropped) & set(ids(history, "stored"))


def test_duplicated_on_the_way_in_is_stored_twice():
    history = run(*shop(), Duplicate("shop", "orders", share=0.1), until_s=20.001)
    twice = {event for event, count in Counter(ids(history, "stored")).items() if count == 2}
    assert twice == set(ids(history, "duplicated"))
    assert len(twice) > 20


def test_delay_holds_up_and_keeps_the_order_of_the_link():
    history = run(*shop(), Delay("shop", "orders", extra_s=0.5, at_s=2, for_s=1), until_s=10.001)
    stored = ids(history, "stored")
    assert stored == sorted(stored, key=lambda e: int(e.split(".")[1]))
    assert len(ids(history, "delayed")) == 20


def test_a_cut_link_to_the_log_loses_what_is_sent_and_a_cut_link_to_the_member_does_not():
    lossy = run(*shop(), Partition("shop", "orders", at_s=2.01, for_s=3), until_s=20)
    assert len(ids(lossy, "dropped")) == 60
    safe = run(*shop(), Partition("orders", "billing", at_s=2.03, for_s=3), until_s=20.001)
    assert {f"shop.{n}" for n in range(1, 390)} <= set(ids(safe, "handled"))
    assert not len(safe.of("handled", from_s=2.06, to_s=5.0))


def test_a_lost_fetch_is_asked_again():
    history = run(*shop(), Drop("orders", "billing", share=0.3), until_s=300)
    assert {f"shop.{n}" for n in range(1, 500)} <= set(ids(history, "handled"))


def test_links_delay_and_keep_order():
    history = run(
        Publisher("shop", to="orders", rate=100),
        Log("orders"),
        Link("shop", "orders", delay_s=Exponential(0.05)),
        until_s=60,
    )
    published, stored = history.of("published"), history.of("stored")
    n = len(stored)
    assert (stored.event == published.event[:n]).all()
    assert (stored.time - published.time[:n]).mean() > 0.05


def test_a_crashed_log_keeps_what_it_stored_and_loses_what_comes_meanwhile():
    history = run(*shop(), Crash("orders", at_s=2.01, down_s=1), until_s=10.001)
    assert len(ids(history, "dropped")) == 20
    assert len(ids(history, "handled")) >= 175


@pytest.mark.parametrize("seed", range(5))
def test_what_is_stored_is_delivered_whatever_happens_to_the_members(seed):
    history = run(
        Publisher("shop", to="orders", rate=40),
        Log("orders", partitions=5),
        Consumer(
            "billing",
            of="orders",
            members=3,
            service_s=Exponential(0.02),
            session_timeout_s=3,
            rebalance_s=0.5,
            commit=Timed(1.0),
        ),
        Link("orders", "billing", delay_s=Exponential(0.002)),
        Crash("billing-1", at_s=5, down_s=1),
        Crash("billing-2", at_s=8, down_s=10),
        Pause("billing-3", at_s=15.3, for_s=6),
        Partition("orders", "billing-1", at_s=30, for_s=5),
        Join("billing", at_s=35),
        Leave("billing-2", at_s=40),
        until_s=80,
        seed=seed,
    )
    stored = ids(history, "stored", to_s=70)
    assert set(stored) <= set(ids(history, "handled"))


def test_each_partition_has_at_most_one_owner_per_generation():
    history = run(
        Publisher("shop", to="orders", rate=40),
        Log("orders", partitions=5),
        Consumer("billing", of="orders", members=3, service_s=Exponential(0.02), session_timeout_s=3),
        Crash("billing-1", at_s=5, down_s=8),
        Join("billing", at_s=20),
        Leave("billing-2", at_s=30),
        until_s=50,
    )
    owners = Counter((r.place, r.number) for r in history.of("assigned"))
    assert max(owners.values()) == 1


def test_the_last_acknowledgement_is_said_again_when_the_log_was_away():
    history = run(
        Publisher("shop", to="orders", gap_s=Constant(1.0), count=3),
        Log("orders"),
        Consumer("billing", of="orders", service_s=Constant(0.5)),
        Crash("orders", at_s=3.2, down_s=1),
        until_s=10,
    )
    assert ids(history, "handled") == ["shop.1", "shop.2", "shop.3"]
    assert ids(history, "acked") == ["shop.1", "shop.2", "shop.3"]
