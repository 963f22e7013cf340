"""Exchanges: what RabbitMQ promises of bindings, keys and the unroutable."""

from __future__ import annotations

from typing import Any

from evsim.lab.conformance.case import Seen, Table, listed, messages, names, rows, scene
from evsim.lab.conformance.queue import DOCS
from evsim.laws import Constant
from evsim.sim.broker.base import Message
from evsim.sim.broker.exchange import Exchange
from evsim.sim.broker.queue import Queue
from evsim.sim.publisher import Publisher

EXCHANGES = f"RabbitMQ, Exchanges — {DOCS}/exchanges"
TOPICS = "RabbitMQ, Tutorial five: topics — https://www.rabbitmq.com/tutorials/tutorial-five-python"
UNROUTABLE = f"RabbitMQ, Publishers, Unroutable messages — {DOCS}/publishers#unroutable"

CASES = Table("queue")


def sent(name: str, key: str | None = None, **more: Any) -> Publisher:
    """One message with a confirmation."""
    message = Message(routing_key=key, **more)
    return Publisher(name, to="market", gap_s=Constant(0.1), count=1, acks="all", batch_events=1, message=message)


def matched(exchange: Exchange, *keys: str) -> dict[str, list[str]]:
    """Which keys came to which queue."""
    queues = [Queue(str(name)) for name in exchange.bindings]
    history = scene(*(sent(f"key{n}", key) for n, key in enumerate(keys)), exchange, *queues)
    return {
        queue.name: sorted(keys[int(name[3:])] for name in names(history, "stored", queue.name)) for queue in queues
    }


def told(found: dict[str, list[str]]) -> str:
    """``all: a, b; some: a``."""
    return "; ".join(f"{name}: {listed(keys)}" for name, keys in found.items())


@CASES.case(
    "queue-09",
    "topic exchange, bindings stock.*.nyse and stock.#",
    "stock.usd.nyse matches both, stock only the second",
    TOPICS,
)
def star_is_one_word_hash_is_any() -> Seen:
    """``*`` stands for exactly one word, ``#`` for zero or more."""
    exchange = Exchange("market", type="topic", bindings={"one": "stock.*.nyse", "any": "stock.#"})
    found = matched(exchange, "stock.usd.nyse", "stock")
    return Seen(told(found), found == {"one": ["stock.usd.nyse"], "any": ["stock", "stock.usd.nyse"]})


@CASES.case(
    "queue-45",
    "topic exchange, the bindings and keys of a measurement",
    "the same keys match",
    "measured, RabbitMQ 3.10",
)
def the_measured_keys_match() -> Seen:
    """Six keys, six patterns."""
    keys = ("order.created", "order.eu.created", "order", "order.eu.paid.late", "payment.created")
    must = {
        "order.*": ["order.created"],
        "order.#": ["order", "order.created", "order.eu.created", "order.eu.paid.late"],
        "*.created": ["order.created", "payment.created"],
        "order.*.created": ["order.eu.created"],
        "#.created": ["order.created", "order.eu.created", "payment.created"],
        "#": sorted(keys),
    }
    names_ = dict(zip(must, "abcdef", strict=True))
    exchange = Exchange("market", type="topic", bindings={name: pattern for pattern, name in names_.items()})
    found = matched(exchange, *keys)
    wrong = [pattern for pattern, name in names_.items() if found[name] != must[pattern]]
    return Seen(f"other keys for {listed(wrong)}", not wrong)


@CASES.case("queue-46", "fanout exchange with three queues", "each queue has a copy, whatever the key", EXCHANGES)
def fanout_copies_to_all() -> Seen:
    """A fanout ignores the key."""
    exchange = Exchange("market", type="fanout", bindings={"a": "x", "b": "y", "c": ""})
    found = matched(exchange, "anything")
    return Seen(told(found), found == {name: ["anything"] for name in "abc"})


@CASES.case(
    "queue-47", "direct exchange, bindings red and blue", "a key goes where it is equal, nowhere else", EXCHANGES
)
def direct_needs_the_same_key() -> Seen:
    """Exact."""
    exchange = Exchange("market", type="direct", bindings={"a": "red", "b": ("red", "blue")})
    found = matched(exchange, "red", "blue", "re")
    return Seen(told(found), found == {"a": ["red"], "b": ["blue", "red"]})


