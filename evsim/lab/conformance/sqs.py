"""The queue as SQS has it: what its documentation promises of visibility, redrive, message groups and duplicates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from evsim.lab.conformance.case import Seen, Table, listed, messages, rows, scene, times
from evsim.lab.conformance.queue import fails, tasks, worker
from evsim.laws import Constant, Exponential, Zipf
from evsim.patterns.handler import Requeue
from evsim.sim.broker.base import Message
from evsim.sim.broker.queue import Queue
from evsim.sim.faults import Crash
from evsim.sim.publisher import Publisher
from evsim.sim.world import World

GUIDE = "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide"
VISIBILITY = f"SQS, Visibility timeout — {GUIDE}/sqs-visibility-timeout.html"
REDRIVE = f"SQS, Dead-letter queues — {GUIDE}/sqs-dead-letter-queues.html"
FIFO = f"SQS, FIFO delivery logic — {GUIDE}/FIFO-queues-understanding-logic.html"
DEDUPLICATION = f"SQS, Exactly-once processing — {GUIDE}/FIFO-queues-exactly-once-processing.html"

CASES = Table("queue")


def standard(**settings: Any) -> Queue:
    """A standard queue: 30 s of visibility timeout."""
    usual: dict[str, Any] = {"visibility_timeout_s": 30}
    return Queue("tasks", **(usual | settings))


def fifo(**settings: Any) -> Queue:
    """A FIFO queue."""
    return standard(fifo=True, **settings)


@CASES.case(
    "sqs-01",
    "visibility timeout 30 s, worker killed with a message in hand, back after 1 s",
    "the message is given again 30 s after it was received, not at the crash",
    VISIBILITY,
    fault="crash",
)
def a_message_is_invisible_until_the_timeout() -> Seen:
    """SQS has no connection that could drop."""
    group = worker(service_s=Constant(1.0))
    history = scene(tasks(1), standard(), group, Crash("worker", at_s=0.5, down_s=1), until_s=60)
    when = [round(at, 1) for at in times(history, "delivered")]
    return Seen(f"delivered at {listed(when)} s", when == [0.0, 30.0])


@CASES.case(
    "sqs-02",
    "visibility timeout 2 s, handling takes 3 s, two workers",
    "the message is received twice",
    VISIBILITY,
)
def slower_than_the_timeout_is_handled_twice() -> Seen:
    """It becomes visible while it is still being worked on."""
    slow = worker(members=2, service_s=Constant(3.0))
    history = scene(tasks(1), standard(visibility_timeout_s=2), slow, until_s=2.9)
    by = [record.node for record in rows(history, "delivered")]
    return Seen(f"received by {listed(by)}", len(by) == 2)


@CASES.case(
    "sqs-03",
    "redrive policy with maxReceiveCount 3, message 3 always fails",
    "received 3 times, then in the dead-letter queue",
    REDRIVE,
)
def after_max_receives_it_is_dead_lettered() -> Seen:
    """The receive count is compared when it would be given again."""
    queue = standard(visibility_timeout_s=1, max_receive_count=3, dead_letter="dead")
    history = scene(tasks(5), queue, Queue("dead"), worker(on=fails(3, Requeue)), until_s=30)
    often, aside = Counter(messages(history, "delivered"))[3], messages(history, "stored", "dead")
    return Seen(f"received {often} times, dead-lettered {listed(aside)}", (often, aside) == (3, [3]))


@CASES.case("sqs-04", "redrive, 20 messages of which 3 always fail", "none is lost: 17 done, 3 put aside", REDRIVE)
def redrive_loses_nothing() -> Seen:
    """What is put aside is there."""

    def some(event: Any, ctx: Any) -> None:
        if int(event.id.rpartition(".")[2]) % 7 == 0 or event.id == "shop.1":
            raise Requeue

    queue = standard(visibility_timeout_s=1, max_receive_count=2, dead_letter="dead")
    history = scene(tasks(20), queue, Queue("dead"), worker(on={"order.placed": some}), until_s=60)
    done, aside = set(messages(history, "acked", "worker")), set(messages(history, "stored", "dead"))
    right = aside == {0, 6, 13} and done | aside == set(range(20)) and not done & aside
    return Seen(f"{len(done)} done, {len(aside)} put aside", right)


@CASES.case(
    "sqs-05",
    "standard queue, the same event sent twice",
    "two messages",
    f"SQS, Standard queues — {GUIDE}/standard-queues.html",
    fault="duplicate",
)
def a_standard_queue_does_not_deduplicate() -> Seen:
    """At least once."""
    return _again(standard(), after_s=1.0, handled=2)


@CASES.case(
    "sqs-06",
    "FIFO queue, the same deduplication id after 4 minutes",
    "accepted, but not delivered",
    DEDUPLICATION,
    fault="duplicate",
)
def a_duplicate_within_five_minutes_is_not_delivered() -> Seen:
    """Even when the first has been received and deleted."""
    return _again(fifo(), after_s=240, handled=1)


@CASES.case(
    "sqs-07",
    "FIFO queue, the same deduplication id after 6 minutes",
    "delivered again",
    DEDUPLICATION,
    fault="duplicate",
)
def after_five_minutes_it_is_a_new_message() -> Seen:
    """The interval is over."""
    return _again(fifo(), after_s=360, handled=2)


def _again(queue: Queue, *, after_s: float, handled: int) -> Seen:
    def twice(world: World) -> Iterator[Any]:
        yield world.timeout(after_s)
        world.find("tasks").chooser("shop", None)("order", 1)(0)

    often = len(rows(scene(tasks(1), queue, worker(), twice, until_s=after_s + 30), "handled"))
    return Seen(f"handled {often} times", often == handled)


@CASES.case(
    "sqs-08",
    "FIFO queue, one message group, four workers, service times vary",
    "strictly in order: one of the group in flight",
    FIFO,
)
def a_message_group_is_in_order() -> Seen:
    """While one is invisible no other of its group is given."""
    group = worker(members=4, service_s=Exponential(0.01))
    history = scene(tasks(100, key="same"), fifo(), group)
    order = messages(history, "handled")
    return Seen(f"{len(order)} handled, {sum(a > b for a, b in pairwise(order))} inversions", order == [*range(100)])


@CASES.case(
    "sqs-09",
    "FIFO queue, five message groups, four workers",
    "each group in order, several groups at once",
    FIFO,
)
def message_groups_run_side_by_side() -> Seen:
    """Order is per group."""
    group = worker(members=4, service_s=Exponential(0.05))
    history = scene(tasks(200, key=Zipf(5, 0.5)), fifo(), group, until_s=60)
    groups: dict[str, list[int]] = {}
    for record in rows(history, "handled"):
        key = str(history.key_of(history.index(str(record.event_id))))
        groups.setdefault(key, []).append(int(str(record.event_id).rpartition(".")[2]))
    inverted = sum(a > b for numbers in groups.values() for a, b in pairwise(numbers))
    busy = len({record.node for record in rows(history, "handled")})
    right = inverted == 0 and busy > 1 and sum(map(len, groups.values())) == 200
    return Seen(f"{inverted} inversions within {len(groups)} groups, {busy} workers busy", right)


@CASES.case(
    "sqs-10",
    "FIFO queue, the first message of one group fails for 10 s; another group waits behind it",
    "its own group waits, the other goes on",
    FIFO,
)
def a_failing_message_blocks_its_group_only() -> Seen:
    """Until it is deleted or visible again."""

    def first_fails(event: Any, ctx: Any) -> None:
        if event.id == "shop.1" and ctx.now < 10:
            raise Requeue

    bad = tasks(3, key="bad")
    good = Publisher("other", to="tasks", gap_s=Constant(0.001), count=3, key="good")
    group = worker(on={"order.placed": first_fails})
    history = scene(bad, good, fifo(visibility_timeout_s=2), group, until_s=40)
    done = {str(record.event_id): record.time for record in rows(history, "acked")}
    blocked = [done.get(f"shop.{n}", 0.0) for n in (1, 2, 3)]
    free = [done.get(f"other.{n}", 99.0) for n in (1, 2, 3)]
    right = max(free) < 1 and min(blocked) >= 10 and blocked == sorted(blocked)
    return Seen(f"other group done by {max(free):.2g} s, its own from {min(blocked):.3g} s", right)


@CASES.case(
    "sqs-11",
    "a message with DelaySeconds 5",
    "invisible for 5 s, then delivered",
    f"SQS, Message timers — {GUIDE}/sqs-message-timers.html",
)
def a_message_timer_delays() -> Seen:
    """Initially invisible."""
    history = scene(tasks(1, message=Message(delay_s=5)), standard(), worker())
    when = [round(at, 2) for at in times(history, "delivered")]
    return Seen(f"delivered at {listed(when)} s", when == [5.0])
