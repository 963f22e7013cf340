"""Those who consume from a queue: what RabbitMQ promises of prefetch, priorities and one active consumer."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from evsim.lab.conformance.case import Seen, Table, listed, messages, rows, scene, times
from evsim.lab.conformance.queue import DOCS, tasks, worker
from evsim.laws import Constant, Exponential
from evsim.sim.broker.base import Message
from evsim.sim.broker.queue import Queue
from evsim.sim.faults import Crash, Pause
from evsim.sim.publisher import Publisher

PRIORITY = f"RabbitMQ, Priority queues — {DOCS}/priority"
CONSUMERS = f"RabbitMQ, Consumers — {DOCS}/consumers"
PREFETCH = f"RabbitMQ, Consumer prefetch — {DOCS}/consumer-prefetch"

CASES = Table("queue")


@CASES.case(
    "queue-07",
    "a fast (1 ms) and a slow (50 ms) consumer, 300 messages, prefetch unlimited against 1",
    "made in about 7.6 s against 0.5 s",
    f"{PREFETCH}; measured",
)
def unlimited_prefetch_is_unfair() -> Seen:
    """Round robin gives each half; with one in hand each takes what it can."""
    made = {}
    for prefetch in (None, 1):
        fast = worker("fast", service_s=Constant(0.001), prefetch=prefetch)
        slow = worker("slow", service_s=Constant(0.05), prefetch=prefetch)
        made[prefetch] = max(times(scene(tasks(300), Queue("tasks"), fast, slow), "handled"))
    seen = f"{made[None]:.3g} s against {made[1]:.2g} s"
    return Seen(seen, 7.2 < made[None] < 7.9 and made[1] < 0.55)


@CASES.case("queue-14", "prefetch 5, ten waiting", "never more than 5 are not acknowledged", PREFETCH)
def prefetch_bounds_what_is_in_hand() -> Seen:
    """The channel's window of unacknowledged messages."""
    history = scene(tasks(50), Queue("tasks"), worker(prefetch=5))
    held = most = 0
    for record in history.of():
        held += {"pushed": 1, "acked": -1, "requeued": -1}.get(record.step, 0)
        most = max(most, held)
    return Seen(f"at most {most} in hand", most == 5)


@CASES.case(
    "queue-10",
    "classic, single active consumer of three members, prefetch 5; the active one is killed",
    "the next takes over, order is kept, those in hand come again",
    f"{CONSUMERS}#single-active-consumer; measured: 5 again",
    fault="crash",
)
def the_next_one_takes_over() -> Seen:
    """One at a time, the others wait."""
    group = worker(members=3, prefetch=5)
    queue = Queue("tasks", single_active_consumer=True)
    history = scene(tasks(100), queue, group, Crash("worker-1", at_s=0.555, down_s=None))
    order = messages(history, "handled")
    inverted = sum(a >= b for a, b in pairwise(order))
    again = len(rows(history, "requeued"))
    who = len({record.node for record in rows(history, "handled")})
    right = (sorted(order), inverted, again, who) == ([*range(100)], 0, 5, 2)
    return Seen(f"{len(order)} handled by {who}, {inverted} inversions, {again} came back", right)


@CASES.case(
    "queue-18",
    "classic, four competing members, service times vary",
    "every message is handled once, but not in order",
    f"RabbitMQ, Queues, Message ordering — {DOCS}/queues#message-ordering; measured: 124 inversions of 300",
)
def competing_consumers_break_order() -> Seen:
    """The order of deliveries is kept, that of what is done is not."""
    group = worker(members=4, service_s=Exponential(0.005))
    order = messages(scene(tasks(300), Queue("tasks"), group), "handled")
    inverted = sum(a > b for a, b in pairwise(order))
    return Seen(f"{inverted} inversions of {len(order)}", sorted(order) == [*range(300)] and inverted > 50)


@CASES.case(
    "queue-20",
    "priority queue, priorities 1 and 9 wait while the consumer is busy",
    "the 9 is delivered first, though it came last",
    PRIORITY,
)
def higher_priority_comes_first() -> Seen:
    """Among those that wait."""
    return _two_priorities(Queue("tasks", max_priority=10), "urgent")


@CASES.case("queue-21", "as queue-20, without max_priority", "first in, first out: priorities mean nothing", PRIORITY)
def without_max_priority_there_are_none() -> Seen:
    """A queue that was not declared with x-max-priority."""
    return _two_priorities(Queue("tasks"), "later")


def _two_priorities(queue: Queue, second: str) -> Seen:
    first = tasks(1)
    calm = Publisher("later", to="tasks", gap_s=Constant(0.1), count=1, message=Message(priority=1))
    urgent = Publisher("urgent", to="tasks", gap_s=Constant(0.2), count=1, message=Message(priority=9))
    history = scene(first, calm, urgent, queue, worker(service_s=Constant(1.0)))
    order = [str(record.event_id).rpartition(".")[0] for record in rows(history, "delivered")]
    return Seen(listed(order), len(order) == 3 and order[1] == second)


@CASES.case(
    "queue-22",
    "two consumers of priority 10 and 0, both idle most of the time, prefetch 5",
    "the one with the higher priority gets all while it can take more",
    f"RabbitMQ, Consumer priorities — {DOCS}/consumer-priority",
)
def the_higher_consumer_gets_all() -> Seen:
    """The lower one gets messages when the higher one is blocked."""
    high = worker("high", priority=10, prefetch=5)
    low = worker("low", priority=0, prefetch=5)
    history = scene(tasks(50, gap_s=Constant(0.02)), Queue("tasks"), high, low)
    got = {name: len(rows(history, "handled", name)) for name in ("high", "low")}
    return Seen(f"high {got['high']}, low {got['low']}", got == {"high": 50, "low": 0})


@CASES.case(
    "queue-23",
    "consumer timeout 5 s, a handler that takes 60 s, a second member",
    "the channel is closed after 5 s, its messages go to the other",
    f"{CONSUMERS}#acknowledgement-timeout",
)
def who_never_acknowledges_is_closed() -> Seen:
    """Delivery acknowledgement timeout, 30 minutes by default."""

    async def stuck(event: Any, ctx: Any) -> None:
        await ctx.sleep(60.0 if ctx.attempt == 1 else 0.01)

    queue = Queue("tasks", consumer_timeout_s=5)
    history = scene(tasks(1), queue, worker(members=2, on={"order.placed": stuck}), until_s=70)
    back = times(history, "requeued")
    done = times(history, "acked")
    right = len(back) == 1 and 5 <= back[0] <= 5.01 and len(done) == 1 and rows(history, "acked")[0].time < 66
    return Seen(
        f"back after {listed(round(t, 2) for t in back)} s; acknowledged at {listed(round(t, 2) for t in done)} s",
        right,
    )


@CASES.case(
    "queue-24",
    "consumer paused for 20 s while 20 are published, heartbeats 60 s",
    "nothing is dropped: all 20 are handled once",
    f"RabbitMQ, Heartbeats — {DOCS}/heartbeats",
    fault="pause",
)
def a_pause_drops_nothing() -> Seen:
    """A paused process has an open connection."""
    shop = tasks(20, gap_s=Constant(0.1))
    order = messages(scene(shop, Queue("tasks"), worker(), Pause("worker", at_s=0.55, for_s=20), until_s=60), "handled")
    return Seen(f"handled {listed(order)}", order == [*range(20)])
