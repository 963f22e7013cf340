"""Conservation: whatever befalls a broker and its consumers, no message appears, vanishes, or is in two states.

At every instant what was published is waiting, in flight, acknowledged, or has ended in one way that was recorded.
The counter is independent of the measures: a few lines over the rows.
"""

from __future__ import annotations

from collections import Counter

import pytest
from brokers import KEEPING, KINDS, PUSHING, named
from counting import ENDINGS, counts, states_of
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from shops import run

from evsim.event import Event
from evsim.laws import Exponential
from evsim.patterns.handler import Reject, Requeue
from evsim.sim.broker.base import Message
from evsim.sim.broker.queue import Queue
from evsim.sim.faults import Crash, Delay, Drop, Duplicate, Join, Leave, Partition, Pause
from evsim.sim.network import Link
from evsim.sim.world import World
from evsim.view.checks import judge
from evsim.view.conservation import STATES, balance, conserved

UNTIL_S = 90.0
members = st.sampled_from(["worker", "worker-1", "worker-2"])
moments = st.floats(0.1, 6.0).map(lambda at_s: round(at_s, 3))
lengths = st.floats(0.05, 6.0).map(lambda for_s: round(for_s, 3))
shares = st.floats(0.05, 0.6)
faults = st.one_of(
    st.builds(lambda part, at_s, down_s: Crash(part, at_s=at_s, down_s=down_s), members, moments, lengths),
    st.builds(
        lambda after, nth, down_s: Crash("worker", after=after, nth=nth, down_s=down_s),
        st.sampled_from(["delivered", "handled", "acked"]),
        st.integers(1, 60),
        lengths,
    ),
    st.builds(lambda at_s, down_s: Crash("tasks", at_s=at_s, down_s=down_s), moments, lengths),
    st.builds(lambda part, at_s, for_s: Pause(part, at_s=at_s, for_s=for_s), members, moments, lengths),
    st.builds(lambda at_s, for_s: Pause("tasks", at_s=at_s, for_s=for_s), moments, lengths),
    st.builds(lambda part, at_s, for_s: Partition("tasks", part, at_s=at_s, for_s=for_s), members, moments, lengths),
    st.builds(lambda share, at_s, for_s: Drop("tasks", "worker", share, at_s, for_s), shares, moments, lengths),
    st.builds(lambda share, at_s, for_s: Drop("shop", "tasks", share, at_s, for_s), shares, moments, lengths),
    st.builds(lambda share, at_s, for_s: Duplicate("shop", "tasks", share, at_s, for_s), shares, moments, lengths),
    st.builds(lambda extra, at_s, for_s: Delay("shop", "tasks", extra, 0.3, at_s, for_s), shares, moments, lengths),
    st.builds(lambda at_s: Join("worker", at_s=at_s), moments),
    st.builds(lambda at_s: Leave("worker-2", at_s=at_s), moments),
)
ARRIVALS = ("stored", "dropped", "deduplicated", "pushed", "missed")
plans = st.lists(faults, max_size=5)


def history_of(kind, plan, seed, **more):
    link = Link("tasks", "worker", delay_s=Exponential(0.002))
    shop = kind.parts(link, *plan, count=100, **({"members": 2, "prefetch": 3, "service_s": Exponential(0.04)} | more))
    return run(*shop, until_s=UNTIL_S, seed=seed)


def check_the_way_in(history):
    """Each event that was published has come to the broker, or its end on the way is recorded; nothing else came."""
    rows = [record for record in history.of() if record.node in {"shop", "shop>tasks", "tasks"}]
    sent = Counter(record.event_id for record in rows if record.step in {"published", "duplicated"})
    came = Counter(record.event_id for record in rows if record.step in ARRIVALS)
    assert came.keys() == sent.keys()
    assert all(came[event] <= sent[event] for event in sent)


