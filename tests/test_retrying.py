"""Consumers that try again: in place, through a retry topic, with a budget; and what becomes of what never works."""

from __future__ import annotations

import pytest
from shops import ids, run

from evsim.errors import BadScenario, HandlerFailed
from evsim.lab.scenario import Scenario
from evsim.laws import Constant
from evsim.patterns.handler import Reject
from evsim.patterns.retry import Backoff, Retry
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash, Pause
from evsim.sim.gray import Poison
from evsim.sim.publisher import Publisher
from evsim.view.checks import every, in_order_by_key, nothing_lost

_STEADY = Backoff(1.0, 2.0, 60.0, "none")


def _shop(handler, **settings):
    return (
        Publisher("shop", to="orders", gap_s=Constant(10.0), count=3, key="one"),
        Log("orders"),
        Log("aside"),
        Consumer("billing", of="orders", on={"order.placed": handler}, service_s=Constant(0.1), **settings),
    )


def _fails_times(failing):
    seen = []

    def handler(event, ctx):
        seen.append((event.id, ctx.attempt, ctx.now))
        if ctx.attempt <= failing.get(event.id, 0):
            raise RuntimeError("not now")

    return handler, seen


def test_it_tries_again_after_waits_that_double_and_then_goes_on():
    handler, seen = _fails_times({"shop.1": 2})
    history = run(*_shop(handler, retry=Retry(4, _STEADY)), until_s=60)
    assert [(id_, attempt) for id_, attempt, _ in seen][:3] == [("shop.1", 1), ("shop.1", 2), ("shop.1", 3)]
    assert [at for _, _, at in seen][:3] == pytest.approx([10.1, 11.2, 13.3])
    assert ids(history, "handled") == ["shop.1", "shop.2", "shop.3"]
    assert [record.number for record in history.of("retried")] == [1, 2]


def test_what_never_works_ends_in_the_dead_letters_after_so_many_attempts():
    handler, seen = _fails_times({"shop.2": 99})
    history = run(*_shop(handler, retry=Retry(3, _STEADY), dead_letter="aside"), until_s=90)
    assert [attempt for id_, attempt, _ in seen if id_ == "shop.2"] == [1, 2, 3]
    assert ids(history, "dead_lettered") == ["shop.2"]
    assert ids(history, "acked", node="billing") == ["shop.1", "shop.2", "shop.3"]


def test_without_a_place_for_it_the_run_stops_after_the_last_attempt():
    handler, seen = _fails_times({"shop.1": 99})
    with pytest.raises(HandlerFailed, match=r"shop\.1"):
        run(*_shop(handler, retry=Retry(2, _STEADY)), until_s=60)
    assert len(seen) == 2


def test_a_rejected_event_is_not_tried_again():
    def handler(event, ctx):
        raise Reject("no")

    history = run(*_shop(handler, retry=Retry(5, _STEADY), dead_letter="aside"), until_s=60)
    assert not ids(history, "retried")
    assert len(ids(history, "dead_lettered")) == 3


def test_a_retry_topic_lets_the_others_pass():
    handler, _ = _fails_times({"shop.1": 1})
    shop = (
        Publisher("shop", to="orders", gap_s=Constant(1.0), count=4, key="one"),
        Log("orders"),
        Log("later"),
        Consumer(
            "billing",
            of="orders",
            on={"order.placed": handler},
            retry=Retry(1, through="later"),
            service_s=Constant(0.1),
        ),
        Consumer("patience", of="later", delay_s=5.0, service_s=Constant(0.1)),
    )
    history = run(*shop, until_s=30)
    assert ids(history, "handled") == ["shop.2", "shop.3", "shop.4", "shop.1"]
    again = next(record for record in history.of("delivered", node="patience"))
    assert again.time == pytest.approx(1.1 + 5.0)


def test_a_budget_stops_the_storm():
    def handler(event, ctx):
        raise RuntimeError("down")

    parts = (
        Publisher("shop", to="orders", gap_s=Constant(0.1)),
        *_shop(handler, retry=Retry(4, Backoff(0.01, 1, 1, "none"), budget=0.1), dead_letter="aside")[1:],
    )
    history = run(*parts, until_s=200)
    retried, first = len(ids(history, "retried")), len(ids(history, "dead_lettered"))
    assert first > 500
    assert retried <= 0.1 * first + 11


