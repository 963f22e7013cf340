"""Producers with any settings under any faults: every event ends once, nothing stays behind, numbers keep order."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from shops import ids

from evsim.history import History
from evsim.laws import Exponential
from evsim.sim.broker.log import Log
from evsim.sim.faults import Crash, Delay, Drop, Duplicate, Pause
from evsim.sim.network import Link
from evsim.sim.publisher import Publisher
from evsim.sim.world import World

ENDINGS = ("confirmed", "given_up", "shed", "lost")


def publisher(luck: random.Random) -> Publisher:
    """Any publisher of 300 events that waits for answers."""
    acks, idempotent = luck.choice(["leader", "all", "all"]), luck.choice([None, False])
    settings = {
        "rate": luck.choice([20, 80]),
        "linger_s": luck.choice([0, 0.03, 0.2]),
        "batch_events": luck.choice([None, 1, 3]),
        "max_in_flight": luck.choice([1, 2, 5]),
        "request_timeout_s": luck.choice([0.3, 1]),
        "delivery_timeout_s": luck.choice([2, 1000]),
        "retries": luck.choice([None, None, 3]),
        "buffer_events": luck.choice([None, 5, 40]),
        "when_full": luck.choice(["block", "drop", "shed"]),
        "key": luck.choice(["own", None]),
    }
    if luck.random() < 0.3 and acks == "all" and idempotent is None:
        settings |= {"transaction_events": luck.choice([1, 3, 10]), "abort_share": luck.choice([0, 0.3])}
    return Publisher("shop", to="orders", count=300, acks=acks, idempotent=idempotent, **settings)


def faults(luck: random.Random) -> list:
    """Lost requests and answers, and sometimes more."""
    others = [
        Pause("shop", at_s=luck.uniform(1, 20), for_s=3),
        Pause("orders", at_s=luck.uniform(1, 20), for_s=3),
        Crash("orders", at_s=luck.uniform(1, 20), down_s=3),
        Crash("shop", at_s=luck.uniform(1, 20), down_s=3),
        Duplicate("shop", "orders", share=0.2, for_s=40),
        Delay("shop", "orders", extra_s=Exponential(0.4), share=0.3, for_s=30),
    ]
    lost = [Drop(*way, share=luck.choice([0, 0.1, 0.4]), for_s=40) for way in (("shop", "orders"), ("orders", "shop"))]
    return lost + [fault for fault in others if luck.random() < 0.3]


@pytest.mark.parametrize("seed", range(60))
def test_any_producer_under_any_faults_keeps_its_promises(seed):
    luck = random.Random(seed)
    shop, troubles = publisher(luck), faults(luck)
    link = Link("shop", "orders", delay_s=Exponential(0.01), ordered=luck.choice([True, False]))
    world = World(seed=seed)
    world.build([shop, Log("orders", partitions=luck.choice([1, 3])), link, *troubles])
    world.run(until=3000)
    history, producer = world.history, world.live["shop"]._producer
    ended = Counter(event for step in ENDINGS for event in ids(history, step))
    crashed = any(isinstance(fault, Crash) and fault.part == "shop" for fault in troubles)
    assert max(ended.values()) == 1
    assert crashed or len(ended) == 300
    assert set(ids(history, "confirmed")) <= set(ids(history, "stored"))
    assert [producer._held, producer._in_flight, len(producer._flights), len(producer._door)] == [0, 0, 0, 0]
    assert not any(lane.waiting or lane.flying or lane.unresolved for lane in producer._lanes.values())
    if shop.is_idempotent and not crashed and not ids(history, "given_up"):
        _in_order_and_once(history)


def _in_order_and_once(history: History) -> None:
    for place in {record.place for record in history.of("stored")}:
        stored = [int(event.split(".")[1]) for event in ids(history, "stored", place=place)]
        assert stored == sorted(set(stored))
