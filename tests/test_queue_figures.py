"""How deep a queue is, and who owns which partition: the numbers under the figures are those of the history."""

from __future__ import annotations

import pytest
from shops import run

from evsim import UnknownName
from evsim.history import History
from evsim.laws import Constant, Exponential
from evsim.sim.broker.base import Message
from evsim.sim.broker.log import Log
from evsim.sim.broker.queue import Queue
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash, Join, Pause
from evsim.sim.gray import Slow
from evsim.sim.publisher import Publisher
from evsim.view.plots import depth, latency, ownership, timeline
from evsim.view.prediction import predict
from evsim.view.scene import Scene
from evsim.view.theory import MM1, MMc


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


def office(*more, message=None, clerks=4, **queue):
    return (
        Publisher("shop", to="tasks", rate=8 * clerks, **({"message": message} if message else {})),
        Queue("tasks", **queue),
        Consumer("clerk", of="tasks", members=clerks, service_s=Exponential(0.1)),
        *more,
    )


def test_several_workers_of_one_queue_are_predicted_by_erlang():
    history = run(*office(), until_s=400)
    law = predict(history).law
    assert isinstance(law, MMc)
    assert law.mean_sojourn_s == pytest.approx(0.1 + 0.0746, rel=0.002)  # Erlang C of 4 servers at 80 %: 0.5964
    assert latency(history).facts["theory"] == "M/M/c, mean 175 ms"
    assert isinstance(predict(run(*office(clerks=1), until_s=5)).law, MM1)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"max_length": 5000}, "has a max_length"),
        ({"max_length": 5}, "something was overflowed"),
        ({"message_ttl_s": 60}, "has a message_ttl_s"),
        ({"single_active_consumer": True}, "gives all to one of the 4 members"),
        ({"message": Message(delay_s=1)}, "delayed or expire"),
        ({"visibility_timeout_s": 0.1}, "something was requeued"),
    ],
)
def test_no_law_is_claimed_where_messages_do_not_simply_wait_their_turn(settings, reason):
    law, told = predict(run(*office(**settings), until_s=10))
    assert law is None
    assert reason in told


def test_no_law_is_claimed_for_a_run_with_a_slow_worker():
    law, told = predict(run(*office(Slow("clerk-2", factor=10, at_s=2, for_s=3)), until_s=10))
    assert law is None
    assert "something was slowed" in told


def test_a_part_that_is_no_server_has_no_service_time_and_breaks_nothing():
    parts = run(*queue_shop(), until_s=5).parts
    worker = {name: value for name, value in parts["worker"].items() if name != "service_s"}
    law, told = predict(dict(parts) | {"worker": worker})
    assert law is None
    assert "takes no time" in told


def test_what_was_sent_ahead_is_drawn_in_the_hand_and_comes_again_only_after_the_crash():
    shop = queue_shop(Crash("worker-1", at_s=2.02, down_s=None), members=2, prefetch=20, service_s=Constant(0.3))
    history = run(*shop, until_s=30)
    back = history.of("requeued")
    event = int(back.event[-1])
    scene = Scene(history, [event])
    hop = next(hop for hop in scene.hops if hop.event == event and hop.end.startswith("worker"))
    assert (
        hop.start_s
        == history.of("pushed", node="worker-2").time[history.of("pushed", node="worker-2").event.tolist().index(event)]
    )
    assert hop.start_s >= back.time[-1] > 2.02
    hand = [w for w in scene.works if (w.event, w.lane, w.kind) == (event, "worker-2", "wait")]
    assert hand[0].end_s > hand[0].start_s >= hop.start_s
