"""Pub/sub: who listens gets it, who does not has missed it; a stream remembers what each consumer has acknowledged.

What must be seen is taken from the documentation of NATS, and from what NATS 2.15 did when it was measured.
"""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import possible

from evsim import (
    BadScenario,
    Constant,
    Consumer,
    Crash,
    Durable,
    Exponential,
    Link,
    Log,
    Message,
    Partition,
    Pause,
    Publisher,
    PubSub,
    Reject,
    Requeue,
    Scenario,
)
from evsim.sim.broker.base import Request
from evsim.sim.world import World


def rows(run, step, node=None):
    records = (run.history.record_at(row) for row in range(len(run.history)))
    return [record for record in records if record.step == step and node in {None, record.node}]


def ids(run, step, node=None):
    return [record.event_id for record in rows(run, step, node)]


def news(count=20, gap_s=0.1, **more):
    return Publisher("press", to="news", type="news.published", gap_s=Constant(gap_s), count=count, **more)


def reader(name="reader", **more):
    return Consumer(name, of="news", **more)


def kept(**more):
    return PubSub("news", stream=True, **more)


def play(*parts, until_s=60, seed=1):
    return Scenario(*parts).run(until_s, seed=seed)


# ---------------------------------------------------------------- at most once


def test_who_is_paused_misses_what_is_published_meanwhile_and_it_is_counted():
    run = play(news(), PubSub("news"), reader(), Pause("reader", at_s=0.55, for_s=0.5))
    assert ids(run, "missed", "reader") == [f"press.{n}" for n in range(6, 11)]
    assert ids(run, "handled") == [f"press.{n}" for n in (*range(1, 6), *range(11, 21))]


def test_a_connection_that_is_kept_for_a_while_bridges_a_short_pause():
    run = play(news(), PubSub("news", connection_s=2), reader(), Pause("reader", at_s=0.55, for_s=0.5))
    assert not ids(run, "missed")
    assert ids(run, "handled") == [f"press.{n}" for n in range(1, 21)]
    long = play(news(60), PubSub("news", connection_s=2), reader(), Pause("reader", at_s=0.55, for_s=4))
    assert len(ids(long, "missed")) == 20


@pytest.mark.parametrize(
    "fault", [Crash("reader", at_s=0.55, down_s=0.5), Partition("news", "reader", at_s=0.55, for_s=0.5)]
)
def test_who_is_down_or_cut_off_misses_it_and_every_event_is_handled_or_missed(fault):
    run = play(news(), PubSub("news"), reader(), fault)
    assert len(ids(run, "missed")) == 5
    assert sorted(ids(run, "handled") + ids(run, "missed")) == sorted(ids(run, "published"))


def test_what_a_member_had_in_hand_when_it_crashed_does_not_come_back():
    run = play(news(), PubSub("news"), reader(service_s=1.0), Crash("reader", at_s=1.05, down_s=0.01))
    assert len(ids(run, "handled")) == 10
    assert len(ids(run, "pushed")) == 20


def test_every_consumer_gets_each_event_and_its_members_share_it():
    run = play(news(300, 0.01), PubSub("news"), reader("a"), reader("b", members=3))
    assert len(ids(run, "handled", "a")) == 300
    shares = Counter(row.node for row in rows(run, "handled") if row.node != "a")
    assert sum(shares.values()) == 300
    assert all(70 < share < 130 for share in shares.values())


def test_subjects_have_wildcards():
    subjects = ("x.1", "x.1.z", "x", "y.1")
    publishers = [
        Publisher(f"p{n}", to="news", gap_s=0.1, count=1, message=Message(routing_key=subject))
        for n, subject in enumerate(subjects)
    ]
    patterns = {"one": "x.*", "rest": "x.>", "middle": "x.*.z", "first": "*.1"}
    consumers = [reader(name, subjects=(pattern,)) for name, pattern in patterns.items()]
    run = play(*publishers, PubSub("news"), *consumers)
    got = {name: {subjects[int(id_[1])] for id_ in ids(run, "handled", name)} for name in patterns}
    assert got == {"one": {"x.1"}, "rest": {"x.1", "x.1.z"}, "middle": {"x.1.z"}, "first": {"x.1", "y.1"}}
    assert len(ids(run, "unroutable")) == 1  # nobody listens on x


