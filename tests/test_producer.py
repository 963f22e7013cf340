"""A publisher that waits for answers: what an engineer who knows Kafka's producer expects."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from shops import ids, run

from evsim.errors import BadScenario
from evsim.laws import Constant, Exponential
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash, Drop, Partition, Pause
from evsim.sim.network import Link
from evsim.sim.publisher import Publisher
from evsim.view.publishing import publishing


def shop(**settings):
    """Twenty evenly spaced orders a second that ask for a confirmation."""
    settings = {"gap_s": Constant(0.05), "acks": "leader"} | settings
    return Publisher("shop", to="orders", **settings)


def test_every_event_is_confirmed_after_it_was_stored():
    history = run(shop(), Log("orders"), Link("shop", "orders", delay_s=0.01), until_s=2.01)
    rows = [(r.step, round(r.time, 3)) for r in history.of(event="shop.1")]
    assert rows == [("published", 0.05), ("stored", 0.06), ("confirmed", 0.07)]
    assert len(ids(history, "confirmed")) >= 38


def test_a_batch_leaves_when_it_is_full():
    history = run(shop(linger_s=60, batch_events=4, delivery_timeout_s=120), Log("orders"), until_s=1.02)
    assert [round(r.time, 2) for r in history.of("stored")] == [0.2] * 4 + [0.4] * 4 + [0.6] * 4 + [0.8] * 4 + [1.0] * 4


def test_a_batch_leaves_when_its_first_event_has_lingered():
    history = run(shop(linger_s=0.12), Log("orders"), until_s=1.02)
    stored = [round(r.time, 2) for r in history.of("stored")]
    assert stored[:6] == [0.17] * 3 + [0.32] * 3


def test_bytes_and_compression_say_how_many_events_fill_a_batch():
    plain = run(shop(linger_s=60), Log("orders"), until_s=10)
    assert Counter(r.time for r in plain.of("stored")).most_common(1)[0][1] == 16
    small = run(shop(linger_s=60, compression=0.25, batch_bytes=1000), Log("orders"), until_s=10)
    assert set(Counter(r.time for r in small.of("stored")).values()) == {4}


def test_events_without_a_key_stick_to_a_partition_until_a_batch_is_full():
    history = run(shop(linger_s=0.12, batch_events=6, key=None), Log("orders", partitions=5), until_s=30)
    places = [r.place for r in history.of("stored")]
    runs = [places[i : i + 6] for i in range(0, len(places) - 6, 6)]
    assert all(len(set(each)) == 1 for each in runs)
    assert all(a[0] != b[0] for a, b in itertools.pairwise(runs))
    assert len(set(places)) == 5


def test_no_more_requests_than_allowed_are_in_flight_and_what_waits_becomes_a_batch():
    history = run(
        shop(gap_s=Constant(0.01), max_in_flight=2, acks="all"),
        Log("orders"),
        Link("shop", "orders", delay_s=0.1),
        until_s=5,
    )
    requests = Counter(round(r.time, 9) for r in history.of("stored", from_s=1))
    assert len(requests) == pytest.approx(2 * 4 / 0.2, abs=2)
    assert sum(requests.values()) / len(requests) == pytest.approx(10, abs=1)


LOG_07 = (Log("orders"), Link("shop", "orders", delay_s=0.01), Drop("shop", "orders", share=1, at_s=0.99, for_s=0.02))


def test_a_retry_with_several_in_flight_inverts_the_order():
    history = run(shop(idempotent=False, request_timeout_s=1), *LOG_07, until_s=10.001)
    stored = ids(history, "stored")
    assert Counter(stored).most_common(1)[0][1] == 1
    assert stored.index("shop.20") > stored.index("shop.25")
    assert ids(history, "retried") == ["shop.20"]


def test_a_retry_with_one_in_flight_keeps_the_order():
    history = run(shop(idempotent=False, request_timeout_s=1, max_in_flight=1), *LOG_07, until_s=10.001)
    stored = ids(history, "stored")
    assert stored == sorted(stored, key=lambda e: int(e.split(".")[1]))


def test_an_idempotent_producer_keeps_the_order_and_repeats_nothing():
    history = run(shop(acks="all", request_timeout_s=1), *LOG_07, until_s=10.001)
    stored = ids(history, "stored")
    assert stored == [f"shop.{n}" for n in range(1, len(stored) + 1)]
    assert len(stored) >= 195
    assert len(ids(history, "refused"))


@pytest.mark.parametrize(("idempotent", "twice"), [(False, True), (True, False)])
def test_a_lost_answer_makes_a_duplicate_unless_the_producer_is_idempotent(idempotent, twice):
    history = run(
        shop(acks="all", idempotent=idempotent, request_timeout_s=1),
        Log("orders"),
        Drop("orders", "shop", share=0.2),
        until_s=60,
    )
    stored = Counter(ids(history, "stored"))
    assert (max(stored.values()) > 1) == twice
    assert len(ids(history, "retried")) > 100
    assert set(ids(history, "confirmed")) <= set(stored)


def test_what_no_broker_answers_is_given_up_after_the_delivery_timeout():
    history = run(
        shop(request_timeout_s=1, delivery_timeout_s=4, acks="all"),
        Log("orders"),
        Partition("shop", "orders", at_s=5.01, for_s=10),
        until_s=30.001,
    )
    given_up = ids(history, "given_up")
    assert 110 <= len(given_up) <= 165
    for record in history.of("given_up"):
        published = history.of("published", event=record.event_id).time[0]
        assert record.time - published <= 4.3, "not later, for it counts from the first event of a batch"
    stored = Counter(ids(history, "stored"))
    assert max(stored.values()) == 1
    assert set(stored) | set(given_up) >= {f"shop.{n}" for n in range(1, 598)}


def test_retries_end_the_attempts():
    history = run(
        shop(retries=2, request_timeout_s=1),
        Log("orders"),
        Partition("shop", "orders", at_s=0.01, for_s=60),
        until_s=50,
    )
    assert {r.number for r in history.of("given_up")} == {3}
    assert Counter(ids(history, "retried"))["shop.1"] == 2


SLOW = (Log("orders"), Link("shop", "orders", delay_s=0.5))


def test_a_full_buffer_blocks_the_publisher():
    history = run(shop(buffer_events=10, max_in_flight=1), *SLOW, until_s=60)
    assert len(ids(history, "published")) == pytest.approx(300, rel=0.15)
    assert not ids(history, "shed")
    assert max(_held(history)) <= 11


def test_a_full_buffer_refuses_the_newest():
    history = run(shop(buffer_events=5, max_in_flight=1, when_full="drop"), *SLOW, until_s=60.01)
    shed = ids(history, "shed")
    assert len(ids(history, "published")) == 1200
    assert 1000 < len(shed) < 1100
    assert all(r.time == history.of("published", event=r.event_id).time[0] for r in history.of("shed"))
    assert not set(shed) & set(ids(history, "stored"))


def test_a_full_buffer_throws_the_oldest_away_that_was_never_sent():
    history = run(shop(buffer_events=5, max_in_flight=1, when_full="shed"), *SLOW, until_s=60.01)
    waits = [r.time - history.of("published", event=r.event_id).time[0] for r in history.of("shed")]
    assert min(waits) > 0.01
    assert not set(ids(history, "shed")) & set(ids(history, "stored"))
    fresh = [r.time - history.of("published", event=r.event_id).time[0] for r in history.of("confirmed")]
    stale = run(shop(buffer_events=5, max_in_flight=1, when_full="drop"), *SLOW, until_s=60.01)
    late = [r.time - stale.of("published", event=r.event_id).time[0] for r in stale.of("confirmed")]
    assert sum(fresh) / len(fresh) < sum(late) / len(late)


def _held(history):
    held, found = 0, []
    for record in history.of({"published", "confirmed"}):
        held += 1 if record.step == "published" else -1
        found.append(held)
    return found


def test_a_crash_of_the_publisher_loses_what_waited_and_says_so():
    history = run(
        shop(linger_s=1, acks="all", batch_events=100, delivery_timeout_s=120),
        Log("orders"),
        Crash("shop", at_s=5.5, down_s=2),
        until_s=20,
    )
    lost = set(ids(history, "lost"))
    assert 1 <= len(lost) <= 20
    assert not lost & set(ids(history, "stored"))
    assert set(ids(history, "published", to_s=18)) == lost | set(ids(history, "confirmed", to_s=19)) & set(
        ids(history, "published", to_s=18)
    )


def test_a_paused_publisher_loses_nothing():
    history = run(
        shop(linger_s=0.2, acks="all", request_timeout_s=1),
        Log("orders"),
        Pause("shop", at_s=5.51, for_s=4),
        until_s=20,
    )
    confirmed = Counter(ids(history, "confirmed"))
    assert set(confirmed.values()) == {1}
    assert set(confirmed) >= set(ids(history, "published", to_s=19))


def test_clients_wait_until_their_event_is_confirmed():
    history = run(
        Publisher("shop", to="orders", clients=3, think_s=Constant(1.0), acks="all"),
        Log("orders"),
        Link("shop", "orders", delay_s=0.5),
        until_s=20.01,
    )
    assert len(ids(history, "published")) == 30


def test_transactions_commit_and_abort_by_their_share():
    history = run(
        shop(acks="all", transaction_events=5, abort_share=0.3, gap_s=Constant(0.01)), Log("orders"), until_s=100
    )
    committed, aborted = len(history.of("committed")), len(history.of("aborted"))
    assert committed + aborted == pytest.approx(2000, abs=2)
    assert aborted / (committed + aborted) == pytest.approx(0.3, abs=0.04)


@pytest.mark.parametrize(
    ("settings", "fix"),
    [
        ({"idempotent": True, "acks": "leader"}, "give acks='all'"),
        ({"idempotent": True, "acks": "all", "max_in_flight": 6}, "max_in_flight=5"),
        ({"idempotent": True, "acks": "all", "retries": 0}, "leave retries out"),
        ({"transaction_events": 5}, "give acks='all'"),
        ({"abort_share": 0.5}, "transaction_events=10"),
        ({"acks": "none", "buffer_events": 10}, "acks='leader'"),
        ({"acks": "all", "linger_s": 100, "delivery_timeout_s": 120}, "at least linger_s + request_timeout_s = 130"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_with_the_fix(settings, fix):
    with pytest.raises(BadScenario, match="shop") as refused:
        Publisher("shop", to="orders", rate=1, **settings)
    assert fix in str(refused.value)


@pytest.mark.parametrize("seed", range(6))
def test_every_event_ends_once_under_every_fault(seed):
    history = run(
        Publisher(
            "shop", to="orders", rate=60, acks="all", linger_s=0.03, request_timeout_s=0.5, delivery_timeout_s=3,
            buffer_events=40, when_full=("block", "drop", "shed")[seed % 3], key="own" if seed % 2 else None,
        ),
        Log("orders", partitions=3),
        Link("shop", "orders", delay_s=Exponential(0.05)),
        Drop("shop", "orders", share=0.1),
        Drop("orders", "shop", share=0.1),
        Crash("shop", at_s=7.03, down_s=1),
        Crash("orders", at_s=12, down_s=5),
        Pause("shop", at_s=25, for_s=3),
        Pause("orders", at_s=32, for_s=2),
        Consumer("billing", of="orders"),
        until_s=60,
        seed=seed,
    )  # fmt: skip
    ended = Counter(event for step in ("confirmed", "given_up", "shed", "lost") for event in ids(history, step))
    assert max(ended.values()) == 1
    open_ = set(ids(history, "published", to_s=54)) - set(ended)
    assert len(open_) <= 45, "only what was in flight at the crash has no end"
    assert set(ids(history, "confirmed")) <= set(ids(history, "stored"))
    assert not (set(ids(history, "shed")) | set(ids(history, "lost"))) & set(ids(history, "stored"))
    assert max(Counter(ids(history, "stored")).values()) == 1 or len(history.of("given_up"))


@pytest.mark.parametrize(("acks", "gone"), [("none", True), ("leader", True), ("all", False)])
def test_a_power_cut_of_the_leader_takes_what_only_the_leader_had(acks, gone):
    history = run(
        shop(gap_s=Constant(0.005), acks=acks, linger_s=0.005, request_timeout_s=1),
        Log("orders", replicas=3, min_insync_replicas=2, replication_s=0.02, flush_every_s=1, failover_s=3),
        Crash("orders-1", at_s=10, down_s=5, power=True),
        until_s=30,
    )
    found = publishing(history)
    assert (found["lost_after_ack"] > 0) == gone
    assert found["lost_after_ack"] > 500 if acks == "none" else found["lost_after_ack"] < 20
    assert found["repeated"] == 0 or acks == "leader"
