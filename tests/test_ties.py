"""Simultaneous things in another order: a true one, and the same again for the same number."""

from __future__ import annotations

import pytest

from evsim.lab.scenario import Scenario
from evsim.laws import Constant
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.publisher import Publisher
from evsim.sim.ties import ShuffledWorld
from evsim.view.checks import in_order_by_key, nothing_lost

TWINS = Scenario(
    Publisher("left", to="orders", gap_s=Constant(0.1), type="order.placed"),
    Publisher("right", to="orders", gap_s=Constant(0.1), type="parcel.sent"),
    Log("orders"),
    Consumer("billing", of="orders", service_s=Constant(0.05)),
    name="twins",
)


def _stored(ties: int) -> list[str]:
    run = TWINS.start(seed=1, ties=ties).run_until(3.0, progress=False).finish()
    return [record.event_id for record in run.history.of("stored")]


def test_equal_ties_give_equal_runs_and_others_another_order():
    assert _stored(1) == _stored(1)
    assert len({tuple(_stored(ties)) for ties in range(8)}) > 4
    assert all(sorted(_stored(ties)) == sorted(_stored(0)) for ties in range(4))


def test_what_one_publisher_sent_stays_in_order():
    for ties in range(1, 20):
        left = [int(id_.split(".")[1]) for id_ in _stored(ties) if id_.startswith("left")]
        assert left == sorted(left)


@pytest.mark.parametrize("ties", range(6))
def test_shuffling_breaks_no_promise_that_holds(ties):
    shop = Scenario(
        Publisher("shop", to="orders", gap_s=Constant(0.25), key="one"),
        Log("orders", partitions=2),
        Consumer("billing", of="orders", members=2, service_s=Constant(0.25), commit="batch", prefetch=3),
    )
    run = shop.start(seed=3, ties=ties).run_until(30.0, progress=False).finish()
    assert run.check(nothing_lost(), in_order_by_key()).hold


def test_a_token_remembers_the_ties():
    run = TWINS.start(seed=1, ties=5).run_until(3.0, progress=False).finish()
    assert "~s1t5~" in run.token
    assert TWINS.replay(run.token).same


def test_simpy_processes_run_in_a_shuffled_world():
    world = ShuffledWorld(3)
    seen: list[tuple[float, str]] = []

    def walker(name):
        for _ in range(3):
            yield world.timeout(1)
            seen.append((world.now, name))

    for name in "abc":
        world.process(walker(name))
    world.run()
    assert sorted(seen) == [(time, name) for time in (1, 2, 3) for name in "abc"]
