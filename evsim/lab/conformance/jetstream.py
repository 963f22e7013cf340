"""Publish and subscribe with a stream: what NATS JetStream promises, and was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from evsim.lab.conformance.case import Seen, Table, listed, messages, names, rows, scene, times
from evsim.lab.conformance.pubsub import DOCS, kept, late, news, reader
from evsim.laws import Constant
from evsim.patterns.handler import Reject, Requeue
from evsim.sim.broker.base import Message
from evsim.sim.consumer import Durable
from evsim.sim.faults import Crash, Join, Partition, Pause
from evsim.sim.publisher import Publisher
from evsim.sim.world import World

CONSUMERS = f"NATS, JetStream consumers — {DOCS}/jetstream/consumers"
STREAMS = f"NATS, JetStream streams — {DOCS}/jetstream/streams"
DEDUPLICATION = (
    "NATS, Message deduplication — https://docs.nats.io/using-nats/developer/develop_jetstream/model_deep_dive"
)

CASES = Table("pubsub")


@CASES.case("pubsub-11", "stream, subscriber down for 1 s", "it has every message in the end", CONSUMERS, fault="crash")
def a_stream_keeps_what_one_missed() -> Seen:
    """The durable subscription knows how far it has come."""
    history = scene(news(), kept(), reader(durable=Durable(ack_wait_s=1)), Crash("reader", at_s=0.55, down_s=1))
    lost = set(range(20)) - set(messages(history, "acked"))
    return Seen(f"{len(lost)} lost, {len(rows(history, 'missed'))} missed", not lost)


@CASES.case(
    "pubsub-02",
    "stream, durable, ack wait 1 s, prefetch 15, consumer killed holding 15, another member there",
    "the 15 come back at 1 s, after newer ones",
    f"{CONSUMERS}; measured",
    fault="crash",
)
def the_ack_wait_decides() -> Seen:
    """A stream does not look at connections."""
    press = news(30, gap_s=Constant(0.001))
    group = reader(durable=Durable(ack_wait_s=1), prefetch=15, service_s=Constant(0.01))
    history = scene(press, kept(), group, Crash("reader", at_s=0.056, down_s=None), Join("reader", at_s=0.06))
    order = messages(history, "delivered", "reader-2")
    back = times(history, "requeued")
    spread = all(1.0 <= at <= 1.06 for at in back)
    right = len(back) == 15 and spread and order.index(29) < order.index(min(order)) and len(order) == 25
    return Seen(
        f"{len(back)} back at {min(back, default=0):.2f} to {max(back, default=0):.2f} s; order {listed(order)}", right
    )


@CASES.case(
    "pubsub-03",
    "stream, max deliver 3, message 4 always fails",
    "3 deliveries, then no more; the message stays",
    f"{CONSUMERS}; measured",
)
def after_max_deliver_no_more() -> Seen:
    """An advisory is all; there is no dead-letter queue."""
    group = reader(durable=Durable(ack_wait_s=1, max_deliver=3), on=_fails(4, Requeue))
    history = scene(news(10), kept(), group, late(reader("audit", durable=Durable()), 10.0))
    often = Counter(messages(history, "delivered", "reader"))[4]
    stays = 4 in messages(history, "delivered", "audit")
    aside = len(rows(history, "dead_lettered"))
    return Seen(
        f"{often} deliveries, {aside} dead-lettered, {'stays' if stays else 'gone'}",
        (often, aside, stays) == (3, 0, True),
    )


def _fails(which: int, problem: type[Exception], times_: int = 1_000_000) -> dict[str, Callable[..., None]]:
    def handle(event: Any, ctx: Any) -> None:
        if event.id == f"press.{which + 1}" and ctx.attempt <= times_:
            raise problem

    return {"news.published": handle}


@CASES.case(
    "pubsub-04",
    "stream, deduplication window 2 s, the same id again after 1.5 s and after 2.5 s",
    "dropped, then stored again",
    f"{DEDUPLICATION}; measured",
    fault="duplicate",
)
def the_window_decides() -> Seen:
    """Nats-Msg-Id."""

    def again(world: World) -> Iterator[Any]:
        for wait_s in (1.6, 1.0):
            yield world.timeout(wait_s)
            world.find("news").chooser("press", None)("news", 1)(0)

    history = scene(news(1), kept(deduplication_s=2), again)
    seen = [
        (record.step, round(record.time, 1)) for record in history.of() if record.step in {"stored", "deduplicated"}
    ]
    must = [("stored", 0.1), ("deduplicated", 1.6), ("stored", 2.6)]
    return Seen(listed(f"{step} at {at:g} s" for step, at in seen), seen == must)


@CASES.case(
    "pubsub-12",
    "stream, a new durable with deliver all, after 20 messages",
    "all 20, in order",
    f"{CONSUMERS}#deliverpolicy",
)
def deliver_all() -> Seen:
    """The default."""
    return _joins_late(Durable(deliver="all"), [*range(20)])


@CASES.case(
    "pubsub-13",
    "stream, deliver new, joins between the tenth and the eleventh",
    "the last ten",
    f"{CONSUMERS}#deliverpolicy",
)
def deliver_new() -> Seen:
    """Only what comes after the subscription was made."""
    return _joins_late(Durable(deliver="new"), [*range(10, 20)], at_s=1.05)


@CASES.case(
    "pubsub-14", "stream, deliver last, joins after the tenth", "from the tenth on", f"{CONSUMERS}#deliverpolicy"
)
def deliver_last() -> Seen:
    """Begins with the newest that is there."""
    return _joins_late(Durable(deliver="last"), [*range(9, 20)], at_s=1.05)


@CASES.case(
    "pubsub-15",
    "stream, deliver by start time 1.05 s, joins after 20 messages",
    "those stored from then on",
    f"{CONSUMERS}#deliverpolicy",
)
def deliver_by_start_time() -> Seen:
    """The first on or after this time."""
    return _joins_late(Durable(deliver="by_start_time", start_s=1.05), [*range(10, 20)])


def _joins_late(durable: Durable, must: list[int], at_s: float = 5.0) -> Seen:
    got = messages(scene(news(), kept(), late(reader(durable=durable), at_s)), "handled")
    return Seen(listed(got), got == must)


@CASES.case(
    "pubsub-16",
    "stream, deliver last per subject, three subjects",
    "the newest of each subject",
    f"{CONSUMERS}#deliverpolicy",
)
def deliver_last_per_subject() -> Seen:
    """A snapshot of the newest values."""
    presses = [
        Publisher(f"p{n}", to="news", gap_s=Constant(0.1), count=3, message=Message(routing_key=f"price.{n}"))
        for n in range(3)
    ]
    history = scene(*presses, kept(), late(reader(durable=Durable(deliver="last_per_subject")), 5.0))
    got = sorted(str(record.event_id) for record in rows(history, "handled"))
    return Seen(listed(got), got == ["p0.3", "p1.3", "p2.3"])


@CASES.case(
    "pubsub-17",
    "stream, max ack pending 5, prefetch unlimited, slow consumer",
    "never more than 5 in flight",
    f"{CONSUMERS}#maxackpending",
)
def max_ack_pending_bounds_what_is_in_flight() -> Seen:
    """Delivery stops until some are acknowledged."""
    group = reader(durable=Durable(max_ack_pending=5), prefetch=None, service_s=Constant(0.05))
    history = scene(news(50, gap_s=Constant(0.001)), kept(), group)
    held = most = 0
    for record in history.of():
        held += {"pushed": 1, "acked": -1, "requeued": -1}.get(record.step, 0)
        most = max(most, held)
    done = len(rows(history, "acked"))
    return Seen(f"at most {most}, {done} acknowledged", (most, done) == (5, 50))


@CASES.case(
    "pubsub-18",
    "stream, backoff 0.2, 0.4, 0.8 s, nobody ever acknowledges",
    "given again 0.2, 0.6 and 1.4 s after the first time",
    f"{CONSUMERS}#backoff; measured: 202, 604, 1404 ms",
    fault="crash",
)
def backoff_spaces_the_attempts() -> Seen:
    """In the place of the ack wait."""

    async def stuck(event: Any, ctx: Any) -> None:
        await ctx.sleep(100.0)

    durable = Durable(backoff_s=(0.2, 0.4, 0.8), max_deliver=4)
    history = scene(news(1), kept(), reader(members=4, durable=durable, on={"news.published": stuck}))
    when = times(history, "pushed")
    gaps = [round(at - when[0], 2) for at in when]
    return Seen(f"at {listed(gaps)} s", gaps == [0.0, 0.2, 0.6, 1.4])


@CASES.case(
    "pubsub-19", "stream, message 3 is refused for good (term)", "one delivery, never again", f"{CONSUMERS}; measured"
)
def term_means_never_again() -> Seen:
    """AckTerm."""
    history = scene(news(10), kept(), reader(durable=Durable(ack_wait_s=1), on=_fails(3, Reject)))
    often, done = Counter(messages(history, "delivered")), len(rows(history, "acked"))
    return Seen(f"{often[3]} delivery, {done} acknowledged", often[3] == 1 and done == 9)


@CASES.case(
    "pubsub-20",
    "stream, message 3 is refused (nak) once",
    "it is given again at once, before the ack wait",
    f"{CONSUMERS}; measured",
)
def nak_means_again_at_once() -> Seen:
    """A nak does not wait."""
    history = scene(news(10), kept(), reader(durable=Durable(ack_wait_s=30), on=_fails(3, Requeue, times_=1)))
    when = [record.time for record in rows(history, "delivered") if record.event_id == "press.4"]
    right = len(when) == 2 and when[1] - when[0] < 0.11 and len(rows(history, "acked")) == 10
    return Seen(f"{len(when)} deliveries, {when[-1] - when[0]:.2g} s apart", right)


@CASES.case(
    "pubsub-21",
    "stream, handling takes 3 s, ack wait 1 s, two members",
    "it is delivered a second time while it is handled",
    CONSUMERS,
)
def slower_than_the_ack_wait_is_handled_twice() -> Seen:
    """The server cannot know that somebody is at work."""
    group = reader(members=2, durable=Durable(ack_wait_s=1), service_s=Constant(3.0))
    history = scene(news(1), kept(), group, until_s=2.5)
    when = [round(at - 0.1, 2) for at in times(history, "delivered")]
    return Seen(f"delivered {listed(when)} s after it was stored", when[:2] == [0.0, 1.0])


@CASES.case(
    "pubsub-22",
    "stream, the server restarts after 10 were acknowledged",
    "the 10 do not come again, the rest does, nothing is lost",
    f"{CONSUMERS} (durable)",
    fault="crash",
)
def a_durable_survives_the_server() -> Seen:
    """Streams and consumers are stored."""
    press = news(20, gap_s=Constant(0.001))
    group = reader(durable=Durable(ack_wait_s=2), service_s=Constant(0.1))
    history = scene(press, kept(), group, Crash("news", at_s=1.05, down_s=1), until_s=30)
    acked = messages(history, "acked")
    early = [record for record in rows(history, "acked") if record.time < 1.05]
    again = {record.event_id for record in rows(history, "delivered") if record.time > 2} & {r.event_id for r in early}
    right = sorted(set(acked)) == [*range(20)] and len(early) >= 9 and not again
    return Seen(f"{len(early)} acknowledged before, {len(again)} of them again; {len(set(acked))} in the end", right)


@CASES.case(
    "pubsub-23",
    "stream, at most 5 messages kept, ten published, then a durable joins",
    "it has the last five",
    f"{STREAMS}#configuration",
)
def the_oldest_make_room() -> Seen:
    """Discard old, the default."""
    got = messages(scene(news(10), kept(retention_events=5), late(reader(durable=Durable()), 5.0)), "handled")
    return Seen(listed(got), got == [5, 6, 7, 8, 9])


@CASES.case(
    "pubsub-24",
    "stream, kept for 1 s, ten published, a durable joins 0.55 s after the last",
    "it has those that are younger than 1 s",
    f"{STREAMS}#configuration",
)
def the_old_are_deleted() -> Seen:
    """MaxAge."""
    got = messages(scene(news(10), kept(retention_s=1), late(reader(durable=Durable()), 1.55)), "handled")
    return Seen(listed(got), got == [5, 6, 7, 8, 9])


@CASES.case(
    "pubsub-25",
    "stream, subscriber paused for 5 s, ack wait 30 s",
    "nothing is dropped, nothing comes twice",
    CONSUMERS,
    fault="pause",
)
def a_pause_drops_nothing() -> Seen:
    """What waits, waits."""
    history = scene(news(), kept(), reader(durable=Durable()), Pause("reader", at_s=0.55, for_s=5))
    got = messages(history, "handled")
    return Seen(listed(got), got == [*range(20)])


@CASES.case(
    "pubsub-26",
    "stream, a publisher that expects sequence 1 as the last, when two are stored",
    "refused",
    "NATS, Nats-Expected-Last-Sequence — https://docs.nats.io/nats-concepts/jetstream/headers; measured: error 10071",
)
def a_stale_append_is_refused() -> Seen:
    """Optimistic concurrency: a stream as an event store."""
    stale = Publisher(
        "stale", to="news", gap_s=Constant(1.0), count=1, acks="all", batch_events=1, retries=0,
        message=Message(headers={"Nats-Expected-Last-Sequence": 1}),
    )  # fmt: skip
    history = scene(news(2), stale, kept())
    refused, stored = names(history, "refused"), names(history, "stored")
    return Seen(
        f"refused {listed(refused)}; stored {listed(stored)}", refused == ["stale"] and stored == ["press", "press"]
    )


@CASES.case(
    "pubsub-27",
    "stream, a duplicate within the window, confirmed publishing",
    "the duplicate is confirmed as well",
    DEDUPLICATION,
    fault="partition",
)
def a_duplicate_is_confirmed() -> Seen:
    """The acknowledgement says that it is a duplicate; the producer is content."""
    press = news(5, acks="all", batch_events=1, request_timeout_s=0.3, delivery_timeout_s=20)
    history = scene(press, kept(), Partition("news", "press", at_s=0.15, for_s=1, one_way=True))
    confirmed, stored = len(rows(history, "confirmed")), len(rows(history, "stored"))
    again = len(rows(history, "deduplicated"))
    return Seen(
        f"{confirmed} confirmed, {stored} stored, {again} duplicates", (confirmed, stored) == (5, 5) and again > 0
    )
