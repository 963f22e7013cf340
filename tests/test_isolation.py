"""Transactions as readers see them: all of it or nothing, in order, and never what was aborted."""

from __future__ import annotations

import pytest
from shops import ids, run

from evsim.laws import Constant
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash
from evsim.sim.network import Link
from evsim.sim.publisher import Publisher


def _parts(partitions=1, replicas=1, **settings):
    return (
        Publisher(
            "shop", to="orders", gap_s=Constant(0.1), count=60, acks="all", transaction_events=5, request_timeout_s=5,
            **settings,
        ),
        Link("shop", "orders", delay_s=Constant(0.02)),
        Log("orders", partitions=partitions, replicas=replicas),
        Consumer("all", of="orders", prefetch=7),
        Consumer("careful", of="orders", prefetch=7, isolation="read_committed"),
    )  # fmt: skip


def _transaction(id_):
    return (int(id_.split(".")[1]) - 1) // 5


@pytest.mark.parametrize("replicas", [1, 3])
@pytest.mark.parametrize("partitions", [1, 4])
def test_what_was_aborted_is_seen_only_by_those_who_read_everything(partitions, replicas):
    """log-10."""
    history = run(*_parts(partitions, replicas, abort_share=0.4), until_s=60)
    aborted = {record.number for record in history.of("aborted")}
    committed = {record.number for record in history.of("committed")}
    assert aborted
    assert committed
    assert {_transaction(id_) for id_ in ids(history, "handled", "careful")} == committed
    assert len(ids(history, "handled", "careful")) == 5 * len(committed)
    assert len(ids(history, "handled", "all")) == 60


def test_nothing_of_an_open_transaction_is_seen_before_it_is_committed():
    history = run(*_parts(), until_s=60)
    ends = {record.number: record.time for record in history.of("committed")}
    for record in history.of("delivered", node="careful"):
        assert record.time >= ends[_transaction(record.event_id)] - 0.0200001
    early = [r for r in history.of("delivered", node="all") if r.time < ends[_transaction(r.event_id)] - 0.03]
    assert early


def test_order_is_kept_for_those_who_wait():
    history = run(*_parts(abort_share=0.3), until_s=60)
    numbers = [int(id_.split(".")[1]) for id_ in ids(history, "handled", "careful")]
    assert numbers == sorted(numbers)


def test_a_producer_that_dies_leaves_nothing_half_done():
    history = run(*_parts(), Crash("shop", at_s=2.25, down_s=5), until_s=120)
    seen = [_transaction(id_) for id_ in ids(history, "handled", "careful")]
    assert all(seen.count(number) == 5 for number in set(seen) if number < 4)
    assert set(ids(history, "handled", "all")) > set(ids(history, "handled", "careful"))


def test_who_never_comes_back_holds_up_careful_readers_for_a_minute():
    other = Publisher("app", to="orders", gap_s=Constant(1.0), count=100, type="parcel.sent")
    history = run(*_parts(), other, Crash("shop", at_s=2.25, down_s=None), until_s=120)
    waits = [r.time for r in history.of("delivered", node="careful") if r.event_id.startswith("app") and r.time > 3]
    assert waits[0] == pytest.approx(62.0, abs=0.6)
    assert len([id_ for id_ in ids(history, "handled", "careful") if id_.startswith("app")]) == 100
