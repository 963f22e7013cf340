"""Dead letters brought back: with their ids, at a rate, never lost, and not round in circles."""

from __future__ import annotations

from itertools import pairwise

import pytest
from shops import ids, run

from evsim.errors import BadScenario
from evsim.lab.scenario import Scenario
from evsim.laws import Constant
from evsim.patterns.handler import Reject
from evsim.patterns.retry import Retry
from evsim.sim.broker.log import Log
from evsim.sim.broker.queue import Queue
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash, Drop, Pause
from evsim.sim.network import Link
from evsim.sim.publisher import Publisher
from evsim.sim.redrive import Redrive
from evsim.view.checks import nothing_lost
from evsim.view.parked import reasons


def _shop(repaired_s, *more, **settings):
    def bill(event, ctx):
        if ctx.now < repaired_s and int(event.id.split(".")[1]) % 2:
            raise ValueError("unknown currency")
        ctx.effect("billed")

    return (
        Publisher("shop", to="orders", gap_s=Constant(1.0), count=20),
        Log("orders"),
        Log("aside"),
        Consumer("billing", of="orders", on={"order.placed": bill}, dead_letter="aside", **settings),
        Redrive("again", of="aside", to="orders", at_s=30, rate=2),
        *more,
    )


def test_after_the_repair_every_dead_letter_is_handled_once_with_its_own_id():
    history = run(*_shop(25), until_s=60)
    odd = [f"shop.{n}" for n in range(1, 20, 2)]
    assert ids(history, "dead_lettered") == odd
    assert sorted(ids(history, "effect")) == sorted(f"shop.{n}" for n in range(1, 21))
    published = [record.time for record in history.of("published", node="again")]
    assert published[0] == 30
    assert all(b - a >= 0.5 for a, b in pairwise(published))
    assert ids(history, "redriven") == odd


def test_what_fails_again_stays_and_does_not_go_round():
    history = run(*_shop(1e9), until_s=120)
    assert len(ids(history, "published", node="again")) == 10
    assert len(ids(history, "dead_lettered")) == 20


@pytest.mark.parametrize(
    "fault",
    [
        Crash("again", at_s=31.2, down_s=3),
        Crash("orders", at_s=31.2, down_s=3),
        Drop("again", "orders", share=0.5, at_s=30, for_s=20),
        Drop("orders", "again", share=0.5, at_s=30, for_s=20),
    ],
    ids=["redrive crashes", "log crashes", "requests are lost", "answers are lost"],
)
def test_no_dead_letter_is_lost_on_the_way_back(fault):
    history = run(*_shop(25, Link("again", "orders", delay_s=Constant(0.01)), fault), until_s=120)
    assert set(ids(history, "effect")) == {f"shop.{n}" for n in range(1, 21)}


def test_an_inbox_knows_what_comes_twice():
    parts = _shop(25, Drop("orders", "again", share=0.7, at_s=30, for_s=20), inbox=True)
    history = run(*parts, until_s=120)
    assert len(ids(history, "published", node="again")) > 10
    assert len(ids(history, "effect")) == 20


def test_the_reason_and_the_attempts_are_kept_and_told():
    history = run(*_shop(25), until_s=60)
    notes = [history.notes[record.number] for record in history.of("parked")]
    assert {note["reason"] for note in notes} == {"ValueError: unknown currency"}
    assert {note["attempts"] for note in notes} == {1}
    assert "gave shop.1 up after one attempt: ValueError: unknown currency" in history.story("shop.1")


def test_a_redrive_into_itself_is_refused():
    with pytest.raises(BadScenario, match="are both 'aside'"):
        Scenario(*_shop(1)[:4], Redrive("again", of="aside", to="aside")).check()


def _queue_shop(repaired_s, *more, **settings):
    def bill(event, ctx):
        if ctx.now < repaired_s and int(event.id.split(".")[1]) % 2:
            raise Reject("unknown currency")
        ctx.effect("billed")

    return (
        Publisher("shop", to="orders", gap_s=Constant(1.0), count=20),
        Queue("orders", dead_letter="aside"),
        Queue("aside"),
        Consumer("billing", of="orders", on={"order.placed": bill}, **settings),
        Redrive("again", of="aside", to="orders", at_s=30, rate=2),
        *more,
    )


def test_dead_letters_of_a_queue_come_back_with_their_ids_at_a_rate():
    history = run(*_queue_shop(25), until_s=60)
    odd = [f"shop.{n}" for n in range(1, 20, 2)]
    assert ids(history, "dead_lettered") == odd
    assert sorted(ids(history, "effect")) == sorted(f"shop.{n}" for n in range(1, 21))
    times = [record.time for record in history.of("published", node="again")]
    assert times == pytest.approx([30 + 0.5 * n for n in range(10)])
    assert ids(history, "redriven") == odd
    assert nothing_lost().judge(history).state == "ok"
    assert [(each.why, each.mended) for each in reasons(history)] == [("rejected by the consumer", 10)]


def test_what_fails_again_stays_in_the_queue():
    history = run(*_queue_shop(1e9), until_s=120)
    assert len(ids(history, "published", node="again")) == 10
    assert len(ids(history, "dead_lettered")) == 20


@pytest.mark.parametrize(
    "fault",
    [
        Crash("again", at_s=31.2, down_s=3),
        Crash("again", at_s=29, down_s=3),
        Crash("orders", at_s=31.2, down_s=3),
        Crash("aside", at_s=31.2, down_s=3),
        Pause("again", at_s=31.2, for_s=3),
        Drop("again", "orders", share=0.5, at_s=30, for_s=20),
        Drop("orders", "again", share=0.5, at_s=30, for_s=20),
    ],
    ids=[
        "redrive crashes",
        "redrive comes late",
        "queue crashes",
        "dead letter queue crashes",
        "redrive pauses",
        "requests are lost",
        "answers are lost",
    ],
)
def test_no_dead_letter_of_a_queue_is_lost_on_the_way_back(fault):
    history = run(*_queue_shop(25, Link("again", "orders", delay_s=Constant(0.01)), fault), until_s=120)
    assert set(ids(history, "effect")) == {f"shop.{n}" for n in range(1, 21)}
    assert len(set(ids(history, "redriven"))) == 10


def test_attempts_go_on_counting_after_a_redrive_and_in_a_retry_topic():
    seen = []

    def bill(event, ctx):
        seen.append(ctx.attempt)
        if ctx.attempt < 6:
            raise ValueError("unknown currency")

    history = run(
        Publisher("shop", to="orders", gap_s=Constant(1.0), count=1),
        Log("orders"),
        Log("later"),
        Log("aside"),
        Consumer("billing", of="orders", on={"order.placed": bill}, retry=Retry(2, through="later")),
        Consumer("again", of="later", on={"order.placed": bill}, retry=Retry(2), dead_letter="aside"),
        Redrive("redrive", of="aside", to="orders", at_s=30),
    )
    assert seen == [1, 2, 3, 4, 5, 6]
    assert [history.notes[record.number]["attempts"] for record in history.of("parked")] == [4]
