"""Publish and subscribe: what NATS promises without a stream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from evsim.lab.conformance.case import Seen, Table, listed, messages, names, rows, scene
from evsim.laws import Constant
from evsim.sim.broker.base import Message
from evsim.sim.broker.pubsub import PubSub
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash
from evsim.sim.publisher import Publisher
from evsim.sim.world import World

DOCS = "https://docs.nats.io/nats-concepts"
CORE = f"NATS, Core publish-subscribe — {DOCS}/core-nats/pubsub"
GROUPS = f"NATS, Queue groups — {DOCS}/core-nats/queue"
SUBJECTS = f"NATS, Subject-based messaging — {DOCS}/subjects"

CASES = Table("pubsub")


def news(count: int = 20, **settings: Any) -> Publisher:
    """So many pieces of news, ten a second."""
    usual: dict[str, Any] = {"gap_s": Constant(0.1), "count": count}
    return Publisher("press", to="news", type="news.published", **(usual | settings))


def reader(name: str = "reader", **settings: Any) -> Consumer:
    """Somebody who listens."""
    return Consumer(name, of="news", **settings)


def kept(**settings: Any) -> PubSub:
    """A stream."""
    return PubSub("news", stream=True, **settings)


def late(consumer: Consumer, at_s: float) -> Callable[[World], Iterator[Any]]:
    """A consumer that is not there before a moment."""

    def subscriber(world: World) -> Iterator[Any]:
        yield world.timeout(at_s)
        consumer.build(world).start()

    return subscriber


@CASES.case(
    "pubsub-01",
    "core, subscriber down from 0.55 s to 1.25 s, ten messages a second",
    "the 7 of that time are gone, and counted",
    f"{CORE} (at most once)",
    fault="crash",
)
def who_is_not_there_misses_it() -> Seen:
    """Fire and forget."""
    history = scene(news(), PubSub("news"), reader(), Crash("reader", at_s=0.55, down_s=0.7))
    got, missed = messages(history, "handled"), messages(history, "missed")
    right = missed == [*range(5, 12)] and got == [*range(5), *range(12, 20)]
    return Seen(f"missed {listed(missed)}; handled {len(got)}", right)


@CASES.case("pubsub-05", "core, nobody has subscribed", "the message is gone; the publisher is not told", CORE)
def nobody_listens() -> Seen:
    """No queue, no copy."""
    history = scene(news(5), PubSub("news"), late(reader(), 3.0))
    gone, got = len(rows(history, "unroutable")), len(rows(history, "handled"))
    return Seen(f"{gone} gone, {got} handled by a later subscriber", (gone, got) == (5, 0))


@CASES.case("pubsub-06", "core, two consumers", "both have every message", CORE)
def every_subscriber_has_every_message() -> Seen:
    """One to many."""
    history = scene(news(), PubSub("news"), reader(), reader("archive"))
    got = {name: messages(history, "handled", name) for name in ("reader", "archive")}
    seen = ", ".join(f"{name} {len(numbers)}" for name, numbers in got.items())
    return Seen(seen, all(numbers == [*range(20)] for numbers in got.values()))


@CASES.case(
    "pubsub-07", "core, one consumer with four members (a queue group)", "each message goes to one of them", GROUPS
)
def a_queue_group_shares() -> Seen:
    """Chosen among those that are there."""
    history = scene(news(100, gap_s=Constant(0.01)), PubSub("news"), reader(members=4))
    often = Counter(messages(history, "handled"))
    busy = len({record.node for record in rows(history, "handled")})
    return Seen(
        f"{len(often)} handled, {max(often.values())} times each, by {busy}",
        set(often.values()) == {1} and len(often) == 100 and busy == 4,
    )


def _subjects(pattern: str, *subjects: str) -> list[str]:
    presses = [
        Publisher(f"p{n}", to="news", gap_s=Constant(0.1), count=1, message=Message(routing_key=subject))
        for n, subject in enumerate(subjects)
    ]
    history = scene(*presses, PubSub("news"), reader(subjects=(pattern,)))
    return [subjects[int(name[1:])] for name in names(history, "handled")]


@CASES.case("pubsub-08", "subject pattern time.*.east", "* is exactly one token", f"{SUBJECTS}#wildcards")
def star_is_one_token() -> Seen:
    """Not none, not two."""
    got = _subjects("time.*.east", "time.us.east", "time.east", "time.us.east.atlanta", "time.eu.east")
    return Seen(listed(got), got == ["time.us.east", "time.eu.east"])


@CASES.case("pubsub-09", "subject pattern time.us.>", "> is one or more tokens at the end", f"{SUBJECTS}#wildcards")
def greater_is_the_rest() -> Seen:
    """Not none."""
    got = _subjects("time.us.>", "time.us.east", "time.us.east.atlanta", "time.us", "time.eu.east")
    return Seen(listed(got), got == ["time.us.east", "time.us.east.atlanta"])


@CASES.case(
    "pubsub-10",
    "core, the server is down for 1 s",
    "what is published meanwhile is gone; afterwards all goes on",
    CORE,
    fault="crash",
)
def what_comes_while_the_server_is_down_is_gone() -> Seen:
    """Nothing is kept for later."""
    history = scene(news(), PubSub("news"), reader(), Crash("news", at_s=0.55, down_s=1))
    got = messages(history, "handled")
    return Seen(f"handled {listed(got)}", got == [*range(5), *range(15, 20)])
