"""Promises about recovery, waiting, money, ownership, sequence and time: kept, broken, and not to be judged."""

from __future__ import annotations

import time

import numpy as np
import pytest
from histories import script

from evsim.errors import BadScenario
from evsim.history import History
from evsim.lab.catalog import HELLO, ORDER_SHOP, OUTAGE
from evsim.lab.scenario import Scenario
from evsim.laws import Constant, Exponential
from evsim.sim.broker.log import Log, Partition
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash, Pause
from evsim.sim.group import LiveGroup
from evsim.sim.publisher import Publisher
from evsim.view.checks import judge
from evsim.view.measures import latencies
from evsim.view.promises import conserves, in_time, no_poll_skip, nothing_stuck, one_owner, recovers_within

STOCK = (recovers_within(30), nothing_stuck(30), conserves("a", "b"), one_owner(), no_poll_skip(), in_time(1))


@pytest.mark.parametrize("promise", STOCK, ids=lambda promise: type(promise).__name__)
def test_no_promise_passes_on_an_empty_history(promise):
    assert judge(promise, History()).state == "unknown"


def test_an_outage_that_drains_in_time_has_recovered():
    run = OUTAGE.run(400, seed=1)
    long, short = run.check(recovers_within(250), recovers_within(5))
    assert long.state == "ok"
    assert short.state == "VIOLATED"
    assert short.event_ids[0] in str(short)


def test_recovery_is_unknown_without_a_fault_or_before_it_is_due():
    assert HELLO.run(30, seed=1).check(recovers_within(5))[0].state == "unknown"
    assert OUTAGE.run(125, seed=1).check(recovers_within(100))[0].state == "unknown"
    still_down = ORDER_SHOP.plus(Crash("billing", at_s=5, down_s=None))
    assert still_down.run(60, seed=1).check(recovers_within(5))[0].state == "unknown"


def test_what_a_log_swallows_without_a_trace_is_stuck(monkeypatch):
    original = Partition.store
    monkeypatch.setattr(Partition, "store", lambda self, event: None if event == 7 else original(self, event))
    stuck, recovered = (
        ORDER_SHOP.plus(Pause("billing", at_s=1, for_s=1))
        .run(120, seed=2)
        .check(nothing_stuck(30), recovers_within(30))
    )
    assert (stuck.state, recovered.state) == ("VIOLATED", "VIOLATED")
    assert stuck.event_ids == ("shop.8",)


def test_nothing_is_stuck_in_a_shop_that_works():
    assert ORDER_SHOP.run(120, seed=2).check(nothing_stuck(30), in_time(5), one_owner(), no_poll_skip()).hold


def _transfer(credit):
    def debit(event, ctx):
        ctx.effect("debited", amount=event.data["amount"])
        ctx.emit("money.debited", {"amount": event.data["amount"]})

    return Scenario(
        Publisher("bank", to="bus", rate=2, type="transfer.requested", data={"amount": Exponential(50)}),
        Log("bus"),
        Consumer("debits", of="bus", service_s=Constant(0.01), on={"transfer.requested": debit}),
        Consumer("credits", of="bus", service_s=Constant(0.01), on={"money.debited": credit}),
    )


def test_money_is_conserved_unless_a_handler_loses_some():
    def right(event, ctx):
        ctx.effect("credited", amount=event.data["amount"])

    def wrong(event, ctx):
        if event.data["amount"] < 100:
            ctx.effect("credited", amount=event.data["amount"])

    promise = conserves("debited", "credited")
    assert _transfer(right).run(60, seed=3).check(promise)[0].state == "ok"
    verdict = _transfer(wrong).run(60, seed=3).check(promise)[0]
    assert verdict.state == "VIOLATED"
    assert "0 given" in str(verdict)


def test_two_owners_are_seen(monkeypatch):
    original = LiveGroup._assign

    def generous(self, assigning):
        original(self, assigning)
        member = next(iter(self.members.values()))
        for partition in self.log.partitions:
            member.note("assigned", partition.place, self.generation)

    monkeypatch.setattr(LiveGroup, "_assign", generous)
    assert ORDER_SHOP.run(5, seed=1).check(one_owner())[0].state == "VIOLATED"


def test_a_skipped_offset_is_seen():
    shop = Scenario(
        Publisher("shop", to="orders", gap_s=Constant(0.1)),
        Log("orders"),
        Consumer("billing", of="orders", commit="before", prefetch=10, service_s=Constant(0.05)),
        Crash("billing", after="handled", nth=12, down_s=1),
    )
    backlogged = shop.replace("billing", service_s=Constant(0.2))
    verdict = backlogged.run(20, seed=1).check(no_poll_skip())[0]
    assert verdict.state == "VIOLATED"
    assert "never" in str(verdict)


def test_a_service_level_says_which_share_was_in_time():
    run = HELLO.run(600, seed=4)
    p90 = float(np.quantile(latencies(run.history), 0.9))
    assert run.check(in_time(p90 * 1.1, share=0.9))[0].state == "ok"
    verdict = run.check(in_time(p90 * 0.9, share=0.9))[0]
    assert verdict.state == "VIOLATED"
    assert "% of" in str(verdict)


@pytest.mark.parametrize("wrong", [lambda: recovers_within(0), lambda: in_time(1, share=2), lambda: nothing_stuck("x")])
def test_a_wrong_promise_gets_a_sentence(wrong):
    with pytest.raises(BadScenario, match="expected"):
        wrong()


def test_a_million_rows_are_judged_in_seconds():
    """Linear: five times the history takes less than fifteen times as long."""

    def took(until_s):
        history = (
            ORDER_SHOP.replace("shop", rate=200)
            .replace("billing", service_s=0.004)
            .replace("shipping", service_s=0.003)
            .run(until_s, seed=1)
            .history
        )
        began = time.process_time()
        for promise in STOCK:
            judge(promise, history)
        return time.process_time() - began

    assert took(100) < 15 * max(took(20), 0.02)


def test_who_has_crashed_owns_nothing_unless_it_goes_on():
    rows = ["0.0 assigned billing-1 orders/0 - 1", "3.0 crashed billing-1", "4.0 restarted billing-1"]
    taken = "4.5 assigned billing-2 orders/0 - 2"
    assert one_owner().judge(script("\n".join([*rows, taken]))).state == "ok"
    verdict = one_owner().judge(script("\n".join([*rows, "4.1 delivered billing-1 orders/0 shop.1 0", taken])))
    assert "billing-1 still had it" in verdict.lines[0]
