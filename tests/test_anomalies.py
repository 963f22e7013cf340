"""Jepsen's anomalies, order by cause, convergence and readable schemas: kept, broken, and not to be judged."""

from __future__ import annotations

import time

import numpy as np
import pytest
from shops import run

from evsim import BadScenario, WrongVersion
from evsim.event import Event
from evsim.history import History
from evsim.laws import Constant, Exponential, Zipf
from evsim.sim.broker.log import Log
from evsim.sim.broker.queue import Queue
from evsim.sim.consumer import Consumer, Share
from evsim.sim.faults import Crash, Delay, Join
from evsim.sim.member import LiveMember
from evsim.sim.network import Link
from evsim.sim.publisher import Publisher
from evsim.view import anomalies
from evsim.view.anomalies import (
    converges,
    in_causal_order,
    monotonic_polls,
    no_duplicates,
    no_lost_writes,
    nothing_unexpected,
    schema_readable,
)
from evsim.view.checks import judge

STOCK = (
    no_lost_writes(), no_duplicates(), nothing_unexpected(), monotonic_polls(), in_causal_order(),
    converges("a", "b"), schema_readable(),
)  # fmt: skip


@pytest.mark.parametrize("promise", STOCK, ids=lambda promise: type(promise).__name__)
def test_no_promise_passes_on_an_empty_history(promise):
    assert judge(promise, History()).state == "unknown"


def test_a_promise_that_was_not_called_is_refused_with_the_fix():
    with pytest.raises(BadScenario, match=r"write no_lost_writes\(…\)"):
        judge(anomalies.no_lost_writes, History())


def shop(*more, broker=None, acks="none", **settings):
    return (
        Publisher("shop", to="orders", rate=50, count=500, acks=acks, key=Zipf(20, 1.0)),
        broker or Log("orders", partitions=2),
        Consumer("billing", of="orders", **settings),
        *more,
    )


def states(history, *promises):
    return [judge(promise, history).state for promise in promises]


def test_a_calm_shop_has_no_anomaly():
    history = run(*shop(acks="all", members=2, service_s=Exponential(0.02)))
    calm = (no_lost_writes(), no_duplicates(), nothing_unexpected(), monotonic_polls())
    assert states(history, *calm) == ["ok"] * 4


@pytest.mark.parametrize(("acks", "state"), [("leader", "VIOLATED"), ("all", "ok")])
def test_what_the_leader_alone_has_confirmed_can_be_lost(acks, state):
    log = Log("orders", replicas=3, replication_s=0.5, failover_s=2)
    verdict = judge(no_lost_writes(), run(*shop(Crash("orders-1", at_s=5, down_s=20), broker=log, acks=acks)))
    assert verdict.state == state
    assert acks == "all" or "was confirmed, and lost by orders" in verdict.lines[0]


def test_a_crash_before_the_acknowledgement_is_a_duplicate_and_no_step_back():
    history = run(*shop(Crash("billing", after="handled", nth=9, down_s=1), prefetch=5, commit="batch"))
    assert states(history, no_duplicates(), monotonic_polls()) == ["VIOLATED", "ok"]


def test_a_member_that_goes_back_without_a_reason_is_seen(monkeypatch):
    original = LiveMember.finish

    def back(self):
        original(self)
        if self.cursor.position == 20:
            self.cursor.position = 5

    assert states(run(*shop(service_s=0.01)), monotonic_polls()) == ["ok"]
    monkeypatch.setattr(LiveMember, "finish", back)
    verdict = judge(monotonic_polls(), run(*shop(service_s=0.01), until_s=20))
    assert verdict.state == "VIOLATED"
    assert "went back to offset" in verdict.lines[0]


def test_rebalances_queues_and_share_groups_are_no_steps_back():
    moving = shop(Join("billing", at_s=3), members=2, commit="batch", prefetch=9, service_s=0.03)
    assert states(run(*moving), monotonic_polls()) == ["ok"]
    assert states(run(*shop(broker=Queue("orders"))), monotonic_polls()) == ["unknown"]
    shared = shop(Crash("billing", at_s=2, down_s=1), share=Share(lock_s=2), service_s=0.03)
    assert states(run(*shared), monotonic_polls()) == ["ok"]


