"""The queue, held to RabbitMQ: what its documentation promises and what was measured there."""

from __future__ import annotations

import pytest
from shops import ids, offsets, run

from evsim.laws import Constant, Exponential
from evsim.patterns.handler import Reject, Requeue
from evsim.sim.broker.base import Message
from evsim.sim.broker.exchange import Exchange
from evsim.sim.broker.log import Log
from evsim.sim.broker.queue import Queue
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash, Join, Leave, Pause
from evsim.sim.network import Link
from evsim.sim.publisher import Publisher
from evsim.sim.router import Router


def burst(count, **settings):
    """Many at once, numbered from 1."""
    return Publisher("shop", to="tasks", gap_s=Constant(0.0), count=count, **settings)


def numbers(history, step, node=None):
    return [int(id_.split(".")[1]) for id_ in ids(history, step, node)]


def fails(*failing, how=Requeue):
    """A handler that fails on its first meeting with these events."""
    met = set()

    def handler(event, ctx):
        n = int(event.id.split(".")[1])
        if n in failing and n not in met:
            met.add(n)
            raise how("no")

    return {"order.placed": handler}


def test_each_message_goes_to_one_of_those_who_compete():
    history = run(burst(100), Queue("tasks"), Consumer("worker", of="tasks", members=3, service_s=0.1), until_s=30)
    assert sorted(numbers(history, "handled")) == list(range(1, 101))
    each = [len(ids(history, "handled", f"worker-{n}")) for n in (1, 2, 3)]
    assert max(each) - min(each) <= 1


def test_a_consumer_killed_with_ten_in_hand_gives_them_back_at_once_in_order():
    """queue-01; measured: redelivered 6.6 ms after the kill, order kept."""
    history = run(
        burst(30),
        Queue("tasks"),
        Consumer("first", of="tasks", prefetch=10, service_s=1.0),
        Crash("first", at_s=5.5, down_s=None),
        Consumer("second", of="tasks", prefetch=10, service_s=0.01, priority=-1),
        until_s=60,
    )
    back = history.of("requeued")
    assert all(0.005 <= record.time - 5.5 <= 0.008 for record in back)
    assert numbers(history, "requeued") == list(range(6, 11))
    again = [n for n in numbers(history, "delivered", "second") if n in range(6, 11)]
    assert again == list(range(6, 11))
    assert sorted(set(numbers(history, "handled"))) == list(range(1, 31))


def test_classic_brings_a_nacked_message_back_to_its_place_at_the_head():
    """queue-02; measured with one in hand: 0 1 2 3 3 4 …"""
    history = run(
        burst(8), Queue("tasks"), Consumer("worker", of="tasks", prefetch=1, service_s=0.1, on=fails(4)), until_s=20
    )
    assert numbers(history, "delivered") == [1, 2, 3, 4, 4, 5, 6, 7, 8]


def test_classic_with_ten_in_hand_brings_it_after_those_that_are_out_already():
    """Measured with ten in hand: 0 … 9 3."""
    history = run(
        burst(10), Queue("tasks"), Consumer("worker", of="tasks", prefetch=10, service_s=0.1, on=fails(4)), until_s=20
    )
    assert numbers(history, "delivered") == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 4]


def test_quorum_brings_it_last():
    """queue-03."""
    history = run(
        burst(10),
        Queue("tasks", type="quorum"),
        Consumer("worker", of="tasks", prefetch=1, service_s=0.1, on=fails(4)),
        until_s=20,
    )
    assert numbers(history, "delivered") == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 4]


def test_a_poison_message_is_delivered_once_more_than_the_limit_and_then_dead_lettered():
    """queue-04."""

    def never(event, ctx):
        raise ValueError("poison")

    history = run(
        burst(1),
        Queue("tasks", type="quorum", delivery_limit=3, dead_letter="parked"),
        Queue("parked"),
        Consumer("worker", of="tasks", nack="requeue", service_s=0.1, on={"order.placed": never}),
        until_s=20,
    )
    assert numbers(history, "delivered") == [1, 1, 1, 1]
    assert numbers(history, "exhausted") == [1]
    assert [record.place for record in history.of("dead_lettered")] == ["parked"]
    assert [record.place for record in history.of("stored")] == ["tasks", "parked"]


def test_a_quorum_queue_stops_after_twenty_and_a_classic_one_never():
    def never(event, ctx):
        raise ValueError("poison")

    def deliveries(**settings):
        parts = (
            burst(1),
            Queue("tasks", **settings),
            Consumer("worker", of="tasks", nack="requeue", service_s=0.1, on={"order.placed": never}),
        )
        return len(numbers(run(*parts, until_s=10), "delivered"))

    assert deliveries(type="quorum") == 21
    assert deliveries() >= 100


