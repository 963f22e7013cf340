"""The queue's limits: what RabbitMQ promises of time to live, length, dead letters; and was measured."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from evsim.lab.conformance.case import Seen, Table, listed, messages, names, rows, scene, times
from evsim.lab.conformance.queue import DOCS, fails, tasks, worker
from evsim.laws import Constant
from evsim.patterns.handler import Reject
from evsim.sim.broker.base import Message
from evsim.sim.broker.exchange import Exchange
from evsim.sim.broker.queue import Queue
from evsim.sim.publisher import Publisher

TTL = f"RabbitMQ, Time-to-live and expiration — {DOCS}/ttl"
LENGTH = f"RabbitMQ, Queue length limit — {DOCS}/maxlength"
DEAD = f"RabbitMQ, Dead letter exchanges — {DOCS}/dlx"

CASES = Table("queue")


def one(name: str, at_s: float, **message: Any) -> Publisher:
    """One message at a time."""
    return Publisher(name, to="tasks", gap_s=Constant(at_s), count=1, message=Message(**message))


def rounded(moments: Iterable[float]) -> list[float]:
    """To a hundredth of a second."""
    return [round(moment, 2) for moment in moments]


@CASES.case(
    "queue-05",
    "classic, a message of 100 ms to live behind one of 1500 ms",
    "the second expires at about 1500 ms",
    f"{TTL}#per-message-ttl-in-publishers; measured",
)
def messages_expire_at_the_head() -> Seen:
    """Time to live of a message is looked at when it comes to the head."""
    history = scene(one("first", 0.001, expiration_s=1.5), one("second", 0.002, expiration_s=0.1), Queue("tasks"))
    gone = dict(zip(names(history, "expired"), rounded(times(history, "expired")), strict=True))
    return Seen(listed(f"{name} at {at:g} s" for name, at in gone.items()), gone == {"first": 1.5, "second": 1.5})


@CASES.case(
    "queue-31",
    "message TTL of the queue 0.5 s, nobody consumes",
    "each expires 0.5 s after it came",
    f"{TTL}#message-ttl-using-x-args",
)
def messages_expire_after_the_queues_ttl() -> Seen:
    """The same for all, so that the head is always the oldest."""
    history = scene(tasks(5, gap_s=Constant(0.1)), Queue("tasks", message_ttl_s=0.5))
    gone = rounded(times(history, "expired"))
    return Seen(f"expired at {listed(gone)} s", gone == [0.6, 0.7, 0.8, 0.9, 1.0])


@CASES.case(
    "queue-32", "the queue's TTL 2 s, the message's 0.3 s, and the other way round", "the lower of the two counts", TTL
)
def the_lower_ttl_counts() -> Seen:
    """Both given."""
    gone = []
    for queue_s, message_s in ((2.0, 0.3), (0.3, 2.0)):
        history = scene(one("shop", 0.1, expiration_s=message_s), Queue("tasks", message_ttl_s=queue_s))
        gone += rounded(times(history, "expired"))
    return Seen(f"expired at {listed(gone)} s", gone == [0.4, 0.4])


@CASES.case(
    "queue-33",
    "message TTL 0.2 s, its handling takes 1 s",
    "what is in hand does not expire: it is handled and acknowledged",
    TTL,
)
def what_is_in_hand_does_not_expire() -> Seen:
    """Only messages that are ready."""
    history = scene(tasks(1), Queue("tasks", message_ttl_s=0.2), worker(service_s=Constant(1.0)))
    done, gone = messages(history, "acked"), rows(history, "expired")
    return Seen(f"acknowledged {listed(done)}, {len(gone)} expired", done == [0] and not gone)


@CASES.case(
    "queue-34",
    "TTL 0.5 s, prefetch 1, a handler busy for 1 s with the first of two",
    "the second is never delivered",
    TTL,
)
def what_has_expired_is_not_delivered() -> Seen:
    """A server drops dead messages."""
    history = scene(tasks(2), Queue("tasks", message_ttl_s=0.5), worker(service_s=Constant(1.0)))
    got, gone = messages(history, "delivered"), messages(history, "expired")
    return Seen(f"delivered {listed(got)}, expired {listed(gone)}", (got, gone) == ([0], [1]))


def _overflowing(**settings: Any) -> Any:
    shop = tasks(10, acks="all", batch_events=1, retries=0)
    return scene(shop, Queue("tasks", max_length=5, **settings), Queue("dead"))


@CASES.case("queue-06", "max length 5, ten published, drop-head", "keeps 5..9", f"{LENGTH}; measured")
def drop_head_keeps_the_newest() -> Seen:
    """The default: the oldest make room."""
    gone = messages(_overflowing(), "overflowed")
    return Seen(f"dropped {listed(gone)}", gone == [0, 1, 2, 3, 4])


@CASES.case(
    "queue-35",
    "max length 5, ten published with confirms, reject-publish",
    "keeps 0..4, and 5 are refused",
    f"{LENGTH}; measured",
)
def reject_publish_keeps_the_oldest() -> Seen:
    """The publisher is told with basic.nack."""
    history = _overflowing(overflow="reject-publish")
    kept, refused = messages(history, "stored", "tasks"), messages(history, "refused")
    return Seen(
        f"kept {listed(kept)}; refused {listed(refused)}", (kept, refused) == ([0, 1, 2, 3, 4], [5, 6, 7, 8, 9])
    )


@CASES.case(
    "queue-36",
    "max length 5, ten published, drop-head, dead-letter queue",
    "0..4 are dead-lettered",
    f"{DEAD}; {LENGTH}",
)
def what_overflows_is_dead_lettered() -> Seen:
    """Reason maxlen."""
    aside = messages(_overflowing(dead_letter="dead"), "stored", "dead")
    return Seen(f"dead-lettered {listed(aside)}", aside == [0, 1, 2, 3, 4])


@CASES.case(
    "queue-37",
    "max length 5, ten published, reject-publish-dlx",
    "5..9 are refused, and dead-lettered too",
    f"{LENGTH}#overflow-behaviour",
)
def what_is_refused_can_be_dead_lettered() -> Seen:
    """As reject-publish, and put aside."""
    history = _overflowing(overflow="reject-publish-dlx", dead_letter="dead")
    aside, refused = messages(history, "stored", "dead"), messages(history, "refused")
    return Seen(f"refused {listed(refused)}, dead-lettered {listed(aside)}", aside == refused == [5, 6, 7, 8, 9])


@CASES.case(
    "queue-38",
    "max length 5, a consumer with 5 in hand, ten published",
    "nothing is dropped: only ready messages count",
    LENGTH,
)
def what_is_in_hand_does_not_count() -> Seen:
    """Unacknowledged messages do not count towards the limit."""
    busy = worker(prefetch=5, service_s=Constant(1.0))
    history = scene(tasks(10), Queue("tasks", max_length=5), busy)
    gone = messages(history, "overflowed")
    return Seen(f"dropped {listed(gone)}", not gone and len(messages(history, "acked")) == 10)


@CASES.case(
    "queue-39", "message 3 is rejected, dead-letter queue", "it is stored there, the others are acknowledged", DEAD
)
def what_is_rejected_is_dead_lettered() -> Seen:
    """Reason rejected."""
    history = scene(tasks(10), Queue("tasks", dead_letter="dead"), Queue("dead"), worker(on=fails(3, Reject)))
    aside, done = messages(history, "stored", "dead"), messages(history, "acked", "worker")
    return Seen(f"dead-lettered {listed(aside)}, {len(done)} acknowledged", aside == [3] and len(done) == 9)


@CASES.case("queue-40", "TTL 0.5 s, dead-letter queue", "what has expired is dead-lettered", DEAD)
def what_expires_is_dead_lettered() -> Seen:
    """Reason expired."""
    queue = Queue("tasks", message_ttl_s=0.5, dead_letter="dead")
    history = scene(tasks(3, gap_s=Constant(0.1)), queue, Queue("dead"))
    when = rounded(times(history, "stored", "dead"))
    return Seen(f"dead-lettered at {listed(when)} s", when == [0.6, 0.7, 0.8])


@CASES.case(
    "queue-41",
    "a message with an expiration of its own is dead-lettered; nobody consumes the dead letters",
    "it stays there: its expiration was removed",
    f"{DEAD}#effects",
)
def a_dead_letter_does_not_expire_again() -> Seen:
    """So that it does not expire a second time."""
    history = scene(one("shop", 0.1, expiration_s=0.3), Queue("tasks", dead_letter="dead"), Queue("dead"), until_s=60)
    kept, again = rows(history, "stored", "dead"), rows(history, "expired", "dead")
    return Seen(f"{len(kept)} dead-lettered, {len(again)} expired there", len(kept) == 1 and not again)


@CASES.case(
    "queue-42",
    "rejected into a queue with a TTL of 200 ms whose dead letters come back",
    "deliveries at 0, 200, 400, 600 ms after the first",
    f"{DEAD}; measured: 1, 204, 407, 610 ms",
)
def a_delayed_retry() -> Seen:
    """The usual way to wait between attempts."""

    def thrice(event: Any, ctx: Any) -> None:
        ctx.state[event.id] = ctx.state.get(event.id, 0) + 1
        if ctx.now < 0.55:
            raise Reject

    main = Queue("tasks", dead_letter="waiting")
    waiting = Queue("waiting", message_ttl_s=0.2, dead_letter="tasks")
    history = scene(tasks(1), main, waiting, worker(on={"order.placed": thrice}, service_s=Constant(0.0)), until_s=5)
    when = rounded(times(history, "delivered"))
    return Seen(f"delivered at {listed(when)} s", when == [0.0, 0.2, 0.4, 0.6])


@CASES.case(
    "queue-43",
    "a dead-letter exchange and a dead-letter routing key",
    "the dead letter is routed with that key, not with its own",
    f"{DEAD}#routing",
)
def the_dead_letter_routing_key_counts() -> Seen:
    """Otherwise its own keys are kept."""
    exchange = Exchange("graves", type="direct", bindings={"dead": "late", "other": "order.placed"})
    seen = {}
    for key in ("late", None):
        queue = Queue("tasks", message_ttl_s=0.1, dead_letter="graves", dead_letter_routing_key=key)
        history = scene(tasks(1), queue, exchange, Queue("dead"), Queue("other"))
        seen[key] = [name for name in ("dead", "other") if rows(history, "stored", name)]
    return Seen(
        f"with a key {listed(seen['late'])}, without {listed(seen[None])}", seen == {"late": ["dead"], None: ["other"]}
    )


@CASES.case(
    "queue-44",
    "queue unused for its expiry of 2 s, five messages in it",
    "the queue is deleted, its messages with it",
    f"{TTL}#queue-ttl",
)
def an_unused_queue_is_deleted() -> Seen:
    """Queue TTL: unused means no consumers."""
    history = scene(tasks(5), Queue("tasks", expires_s=2, dead_letter="dead"), Queue("dead"))
    gone, aside = rounded(times(history, "lost")), rows(history, "stored", "dead")
    return Seen(f"gone at {listed(gone)} s, {len(aside)} dead-lettered", gone == [2.0] * 5 and not aside)
