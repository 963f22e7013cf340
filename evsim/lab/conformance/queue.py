"""The queue: what RabbitMQ promises of deliveries, acknowledgements and what survives a crash; and was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from evsim.lab.conformance.case import Seen, Table, listed, messages, ordinal, rows, scene, times
from evsim.laws import Constant
from evsim.patterns.handler import Reject, Requeue
from evsim.sim.broker.base import Message
from evsim.sim.broker.queue import Queue
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash, Duplicate, Join
from evsim.sim.publisher import Publisher
from evsim.sim.world import World

DOCS = "https://www.rabbitmq.com/docs"
ACKS = f"RabbitMQ, Consumer acknowledgements and publisher confirms — {DOCS}/confirms"
QUORUM = f"RabbitMQ, Quorum queues — {DOCS}/quorum-queues"
DURABLE = f"RabbitMQ, Queues, Durability — {DOCS}/queues#durability"

CASES = Table("queue")


def tasks(count: int, **settings: Any) -> Publisher:
    """So many tasks, one in each tenth of a millisecond."""
    usual: dict[str, Any] = {"gap_s": Constant(0.0001), "count": count}
    return Publisher("shop", to="tasks", **(usual | settings))


def worker(name: str = "worker", **settings: Any) -> Consumer:
    """Somebody who works off the tasks."""
    usual: dict[str, Any] = {"service_s": Constant(0.01)}
    return Consumer(name, of="tasks", **(usual | settings))


def fails(which: int, problem: type[Exception], times_: int = 1_000_000) -> dict[str, Callable[..., None]]:
    """A handler that refuses message ``which`` of the first ``times_`` deliveries."""

    def handle(event: Any, ctx: Any) -> None:
        if event.id == f"shop.{which + 1}" and ctx.attempt <= times_:
            raise problem

    return {"order.placed": handle}


def flags(event: Any, ctx: Any) -> None:
    """A handler that notes who came with the flag ``redelivered``."""
    if ctx.attempt > 1:
        ctx.effect("redelivered")


@CASES.case(
    "queue-01",
    "classic, prefetch 10, consumer killed when it has 10 in hand",
    "all 10 come back at once, flagged redelivered, in order",
    f"{ACKS}#automatic-requeueing; measured: 5 to 8 ms",
    fault="crash",
)
def what_was_in_hand_comes_back_at_once() -> Seen:
    """The broker notices the connection that is gone."""
    group = worker(prefetch=10, service_s=Constant(0.1), on={"order.placed": flags})
    history = scene(tasks(30), Queue("tasks"), group, Crash("worker", at_s=0.55, down_s=None), Join("worker", at_s=0.8))
    back = times(history, "requeued")
    order = messages(history, "delivered", "worker-2")
    flagged = messages(history, "effect", "worker-2")
    soon = len(back) == 10 and all(0.555 <= at <= 0.558 for at in back)
    right = soon and order == [*range(5, 30)] and flagged == [*range(5, 15)]
    return Seen(f"{len(back)} back, flagged {listed(flagged)}; then {listed(order)}", right)


@CASES.case("queue-02", "classic, prefetch 1, nack of message 3 with requeue, once", "deliveries 3, 3, 4", "measured")
def a_classic_queue_puts_it_back_at_its_place() -> Seen:
    """At the head, for nothing newer is in hand."""
    group = worker(on=fails(3, Requeue, times_=1))
    order = messages(scene(tasks(10), Queue("tasks"), group), "delivered")
    return Seen(listed(order), order == [0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9])


@CASES.case(
    "queue-11",
    "classic, prefetch 10, ten in hand, nack of message 3 with requeue, once",
    "3 comes again after 9, which was in hand already",
    "measured",
)
def what_is_in_hand_comes_first() -> Seen:
    """A place at the head does not help against those that were handed over before."""
    group = worker(on=fails(3, Requeue, times_=1), prefetch=10)
    order = messages(scene(tasks(10), Queue("tasks"), group), "delivered")
    return Seen(listed(order), order == [*range(10), 3])


@CASES.case(
    "queue-03",
    "quorum, prefetch 1, nack of message 3 of 0..9 with requeue, once",
    "3 is delivered last",
    "measured, RabbitMQ 3.10",
)
def a_quorum_queue_puts_it_at_the_end() -> Seen:
    """A quorum queue requeues at the tail."""
    group = worker(on=fails(3, Requeue, times_=1))
    order = messages(scene(tasks(10), Queue("tasks", type="quorum"), group), "delivered")
    return Seen(listed(order), order == [*range(10), 3])


@CASES.case(
    "queue-04",
    "quorum, delivery limit 3, message 3 always fails and is requeued, dead-letter queue",
    "4 deliveries, then dead-lettered because of the limit",
    f"{QUORUM}#poison-message-handling; measured",
)
def a_poison_message_is_put_aside() -> Seen:
    """One delivery and three redeliveries."""
    queue = Queue("tasks", type="quorum", delivery_limit=3, dead_letter="dead")
    history = scene(tasks(10), queue, Queue("dead"), worker(on=fails(3, Requeue)))
    often = Counter(messages(history, "delivered"))[3]
    aside, reason = messages(history, "stored", "dead"), messages(history, "exhausted")
    return Seen(f"{often} deliveries; dead-lettered {listed(aside)}", (often, aside, reason) == (4, [3], [3]))


@CASES.case(
    "queue-12",
    "quorum, no delivery limit given, message 3 always fails and is requeued",
    "the default limit is 20: 21 deliveries, then it is dropped",
    f"{QUORUM}#poison-message-handling (default since 4.0)",
)
def a_quorum_queue_has_a_limit_of_twenty() -> Seen:
    """Since RabbitMQ 4.0."""
    history = scene(tasks(10), Queue("tasks", type="quorum"), worker(on=fails(3, Requeue)))
    often = Counter(messages(history, "delivered"))[3]
    gone = messages(history, "exhausted")
    return Seen(f"{often} deliveries, then exhausted: {listed(gone)}", (often, gone) == (21, [3]))


@CASES.case(
    "queue-13",
    "classic, message 3 always fails and is requeued",
    "it comes again for ever; nothing behind it is handled with prefetch 1",
    f"{ACKS}#consumer-nacks-requeue",
)
def a_classic_queue_has_no_limit() -> Seen:
    """A requeue loop."""
    history = scene(tasks(10), Queue("tasks"), worker(on=fails(3, Requeue)), until_s=3)
    often, done = Counter(messages(history, "delivered"))[3], messages(history, "acked")
    return Seen(f"{often} deliveries in 3 s; acknowledged {listed(done)}", often > 200 and done == [0, 1, 2])


@CASES.case(
    "queue-08",
    "classic and durable, 20 transient messages, confirmed; broker killed",
    "all are lost though confirmed",
    f"{DURABLE}; measured",
    fault="crash",
)
def transient_messages_are_lost() -> Seen:
    """A confirmation of a transient message says only that it was enqueued."""
    return _killed(Queue("tasks"), persistent=False, lost=20)


@CASES.case(
    "queue-15",
    "classic and durable, 20 persistent messages, confirmed; broker killed",
    "none is lost",
    f"{ACKS}#when-publishes-are-confirmed; measured",
    fault="crash",
)
def persistent_and_confirmed_is_safe() -> Seen:
    """Confirmed when it was persisted to disk."""
    return _killed(Queue("tasks"), persistent=True, lost=0)


@CASES.case(
    "queue-16",
    "quorum, 20 messages published as transient, confirmed; broker killed",
    "none is lost: a quorum queue keeps every message on disk",
    f"{QUORUM}#feature-comparison; measured",
    fault="crash",
)
def a_quorum_queue_is_always_durable() -> Seen:
    """The delivery mode makes no difference."""
    return _killed(Queue("tasks", type="quorum"), persistent=False, lost=0)


@CASES.case(
    "queue-17",
    "classic, not durable, 20 persistent messages, confirmed; broker killed",
    "all are lost: the queue itself is gone",
    DURABLE,
    fault="crash",
)
def a_transient_queue_is_gone() -> Seen:
    """Persistent messages survive in durable queues only."""
    return _killed(Queue("tasks", durable=False), persistent=True, lost=20)


def _killed(queue: Queue, *, persistent: bool, lost: int) -> Seen:
    shop = tasks(20, acks="all", batch_events=1, message=Message(persistent=persistent))
    history = scene(shop, queue, Crash("tasks", at_s=2, down_s=2), _afterwards)
    confirmed, handled = len(rows(history, "confirmed")), len(set(messages(history, "handled")))
    return Seen(f"{confirmed} confirmed, {handled} left", (confirmed, handled) == (20, 20 - lost))


def _afterwards(world: World) -> Iterator[Any]:
    """Somebody who consumes when the broker is back."""
    yield world.timeout(6)
    worker().build(world).start()


@CASES.case(
    "queue-19",
    "automatic acknowledgement (commit before), prefetch unlimited, consumer killed",
    "what was sent and not handled is lost",
    f"{ACKS}#acknowledgement-modes",
    fault="crash",
)
def automatic_acknowledgement_is_unsafe() -> Seen:
    """A message counts as delivered as soon as it is sent."""
    group = worker(commit="before", prefetch=None)
    history = scene(tasks(20), Queue("tasks"), group, Crash("worker", at_s=0.055, down_s=1))
    done, again = len(set(messages(history, "handled"))), len(rows(history, "requeued"))
    return Seen(f"{done} of 20 handled, {again} came back", done < 10 and again == 0)


@CASES.case(
    "queue-25",
    "broker restarted while a consumer has 5 in hand, persistent messages",
    "the 5 are delivered again; nothing is lost",
    ACKS,
    fault="crash",
)
def unacknowledged_messages_survive_the_broker() -> Seen:
    """They were never removed."""
    shop = tasks(20, acks="all", batch_events=1)
    group = worker(prefetch=5, service_s=Constant(0.1))
    history = scene(shop, Queue("tasks"), group, Crash("tasks", at_s=0.55, down_s=2))
    again = [number for number, often in Counter(messages(history, "pushed")).items() if often > 1]
    lost = set(range(20)) - set(messages(history, "acked"))
    return Seen(f"{len(lost)} lost, handed over again: {listed(again)}", not lost and len(again) == 5)


@CASES.case(
    "queue-26",
    "the same event published twice",
    "two messages: a queue knows no deduplication",
    "measured: RabbitMQ has none",
    fault="duplicate",
)
def a_queue_does_not_deduplicate() -> Seen:
    """That is the consumer's work."""
    history = scene(tasks(10), Queue("tasks"), worker(), Duplicate("shop", "tasks", share=1.0))
    often = Counter(messages(history, "handled"))
    return Seen(f"{len(often)} events, {sum(often.values())} handled", len(often) == 10 and sum(often.values()) == 20)


