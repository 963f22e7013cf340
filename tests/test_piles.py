"""What the numbers say of queues: nothing there is a cursor, and each copy ends for itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import possible

from evsim.history import History
from evsim.lab.scenario import Scenario
from evsim.laws import Constant, Exponential
from evsim.patterns.handler import Reject
from evsim.sim.broker.base import Message
from evsim.sim.broker.exchange import Exchange
from evsim.sim.broker.queue import LiveQueue, Queue
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash, Pause
from evsim.sim.publisher import Publisher
from evsim.view.checks import nothing_lost
from evsim.view.conservation import STATES, balance, conserved, piles


def shop(*more, queue=None, **settings):
    settings = {"service_s": Constant(0.1)} | settings
    return Scenario(
        Publisher("shop", to="tasks", gap_s=Constant(0.05), count=40),
        queue or Queue("tasks"),
        Consumer("worker", of="tasks", **settings),
        *more,
    )


def lost(scenario, until_s=60):
    return scenario.run(until_s, seed=1).summary()["lost"]


def test_what_waits_and_what_is_in_hand_is_not_lost():
    run = shop(members=3, prefetch=7).run(2.0, seed=1)
    assert run.summary()["lost"] == 0
    assert run.check(nothing_lost())[0].state == "ok"


def test_the_backlog_counts_what_is_not_acknowledged_and_falls_to_nothing():
    run = shop().run(20, seed=1)
    assert 19 <= run.summary()["backlog_max"] <= 21
    assert run.summary()["lag_max_s"] == pytest.approx(2.0, abs=0.15)
    assert run.at(20).places["tasks"].waiting == {"consumers": 0}


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        (shop(queue=Queue("tasks", max_length=5)), "overflowed"),
        (shop(queue=Queue("tasks", max_length=5, overflow="reject-publish")), "dropped"),
        (shop(queue=Queue("tasks", message_ttl_s=0.3)), "expired"),
        (shop(Crash("tasks", at_s=1.0, down_s=1), queue=Queue("tasks", durable=False)), "lost"),
    ],
    ids=["drop-head", "reject-publish", "time to live", "not durable"],
)
def test_what_ended_without_being_handled_counts_as_lost(scenario, expected):
    run = scenario.run(60, seed=1)
    gone = set(run.history.of(expected).event.tolist()) - set(run.history.of("handled").event.tolist())
    away = set(run.history.of("dropped").event.tolist()) if "dropped" in {w.step for w in run.history.whats} else set()
    assert run.summary()["lost"] == len(gone | away) > 0
    assert run.check(nothing_lost())[0].state == "VIOLATED"


def test_what_was_put_aside_is_not_lost_but_dead_lettered():
    scenario = shop(Queue("parked"), queue=Queue("tasks", max_length=5, dead_letter="parked"))
    summary = scenario.run(60, seed=1).summary()
    assert summary["lost"] == 0
    assert summary["dead_lettered"] > 5


def test_automatic_acknowledgement_and_a_crash_lose_what_was_in_hand():
    run = shop(Crash("worker", at_s=1.02, down_s=1), commit="before").run(60, seed=1)
    assert run.summary()["lost"] == 40 - len(set(run.history.of("handled").event.tolist())) > 5


def test_competing_consumers_are_one_group_and_nobody_loses_what_the_other_did():
    scenario = shop(Consumer("other", of="tasks", service_s=Constant(0.1)))
    run = scenario.run(60, seed=1)
    assert run.summary()["lost"] == 0
    assert run.summary()["acked"] == 40
    assert run.summary("other") == run.summary("tasks")


def test_what_no_queue_is_bound_for_is_lost_and_said_so():
    scenario = Scenario(
        Publisher("shop", to="trade", gap_s=Constant(1.0), count=3),
        Exchange("trade", type="topic", bindings={"tasks": "parcel.#"}),
        Queue("tasks"),
        Consumer("worker", of="tasks"),
    )
    run = scenario.run(10, seed=1)
    assert run.summary()["lost"] == 3
    assert "unroutable" in str(run.check(nothing_lost())[0])


def test_a_fanout_makes_copies_and_each_queue_handles_its_own():
    scenario = Scenario(
        Publisher("shop", to="trade", gap_s=Constant(0.1), count=30),
        Exchange("trade", type="fanout", bindings={"left": "", "right": ""}),
        Queue("left"),
        Queue("right"),
        Consumer("a", of="left"),
        Consumer("b", of="right"),
    )
    summary = scenario.run(10, seed=1).summary()
    assert (summary["published"], summary["acked"], summary["lost"], summary["duplicates"]) == (30, 60, 0, 0)


# -------------------------------------------------------------------- conservation


def _handler(event, ctx):
    if int(event.id.split(".")[1]) % 9 == 0:
        raise Reject("no")
    if int(event.id.split(".")[1]) % 7 == 0 and ctx.attempt < 3:
        raise ValueError("not yet")


QUEUES = st.builds(
    Queue,
    st.just("tasks"),
    type=st.sampled_from(["classic", "quorum"]),
    max_length=st.sampled_from([None, 3, 12]),
    message_ttl_s=st.sampled_from([None, 0.4, 2.0]),
    dead_letter=st.sampled_from([None, "parked"]),
    delivery_limit=st.sampled_from([None, 1, 3]),
    single_active_consumer=st.booleans(),
    max_priority=st.sampled_from([None, 3]),
    visibility_timeout_s=st.sampled_from([None, None, 1.0]),
)
FAULTS = st.lists(
    st.one_of(
        st.builds(
            Crash,
            st.sampled_from(["worker", "worker-1", "tasks", "shop"]),
            at_s=st.floats(0, 8).map(lambda s: round(s, 2)),
            down_s=st.sampled_from([0.0, 0.5, 3.0]),
        ),
        st.builds(
            Pause,
            st.sampled_from(["worker", "worker-2", "tasks"]),
            at_s=st.floats(0, 8).map(lambda s: round(s, 2)),
            for_s=st.sampled_from([0.5, 4.0]),
        ),
    ),
    max_size=4,
).map(possible)


def count_by_hand(history: History, place: str) -> dict[str, int]:
    """Where each copy is at the end, counted without any of our measures."""
    where: dict[int, str] = {}
    for row in range(len(history)):
        record = history.record_at(row)
        if record.step == "dead_lettered" and record.node == place:
            where[record.number] = "dead lettered"
        elif record.place == place:
            state = {"stored": "waiting", "requeued": "waiting", "pushed": "in flight", "acked": "acked"}.get(
                record.step
            )
            if state or record.step in {"expired", "overflowed", "rejected", "exhausted", "lost"}:
                where[record.number] = state or record.step
    where.pop(-1, None)
    return {state: list(where.values()).count(state) for state in STATES}


@settings(max_examples=60, deadline=None)
@given(QUEUES, FAULTS, st.integers(1, 10), st.sampled_from(["after", "before", "batch"]), st.integers(0, 10**6))
def test_at_every_instant_all_that_was_stored_is_somewhere(queue, faults, prefetch, commit, seed):
    scenario = Scenario(
        Publisher("shop", to="tasks", rate=12, message=Message(persistent=seed % 2 == 0)),
        queue,
        Queue("parked"),
        Consumer(
            "worker",
            of="tasks",
            members=3,
            prefetch=prefetch,
            commit=commit,
            nack="requeue",
            on={"order.placed": _handler},
            service_s=Exponential(0.15),
        ),
        *dict.fromkeys(faults),
    )
    history = scenario.run(10, seed=seed).history
    assert judged(history) == "ok"
    for place in piles(history):
        book = balance(history, place)
        assert (book.counts.sum(axis=1) == book.stored).all()
        assert (book.counts >= 0).all()
        assert dict(zip(STATES, book.counts[-1].tolist(), strict=True)) == count_by_hand(history, place)


def judged(history):
    verdict = conserved().judge(history)
    assert verdict.state == "ok", str(verdict)
    return verdict.state


@pytest.mark.parametrize("broken", ["gives it to two", "acknowledges twice", "forgets on requeue"])
def test_a_queue_that_breaks_it_is_caught(monkeypatch, broken):
    if broken == "gives it to two":
        original = LiveQueue.next

        def twice(self):
            entry = original(self)
            if entry is not None and entry.number == 5 and entry.attempts < 2:
                self.ready.put_back(entry)
            return entry

        monkeypatch.setattr(LiveQueue, "next", twice)
    elif broken == "acknowledges twice":
        acked = LiveQueue.acked
        monkeypatch.setattr(LiveQueue, "acked", lambda self, *how: (acked(self, *how), acked(self, *how)))
    else:
        monkeypatch.setattr(LiveQueue, "_requeued", 0, raising=False)

        def forgets(self, entry, to_the_tail=False):
            entry.delivery = None
            self.ready.put_back(entry)

        monkeypatch.setattr(LiveQueue, "give_back", forgets)
    scenario = shop(Crash("worker-1", at_s=1.0, down_s=0.5), members=2, prefetch=4)
    assert scenario.run(20, seed=1).check(conserved())[0].state == "VIOLATED"


def test_nothing_is_proved_without_a_queue():
    assert conserved().judge(History()).state == "unknown"
    assert np.array(balance(History(), "tasks").counts).shape == (0, len(STATES))
