"""What AsyncAPI calls our settings, read and written: bindings of Kafka, AMQP and NATS, and schemas of payloads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evsim.laws import Choice, Law
from evsim.sim.broker.log import Log

EXTENSION = "x-evsim"
_TOPIC = {"retention.ms": "retention_s", "delete.retention.ms": "delete_retention_s"}


# ---------------------------------------------------------------- reading


def read_kafka(kafka: Mapping[str, Any], name: str) -> tuple[str, dict[str, Any]]:
    """The name of a topic, and what its Kafka binding says of it; what a log here does not know is left out."""
    said = {field: kafka[field] for field in ("partitions", "replicas") if field in kafka}
    topic = kafka.get("topicConfiguration")
    for word, given in topic.items() if isinstance(topic, dict) else ():
        if word == "cleanup.policy":
            said["compaction"] = given == "compact" or (isinstance(given, list) and "compact" in given)
        elif word == "min.insync.replicas":
            said["min_insync_replicas"] = given
        elif word == "retention.bytes" and given != -1:
            said["retention_bytes"] = given
        elif word in _TOPIC and given != -1 and isinstance(given, (int, float)):
            said[_TOPIC[word]] = given / 1000
    known = {field: given for field, given in said.items() if field in Log.model_fields}
    return str(kafka.get("topic") or name), known


def read_amqp(amqp: Mapping[str, Any], kind: str, name: str) -> tuple[str, dict[str, Any]]:
    """The name of a queue or an exchange, and what its AMQP binding says of it."""
    given = amqp.get("queue" if kind == "queue" else "exchange")
    given = given if isinstance(given, dict) else {}
    if kind == "queue":
        return str(given.get("name") or name), {"durable": given["durable"]} if "durable" in given else {}
    said = given.get("type")
    return str(given.get("name") or name), {"type": "direct" if said == "default" else said} if said else {}


def read_properties(amqp: Mapping[str, Any]) -> dict[str, Any]:
    """The properties that an AMQP operation gives its messages."""
    said: dict[str, Any] = {}
    keys = amqp.get("cc")
    if isinstance(keys, list) and keys:
        said["routing_key"] = keys[0]
    if isinstance(amqp.get("expiration"), (int, float)):
        said["expiration_s"] = amqp["expiration"] / 1000
    if amqp.get("deliveryMode") == 1:
        said["persistent"] = False
    for field in ("priority", "mandatory"):
        if amqp.get(field):
            said[field] = amqp[field]
    return said


def one_of(schema: Any) -> str | None:
    """The one value that a schema allows, or gives as an example."""
    if isinstance(schema, str):
        return schema
    if not isinstance(schema, dict):
        return None
    listed = [
        schema.get("const"),
        schema.get("default"),
        *_listed(schema.get("enum")),
        *_listed(schema.get("examples")),
    ]
    return next((each for each in listed if isinstance(each, str)), None)


def _listed(given: Any) -> list[Any]:
    return given if isinstance(given, list) else []


def read_schema(schema: Mapping[str, Any]) -> Any:
    """A constant or a law that draws what a schema describes; None when it says too little."""
    if isinstance(schema.get(EXTENSION), dict):
        return schema[EXTENSION]
    if "const" in schema:
        return schema["const"]
    if _listed(schema.get("enum")):
        return {"kind": "choice", "options": schema["enum"]}
    if schema.get("default") is not None:
        return schema["default"]
    if _listed(schema.get("examples")):
        return schema["examples"][0]
    low, high = schema.get("minimum", 0), schema.get("maximum")
    low = low if isinstance(low, (int, float)) and low >= 0 else 0
    between = isinstance(high, (int, float)) and high > low
    return {
        "boolean": {"kind": "choice", "options": [True, False]},
        "integer": low,
        "number": {"kind": "uniform", "low": low, "high": high} if between else low,
        "string": "text",
    }.get(str(schema.get("type")))


# ---------------------------------------------------------------- writing


def write_kafka(log: Any) -> dict[str, Any]:
    """The Kafka binding of a log's channel."""
    topic: dict[str, Any] = {}
    if getattr(log, "compaction", False):
        topic["cleanup.policy"] = ["compact"]
    for word, field in _TOPIC.items():
        wait_ms = whole_ms(getattr(log, field, None))
        if wait_ms is not None:
            topic[word] = wait_ms
    for word, field in (("retention.bytes", "retention_bytes"), ("min.insync.replicas", "min_insync_replicas")):
        if getattr(log, field, None) is not None:
            topic[word] = getattr(log, field)
    said: dict[str, Any] = {"partitions": log.partitions, "replicas": log.replicas}
    return said | ({"topicConfiguration": topic} if topic else {})


def write_amqp(part: Any) -> dict[str, Any]:
    """The AMQP binding of a queue's or an exchange's channel."""
    if part.kind == "queue":
        return {"is": "queue", "queue": {"name": part.name, "durable": part.durable}}
    return {"is": "routingKey", "exchange": {"name": part.name, "type": part.type, "durable": True}}


def write_properties(message: Any) -> dict[str, Any]:
    """The AMQP binding of an operation that sends messages with these properties."""
    said: dict[str, Any] = {"deliveryMode": 2 if message.persistent else 1}
    if message.routing_key is not None:
        said["cc"] = [message.routing_key]
    if (wait_ms := whole_ms(message.expiration_s)) is not None:
        said["expiration"] = wait_ms
    if message.priority:
        said["priority"] = message.priority
    if message.mandatory:
        said["mandatory"] = True
    return said


def whole_ms(seconds: float | None) -> int | None:
    """Seconds as whole milliseconds; None when they are not whole, or not given."""
    ms = None if seconds is None else round(seconds * 1000)
    return ms if ms is not None and ms / 1000 == seconds else None


def write_schema(given: Any, plain: Any) -> dict[str, Any]:
    """The schema of a field of the payload, from which exactly this constant or law is read again."""
    if isinstance(given, Choice):
        return {"enum": list(given.options)} | ({EXTENSION: plain} if given.weights is not None else {})
    if isinstance(given, Law):
        return {"type": "number", "minimum": 0, EXTENSION: plain}
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
    return ({"type": kinds[type(given)]} if type(given) in kinds else {}) | {"const": plain}