def test_a_message_expires_at_the_head_only():
    """queue-05: one with 100 ms behind one with 1500 ms expires at 1500 ms."""
    history = run(
        Publisher("slow", to="tasks", gap_s=Constant(0.0), count=1, message=Message(expiration_s=1.5)),
        Publisher("fast", to="tasks", gap_s=Constant(0.001), count=1, message=Message(expiration_s=0.1)),
        Queue("tasks"),
        until_s=5,
    )
    assert [round(record.time, 3) for record in history.of("expired")] == [1.5, 1.5]


def test_the_shorter_time_to_live_counts():
    history = run(
        Publisher("shop", to="tasks", gap_s=Constant(1.0), count=1, message=Message(expiration_s=5)),
        Queue("tasks", message_ttl_s=0.5),
        until_s=9,
    )
    assert [record.time for record in history.of("expired")] == [1.5]


@pytest.mark.parametrize(
    ("overflow", "kept", "gone"),
    [("drop-head", [6, 7, 8, 9, 10], "overflowed"), ("reject-publish", [1, 2, 3, 4, 5], "dropped")],
)
def test_a_full_queue_drops_its_head_or_refuses_the_new(overflow, kept, gone):
    """queue-06: keeps 5..9, or 0..4 with five nacks."""
    history = run(burst(10), Queue("tasks", max_length=5, overflow=overflow), until_s=1)
    assert len(ids(history, gone)) == 5
    left = set(numbers(history, "stored")) - (set(numbers(history, gone)) if gone == "overflowed" else set())
    assert sorted(left) == kept


def test_a_refused_message_can_go_to_the_dead_letters():
    history = run(
        burst(7),
        Queue("tasks", max_length=5, overflow="reject-publish-dlx", dead_letter="parked"),
        Queue("parked"),
        until_s=1,
    )
    assert numbers(history, "dead_lettered") == [6, 7]


@pytest.mark.parametrize(("prefetch", "expected_s"), [(None, 7.6), (1, 0.5)])
def test_unlimited_prefetch_is_unfair_and_one_is_fair(prefetch, expected_s):
    """queue-07: 300 messages for a consumer that needs 1 ms and one that needs 50: measured 7.6 s against 0.5 s."""
    history = run(
        burst(300),
        Queue("tasks"),
        Consumer("fast", of="tasks", prefetch=prefetch, service_s=0.001),
        Consumer("slow", of="tasks", prefetch=prefetch, service_s=0.05),
        until_s=30,
    )
    assert history.of("handled").time[-1] == pytest.approx(expected_s, rel=0.45)


def test_transient_messages_are_lost_in_a_crash_and_persistent_ones_kept():
    """queue-08."""
    parts = (Queue("tasks"), Crash("tasks", at_s=2, down_s=1), Consumer("worker", of="tasks", service_s=10.0))
    gone = run(burst(20, message=Message(persistent=False)), *parts, until_s=200)
    assert len(ids(gone, "lost")) == 20
    kept = run(burst(20), *parts, until_s=300)
    assert not ids(kept, "lost")
    assert sorted(set(numbers(kept, "acked"))) == list(range(1, 21))


def test_a_queue_that_is_not_durable_keeps_nothing_and_a_quorum_queue_all():
    assert len(ids(run(burst(5), Queue("tasks", durable=False), Crash("tasks", at_s=1), until_s=3), "lost")) == 5
    quorum = (burst(5, message=Message(persistent=False)), Queue("tasks", type="quorum"), Crash("tasks", at_s=1))
    assert not ids(run(*quorum, until_s=3), "lost")


def test_the_next_takes_over_from_a_single_active_consumer_and_the_order_is_kept():
    """queue-10."""
    history = run(
        burst(20),
        Queue("tasks", single_active_consumer=True),
        Consumer("worker", of="tasks", members=2, prefetch=5, service_s=0.1),
        Crash("worker-1", at_s=0.55, down_s=None),
        until_s=20,
    )
    assert numbers(history, "handled", "worker-1") == [1, 2, 3, 4, 5]
    assert numbers(history, "handled", "worker-2") == list(range(6, 21))


