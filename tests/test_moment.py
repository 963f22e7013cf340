"""Rewind and fork: how everything was at one moment, and what if from there."""

from __future__ import annotations

import numpy as np
import pytest

from evsim.errors import BadScenario, UnknownName
from evsim.history import History
from evsim.lab.catalog import ORDER_SHOP, PAYMENT
from evsim.sim.faults import Crash, Pause
from evsim.view.moment import moment

RUN = ORDER_SHOP.plus(Crash("billing-2", at_s=5, down_s=10), Pause("shipping-1", at_s=8, for_s=3)).run(30, seed=7)


def test_it_knows_who_is_down_and_who_is_frozen_since_when():
    then = RUN.at(9)
    assert then.nodes["billing-2"].state == "down"
    assert then.nodes["billing-2"].since_s == 5
    assert then.nodes["billing-2"].in_hand is None
    assert then.nodes["shipping-1"].state == "frozen"
    assert then.nodes["billing-1"].state == "up"
    assert RUN.at(16).nodes["billing-2"].state == "up"
    assert "down since 5.000 s" in repr(then)


@pytest.mark.parametrize("at_s", [0.0, 2.5, 9.0, 20.0, 30.0])
def test_it_agrees_with_the_live_parts_of_a_run_that_stops_there(at_s):
    then = RUN.at(at_s)
    if at_s == 0:
        assert then.published == 0
        return
    world = RUN.scenario.start(7).run_until(at_s).world
    log = world.find("orders")
    assert then.published == world.find("shop").published
    for partition in log.partitions:
        place = then.places[partition.place]
        assert place.stored == partition.end
        for name in ("billing", "shipping"):
            assert place.waiting[name] == partition.end - world.find(name).group.committed[partition.index]
    for name in ("billing-1", "billing-2", "billing-3", "shipping-1"):
        member = world.find(name)
        assert (then.nodes[name].state == "down") == member.down
        assert set(then.nodes[name].owns) >= {cursor.partition.place for cursor in member.cursors}
        busy = member.busy and member.at >= 0 and not member.down
        assert then.nodes[name].in_hand == (world.history.id_of(member.event) if busy else None)


def test_a_saved_history_tells_the_same(tmp_path):
    loaded = History.load(RUN.save(tmp_path / "run.evsim"))
    assert repr(moment(loaded, 9)) == repr(RUN.at(9))


def test_handlers_state_is_that_of_the_moment():
    run = PAYMENT.run(20, seed=3)
    counts = [run.state("payment", at_s).get("charged", 0) for at_s in (0.5, 5, 10, 20)]
    assert counts == sorted(counts)
    assert counts[-1] == len(run.history.of("effect", place="card charged"))
    with pytest.raises(UnknownName, match="keeps no state"):
        run.state("shop")


def test_a_fork_is_the_same_until_it_begins_and_another_after_it():
    run = ORDER_SHOP.run(30, seed=7)
    forked = run.fork(12.5, Pause("billing", at_s=12.5, for_s=10))
    before = int(np.searchsorted(run.history.time, 12.5))
    for column in ("time", "event", "number"):
        assert (getattr(run.history, column)[:before] == getattr(forked.history, column)[:before]).all()
    assert forked.summary()["lag_max_s"] > run.summary()["lag_max_s"] + 5
    assert forked.digest() == run.fork(12.5, Pause("billing", at_s=12.5, for_s=10)).digest()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: RUN.at(31), "0 to 30 s"),
        (lambda: RUN.fork(12, Pause("billing", at_s=5, for_s=1)), "at_s=12 or later"),
        (lambda: RUN.fork(12, Crash("billing", after="saved")), "at_s=12 or later"),
    ],
)
def test_what_cannot_be_is_refused(wrong, sentence):
    with pytest.raises(BadScenario, match=sentence):
        wrong()
