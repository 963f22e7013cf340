"""A stream endpoint: each client gets every event while it is connected, and afterwards what it has not seen."""

import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from strategies import possible

from evsim import (
    Constant,
    Consumer,
    Crash,
    Exponential,
    Link,
    Partition,
    Pause,
    Publisher,
    Reorder,
    Requeue,
    Scenario,
    Stream,
)


def rows(run, step, node=None):
    records = (run.history.record_at(row) for row in range(len(run.history)))
    return [record for record in records if record.step == step and node in {None, record.node}]


def numbers(run, step, node=None):
    return [row.number for row in rows(run, step, node)]


def shop(count=100, gap_s=0.1):
    return Publisher("shop", to="feed", gap_s=Constant(gap_s), count=count)


def browser(name="browser", **more):
    return Consumer(name, of="feed", **more)


def play(*parts, until_s=200, seed=1):
    return Scenario(*parts, Link("feed", "browser", delay_s=0.01)).run(until_s, seed=seed)


EVERY = list(range(1, 101))


def test_each_client_gets_every_event_in_order():
    run = play(shop(), Stream("feed"), browser(), browser("phone"))
    assert numbers(run, "handled", "browser") == numbers(run, "handled", "phone") == EVERY


def test_a_client_that_was_cut_off_resumes_behind_the_last_event_that_it_has_seen():
    run = play(shop(), Stream("feed", retry_s=3), browser(), Partition("feed", "browser", at_s=2.05, for_s=2))
    assert numbers(run, "handled") == EVERY
    assert not numbers(run, "missed")
    times = [row.time for row in rows(run, "handled")]
    assert max(late - early for early, late in itertools.pairwise(times)) == pytest.approx(5, abs=0.2)


def test_what_the_server_has_forgotten_meanwhile_is_missed():
    run = play(
        shop(),
        Stream("feed", retry_s=3, history_events=10),
        browser(),
        Partition("feed", "browser", at_s=2.05, for_s=2),
    )
    assert sorted(numbers(run, "handled") + numbers(run, "missed")) == EVERY
    assert len(numbers(run, "missed")) == 40


def test_a_client_that_crashes_goes_on_behind_what_it_has_handled():
    run = play(shop(), Stream("feed"), browser(service_s=0.3), Crash("browser", at_s=5, down_s=2))
    assert numbers(run, "acked") == EVERY
    assert numbers(run, "requeued")
    assert min(numbers(run, "requeued")) == max(row.number for row in rows(run, "acked") if row.time < 5) + 1


def test_a_client_that_keeps_the_id_of_what_it_has_received_loses_what_it_had_in_hand():
    run = play(shop(), Stream("feed"), browser(service_s=0.3, commit="before"), Crash("browser", at_s=5, down_s=2))
    assert numbers(run, "acked") == EVERY
    assert len(numbers(run, "handled")) < 100
    assert len(set(numbers(run, "handled"))) == len(numbers(run, "handled"))


def test_a_server_that_waits_for_a_slow_client_loses_nothing():
    run = play(shop(), Stream("feed", buffer_events=5), browser(service_s=0.5))
    assert numbers(run, "handled") == EVERY


def test_a_server_that_does_not_wait_leaves_a_slow_client_out():
    run = play(shop(), Stream("feed", buffer_events=5, when_full="drop"), browser(service_s=0.5))
    assert sorted(numbers(run, "handled") + numbers(run, "missed")) == EVERY
    assert 20 <= len(numbers(run, "handled")) <= 30


def test_a_server_that_closes_the_connection_has_the_client_come_again():
    run = play(shop(), Stream("feed", buffer_events=5, when_full="disconnect"), browser(service_s=0.2))
    assert numbers(run, "handled") == EVERY
    assert len(rows(run, "expelled")) >= 2
    assert len(rows(run, "joined")) == len(rows(run, "expelled")) + 1


def test_what_lies_in_a_connection_is_bounded():
    for policy in ("block", "drop", "disconnect"):
        run = play(
            shop(), Stream("feed", buffer_events=5, when_full=policy), browser(), Pause("browser", at_s=1, for_s=4)
        )
        paused = [row for row in rows(run, "pushed") if 1 < row.time < 5]
        assert len(paused) <= 6


def test_a_server_that_crashes_forgets_what_it_had_not_sent():
    run = play(shop(), Stream("feed", buffer_events=2), browser(service_s=0.3), Crash("feed", at_s=5, down_s=1))
    stored, lost = numbers(run, "stored"), numbers(run, "lost")
    assert lost
    assert sorted(numbers(run, "handled") + lost) == stored
    assert len(rows(run, "dropped", "feed")) == 100 - len(stored)


def test_a_client_that_fails_asks_for_the_event_again():
    def fails_once(event, ctx):
        if event.id == "shop.7" and ctx.attempt == 1:
            raise Requeue

    run = play(shop(20), Stream("feed"), browser(on={"order.placed": fails_once}))
    assert numbers(run, "acked") == list(range(1, 21))
    assert numbers(run, "delivered").count(7) == 2


def test_long_polls_bring_what_there_is_or_wait_for_the_first():
    run = play(shop(), Stream("feed", long_poll=True, poll_s=0.07), browser())
    assert numbers(run, "handled") == EVERY
    waits = [
        handled.time - stored.time for stored, handled in zip(rows(run, "stored"), rows(run, "handled"), strict=True)
    ]
    assert max(waits) < 0.04
    batched = play(shop(gap_s=0.001), Stream("feed", long_poll=True, buffer_events=7), browser(service_s=0.1))
    assert numbers(batched, "handled") == EVERY
    sent = [row.time for row in rows(batched, "pushed")]
    assert max(sent.count(time) for time in sent) == 7


moments = st.floats(0.1, 10).map(lambda s: round(s, 2))
faults = st.lists(
    st.one_of(
        st.builds(Crash, st.sampled_from(["feed", "browser"]), at_s=moments, down_s=moments),
        st.builds(Pause, st.sampled_from(["feed", "browser"]), at_s=moments, for_s=moments),
        st.builds(Partition, st.just("feed"), st.just("browser"), at_s=moments, for_s=moments),
    ),
    max_size=4,
).map(possible)


@settings(max_examples=100, deadline=None)
@given(
    faults,
    st.integers(0, 10**6),
    st.sampled_from(["block", "drop", "disconnect"]),
    st.sampled_from([None, 0, 10]),
    st.booleans(),
)
@example([Crash("browser", at_s=2, down_s=1), Pause("browser", at_s=1, for_s=1)], 0, "drop", None, False)
@example([Reorder("feed", "browser", extra_s=0.7, share=0.5), Crash("browser", at_s=2, down_s=1)], 0, "block", 5, False)
def test_every_event_is_seen_once_or_missed_or_lost(found, seed, policy, history, long_poll):
    run = play(
        shop(60),
        Stream("feed", when_full=policy, buffer_events=4, history_events=history, long_poll=long_poll),
        browser(service_s=Exponential(0.08)),
        *found,
        seed=seed,
    )
    acked = numbers(run, "acked")
    assert len(acked) == len(set(acked))
    assert acked == sorted(acked) or any(isinstance(fault, Reorder) for fault in found)
    assert sorted(acked + numbers(run, "missed") + numbers(run, "lost")) == numbers(run, "stored")
    assert set(acked) <= set(numbers(run, "handled"))