def test_competing_consumers_break_the_order_of_a_key_and_one_active_consumer_keeps_it():
    def handled(**settings):
        parts = (
            Publisher("shop", to="tasks", rate=50, key="one", count=300),
            Queue("tasks", **settings),
            Consumer("worker", of="tasks", members=4, service_s=Exponential(0.02)),
        )
        return numbers(run(*parts, until_s=60), "handled")

    assert handled() != sorted(handled())
    assert handled(single_active_consumer=True) == sorted(handled(single_active_consumer=True))


def test_priorities_overtake_what_waits_and_nothing_that_is_out():
    history = run(
        Publisher("low", to="tasks", gap_s=Constant(0.0), count=3),
        Publisher("high", to="tasks", gap_s=Constant(0.01), count=2, message=Message(priority=5)),
        Queue("tasks", max_priority=10),
        Consumer("worker", of="tasks", service_s=1.0),
        until_s=10,
    )
    assert ids(history, "delivered") == ["low.1", "high.1", "high.2", "low.2", "low.3"]


def test_a_consumer_with_a_higher_priority_is_served_first_while_it_has_room():
    history = run(
        burst(6),
        Queue("tasks"),
        Consumer("low", of="tasks", prefetch=2, service_s=1.0),
        Consumer("high", of="tasks", prefetch=2, service_s=1.0, priority=5),
        until_s=0.5,
    )
    assert numbers(history, "pushed", "high") == [1, 2]
    assert numbers(history, "pushed", "low") == [3, 4]


def test_a_delayed_message_comes_later():
    history = run(burst(1, message=Message(delay_s=3)), Queue("tasks"), Consumer("w", of="tasks"), until_s=5)
    assert [record.time for record in history.of("stored")] == [3.0]


def test_who_keeps_a_message_too_long_loses_its_channel():
    history = run(
        burst(2),
        Queue("tasks", consumer_timeout_s=5),
        Consumer("worker", of="tasks", members=2, service_s=Constant(8.0)),
        until_s=9,
    )
    assert {record.time for record in history.of("requeued")} == {5.0}
    assert not ids(history, "acked"), "an acknowledgement of a closed channel is not known any more"


def test_automatic_acknowledgement_loses_what_was_in_hand():
    history = run(
        burst(10),
        Queue("tasks"),
        Consumer("worker", of="tasks", commit="before", service_s=1.0),
        Crash("worker", at_s=3.5, down_s=1),
        until_s=30,
    )
    assert numbers(history, "handled") == [1, 2, 3]
    assert len(ids(history, "acked")) == 10


def test_a_frozen_consumer_is_noticed_by_its_missing_heartbeats():
    history = run(
        burst(4),
        Queue("tasks", heartbeat_s=10),
        Consumer("worker", of="tasks", members=2, prefetch=2, service_s=1.0),
        Pause("worker-1", at_s=0.5, for_s=30),
        until_s=60,
    )
    assert [record.time for record in history.of("requeued")] == [10.5, 10.5]
    assert sorted(set(numbers(history, "acked"))) == [1, 2, 3, 4]


def test_a_member_that_leaves_gives_back_what_it_has_not_begun():
    history = run(
        burst(6),
        Queue("tasks"),
        Consumer("worker", of="tasks", members=2, prefetch=3, service_s=1.0),
        Leave("worker-1", at_s=0.5),
        Join("worker", at_s=0.2),
        until_s=20,
    )
    assert sorted(numbers(history, "handled")) == [1, 2, 3, 4, 5, 6], "each once: nothing is repeated by a good leave"


def test_a_rejected_message_dies_at_once_with_its_reason():
    history = run(
        burst(3),
        Queue("tasks", dead_letter="parked"),
        Log("parked"),
        Consumer("worker", of="tasks", service_s=0.1, on=fails(2, how=Reject)),
        until_s=5,
    )
    assert numbers(history, "rejected") == [2]
    assert [record.place for record in history.of("stored", event="shop.2")] == ["tasks", "parked/0"]


def test_dead_letters_do_not_go_round_for_ever():
    history = run(
        burst(1),
        Queue("tasks", message_ttl_s=1.0, dead_letter="later"),
        Queue("later", message_ttl_s=1.0, dead_letter="tasks"),
        until_s=60,
    )
    assert [record.place for record in history.of("stored")] == ["tasks", "later"]


def test_an_unused_queue_expires_with_all_that_is_in_it():
    history = run(burst(3), Queue("tasks", expires_s=10), until_s=30)
    assert [record.time for record in history.of("lost")] == [10.0] * 3
    used = run(burst(3), Queue("tasks", expires_s=10), Consumer("w", of="tasks", service_s=20.0), until_s=30)
    assert not ids(used, "lost")


