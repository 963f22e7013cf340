"""A scenario written as AsyncAPI 3 is read back whole; a document from elsewhere becomes a scenario that runs."""

import json
import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from evsim import (
    BadScenario,
    Cache,
    Choice,
    Consumer,
    Crash,
    Durable,
    Event,
    Exchange,
    Exponential,
    Link,
    Log,
    Message,
    Publisher,
    PubSub,
    Queue,
    Router,
    Scenario,
    Service,
    Uniform,
    Wiretap,
    Zipf,
    catalog,
)
from evsim.cli import _answer
from evsim.lab.foreign import event_type

SHOP = Scenario(
    Publisher(
        "shop",
        to="orders",
        rate=20,
        key=Zipf(10),
        data={
            "amount": Exponential(20),
            "vip": Choice([True, False]),
            "size": Choice([1, 2], weights=(1, 3)),
            "tax": 3.5,
        },
    ),
    Publisher("till", to="orders", gap_s=Uniform(0, 2), data={"amount": 1}, version=2),
    Publisher("odd", to="orders", rate=1, data={"nothing": None}, type="order.paid"),
    Log("orders", partitions=4, retention_s=0.0015),
    Log("odd name/{x}", retention_s=100.5),
    Consumer("billing", of="orders", group="money", types=("order.placed", "order.paid"), members=3),
    Consumer("mail", of="orders", types=("order.shipped",), service_s=Exponential(0.1)),
    Consumer("ship", of="odd name/{x}", group="ship"),
    Router("sorter", of="orders", routes={"odd name/{x}": {"vip": True}}),
    Wiretap("tap", of="orders", to="odd name/{x}"),
    Crash("billing", at_s=3),
    Service("prices"),
    Cache("cache", origin="prices"),
    Publisher("web", to="cache", rate=1),
    Link("shop", "orders", delay_s=1),
    name="my shop",
)


# ---------------------------------------------------------------- there and back


@pytest.mark.parametrize("envelope", ["structured", "binary"])
@pytest.mark.parametrize("scenario", [SHOP, *(catalog.get(name) for name in catalog.names())], ids=lambda s: s.name)
def test_a_scenario_comes_back_whole(scenario, envelope):
    assert Scenario.from_asyncapi(scenario.to_asyncapi(envelope)) == scenario


names = st.text(st.sampled_from("ab-_. é/~{}#%"), min_size=1, max_size=6).filter(
    lambda name: name.strip() == name and "  " not in name and not re.fullmatch(r".*-\d+", name)
)
words = st.text(st.characters(exclude_categories=["Cs", "Cn"], exclude_characters="\0"), max_size=5)
scalars = st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | words


@st.composite
def shops(draw):
    every = draw(st.lists(names, min_size=2, max_size=7, unique=True))
    logs = [Log(every[0], partitions=draw(st.integers(1, 9)), retention_s=draw(st.none() | st.floats(0.001, 99)))]
    types = st.sampled_from(["order.placed", "order.paid", "shop.order.sent"])
    parts = []
    for name in every[1:]:
        if draw(st.booleans()):
            data = draw(st.dictionaries(words, scalars | st.builds(Exponential, st.floats(1, 9)), max_size=3))
            parts.append(Publisher(name, to=every[0], rate=draw(st.floats(0.1, 9)), type=draw(types), data=data))
        else:
            of = st.none() | st.lists(types, min_size=1, max_size=3, unique=True).map(tuple)
            parts.append(Consumer(name, of=every[0], types=draw(of), group=draw(st.none() | st.just("group " + name))))
    return Scenario(*draw(st.permutations(logs + parts)))


@given(shops(), st.sampled_from(["structured", "binary"]))
@settings(max_examples=50, deadline=None)
def test_any_shop_comes_back_whole(scenario, envelope):
    assert Scenario.from_asyncapi(scenario.to_asyncapi(envelope)) == scenario


def test_what_somebody_changes_in_the_document_counts():
    document = yaml.safe_load(SHOP.to_asyncapi())
    document["channels"]["orders"]["bindings"]["kafka"]["partitions"] = 12
    document["operations"]["billing"]["bindings"]["kafka"]["groupId"]["enum"] = ["gold"]
    changed = Scenario.from_asyncapi(json.dumps(document))
    assert changed == SHOP.replace("orders", partitions=12).replace("billing", group="gold")


def test_without_our_extension_what_asyncapi_can_say_is_left():
    document = yaml.safe_load(re.sub(r"(?m)^( *)x-evsim:.*\n(\1 .*\n)*", "", SHOP.to_asyncapi()))
    plain = Scenario.from_asyncapi(yaml.safe_dump(document))
    assert {part.kind for part in plain.parts} == {"publisher", "log", "consumer"}
    assert plain["orders"].partitions == 4
    assert plain["mail"].types == ("order.shipped",)
    assert plain["shop"].rate == 1.0
    assert plain.run(10, seed=1).history.event_count > 10


