"""More partitions in mid-run: keys move, the order of a key can break, and late readers miss what came meanwhile."""

from __future__ import annotations

import pytest

from evsim.errors import BadScenario
from evsim.lab.scenario import Scenario
from evsim.laws import Exponential
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.growth import AddPartitions
from evsim.sim.publisher import Publisher
from evsim.view.checks import in_order_by_key, nothing_lost


def _shop(*more, noticed_s=0.0, **settings):
    settings = {"members": 4, "service_s": Exponential(0.03), "auto_offset_reset": "earliest"} | settings
    return Scenario(
        Publisher("shop", to="orders", rate=100, key="one"),
        Publisher("app", to="orders", rate=20, type="parcel.sent"),
        Log("orders", partitions=2),
        Consumer("billing", of="orders", **settings),
        AddPartitions("orders", to=6, at_s=20, noticed_s=noticed_s),
        *more,
    )


def test_new_partitions_are_shared_out_and_nothing_is_lost():
    run = _shop().run(60, seed=3)
    places = {record.place for record in run.history.of("handled")}
    assert places >= {f"orders/{n}" for n in range(6)} - {"orders/0", "orders/1"} or len(places) > 3
    assert run.check(nothing_lost())[0].state == "ok"


def test_the_order_of_a_key_breaks_when_it_moves_and_is_kept_where_nothing_is_added():
    moved = []
    for seed in range(6):
        for name in ("order-1", "vip", "zeta", "k9"):
            shop = _shop().replace("shop", key=name)
            moved.append(shop.run(40, seed=seed).check(in_order_by_key())[0].state)
    assert "VIOLATED" in moved
    calm = _shop().without(AddPartitions("orders", to=6, at_s=20, noticed_s=0.0))
    assert calm.run(40, seed=1).check(in_order_by_key())[0].state == "ok"


def test_who_notices_late_and_begins_at_the_latest_misses_what_came_meanwhile():
    late = _shop(noticed_s=10.0, auto_offset_reset="latest").run(60, seed=3)
    missed = len(late.history.of("missed"))
    assert missed > 20
    assert late.summary()["lost"] == missed
    assert _shop(noticed_s=10.0).run(60, seed=3).summary()["lost"] == 0


def test_replicated_logs_grow_too():
    run = _shop().replace("orders", replicas=3).run(60, seed=3)
    assert run.check(nothing_lost())[0].state == "ok"
    assert len({record.place for record in run.history.of("stored")}) > 2


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (AddPartitions("orders", to=2, at_s=5), "cannot be taken away"),
        (AddPartitions("billing", to=9, at_s=5), "expected a log"),
    ],
)
def test_a_log_only_grows(fault, sentence):
    with pytest.raises(BadScenario, match=sentence):
        Scenario(*_shop().parts[:4], fault).check()


def test_equal_runs_are_equal():
    assert _shop().run(30, seed=1).digest() == _shop().run(30, seed=1).digest()
