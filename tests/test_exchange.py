"""The exchange, held to AMQP 0-9-1: who gets a message, once, and what becomes of it when nobody does."""

from __future__ import annotations

import pytest
from shops import ids, run

from evsim.errors import BadScenario
from evsim.lab.scenario import Scenario
from evsim.laws import Constant
from evsim.patterns.handler import Reject
from evsim.sim.broker.base import Message
from evsim.sim.broker.exchange import Exchange
from evsim.sim.broker.queue import Queue
from evsim.sim.consumer import Consumer
from evsim.sim.publisher import Publisher


def one(to="in", **message):
    return Publisher("shop", to=to, gap_s=Constant(0.1), count=1, message=Message(**message))


def places(history):
    return sorted(record.place for record in history.of("stored")) if ids(history, "stored") else []


@pytest.mark.parametrize(
    ("type_", "key", "expected"),
    [
        ("direct", "stock.usd.nyse", []),
        ("direct", "stock.#", ["all"]),
        ("topic", "stock.usd.nyse", ["all", "nyse"]),
        ("topic", "stock", ["all"]),
        ("fanout", "whatever", ["all", "nyse"]),
    ],
)
def test_each_type_matches_in_its_own_way(type_, key, expected):
    """queue-09 for the topic."""
    market = Exchange("in", type=type_, bindings={"nyse": "stock.*.nyse", "all": "stock.#"})
    assert places(run(one(routing_key=key), market, Queue("nyse"), Queue("all"))) == expected


@pytest.mark.parametrize(("match", "expected"), [("all", []), ("any", ["eu"])])
def test_headers_match_all_or_any(match, expected):
    desk = Exchange("in", type="headers", bindings={"eu": {"region": "eu", "vip": True, "x-match": match}})
    assert places(run(one(headers={"region": "eu"}), desk, Queue("eu"))) == expected


def test_a_queue_gets_a_message_once_by_however_many_ways():
    history = run(
        one(routing_key="a.b"),
        Exchange("in", type="topic", bindings={"tasks": ("a.*", "#.b", "#"), "inner": "#"}),
        Exchange("inner", type="fanout", bindings={"tasks": "", "in": ""}),
        Queue("tasks"),
    )
    assert places(history) == ["tasks"], "also when exchanges are bound in a circle"


def test_what_fits_nowhere_goes_to_the_alternate_and_is_unroutable_without_one():
    history = run(
        one(routing_key="x"), Exchange("in", bindings={"a": "y"}, alternate="rest"), Queue("a"), Queue("rest")
    )
    assert places(history) == ["rest"]
    assert not ids(history, "unroutable")
    assert ids(run(one(routing_key="x"), Exchange("in", bindings={"a": "y"}), Queue("a")), "unroutable") == ["shop.1"]


@pytest.mark.parametrize(("mandatory", "returned"), [(False, []), (True, ["shop.1"])])
def test_the_unroutable_is_returned_only_when_mandatory(mandatory, returned):
    history = run(one(routing_key="x", mandatory=mandatory), Exchange("in"))
    assert ids(history, "returned") == returned


def test_the_unroutable_is_confirmed_too():
    """Measured: confirmed although no queue received it."""
    shop = one(routing_key="x").but(acks="all")
    assert ids(run(shop, Exchange("in")), "confirmed") == ["shop.1"]


def test_one_full_queue_among_several_refuses_for_all():
    shop = Publisher("shop", to="in", gap_s=Constant(0.1), count=2, acks="all", retries=0)
    fan = Exchange("in", type="fanout", bindings={"small": "", "big": ""})
    history = run(shop, fan, Queue("small", max_length=1, overflow="reject-publish"), Queue("big"))
    assert ids(history, "confirmed") == ["shop.1"]
    assert places(history) == ["big", "big", "small"]


def test_expired_messages_do_not_go_round_through_an_exchange():
    """A circle in which nobody rejects is left at once."""
    history = run(
        one(to="tasks"),
        Queue("tasks", message_ttl_s=1, dead_letter="dead", dead_letter_routing_key="later"),
        Exchange("dead", bindings={"later": "later", "tasks": "again"}),
        Queue("later", message_ttl_s=1, dead_letter="dead", dead_letter_routing_key="again"),
    )
    assert [record.place for record in history.of("stored")] == ["tasks", "later"]


def test_a_rejection_keeps_a_retry_circle_going():
    """Measured: rejected from work, expired in retry, delivered again, each 200 ms."""

    def never(event, ctx):
        raise Reject("not yet")

    history = run(
        one(to="work"),
        Queue("work", dead_letter="retry"),
        Queue("retry", message_ttl_s=0.2, dead_letter="work"),
        Consumer("worker", of="work", on={"order.placed": never}),
        until_s=0.75,
    )
    assert [round(record.time, 3) for record in history.of("delivered")] == [0.1, 0.3, 0.5, 0.7]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"type": "headers", "bindings": {"a": "key"}}, "needs headers"),
        ({"type": "direct", "bindings": {"a": {"x": 1}}}, "needs a routing key"),
        ({"bindings": {"b": "key"}}, "no part called 'b'"),
    ],
)
def test_bindings_that_cannot_work_are_told_before_the_run(settings, words):
    with pytest.raises(BadScenario, match=words):
        Scenario(one(), Exchange("in", **settings), Queue("a")).run(1, seed=1)