def test_mistakes_are_seen_before_the_run():
    for wrong, words in (
        ((PubSub("news"), reader(durable=Durable())), "stream=True"),
        ((PubSub("news", retention_s=3),), "stream=True"),
        ((PubSub("news"), reader(subjects=("a.>.b",))), "'>' before its end"),
        ((PubSub("news"), news(message=Message(routing_key="a.*"))), "wildcard"),
    ):
        with pytest.raises(BadScenario, match=words):
            play(*wrong)


# ---------------------------------------------------------------- a stream


def test_what_a_dead_member_had_in_hand_comes_back_after_the_ack_wait_and_after_newer_ones():
    """pubsub-02: killed with 15 in hand, back at once; takes newer ones, and at 1 s the 15 come back."""
    run = play(
        news(30, 0.0001),
        kept(),
        reader(durable=Durable(ack_wait_s=1), prefetch=15, service_s=0.01),
        Crash("reader", at_s=0.005, down_s=0.001),
    )
    assert [row.number for row in rows(run, "handled")] == [*range(16, 31), *range(1, 16)]
    again = [row.time for row in rows(run, "pushed")][30:]
    assert len(again) == 15
    assert all(1.0 <= time <= 1.005 for time in again)


def test_a_crash_and_a_quick_restart_bring_nothing_back_before_the_ack_wait():
    run = play(
        news(5, 0.01),
        kept(),
        reader(durable=Durable(ack_wait_s=1), prefetch=5, service_s=0.5),
        Crash("reader", at_s=0.2, down_s=0.01),
    )
    again = [row.time for row in rows(run, "pushed")][5:]
    assert again[0] == pytest.approx(1.01)
    assert len(again) >= 5


def test_after_max_deliver_there_are_no_more_deliveries_and_no_dead_letter():
    """pubsub-03: 3 deliveries, 0.3 s apart, then an advisory."""

    def poison(event, ctx):
        raise Requeue

    run = play(news(1), kept(), reader(durable=Durable(max_deliver=3), on={"news.published": poison}))
    assert len(ids(run, "delivered")) == 3
    assert len(ids(run, "exhausted")) == 1
    assert not ids(run, "acked")
    assert not ids(run, "dead_lettered")


async def hangs(event, ctx):
    if event.id == "press.1":
        await ctx.sleep(1000)


@pytest.mark.parametrize(
    ("terms", "at"),
    [
        (Durable(ack_wait_s=0.3, max_deliver=3), [0, 0.3, 0.6]),
        (Durable(backoff_s=(0.2, 0.4, 0.8), max_deliver=4), [0, 0.2, 0.6, 1.4]),
    ],
)
def test_the_waits_between_deliveries_are_the_ack_wait_or_the_backoff(terms, at):
    """Measured: 0, 302, 607 ms; and with a backoff 0, 202, 604, 1404 ms."""
    run = play(news(2), kept(), reader(durable=terms, members=4, on={"news.published": hangs}))
    first = [row.time - 0.1 for row in rows(run, "pushed") if row.event_id == "press.1"]
    assert first == pytest.approx(at, abs=1e-6)
    assert len(ids(run, "exhausted")) == 1
    assert ids(run, "acked") == ["press.2"]


def test_what_is_refused_comes_after_the_message_that_was_on_its_way():
    """Measured: nak of the third of eight gives 3, 4, 3, 5; term gives it never again."""

    def nak(event, ctx):
        if event.id == "press.3" and ctx.attempt == 1:
            raise Requeue

    def term(event, ctx):
        if event.id == "press.3":
            raise Reject

    service = {"service_s": 0.1, "durable": Durable()}
    run = play(news(8, 0.001), kept(), reader(on={"news.published": nak}, **service))
    assert [row.number for row in rows(run, "delivered")] == [1, 2, 3, 4, 3, 5, 6, 7, 8]
    run = play(news(8, 0.001), kept(), reader(on={"news.published": term}, **service))
    assert [row.number for row in rows(run, "delivered")] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert ids(run, "rejected") == ["press.3"]


def test_only_so_many_are_in_flight():
    run = play(news(50, 0.001), kept(), reader(durable=Durable(max_ack_pending=7), prefetch=None, service_s=0.1))
    flying = most = 0
    for row in (run.history.record_at(n) for n in range(len(run.history))):
        flying += (row.step == "pushed") - (row.step == "acked")
        most = max(most, flying)
    assert most == 7
    assert len(ids(run, "acked")) == 50


def test_a_stream_that_crashes_keeps_what_it_has_stored():
    run = play(news(20), kept(), reader(service_s=0.01), Crash("news", at_s=0.55, down_s=0.5))
    assert len(ids(run, "stored")) == 15
    assert set(ids(run, "acked")) == set(ids(run, "stored"))


