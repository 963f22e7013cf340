"""Share groups: the records of a log as a queue, one by one, to more members than partitions."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shops import run

from evsim.errors import BadScenario
from evsim.lab.scenario import Scenario
from evsim.laws import Constant, Exponential
from evsim.patterns.handler import Reject, Requeue
from evsim.sim.broker.log import Log
from evsim.sim.broker.queue import Queue
from evsim.sim.consumer import Consumer, Share, Timed
from evsim.sim.faults import Crash, Join, Leave, Partition, Pause
from evsim.sim.growth import AddPartitions
from evsim.sim.publisher import Publisher
from evsim.view import measures
from evsim.view.checks import judge, nothing_lost
from evsim.view.theory import MMc


def shop(*more, count=100, gap_s=0.05, log=None, members=1, share=None, **settings):
    settings = {"service_s": Constant(0.02)} | settings
    return (
        Publisher("shop", to="orders", gap_s=Constant(gap_s), count=count),
        log or Log("orders"),
        Consumer("billing", of="orders", members=members, share=share or Share(lock_s=2), **settings),
        *more,
    )


def numbers(history, step):
    return [record.number for record in history.of(step)]


def test_members_share_one_partition_record_by_record():
    history = run(*shop(members=4, gap_s=0.01, service_s=Constant(0.03)), until_s=60)
    busy = Counter(record.node for record in history.of("handled"))
    assert sorted(numbers(history, "handled")) == list(range(100))
    assert min(busy.values()) >= 20
    assert judge(nothing_lost(), history).state == "ok"


def test_a_record_that_nobody_accepts_is_archived_after_five_deliveries():
    def sulking(event, ctx):
        if event.id == "shop.4":
            raise Requeue

    history = run(*shop(on={"order.placed": sulking}), until_s=60)
    assert numbers(history, "delivered").count(3) == 5
    assert numbers(history, "exhausted") == [3]
    assert len(history.of("acked")) == 99
    assert judge(nothing_lost(), history).state == "VIOLATED"


def test_a_record_that_is_rejected_is_not_given_again():
    def proud(event, ctx):
        if event.id == "shop.4":
            raise Reject

    history = run(*shop(on={"order.placed": proud}), until_s=60)
    assert numbers(history, "delivered").count(3) == 1
    assert numbers(history, "rejected") == [3]


def test_the_locks_of_a_dead_member_run_out_and_not_before():
    history = run(*shop(Crash("billing-1", at_s=1.01, down_s=50), members=2, service_s=Constant(0.2)), until_s=60)
    again = [record for record in history.of("delivered") if numbers(history, "delivered").count(record.number) > 1]
    assert len(again) == 2
    assert again[1].time - again[0].time >= 2
    assert sorted(set(numbers(history, "acked"))) == list(range(100))


def test_who_is_slower_than_its_lock_is_refused():
    history = run(*shop(share=Share(lock_s=0.5), service_s=Constant(0.6), gap_s=5.0, count=2), until_s=60)
    assert len(history.of("fenced")) >= 2
    assert len(history.of("acked")) == 0
    assert numbers(history, "exhausted") == [0, 1]


def test_who_leaves_gives_back_at_once_what_it_had():
    history = run(
        *shop(Leave("billing-1", at_s=1.0), members=2, prefetch=5, gap_s=0.01, service_s=Constant(0.05)), until_s=60
    )
    back = [record.time for record in history.of("requeued")]
    assert back
    assert max(back) < 1.1
    assert sorted(set(numbers(history, "acked"))) == list(range(100))


def test_the_broker_remembers_what_is_done_over_a_crash():
    history = run(*shop(Crash("orders", at_s=10, down_s=2), members=3, gap_s=0.05), until_s=60)
    acked = numbers(history, "acked")
    assert len(acked) == len(set(acked)) == 100


@pytest.mark.parametrize(("members", "load"), [(4, 0.8), (8, 0.7), (3, 0.6)])
def test_more_members_than_partitions_wait_as_erlang_c_says(members, load):
    rate = members * load / 0.05
    waits = []
    for seed in range(4):
        history = run(
            Publisher("shop", to="orders", rate=rate),
            Log("orders", partitions=2),
            Consumer("billing", of="orders", members=members, share=Share(), service_s=Exponential(0.05)),
            until_s=1000,
            seed=seed,
        )
        waits.append(measures.latencies(history, "billing").mean())
    assert sum(waits) / 4 == pytest.approx(MMc(rate, 20, members).mean_sojourn_s, rel=0.03)


def test_two_share_groups_get_everything_each():
    mailing = Consumer("mailing", of="orders", share=Share(), members=2)
    history = run(*shop(mailing, members=2), until_s=60)
    for name in ("billing", "mailing"):
        assert sorted(r.number for r in history.of("acked") if r.node.startswith(name)) == list(range(100))


def test_what_retention_deletes_before_it_was_given_out_is_expired():
    log = Log("orders", retention_events=10)
    history = run(
        *shop(Pause("billing", at_s=0.0, for_s=20), log=log, count=50, auto_offset_reset="earliest"), until_s=60
    )
    assert len(numbers(history, "expired")) + len(set(numbers(history, "acked"))) == 50
    assert len(numbers(history, "acked")) >= 10


faults = st.one_of(
    st.builds(
        lambda part, at_s, down_s: Crash(part, at_s=at_s, down_s=down_s),
        st.sampled_from(["billing", "billing-1", "orders"]), st.floats(0.1, 5), st.floats(0.1, 5),
    ),
    st.builds(
        lambda part, at_s, for_s: Pause(part, at_s=at_s, for_s=for_s),
        st.sampled_from(["billing-2", "billing", "orders"]), st.floats(0.1, 5), st.floats(0.1, 5),
    ),
    st.builds(
        lambda at_s, for_s: Partition("orders", "billing-1", at_s=at_s, for_s=for_s),
        st.floats(0.1, 5), st.floats(0.1, 5),
    ),
    st.builds(lambda at_s: Join("billing", at_s=at_s), st.floats(0.1, 5)),
    st.builds(lambda at_s: Leave("billing-2", at_s=at_s), st.floats(0.1, 5)),
    st.builds(lambda at_s: AddPartitions("orders", to=4, at_s=at_s, noticed_s=1.0), st.floats(0.1, 5)),
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    st.lists(faults, max_size=4),
    st.sampled_from([("after", 1), ("after", 4), ("after", None), ("batch", 1), ("batch", 4)]),
    st.sampled_from([{}, {"replicas": 3}, {"compaction": True, "clean_every_s": 0.5}]),
    st.integers(0, 99),
)
def test_whatever_happens_every_record_is_done_once(plan, policy, kind, seed):
    commit, prefetch = policy
    if sum(isinstance(fault, AddPartitions) for fault in plan) > 1:
        return
    history = run(
        *shop(
            *plan,
            log=Log("orders", partitions=2, **kind),
            members=2,
            prefetch=prefetch,
            commit=commit,
            share=Share(lock_s=2, delivery_limit=100),
            service_s=Exponential(0.03),
            auto_offset_reset="earliest",
        ),
        until_s=120,
        seed=seed,
    )
    acked = Counter((r.place, r.number) for r in history.of("acked"))
    gone = {(r.place, r.number) for r in history.of("compacted")}
    stored = {(r.place, r.number) for r in history.of("stored")}
    assert not acked or max(acked.values()) == 1
    assert set(acked) | gone == stored
    assert not set(acked) & gone


@pytest.mark.parametrize(
    ("broker", "settings", "problem"),
    [
        (Log("orders"), {"commit": Timed(1.0)}, "acknowledges each record"),
        (Log("orders"), {"protocol": "cooperative"}, "own partitions"),
        (Log("orders"), {"isolation": "read_committed"}, "own partitions"),
        (Queue("orders"), {}, "is for a log"),
    ],
)
def test_what_a_share_group_cannot_be_is_said_before_the_run(broker, settings, problem):
    with pytest.raises(BadScenario, match=problem):
        Scenario(*shop(log=broker, **settings)).run(1, seed=1)


def test_a_batch_that_takes_longer_than_the_lock_never_ends():
    """Who accepts only at the end of a batch has to be done with it in time."""
    late = shop(
        gap_s=0.001, prefetch=None, commit="batch", service_s=Constant(0.05), share=Share(delivery_limit=3, lock_s=2)
    )
    history = run(*late, until_s=60)
    assert len(history.of("acked")) < 50
    assert len(history.of("exhausted")) > 50


def test_the_story_of_a_record_speaks_of_no_offset_of_the_group():
    told = run(*shop(members=2), until_s=30).story("shop.3")
    assert "knows that billing-" in told
    assert "now stands at" not in told
