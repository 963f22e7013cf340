"""RabbitMQ definitions become exchanges and queues, with their policies applied, and are written back."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evsim import BadScenario, Consumer, Log, Message, Publisher, Queue, Scenario
from evsim.cli import _answer
from evsim.lab.rabbitmq import Definitions

SHOP = {
    "rabbitmq_version": "4.1.0",
    "users": [{"name": "guest"}],
    "vhosts": [{"name": "/"}],
    "permissions": [],
    "policies": [
        {"vhost": "/", "name": "all", "pattern": ".*", "apply-to": "queues", "priority": 0,
         "definition": {"max-length": 1000}},
        {"vhost": "/", "name": "mail", "pattern": "^mail", "apply-to": "queues", "priority": 5,
         "definition": {"message-ttl": 60000, "max-length": 10, "overflow": "reject-publish"}},
        {"vhost": "/", "name": "alt", "pattern": "^orders$", "apply-to": "exchanges", "priority": 1,
         "definition": {"alternate-exchange": "lost"}},
    ],
    "queues": [
        {"name": "mail", "vhost": "/", "durable": True, "auto_delete": False, "arguments": {"x-max-length": 7}},
        {"name": "billing", "vhost": "/", "durable": True, "auto_delete": False, "arguments": {
            "x-queue-type": "quorum", "x-delivery-limit": 3, "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": "parking", "x-single-active-consumer": True}},
        {"name": "parking", "vhost": "/", "durable": False, "auto_delete": False, "arguments": {
            "x-expires": 1500, "x-max-priority": 5, "x-dead-letter-exchange": "lost", "x-queue-mode": "lazy"}},
    ],
    "exchanges": [
        {"name": "orders", "vhost": "/", "type": "topic", "durable": True, "arguments": {}},
        {"name": "lost", "vhost": "/", "type": "fanout", "durable": True, "arguments": {}},
        {"name": "by-region", "vhost": "/", "type": "headers", "durable": True, "arguments": {}},
        {"name": "amq.topic", "vhost": "/", "type": "topic", "durable": True, "arguments": {}},
    ],
    "bindings": [
        {"source": "orders", "vhost": "/", "destination": "mail", "destination_type": "queue",
         "routing_key": "order.*", "arguments": {}},
        {"source": "orders", "vhost": "/", "destination": "mail", "destination_type": "queue",
         "routing_key": "parcel.#", "arguments": {}},
        {"source": "orders", "vhost": "/", "destination": "by-region", "destination_type": "exchange",
         "routing_key": "#", "arguments": {}},
        {"source": "lost", "vhost": "/", "destination": "parking", "destination_type": "queue",
         "routing_key": "", "arguments": {}},
        {"source": "by-region", "vhost": "/", "destination": "billing", "destination_type": "queue",
         "routing_key": "", "arguments": {"x-match": "any", "region": "eu", "vip": True}},
    ],
}  # fmt: skip


def described(definitions, vhost=None):
    return [settings for _, settings in Definitions(json.dumps(definitions), vhost, "definitions").described()]


def with_(field, **more):
    return SHOP | {field: [*SHOP[field], more]}


def test_exchanges_queues_bindings_and_policies():
    assert described(SHOP) == [
        {
            "kind": "exchange",
            "name": "orders",
            "type": "topic",
            "alternate": "lost",
            "bindings": {"mail": ["order.*", "parcel.#"], "by-region": "#"},
        },
        {"kind": "exchange", "name": "lost", "type": "fanout", "bindings": {"parking": ""}},
        {
            "kind": "exchange",
            "name": "by-region",
            "type": "headers",
            "bindings": {"billing": {"x-match": "any", "region": "eu", "vip": True}},
        },
        {"kind": "queue", "name": "mail", "message_ttl_s": 60.0, "max_length": 7, "overflow": "reject-publish"},
        {
            "kind": "queue",
            "name": "billing",
            "max_length": 1000,
            "type": "quorum",
            "delivery_limit": 3,
            "dead_letter_routing_key": "parking",
            "single_active_consumer": True,
            "dead_letter": "parking",
        },
        {
            "kind": "queue",
            "name": "parking",
            "durable": False,
            "max_length": 1000,
            "expires_s": 1.5,
            "max_priority": 5,
            "dead_letter": "lost",
        },
    ]


def test_an_exchange_and_a_queue_of_one_name_are_told_apart():
    both = with_("exchanges", name="mail", type="direct", vhost="/")
    assert [settings["name"] for settings in described(both) if settings["name"].startswith("mail")] == [
        "mail.exchange",
        "mail",
    ]


def test_a_name_that_members_have_is_changed():
    assert described({"queues": [{"name": "work-1", "vhost": "/"}]})[0]["name"] == "work.1"


def test_an_exchange_that_delays_and_one_that_rabbitmq_makes_itself():
    late = with_("exchanges", name="late", type="x-delayed-message", arguments={"x-delayed-type": "direct"}, vhost="/")
    assert {"kind": "exchange", "name": "late", "type": "direct"} in described(late)
    bound = with_("bindings", source="amq.topic", destination="mail", routing_key="a.*", vhost="/")
    assert {"kind": "exchange", "name": "amq.topic", "type": "topic", "bindings": {"mail": "a.*"}} in described(bound)


def test_one_virtual_host_is_one_scenario():
    two = with_("queues", name="other", vhost="staging")
    with pytest.raises(BadScenario, match="2 virtual hosts"):
        described(two)
    assert [settings["name"] for settings in described(two, "staging")] == ["other"]
    with pytest.raises(BadScenario, match="did you mean 'staging'"):
        described(two, "stagin")


@pytest.mark.parametrize(
    ("definitions", "said"),
    [
        (with_("queues", name="s", arguments={"x-queue-type": "stream"}), "'s' is a stream"),
        (with_("queues", name="b", arguments={"x-max-length-bytes": 9}), "'max-length-bytes', which is not known"),
        (with_("queues", name="b", arguments={"x-mesage-ttl": 9}), "did you mean 'message-ttl'"),
        (with_("queues", name="b", arguments={"x-dead-letter-exchange": "los"}), "did you mean 'lost'"),
        (with_("queues", name=7), "7 is no name"),
        (with_("exchanges", name="e", type="x-consistent-hash"), "not known here"),
        (with_("exchanges", name="e", type="topik"), "did you mean 'topic'"),
        (with_("bindings", source="ordrs", destination="mail"), "did you mean 'orders'"),
        (with_("bindings", source="orders", destination="male"), "did you mean 'mail'"),
        (with_("bindings", source="orders", destination="mail", routing_key="order.pl*"), "whole words"),
        (with_("bindings", source="by-region", destination="billing", arguments={"a": 1}), "by headers twice"),
        (with_("policies", pattern="(a+)+$", definition={}), "write a plainer one"),
        (with_("policies", pattern="[", definition={}), "no regular expression"),
        (SHOP | {"queues": {}}, "is no list"),
    ],
)
def test_what_is_not_known_here_is_refused_in_a_sentence(definitions, said):
    with pytest.raises(BadScenario) as refused:
        Scenario.from_rabbitmq(json.dumps(definitions))
    assert said in " ".join(str(refused.value).split())


def paths(at, path=()):
    yield path
    if isinstance(at, (dict, list)):
        for step in at if isinstance(at, dict) else range(len(at)):
            yield from paths(at[step], (*path, step))


JUNK = st.sampled_from([None, 7, -1, True, "x", "", [], {}, [[]], {"a": {}}, ["a", {}], "/"])


@given(st.sampled_from([path for path in paths(SHOP) if path]), JUNK)
@settings(max_examples=200, deadline=None)
def test_whatever_stands_anywhere_it_is_read_or_refused(path, junk):
    definitions = json.loads(json.dumps(SHOP))
    at = definitions
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = junk
    try:
        Scenario.from_rabbitmq(json.dumps(definitions))
    except BadScenario as refused:
        assert str(refused)  # noqa: PT017 - it may also be read


def test_definitions_come_back_from_a_scenario():
    shop = Scenario.from_rabbitmq(json.dumps(SHOP))
    assert Scenario.from_rabbitmq(shop.to_rabbitmq()) == shop
    assert Scenario.from_asyncapi(shop.to_asyncapi()) == shop
    assert not shop.problems()


def test_what_is_imported_runs():
    """Routed by the bindings of the definitions: two copies of each order, one told apart by its headers."""
    eu = Message(headers={"region": "eu"})
    shop = Scenario.from_rabbitmq(json.dumps(SHOP)).plus(
        Publisher("web", to="orders", rate=20, count=100, message=eu),
        Consumer("post", of="mail"),
        Consumer("till", of="billing"),
    )
    history = shop.run(20, seed=1).history
    assert len(history.of("handled", node="post")) == len(history.of("handled", node="till")) == 100
    assert Scenario.from_asyncapi(shop.to_asyncapi()) == shop


def test_what_rabbitmq_cannot_do_is_not_exported():
    for queue, said in ((Queue("q", visibility_timeout_s=30), "SQS"), (Queue("q", dead_letter="log"), "dead letters")):
        with pytest.raises(BadScenario, match=said):
            Scenario(queue, Log("log")).to_rabbitmq()


def test_definitions_are_told_from_other_documents(tmp_path, capsys):
    """Also when a queue is called like the others' format."""
    path = tmp_path / "definitions.json"
    path.write_text(json.dumps({"queues": [{"name": "asyncapi", "vhost": "shop"}]}), encoding="utf-8")
    assert _answer(["import", str(path), "--vhost", "shop"]) == 0
    assert "name: asyncapi" in capsys.readouterr().out
    assert _answer(["import", str(path), "--vhost", "sho"]) == 2
    assert "did you mean 'shop'" in capsys.readouterr().err