def test_a_crash_during_the_wait_forgets_the_attempts_and_a_pause_does_not():
    handler, seen = _fails_times({"shop.1": 2})
    run(*_shop(handler, retry=Retry(9, _STEADY)), Crash("billing", at_s=11.5, down_s=1), until_s=40)
    assert [attempt for id_, attempt, _ in seen if id_ == "shop.1"] == [1, 2, 2, 3]
    handler, seen = _fails_times({"shop.1": 2})
    run(*_shop(handler, retry=Retry(9, _STEADY)), Pause("billing", at_s=11.5, for_s=5), until_s=40)
    assert [attempt for id_, attempt, _ in seen if id_ == "shop.1"] == [1, 2, 3]


def test_poison_is_tried_and_then_put_aside():
    def handler(event, ctx):
        ctx.effect("done")

    history = run(*_shop(handler, retry=Retry(3, _STEADY), dead_letter="aside"), Poison("billing", nth=2), until_s=90)
    assert ids(history, "failed") == ["shop.2"] * 3
    assert ids(history, "dead_lettered") == ["shop.2"]


def test_a_retry_topic_that_is_no_broker_is_refused():
    with pytest.raises(BadScenario, match=r"retry\.through"):
        Scenario(*_shop(print, retry=Retry(1, through="latr"))).check()


def _overtaking(**patience):
    handler, _ = _fails_times({"shop.1": 1})
    return run(
        Publisher("shop", to="orders", gap_s=Constant(1.0), count=4, key="one"),
        Log("orders"),
        Log("later"),
        Consumer("billing", of="orders", on={"order.placed": handler}, retry=Retry(1, through="later")),
        *([Consumer("patience", of="later", delay_s=5.0, **patience)] if patience else []),
        until_s=30,
    )


def test_what_waits_in_a_retry_topic_is_not_lost_and_ends_where_the_topic_is_read():
    history = _overtaking(group="billing")
    assert nothing_lost().judge(history).state == "ok"
    assert every("order.placed").ends.judge(history).state == "ok"
    assert every("order.placed").ends.judge(_overtaking()).state == "VIOLATED", "nobody reads the topic"
    assert "billing put shop.1 into later, to be tried again later" in history.story("shop.1")


def test_two_consumers_of_one_group_are_one_when_order_is_judged():
    verdict = in_order_by_key().judge(_overtaking(group="billing"))
    assert verdict.state == "VIOLATED"
    assert verdict.lines[1] == "it was overtaken while it waited in later to be tried again"
    assert in_order_by_key().judge(_overtaking(group="others")).state == "ok"


def _hangs(*bad, times=99):
    seen = []

    async def handler(event, ctx):
        seen.append((event.id, ctx.attempt, ctx.now))
        if event.id in bad and ctx.attempt <= times:
            await ctx.sleep(1000)
        await ctx.sleep(0.5)
        ctx.effect("done")

    return handler, seen


def test_a_handler_that_hangs_is_given_up_and_tried_again():
    handler, seen = _hangs("shop.2", times=1)
    history = run(*_shop(handler, retry=Retry(3, _STEADY), timeout_s=4), until_s=60)
    assert [at for id_, _, at in seen if id_ == "shop.2"] == pytest.approx([20.1, 20.1 + 4 + 1 + 0.1])
    assert sorted(ids(history, "effect")) == ["shop.1", "shop.2", "shop.3"]
    assert len(ids(history, "failed")) == 1


def test_one_that_always_hangs_is_put_aside_with_the_reason():
    handler, _ = _hangs("shop.2")
    history = run(*_shop(handler, retry=Retry(2, _STEADY), timeout_s=4, dead_letter="aside"), until_s=90)
    assert ids(history, "handled") == ["shop.1", "shop.3"]
    assert [history.notes[r.number]["reason"] for r in history.of("parked")] == ["TimeoutError: no end after 4 s"]


def test_a_late_answer_is_not_heard_and_a_pause_does_not_hide_the_timeout():
    handler, seen = _hangs("shop.1", times=1)
    history = run(
        *_shop(handler, retry=Retry(2, _STEADY), timeout_s=4), Pause("billing", at_s=12, for_s=5), until_s=1100
    )
    assert [at for id_, _, at in seen if id_ == "shop.1"] == pytest.approx([10.1, 17 + 1 + 0.1])
    assert sorted(ids(history, "effect")) == ["shop.1", "shop.2", "shop.3"]