def late(consumer, at_s):
    """A consumer that comes later."""

    def comes(world):
        yield world.timeout(at_s)
        consumer.build(world).start()

    return comes


@pytest.mark.parametrize(
    ("terms", "wanted"),
    [
        ({"deliver": "all"}, range(1, 21)),
        ({"deliver": "new"}, range(11, 21)),
        ({"deliver": "last"}, range(10, 21)),
        ({"start_s": 0.45}, range(5, 21)),
    ],
)
def test_who_comes_later_begins_where_it_says(terms, wanted):
    run = play(news(20), kept(), late(reader(durable=Durable(**terms)), 1.05))
    assert [row.number for row in rows(run, "handled")] == list(wanted)


def test_who_comes_later_can_begin_with_the_last_of_each_subject():
    keyed = news(20, key="own", message=Message(routing_key="news.{type}"))
    run = play(keyed, kept(), late(reader(durable=Durable(deliver="last_per_subject")), 1.05))
    assert [row.number for row in rows(run, "handled")] == list(range(10, 21))
    by_key = news(20, message=Message(routing_key="news.{key}"))
    run = play(by_key, kept(), late(reader(durable=Durable(deliver="last_per_subject")), 1.05))
    assert [row.number for row in rows(run, "handled")] == list(range(1, 21))


def test_retention_deletes_what_a_consumer_has_not_read_and_says_so():
    run = play(news(20), kept(retention_events=5), late(reader(), 1.55))
    assert [row.number for row in rows(run, "handled")] == list(range(11, 21))
    held = play(news(20), kept(retention_events=5), reader(), Crash("reader", at_s=0.55, down_s=1.0))
    assert len(ids(held, "handled")) + len(ids(held, "expired", "reader")) == 20
    assert len(ids(held, "expired")) == 5


def test_an_old_acknowledgement_counts_for_the_message():
    """Who is paused beyond the ack wait and then acknowledges has dealt with it, though another got it too."""
    run = play(
        news(1),
        kept(),
        reader(durable=Durable(ack_wait_s=1), members=2, service_s=0.5),
        Pause("reader-1", at_s=0.2, for_s=5),
    )
    assert len(ids(run, "acked")) == 1
    assert len(ids(run, "handled")) == 2


# ---------------------------------------------------------------- what a publisher is told


class Told(list):
    """A world with a stream, and what it answers."""

    def __init__(self, part):
        super().__init__()
        self.world = World(seed=1)
        self.world.build([part])
        self.broker = self.world.live["news"]

    def publish(self, n, subject="a", headers=None):
        history = self.world.history
        template = history.template("press", "press", "news.published", 1, None)
        event = history.new_event(self.world.now, template, n, -1, -1, -1, None)
        message = Message(routing_key=subject, headers=headers or {})
        self.broker.take(Request([event], self.append, message=message))
        return self[-1]


def test_the_same_id_is_not_stored_again_within_the_window():
    """pubsub-04: window 2 s; at 1.5 s it is dropped, at 2.5 s stored again: the duplicate does not extend it."""
    stream = Told(kept(deduplication_s=2))
    answers = [stream.publish(1)]
    for at_s in (1.5, 2.5):
        stream.world.run(until=at_s)
        answers.append(stream.publish(1))
    assert [answer.reason for answer in answers] == ["", "duplicate", ""]
    assert all(answer.ok for answer in answers)
    stored = list(stream.world.history.of("stored"))
    assert [row.number for row in stored] == [1, 2]


def test_a_stale_append_is_refused():
    last, last_of = "Nats-Expected-Last-Sequence", "Nats-Expected-Last-Subject-Sequence"
    stream = Told(kept())
    assert stream.publish(1, "acc.1", {last_of: 0}).ok
    assert stream.publish(2, "acc.2", {last_of: 0}).ok
    assert stream.publish(3, "acc.1", {last_of: 1}).ok
    assert stream.publish(4, "acc.1", {last_of: 1}) == (False, "wrong_last_sequence")
    assert stream.publish(5, "acc.9", {last: 3}).ok
    assert not stream.publish(6, "acc.9", {last: 3}).ok
    assert len(list(stream.world.history.of("stored"))) == 4


def test_a_stream_confirms_what_it_has_stored():
    run = play(news(50, acks="all"), kept(), reader(), Crash("news", at_s=1.05, down_s=0.5))
    assert set(ids(run, "confirmed")) <= set(ids(run, "stored"))
    assert len(ids(run, "confirmed")) == 50