@CASES.case(
    "queue-48", "headers exchange, x-match all and any", "all needs every header, any needs one", f"{EXCHANGES}#headers"
)
def headers_match_all_or_any() -> Seen:
    """Routing by attributes."""
    wanted = {"format": "pdf", "type": "report"}
    exchange = Exchange(
        "market", type="headers", bindings={"every": wanted | {"x-match": "all"}, "some": wanted | {"x-match": "any"}}
    )
    senders = (
        sent("both", headers=wanted),
        sent("half", headers={"format": "pdf"}),
        sent("none", headers={"format": "zip"}),
    )
    history = scene(*senders, exchange, Queue("every"), Queue("some"))
    found = {name: sorted(names(history, "stored", name)) for name in ("every", "some")}
    return Seen(told(found), found == {"every": ["both"], "some": ["both", "half"]})


@CASES.case("queue-49", "two bindings of one queue match", "the queue has one copy", f"{EXCHANGES}#bindings")
def one_copy_for_a_queue() -> Seen:
    """However many bindings match."""
    exchange = Exchange("market", type="topic", bindings={"a": ("stock.#", "#.nyse")})
    found = matched(exchange, "stock.nyse")
    return Seen(told(found), found == {"a": ["stock.nyse"]})


@CASES.case(
    "queue-50", "no binding fits, confirms on, not mandatory", "confirmed, and dropped", f"{UNROUTABLE}; measured"
)
def the_unroutable_is_confirmed_and_gone() -> Seen:
    """The broker has verified that it routes nowhere."""
    history = scene(sent("shop", "blue"), Exchange("market", type="direct", bindings={"a": "red"}), Queue("a"))
    seen = {step: len(rows(history, step)) for step in ("confirmed", "unroutable", "stored")}
    return Seen(_counts(seen), seen == {"confirmed": 1, "unroutable": 1, "stored": 0})


@CASES.case("queue-51", "no binding fits, mandatory", "returned to the publisher", f"{UNROUTABLE}; measured")
def the_mandatory_comes_back() -> Seen:
    """basic.return."""
    exchange = Exchange("market", type="direct", bindings={"a": "red"})
    history = scene(sent("shop", "blue", mandatory=True), exchange, Queue("a"))
    seen = {step: len(rows(history, step)) for step in ("returned", "stored")}
    return Seen(_counts(seen), seen == {"returned": 1, "stored": 0})


@CASES.case(
    "queue-52",
    "no binding fits, an alternate exchange",
    "the alternate has it; nothing is unroutable",
    f"RabbitMQ, Alternate exchanges — {DOCS}/ae",
)
def the_alternate_takes_the_unroutable() -> Seen:
    """Also for mandatory messages: it was routed."""
    first = Exchange("market", type="direct", bindings={"a": "red"}, alternate="rest")
    other = Exchange("rest", type="fanout", bindings={"b": ""})
    history = scene(sent("shop", "blue", mandatory=True), first, other, Queue("a"), Queue("b"))
    kept, gone = rows(history, "stored", "b"), rows(history, "unroutable") + rows(history, "returned")
    return Seen(f"{len(kept)} stored by the alternate, {len(gone)} unroutable", len(kept) == 1 and not gone)


@CASES.case(
    "queue-53",
    "an exchange bound to an exchange",
    "the message goes through both",
    f"RabbitMQ, Exchange to exchange bindings — {DOCS}/e2e",
)
def exchanges_bind_to_exchanges() -> Seen:
    """Routing in two steps."""
    first = Exchange("market", type="topic", bindings={"inner": "stock.#"})
    inner = Exchange("inner", type="direct", bindings={"a": "stock.usd", "b": "stock.eur"})
    history = scene(sent("shop", "stock.usd"), first, inner, Queue("a"), Queue("b"))
    found = {name: messages(history, "stored", name) for name in "ab"}
    return Seen(f"a {listed(found['a'])}, b {listed(found['b'])}", found == {"a": [0], "b": []})


def _counts(seen: dict[str, int]) -> str:
    return ", ".join(f"{count} {step}" for step, count in seen.items())