BROKERS = Scenario(
    Publisher(
        "shop", to="world", rate=20, message=Message(routing_key="de.order", expiration_s=1.5, priority=3, delay_s=2)
    ),
    Publisher("till", to="tasks", rate=20, message=Message(persistent=False, mandatory=True, headers={"a": 1})),
    Publisher("radio", to="news", rate=2, message=Message(routing_key="x.y")),
    Exchange("world", type="topic", bindings={"tasks": "de.#"}),
    Queue("tasks", type="quorum", delivery_limit=3, dead_letter="parked"),
    Queue("parked", durable=False),
    PubSub("news", stream=True, retention_s=9),
    Consumer("work", of="tasks", prefetch=None, nack="requeue"),
    Consumer("mail", of="news", subjects=("x.*",), durable=Durable(ack_wait_s=3), group="post"),
    name="brokers",
)


@pytest.mark.parametrize("envelope", ["structured", "binary"])
def test_queues_exchanges_and_subjects_come_back_whole(envelope):
    assert Scenario.from_asyncapi(BROKERS.to_asyncapi(envelope)) == BROKERS
    document = yaml.safe_load(BROKERS.to_asyncapi(envelope))
    assert document["channels"]["tasks"]["bindings"] == {
        "amqp": {"is": "queue", "queue": {"name": "tasks", "durable": True}}
    }
    assert document["operations"]["shop"]["bindings"]["amqp"]["expiration"] == 1500
    assert {each["protocol"] for each in document["servers"].values()} == {"amqp", "nats"}


# ---------------------------------------------------------------- the document itself


def references(at):
    if isinstance(at, dict):
        yield from ([at["$ref"]] if "$ref" in at else [])
        at = list(at.values())
    if isinstance(at, list):
        for each in at:
            yield from references(each)


def follow(document, reference):
    at = document
    for step in reference.removeprefix("#/").split("/"):
        at = at[step]
    return at


