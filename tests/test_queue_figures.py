"""How deep a queue is, and who owns which partition: the numbers under the figures are those of the history."""

from __future__ import annotations

import pytest
from shops import run

from evsim import UnknownName
from evsim.history import History
from evsim.laws import Constant, Exponential
from evsim.sim.broker.log import Log
from evsim.sim.broker.queue import Queue
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash, Join, Pause
from evsim.sim.publisher import Publisher
from evsim.view.plots import depth, ownership, timeline


def queue_shop(*more, **settings):
    return (
        Publisher("shop", to="tasks", gap_s=Constant(0.1), count=100),
        Queue("tasks"),
        Consumer("worker", of="tasks", **({"service_s": Constant(0.05)} | settings)),
        *more,
    )


def test_the_depth_of_a_queue_counts_what_waits_and_what_is_in_hand():
    history = run(*queue_shop(Pause("worker", at_s=2.02, for_s=4), prefetch=5), until_s=30)
    figure = depth(history)
    assert figure.facts["stored"] == "100 messages"
    assert figure.facts["in hand"] == "5 at most, 0 at the end"
    # forty come while it is frozen; the one in its hands then, and four of them, make the five that it may hold
    assert figure.facts["waiting"] == "36 at most, 0 at the end"
    assert "worker paused 2.02 s to 6.02 s" in figure.facts["faults"]
    assert "36 messages waited in tasks" in figure.claim
    for theme in ("light", "dark"):
        assert figure.png(theme)[:4] == b"\x89PNG"


def test_a_queue_is_asked_for_by_its_name():
    history = run(*queue_shop(), until_s=30)
    assert "Hardly anything ever waited" in depth(history, "tasks").claim
    with pytest.raises(UnknownName, match="did you mean 'tasks'"):
        depth(history, "task")
    assert "Nothing lay in a queue" in depth(History()).claim


def log_shop(*more, **settings):
    return (
        Publisher("shop", to="orders", rate=20),
        Log("orders", partitions=6),
        Consumer("billing", of="orders", members=2, rebalance_s=3, session_timeout_s=6, **settings),
        *more,
    )


def test_ownership_adds_up_the_seconds_in_which_nobody_worked():
    eager = ownership(run(*log_shop(Join("billing", at_s=20)), until_s=60))
    assert eager.facts["nobody at work"] == "18 partition-seconds"
    assert eager.facts["members"] == "3"
    cooperative = ownership(run(*log_shop(Join("billing", at_s=20), protocol="cooperative"), until_s=60))
    assert cooperative.facts["nobody at work"] == "6 partition-seconds"
    assert "on 2 of 6 partitions" in cooperative.claim
    assert cooperative.png("dark")[:4] == b"\x89PNG"


def test_ownership_shows_the_dead_until_others_take_over():
    figure = ownership(run(*log_shop(Crash("billing-1", at_s=20, down_s=None)), until_s=60))
    assert figure.facts["longest gap"].startswith("9 s, orders/")
    assert "Nobody owned a partition" in ownership(run(*queue_shop(), until_s=5)).claim


def test_a_queue_has_a_lane_of_its_own_in_the_space_time_diagram():
    history = run(*queue_shop(members=3, service_s=Exponential(0.2)), until_s=30)
    figure = timeline(history, "shop.7")
    told = " ".join(figure.facts.values())
    assert "tasks stores it" in told
    assert "starts the work" in told