@pytest.mark.parametrize("kind", [kind for kind in PUSHING if kind.keeps], ids=named)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(plan=[Pause("worker", at_s=1, for_s=1), Crash("worker", at_s=2, down_s=1)], seed=0)
@given(plans, st.integers(0, 1000))
def test_a_copy_is_in_one_state_at_every_instant(kind, plan, seed):
    history = history_of(kind, plan, seed)
    states = counts(history, "tasks", "worker")
    check_the_way_in(history)
    assert sum(states.values()) == sum(record.step == "stored" for record in history.of())
    lost = sum(states[ending] for ending in ENDINGS if ending not in {"missed", "exhausted"})
    assert lost == 0 or kind.name == "stream", (
        "a broker that keeps loses nothing; a stream endpoint's history is memory"
    )


@settings(max_examples=25, deadline=None)
@given(plans, st.integers(0, 1000))
def test_at_most_once_each_copy_is_sent_or_missed_and_that_once(plan, seed):
    kind = next(kind for kind in KINDS if kind.name == "pubsub")
    history = history_of(kind, plan, seed)
    ends = Counter((r.place, r.number) for r in history.of() if r.step in {"pushed", "missed"})
    assert not ends or max(ends.values()) == 1
    published, dropped = ({r.event_id for r in history.of() if r.step == step} for step in ("published", "dropped"))
    assert published == dropped | {r.event_id for r in history.of() if r.step in {"pushed", "missed"}}


@settings(max_examples=25, deadline=None)
@example(plan=[Crash("worker", at_s=1.0, down_s=4.0), Partition("tasks", "worker", 6.0, for_s=1.0)], seed=0)
@given(plans, st.integers(0, 1000))
def test_a_log_gives_each_group_all_that_it_has_stored(plan, seed):
    kind = next(kind for kind in KINDS if kind.name == "log")
    history = history_of(kind, plan, seed)
    stored = Counter((r.place, r.number) for r in history.of() if r.step == "stored")
    acked = Counter((r.place, r.number) for r in history.of() if r.step == "acked")
    assert not stored or max(stored.values()) == 1
    assert not acked or (max(acked.values()) == 1 and acked.keys() <= stored.keys())
    check_the_way_in(history)
    handled = {(r.place, r.number) for r in history.of() if r.step == "handled"}
    assert handled == stored.keys()


queues = st.builds(
    lambda type_, length, ttl, dead, limit: Queue(
        "tasks", type=type_, max_length=length, message_ttl_s=ttl, dead_letter=dead, delivery_limit=limit
    ),
    st.sampled_from(["classic", "quorum"]),
    st.none() | st.integers(0, 20),
    st.none() | st.floats(0.05, 3.0),
    st.none() | st.just("parked"),
    st.none() | st.integers(0, 4),
)
persistent = st.booleans().map(lambda each: Message(persistent=each, expiration_s=None if each else 1.0))


def sulking(event, ctx):
    """Refuses some, and puts some aside, always the same."""
    number = int(event.id.rpartition(".")[2])
    if number % 11 == 0:
        raise Reject
    if number % 7 == 0 and ctx.attempt < 3:
        raise Requeue


@settings(max_examples=80, deadline=None)
@given(queues, persistent, plans, st.integers(0, 1000))
def test_a_queue_conserves_whatever_its_limits(queue, message, plan, seed):
    kind = next(kind for kind in KINDS if kind.name == "classic queue")._replace(broker=queue)
    shop, *others = kind.parts(
        *plan, count=100, members=2, prefetch=3, service_s=Exponential(0.04), on={"order.placed": sulking}
    )
    history = run(shop.but(message=message), *others, Queue("parked"), until_s=UNTIL_S, seed=seed)
    ours = states_without_dead_letters(history)
    balanced = balance(history, "tasks")
    if len(balanced.counts):
        theirs = dict(zip(STATES, balanced.counts[-1].tolist(), strict=True))
        ended = {state: ours[state] for state in ("waiting", "in flight", "acked")}
        assert ended == {state: theirs[state] for state in ended}, "the view counts as we do"
        assert (balanced.counts.sum(axis=1) == balanced.stored).all(), "and at every instant"
    assert judge(conserved(), history).state != "VIOLATED"
    parked = sum(record.step == "stored" and record.place == "parked" for record in history.of())
    assert parked == sum(record.step == "dead_lettered" for record in history.of())