def test_an_event_from_nowhere_is_unexpected():
    history = History()
    event = history.add(Event("ghost.1", "order.placed", 0.0, "ghost", {}))
    history.record(1.0, history.code("delivered", "billing", "orders/0"), event, 0)
    verdict = judge(nothing_unexpected(), history)
    assert verdict.state == "VIOLATED"
    assert "ghost.1" in verdict.lines[0]


def relay(event, ctx):
    ctx.emit("order.paid")


def across(*more):
    """Billing reads orders and sends bills; the desk reads both topics, orders over a slow way if there is one."""
    return (
        Publisher("shop", to="orders", rate=20, count=100),
        Log("orders"),
        Log("bills"),
        Consumer("billing", of="orders", to="bills", on={"order.placed": relay}),
        Consumer("desk", of="orders", group="desk", service_s=0.001),
        Consumer("counter", of="bills", group="desk", service_s=0.001),
        *more,
    )  # fmt: skip


def test_an_effect_can_overtake_its_cause_through_another_topic():
    assert states(run(*across(), until_s=30), in_causal_order()) == ["ok"]
    slow = Delay("orders", "desk", extra_s=Constant(0.5), at_s=1)
    verdict = judge(in_causal_order(), run(*across(slow), until_s=30))
    assert verdict.state == "VIOLATED"
    assert "before what has caused it" in verdict.lines[0]


def test_causes_are_unknown_where_nobody_handles_both():
    assert states(run(*shop()), in_causal_order()) == ["unknown"]


def writes(effect, forgets=0):
    def handler(event, ctx):
        if forgets and int(event.id.rpartition(".")[2]) % forgets == 0:
            return
        ctx.effect(effect, key=event.key, value=event.id)

    return {"order.placed": handler}


def readers(*more, late_s=0.0, forgets=0):
    return (
        Publisher("shop", to="orders", rate=20, count=100, key=Zipf(5, 0.5)),
        Log("orders", partitions=2),
        Link("orders", "search", delay_s=Constant(late_s)),
        Consumer("stock", of="orders", on=writes("stock shown")),
        Consumer("search", of="orders", on=writes("page shown", forgets)),
        *more,
    )


def test_two_read_models_agree_in_the_end_however_late_one_is():
    together = converges("stock shown", "page shown")
    assert states(run(*readers(late_s=0.05), until_s=30), together) == ["ok"]
    assert states(run(*readers(Crash("search", at_s=3, down_s=None)), until_s=30), together) == ["unknown"]
    verdict = judge(together, run(*readers(forgets=2), until_s=30))
    assert verdict.state == "VIOLATED"
    assert "«stock shown» says 'shop." in verdict.lines[0]
    assert states(run(*readers(), until_s=30), converges("stock shown", "never")) == ["unknown"]


def test_a_version_that_nobody_knows_is_seen():
    parts = shop(WrongVersion("shop", version=2, share=0.1), Log("aside"), versions=(1,), dead_letter="aside")
    verdict = judge(schema_readable(), run(*parts))
    assert verdict.state == "VIOLATED"
    assert "version 2 of order.placed" in verdict.lines[0]
    assert states(run(*shop(versions=(1,))), schema_readable()) == ["ok"]
    assert states(run(*shop()), schema_readable()) == ["unknown"]


@pytest.mark.parametrize("promise", STOCK, ids=lambda promise: type(promise).__name__)
def test_a_million_records_take_less_than_five_seconds(promise):
    """Linear in the length: a history of 200 000 orders, some million rows."""
    history = big()
    assert len(history) > 950_000
    begin = time.process_time()
    judge(promise, history)
    assert time.process_time() - begin < 5


_BIG: list[History] = []


def big() -> History:
    if not _BIG:
        parts = (
            Publisher("shop", to="orders", rate=2000, count=200_000),
            Log("orders", partitions=8),
            Consumer("billing", of="orders", members=8, service_s=Constant(0.001), prefetch=50, commit="batch"),
        )
        _BIG.append(run(*parts, until_s=110))
    return _BIG[0]


def test_the_big_history_is_a_real_one():
    assert np.all(np.diff(big().time) >= 0)