def test_retries_of_a_publisher_are_deduplicated():
    run = play(
        news(20, acks="all", request_timeout_s=0.5, delivery_timeout_s=30),
        kept(),
        reader(),
        Partition("news", "press", at_s=0.55, for_s=1),
        Link("press", "news", delay_s=0.001),
    )
    assert sorted(ids(run, "stored")) == sorted(set(ids(run, "published")))


# ---------------------------------------------------------------- whatever happens

faults = st.lists(
    st.one_of(
        st.builds(
            Crash,
            st.sampled_from(["reader-1", "reader-2", "news"]),
            at_s=st.floats(0.1, 5).map(lambda s: round(s, 2)),
            down_s=st.floats(0.01, 2).map(lambda s: round(s, 2)),
        ),
        st.builds(
            Pause,
            st.sampled_from(["reader-1", "reader-2", "news"]),
            at_s=st.floats(0.1, 5).map(lambda s: round(s, 2)),
            for_s=st.floats(0.01, 2).map(lambda s: round(s, 2)),
        ),
        st.builds(
            Partition,
            st.just("news"),
            st.sampled_from(["reader-1", "reader-2"]),
            at_s=st.floats(0.1, 5).map(lambda s: round(s, 2)),
            for_s=st.floats(0.01, 2).map(lambda s: round(s, 2)),
        ),
    ),
    max_size=4,
).map(possible)


@settings(max_examples=40, deadline=None)
@given(faults, st.integers(0, 10**6), st.sampled_from([1, 3, None]))
def test_a_stream_loses_nothing_that_it_has_stored(found, seed, prefetch):
    run = play(
        news(60, 0.05),
        kept(),
        reader(members=2, durable=Durable(ack_wait_s=1), prefetch=prefetch, service_s=Exponential(0.02)),
        reader("other"),
        *found,
        until_s=200,
        seed=seed,
    )
    stored = sorted(row.number for row in rows(run, "stored"))
    for group in ({"reader-1", "reader-2"}, {"other"}):
        assert sorted(row.number for row in rows(run, "acked") if row.node in group) == stored


@settings(max_examples=40, deadline=None)
@given(faults, st.integers(0, 10**6))
def test_without_a_stream_each_event_is_given_to_one_or_missed(found, seed):
    run = play(news(60, 0.05), PubSub("news"), reader(members=2), *found, until_s=30, seed=seed)
    came = Counter(ids(run, "pushed") + ids(run, "missed"))
    dropped = {row.event_id for row in rows(run, "dropped", "news")}
    assert set(came.values()) <= {1}
    assert set(came) | dropped == set(ids(run, "published"))


def test_what_one_consumer_gives_up_another_has_handled():
    """Endings belong to the consumer: the stream keeps the message for all others."""

    def poison(event, ctx):
        if event.id == "press.2":
            raise Requeue

    run = play(news(5), kept(), reader(durable=Durable(max_deliver=2), on={"news.published": poison}), reader("other"))
    assert [row.node for row in rows(run, "exhausted")] == ["reader"]
    assert len(ids(run, "acked", "other")) == 5
    assert run.summary()["lost"] == 1
    assert "reader has all, other has all" in str(run.at(10))


def test_a_consumer_joins_when_it_is_time_and_not_before():
    run = play(news(20), PubSub("news"), reader(joins_at_s=1.05), Crash("reader", at_s=0.3, down_s=0.1))
    assert ids(run, "missed") == [f"press.{n}" for n in range(1, 11)]
    assert [row.time for row in rows(run, "joined")] == [1.05]
    replay = play(news(20), kept(), reader(joins_at_s=1.05, members=2, durable=Durable(deliver="last")))
    assert sorted(row.number for row in rows(replay, "handled")) == list(range(10, 21))
    down = play(news(20), kept(), reader(joins_at_s=1.05), Crash("reader", at_s=0.3, down_s=5))
    assert [row.time for row in rows(down, "joined")] == [pytest.approx(5.3)]
    assert len(ids(down, "handled")) == 20


@pytest.mark.parametrize(("reset", "many"), [("latest", 10), ("earliest", 20)])
def test_a_group_that_comes_late_to_a_log_begins_where_it_says(reset, many):
    late_group = reader(joins_at_s=1.05, auto_offset_reset=reset)
    run = play(news(20), Log("news"), late_group, Pause("reader", at_s=0.3, for_s=0.1))
    assert len(ids(run, "handled")) == many