def states_without_dead_letters(history):
    """The states of the copies of the queue itself."""
    states, wrong = states_of(history, "tasks", "worker")
    assert not wrong, wrong[:3]
    return Counter(states.values())


# ---------------------------------------------------------------- step by step


class Conserving(RuleBasedStateMachine):
    """Somebody publishes, breaks and mends in any order; after each act the books must balance."""

    kind = KEEPING[1]

    def __init__(self):
        super().__init__()
        _, broker, consumer = self.kind.parts(members=2, prefetch=2, service_s=Exponential(0.2))
        self.world = World(seed=1)
        self.world.build([broker, consumer])
        self.world.run(until=0.01)
        self.broker, self.consumer = self.world.find("tasks"), self.world.find("worker")
        self.published = self.dropped = 0

    def member(self, number):
        nodes = self.consumer.nodes()
        return nodes[number % len(nodes)]

    @rule(many=st.integers(1, 5))
    def publish(self, many):
        store = self.broker.chooser("shop", None)(None, 0)
        for _ in range(many):
            self.published += 1
            event = Event(f"shop.{self.published}", "order.placed", self.world.now, "shop", {})
            index = self.world.history.add(event)
            store(index)

    @rule(seconds=st.floats(0.01, 5.0))
    def wait(self, seconds):
        self.world.run(until=self.world.now + round(seconds, 3))

    @rule(number=st.integers(0, 4))
    def crash(self, number):
        if self.member(number).up:
            self.member(number).crash()

    @rule(number=st.integers(0, 4))
    def restart(self, number):
        if self.member(number).down:
            self.member(number).restart()

    @rule(number=st.integers(0, 4))
    def pause(self, number):
        if self.member(number).up:
            self.member(number).pause()

    @rule(number=st.integers(0, 4))
    def resume(self, number):
        if self.member(number).frozen:
            self.member(number).resume()

    @precondition(lambda self: len(self.consumer.nodes()) < 5)
    @rule()
    def join(self):
        self.consumer.join()

    @rule(number=st.integers(0, 4))
    def leave(self, number):
        if self.member(number).up:
            self.member(number).leave()

    @rule(down_s=st.floats(0.01, 2.0))
    def crash_the_broker(self, down_s):
        if self.broker.up:
            self.broker.crash()
            self.world.run(until=self.world.now + round(down_s, 3))
            self.broker.restart()

    @rule(for_s=st.floats(0.01, 2.0))
    def pause_the_broker(self, for_s):
        if self.broker.up:
            self.broker.pause()
            self.world.run(until=self.world.now + round(for_s, 3))
            self.broker.resume()

    @invariant()
    def the_books_balance(self):
        history = self.world.history
        steps = Counter(record.step for record in history.of())
        assert self.published == steps["stored"] + steps["dropped"] + steps["deduplicated"]
        if self.kind.pushes:
            states = counts(history, "tasks", "worker")
            assert sum(states.values()) == steps["stored"]
            assert states["in flight"] <= steps["pushed"]

    def teardown(self):
        """Mend everything, wait, and all that was stored is acknowledged, or its end is recorded."""
        for node in self.consumer.nodes():
            node.resume() if node.frozen else node.restart() if node.down else None
        self.consumer.join()
        self.world.run(until=self.world.now + 200)
        rows = self.world.history.of()
        stored = {(record.place, record.number) for record in rows if record.step == "stored"}
        done = {(record.place, record.number) for record in rows if record.step in {"acked", "exhausted"}}
        if self.kind.name == "stream":  # its history is memory, and who has seen nothing resumes nowhere
            assert done <= stored
        else:
            assert done == stored


def machine(kind):
    """The machine for this kind of broker, as a test case."""
    case = type(f"Conserving {kind.name}", (Conserving,), {"kind": kind}).TestCase
    case.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
    return case


for _kind in KEEPING:
    globals()[f"Test{_kind.name.title().replace(' ', '')}"] = machine(_kind)