def test_prefetch_over_a_long_wire():
    """C8: utilisation is min(1, P s / (RTT + s)), with 50 ms there, 50 back and 4 ms of work."""
    for prefetch, expected in ((1, 0.0385), (5, 0.1923), (13, 0.5), (26, 1.0)):
        history = run(
            burst(20_000),
            Queue("tasks"),
            Link("tasks", "worker", delay_s=Constant(0.05)),
            Consumer("worker", of="tasks", prefetch=prefetch, service_s=Constant(0.004)),
            until_s=30,
        )
        assert len(ids(history, "handled")) * 0.004 / 30 == pytest.approx(expected, rel=0.02)


class TestSqs:
    def test_nothing_comes_back_before_the_visibility_timeout(self):
        history = run(
            burst(3),
            Queue("tasks", visibility_timeout_s=30),
            Consumer("worker", of="tasks", members=2, service_s=1.0),
            Crash("worker-1", at_s=0.5, down_s=1),
            until_s=60,
        )
        assert [record.time for record in history.of("requeued")] == [30.0]
        assert sorted(set(numbers(history, "acked"))) == [1, 2, 3]

    def test_work_that_takes_longer_than_the_timeout_is_done_twice(self):
        history = run(
            burst(1),
            Queue("tasks", visibility_timeout_s=5),
            Consumer("worker", of="tasks", members=2, service_s=Constant(8.0)),
            until_s=14,
        )
        assert numbers(history, "handled") == [1, 1]

    def test_it_is_redriven_after_so_many_receipts(self):
        def never(event, ctx):
            raise ValueError("poison")

        history = run(
            burst(1),
            Queue("tasks", visibility_timeout_s=5, max_receive_count=3, dead_letter="dlq"),
            Queue("dlq", visibility_timeout_s=5),
            Consumer("worker", of="tasks", nack="requeue", service_s=0.1, on={"order.placed": never}),
            until_s=60,
        )
        assert numbers(history, "delivered") == [1, 1, 1]
        assert numbers(history, "dead_lettered") == [1]

    def test_a_fifo_queue_keeps_the_order_of_each_key_whoever_competes(self):
        history = run(
            Publisher("shop", to="tasks", rate=40, key="one", count=60),
            Publisher("app", to="tasks", rate=40, key="two", type="parcel.sent", count=60),
            Queue("tasks", visibility_timeout_s=30, fifo=True),
            Consumer("worker", of="tasks", members=5, service_s=Exponential(0.05)),
            until_s=60,
        )
        for source in ("shop", "app"):
            mine = [id_ for id_ in ids(history, "handled") if id_.startswith(source)]
            assert mine == [f"{source}.{n}" for n in range(1, 61)]
        assert max(history.of("handled").time) < 120 * 0.05, "two groups are worked at side by side"

    def test_an_id_is_known_for_so_long_and_no_longer(self):
        """pubsub-04 of a queue: the same id at 1.5 s is dropped, at 2.5 s it is stored again."""

        def stored(gap_s):
            history = run(
                Publisher("shop", to="double", gap_s=Constant(0.0), count=1),
                Exchange("double", type="fanout", bindings={"tasks": "", "copies": ""}),
                Queue("copies"),
                Router("again", of="copies", routes={"tasks": "#"}, service_s=Constant(gap_s)),
                Queue("tasks", visibility_timeout_s=30, fifo=True, deduplication_s=2),
                until_s=9,
            )
            return len(history.of("stored", place="tasks"))

        assert stored(1.5) == 1
        assert stored(2.5) == 2


def test_a_tie_of_the_digest():
    def once():
        return run(
            Publisher("shop", to="tasks", rate=30),
            Queue("tasks", max_length=20),
            Consumer("worker", of="tasks", members=3, prefetch=4, service_s=Exponential(0.1)),
            Crash("worker-2", at_s=5, down_s=3),
            until_s=30,
        ).digest()

    assert once() == once()
    assert offsets(run(burst(3), Queue("tasks"), until_s=1), "stored") == [0, 1, 2]


def test_a_delayed_message_survives_a_crash_of_the_broker():
    """The delayed message plugin keeps them on the disk: what ripens while nobody is there comes afterwards."""
    history = run(
        Publisher("shop", to="tasks", gap_s=Constant(1.0), count=5, message=Message(delay_s=4)),
        Queue("tasks"),
        Consumer("worker", of="tasks"),
        Crash("tasks", at_s=6.5, down_s=2),
        until_s=30,
    )
    handled = [round(record.time, 2) for record in history.of("handled")]
    assert handled == [5.0, 6.0, 8.5, 8.5, 9.0]