@CASES.case(
    "queue-27",
    "a message with a delay of 5 s, published before one without",
    "it is delivered after 5 s, the other at once",
    "RabbitMQ, Delayed message exchange — https://github.com/rabbitmq/rabbitmq-delayed-message-exchange",
)
def a_delayed_message_waits() -> Seen:
    """Delayed at the broker."""
    shop = tasks(1, message=Message(delay_s=5))
    other = Publisher("later", to="tasks", gap_s=Constant(0.1), count=1)
    history = scene(shop, other, Queue("tasks"), worker())
    order = [(str(r.event_id).rpartition(".")[0], round(r.time, 2)) for r in rows(history, "delivered")]
    return Seen(listed(f"{name} at {at:g} s" for name, at in order), order == [("later", 0.1), ("shop", 5.0)])


@CASES.case(
    "queue-28",
    "a message is acknowledged, then the consumer is killed, then the broker",
    "it is never delivered again",
    ACKS,
    fault="crash",
)
def an_acknowledged_message_is_gone() -> Seen:
    """An acknowledgement is remembered."""
    shop = tasks(10, acks="all", batch_events=1)
    faults = (Crash("worker", at_s=2, down_s=1), Crash("tasks", at_s=5, down_s=1))
    history = scene(shop, Queue("tasks"), worker(), *faults)
    order = [ordinal(record) for record in rows(history, "delivered")]
    return Seen(f"delivered {listed(order)}", order == [*range(10)])


@CASES.case(
    "queue-29",
    "prefetch 1, the consumer crashes after handling and before the acknowledgement",
    "the message is handled a second time",
    ACKS,
    fault="crash",
)
def at_least_once() -> Seen:
    """What was not acknowledged comes again."""
    history = scene(tasks(10), Queue("tasks"), worker(), Crash("worker", after="handled", nth=4, down_s=1))
    often = Counter(messages(history, "handled"))
    twice = [number for number, count in often.items() if count == 2]
    return Seen(f"handled {len(often)}, twice {listed(twice)}", len(often) == 10 and twice == [3])


@CASES.case(
    "queue-30",
    "message 3 is refused for good (reject without requeue), no dead-letter exchange",
    "it is gone; the others go on",
    f"RabbitMQ, Negative acknowledgements — {DOCS}/nack",
)
def a_rejected_message_is_gone() -> Seen:
    """Discarded."""
    history = scene(tasks(10), Queue("tasks"), worker(on=fails(3, Reject)))
    often, gone = Counter(messages(history, "delivered"))[3], messages(history, "rejected")
    done = messages(history, "acked")
    return Seen(f"{often} delivery, rejected {listed(gone)}", (often, gone, len(done)) == (1, [3], 9))
