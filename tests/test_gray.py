"""Faults in which nothing is down: slow nodes, links that reorder or corrupt, poison; and campaigns of many faults."""

from __future__ import annotations

import pytest
from shops import ids, offsets, run

from evsim.errors import BadScenario, HandlerFailed
from evsim.lab.scenario import Scenario
from evsim.laws import Constant, Exponential
from evsim.sim.broker.log import Log
from evsim.sim.campaign import Campaign
from evsim.sim.consumer import Consumer
from evsim.sim.gray import Corrupt, Poison, Reorder, Slow
from evsim.sim.publisher import Publisher
from evsim.view.checks import in_order_by_key, nothing_lost

SHOP = (
    Publisher("shop", to="orders", gap_s=Constant(1.0), key="one"),
    Log("orders"),
    Consumer("billing", of="orders", service_s=Constant(0.1)),
    Log("aside"),
)


def _took(history, node="billing"):
    began = {record.event_id: record.time for record in history.of("delivered", node=node)}
    return [round(record.time - began[record.event_id], 6) for record in history.of("handled", node=node)]


def test_a_slow_node_takes_so_many_times_as_long_and_only_for_a_while():
    history = run(*SHOP, Slow("billing", factor=5, at_s=2.5, for_s=3), until_s=8.5)
    assert _took(history) == [0.1, 0.1, 0.5, 0.5, 0.5, 0.1, 0.1, 0.1]
    assert [record.step for record in history.of(("slowed", "healed"))] == ["slowed", "healed"]


def test_reordering_breaks_the_order_of_a_key_and_loses_nothing():
    shop = Scenario(*SHOP, Reorder("shop", "orders", share=0.3, extra_s=Constant(1.5), for_s=20))
    done = shop.run(40, seed=2)
    lost, order = done.check(nothing_lost(), in_order_by_key())
    assert (lost.state, order.state) == ("ok", "VIOLATED")
    late = [int(id_.split(".")[1]) for id_ in ids(done.history, "stored")]
    assert late[25:] == sorted(late[25:]), "the order comes back when the fault has ended"


def test_what_is_corrupt_is_refused_and_counts_as_lost():
    shop = Scenario(*SHOP, Corrupt("shop", "orders", share=0.5))
    done = shop.run(60, seed=1)
    corrupted = len(ids(done.history, "corrupted"))
    assert 15 < corrupted < 45
    assert done.summary()["lost"] == corrupted


def test_a_poison_event_goes_to_the_dead_letters_and_the_others_are_handled():
    parts = (*SHOP[:2], SHOP[2].but(dead_letter="aside"), SHOP[3])
    history = run(*parts, Poison("billing", nth=3), until_s=6.5)
    assert ids(history, "dead_lettered") == ["shop.3"]
    assert ids(history, "handled") == ["shop.1", "shop.2", "shop.4", "shop.5", "shop.6"]
    assert offsets(history, "failed") == [2]


def test_poison_stops_the_run_where_nobody_said_what_to_do():
    with pytest.raises(HandlerFailed, match="poison"):
        run(*SHOP, Poison("billing", nth=2), until_s=6)


def test_poison_by_key_spoils_all_of_the_key():
    parts = (Publisher("shop", to="orders", gap_s=Constant(1.0)), SHOP[1], SHOP[2].but(dead_letter="aside"), SHOP[3])
    history = run(*parts, Poison("billing", key="order-2"), until_s=5)
    assert ids(history, "dead_lettered") == ["shop.2"]


def test_a_campaign_keeps_a_node_available_as_long_as_its_means_say():
    shop = Scenario(*SHOP, Campaign("billing", up_s=Exponential(20), down_s=Exponential(5)))
    shares = []
    for seed in range(12):
        history = shop.run(4000, seed=seed).history
        down = [record.time for record in history.of("crashed")]
        up = [record.time for record in history.of("restarted")][: len(down)]
        shares.append(1 - sum(b - a for a, b in zip(down, up, strict=False)) / 4000)
    assert sum(shares) / len(shares) == pytest.approx(0.8, abs=0.02)


def test_a_campaign_ends_when_it_is_told_to():
    history = run(*SHOP, Campaign("billing", up_s=Constant(2), down_s=Constant(1), how="pause", until_s=10), until_s=60)
    assert [record.time for record in history.of("paused")] == [2.0, 5.0, 8.0]


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Slow("orders"), "expected a consumer or service"),
        (Poison("biling"), "did you mean 'billing'"),
        (Campaign("bilng"), "no part called"),
        (Reorder("shop", "order"), "did you mean 'orders'"),
    ],
)
def test_a_fault_that_hits_nothing_is_refused_before_the_run(fault, sentence):
    with pytest.raises(BadScenario, match=sentence):
        Scenario(*SHOP, fault).run(5, seed=1)