@pytest.mark.parametrize("envelope", ["structured", "binary"])
def test_the_document_is_built_as_the_specification_says(envelope):
    """The required fields of each object, keys that references can hold, and references that lead somewhere."""
    document = yaml.safe_load(SHOP.to_asyncapi(envelope))
    assert document["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= set(document["info"])
    assert all({"host", "protocol"} <= set(server) for server in document["servers"].values())
    for reference in references(document):
        assert follow(document, reference)
    for key in (*document["components"]["messages"], *document["channels"], *document["operations"]):
        assert re.fullmatch(r"[\w.-]+", key)
    for operation in document["operations"].values():
        assert operation["action"] in {"send", "receive"}
        channel = operation["channel"]["$ref"]
        assert re.fullmatch(r"#/channels/[\w.-]+", channel)
        assert all(message["$ref"].startswith(f"{channel}/messages/") for message in operation.get("messages", []))


def test_an_event_fits_the_payload_that_is_promised():
    jsonschema = pytest.importorskip("jsonschema")
    messages = yaml.safe_load(SHOP.to_asyncapi())["components"]["messages"]
    schema = {"type": "object"} | messages["order.placed"]["payload"]
    data = {"amount": 2.5, "vip": True, "size": 2, "tax": 3.5}
    event = Event("shop.1", "order.placed", 0, "shop", data, key="order-1")
    jsonschema.validate(event.to_cloudevent(), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(event.to_cloudevent() | {"type": "order.paid"}, schema)


# ---------------------------------------------------------------- documents from elsewhere

STREETLIGHTS = """
asyncapi: 3.0.0
info: {title: Streetlights, version: 1.0.0}
servers:
  production: {host: 'test.mykafkacluster.org:8092', protocol: kafka-secure}
channels:
  lightingMeasured:
    address: smartylighting.streetlights.1.0.event.{streetlightId}.lighting.measured
    messages:
      lightMeasured: {$ref: '#/components/messages/lightMeasured'}
    bindings:
      kafka: {partitions: 20, replicas: 3, topicConfiguration: {cleanup.policy: [compact], retention.ms: 604800000}}
  tasks:
    address: tasks
    messages:
      turnOn: {payload: {type: object, properties: {level: {type: integer, minimum: 3}}}}
      DimLight: {name: light.dimmed}
    bindings:
      amqp: {is: queue, queue: {name: work-1, durable: false}}
operations:
  receiveLightMeasurement:
    action: receive
    channel: {$ref: '#/channels/lightingMeasured'}
    bindings: {kafka: {groupId: {type: string, enum: [myGroupId]}}}
  measure:
    action: send
    channel: {$ref: '#/channels/lightingMeasured'}
    traits: [{$ref: '#/components/operationTraits/kafka'}]
    messages: [{$ref: '#/channels/lightingMeasured/messages/lightMeasured'}]
components:
  operationTraits:
    kafka: {bindings: {kafka: {clientId: {type: string}}}}
  messages:
    lightMeasured:
      payload: {$ref: '#/components/schemas/light'}
  schemas:
    light:
      type: object
      properties:
        lumens: {type: integer, minimum: 0}
        'on': {type: boolean}
        share: {type: number, maximum: 1}
        unit: {enum: [lx]}
        street: {type: string, examples: [Main]}
        parts: {type: array}
"""


def test_a_document_from_elsewhere_becomes_a_scenario():
    document = STREETLIGHTS[: STREETLIGHTS.index("  tasks:")] + STREETLIGHTS[STREETLIGHTS.index("operations:\n") :]
    scenario = Scenario.from_asyncapi(document)
    assert scenario.name == "Streetlights"
    log = scenario["lightingMeasured"]
    assert (log.partitions, log.replicas, log.retention_s) == (20, 3, 604800)
    publisher = scenario["measure"]
    assert (publisher.to, publisher.type, publisher.rate) == ("lightingMeasured", "light.measured", 1.0)
    drawn = {"lumens": 0, "on": Choice([True, False]), "share": Uniform(0, 1), "unit": Choice(["lx"]), "street": "Main"}
    assert publisher.data == drawn
    assert scenario["receiveLightMeasurement"].group == "myGroupId"
    assert scenario.run(20, seed=1).history.event_count > 5


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("UserSignedUp", "user.signed_up"),
        ("lightMeasured", "light.measured"),
        ("order.placed", "order.placed"),
        ("turnOnOff", "turn_on_off.sent"),
        ("HTTPRequestReceived", "http.request_received"),
        ("user/signedup", "user_signedup.sent"),
        ("123", "message_123.sent"),
        ("", "message.sent"),
        ("x" * 300, "message.sent"),
    ],
)
def test_a_foreign_name_becomes_a_type(name, said):
    assert event_type(name) == said


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("asyncapi: 3.0.0", "asyncapi: 2.6.0", "line 2.*reads AsyncAPI 3"),
        ("action: send", "action: publish", "expected send or receive"),
        (
            "{$ref: '#/channels/lightingMeasured'}\n    traits",
            "{$ref: '#/channels/lighting'}\n    traits",
            "no channel",
        ),
        ("$ref: '#/components/schemas/light'", "$ref: 'http://x.org/light.json'", "leads nowhere"),
        ("$ref: '#/components/schemas/light'", "$ref: '#/components/messages/lightMeasured/payload'", "circle"),
        ("partitions: 20", "partitions: none", "expected a whole number"),
        ("operations:\n", "operations: 7\nx-old:\n", "no mapping"),
        ("messages: [{$ref: '#/channels/lightingMeasured/messages/lightM", "messages: [{$ref: '#/x", "no message of"),
        ("3.0.0\n", "3.0.0\n[", "not YAML"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(old, new, said):
    document = STREETLIGHTS[: STREETLIGHTS.index("  tasks:")] + STREETLIGHTS[STREETLIGHTS.index("operations:\n") :]
    assert old in document
    with pytest.raises(BadScenario) as refused:
        Scenario.from_asyncapi(document.replace(old, new))
    assert re.search(said, " ".join(str(refused.value).split()))
    assert re.search(r"line \d+", str(refused.value))


def test_what_is_too_large_or_no_document_is_refused():
    for text in ("x: " + "a" * 2**20, 7, "[]", "", "7", '{"asyncapi": '):
        with pytest.raises(BadScenario):
            Scenario.from_asyncapi(text)


PLAIN = yaml.safe_load(STREETLIGHTS)


def paths(at, path=()):
    yield path
    if isinstance(at, (dict, list)):
        for step in at if isinstance(at, dict) else range(len(at)):
            yield from paths(at[step], (*path, step))


JUNK = st.sampled_from(
    [None, 7, -1, True, "x", "", [], {}, [[]], {"$ref": "#/"}, {"$ref": 7}, {"kind": "log"}, ["a", {}]]
)


@given(st.sampled_from([path for path in paths(PLAIN) if path]), JUNK)
@settings(max_examples=200, deadline=None)
def test_whatever_stands_anywhere_it_is_read_or_refused(path, junk):
    document = json.loads(json.dumps(PLAIN))
    at = document
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = junk
    try:
        Scenario.from_asyncapi(json.dumps(document))
    except BadScenario as refused:
        assert "Nothing was run" in str(refused)  # noqa: PT017 - it may also be read


# ---------------------------------------------------------------- the command line


def test_from_the_command_line_and_back(tmp_path, capsys):
    assert _answer(["export", "order-shop"]) == 0
    (tmp_path / "api.yaml").write_text(capsys.readouterr().out, encoding="utf-8")
    assert _answer(["import", str(tmp_path / "api.yaml")]) == 0
    assert Scenario.from_yaml(capsys.readouterr().out) == catalog.get("order-shop")


def test_an_unknown_format_is_refused(capsys):
    assert _answer(["export", "order-shop", "--format", "asyncap"]) == 2
    assert "did you mean 'asyncapi'" in capsys.readouterr().err
