"""What every broker promises, whatever its kind: one suite for all of them."""

from __future__ import annotations

from collections import Counter

import pytest
from brokers import KEEPING, KINDS, PUSHING, named
from shops import ids, run

from evsim.history import History
from evsim.lab.scenario import Scenario
from evsim.sim.faults import Crash, Drop, Partition, Pause
from evsim.sim.publisher import Publisher
from evsim.view import measures

EVERY = [f"shop.{n}" for n in range(1, 61)]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=named)
every_keeper = pytest.mark.parametrize("kind", KEEPING, ids=named)


@every_kind
def test_without_faults_each_event_is_handled_once(kind):
    history = run(*kind.parts())
    assert Counter(ids(history, "handled")) == Counter(EVERY)
    assert Counter(ids(history, "acked")) == Counter(EVERY)


@every_kind
def test_one_member_without_faults_handles_in_the_order_of_publishing(kind):
    history = run(*kind.parts())
    places = {record.place for record in history.of("handled")}
    for place in places:
        order = [record.number for record in history.of("handled", place=place)]
        assert order == sorted(order)


@every_kind
def test_the_five_steps_come_in_their_order(kind):
    history = run(*kind.parts(on={"order.placed": lambda event, ctx: None}))
    five = ["delivered", "handled", "saved", "sent", "acked"]
    for event in EVERY:
        steps = [record.step for record in history.of(event=event) if record.step in five]
        if kind.keeps:
            assert steps == five, event
        else:
            assert sorted(steps) == sorted(five), event  # at most once: acknowledged when it is sent


@every_kind
@pytest.mark.parametrize("members", [2, 3])
def test_members_of_one_consumer_share_and_nothing_comes_twice(kind, members):
    history = run(*kind.parts(members=members))
    assert Counter(ids(history, "handled")) == Counter(EVERY)


@every_kind
@pytest.mark.parametrize("at_s", [0.5, 0.61, 1.0])
def test_a_pause_drops_nothing_that_was_handed_over(kind, at_s):
    history = run(*kind.parts(Pause("worker", at_s=at_s, for_s=1.1)))
    assert Counter(ids(history, "handled") + ids(history, "missed")) == Counter(EVERY)
    if kind.keeps:
        assert not ids(history, "missed")


@every_keeper
@pytest.mark.parametrize("step", ["delivered", "handled", "acked"])
def test_a_crash_of_a_consumer_that_acknowledges_afterwards_loses_nothing(kind, step):
    history = run(*kind.parts(Crash("worker", after=step, nth=7, down_s=1)), until_s=90)
    assert set(ids(history, "handled")) == set(EVERY)
    assert set(ids(history, "acked")) == set(EVERY)


@every_keeper
def test_a_crash_between_handling_and_acknowledging_repeats_the_event(kind):
    history = run(*kind.parts(Crash("worker", after="handled", nth=7, down_s=1)), until_s=90)
    assert Counter(ids(history, "handled"))["shop.7"] == 2


@every_keeper
def test_what_was_acknowledged_is_not_handled_after_a_restart_of_the_broker(kind):
    history = run(*kind.parts(Crash("tasks", at_s=4.0, down_s=1)), until_s=90)
    assert Counter(ids(history, "handled")) == Counter(EVERY)


@every_keeper
def test_a_broker_that_restarts_keeps_what_it_has_stored_and_confirmed(kind):
    shop, *others = kind.parts(Crash("tasks", at_s=0.7, down_s=1))
    asking = shop.but(acks="all", batch_events=1, delivery_timeout_s=60, request_timeout_s=1)
    history = run(asking, *others, until_s=120)
    confirmed = set(ids(history, "confirmed"))
    assert len(confirmed) == 60
    assert set(ids(history, "handled")) == confirmed


@every_kind
def test_what_is_dropped_on_the_way_is_told_and_nothing_else_is_missing(kind):
    history = run(*kind.parts(Drop("shop", "tasks", share=0.3)))
    assert ids(history, "dropped")
    assert Counter(ids(history, "dropped") + ids(history, "handled")) == Counter(EVERY)


@every_keeper
def test_a_cut_between_broker_and_consumer_loses_nothing(kind):
    history = run(*kind.parts(Partition("tasks", "worker", at_s=0.6, for_s=5)), until_s=120)
    assert set(ids(history, "handled")) == set(EVERY)


@every_keeper
def test_what_is_handled_late_says_when_it_was_published(kind):
    history = run(*kind.parts(Pause("worker", at_s=0.01, for_s=1.5)), until_s=90)
    published = {record.event_id: record.time for record in history.of("published")}
    assert all(history.event_at(history.index(name)).timestamp == published[name] for name in EVERY)
    assert set(ids(history, "handled")) == set(EVERY)


@every_kind
def test_history_that_is_played_again_is_not_late(kind):
    """The events of a dataset are years old; they have waited since they were published, not since they happened."""
    _, *others = kind.parts()
    again = Publisher("shop", to="tasks", replay="orders", speed=1000.0, count=30)
    history = Scenario(again, *others).run(600, 1, progress=False).history
    assert len(ids(history, "handled")) == 30
    assert max(measures.latencies(history)) < 5


@every_kind
def test_two_runs_with_one_seed_are_equal(kind):
    faults = (Crash("worker", at_s=0.8, down_s=1), Pause("tasks", at_s=0.4, for_s=0.3))
    digests = {run(*kind.parts(*faults), seed=3).digest() for _ in range(2)}
    assert len(digests) == 1


@every_kind
def test_a_history_that_was_saved_and_loaded_measures_the_same(kind, tmp_path):
    history = run(*kind.parts(Crash("worker", at_s=0.8, down_s=1)))
    loaded = History.load(history.save(tmp_path / "run.evsim"))
    assert loaded.digest() == history.digest()
    assert measures.summary(loaded) == measures.summary(history)


@pytest.mark.parametrize("kind", PUSHING, ids=named)
def test_a_pushing_broker_hands_over_before_anything_is_delivered(kind):
    history = run(*kind.parts())
    pushed = {(record.place, record.number): record.time for record in history.of("pushed")}
    assert all(pushed[record.place, record.number] <= record.time for record in history.of("delivered"))
