"""Scenarios written as AsyncAPI 3 documents, from which the same scenario is read again.

Brokers are channels, publishers and consumers operations, and the events that publishers send are messages, in the
envelope of CloudEvents: ``"structured"`` (the envelope is the payload) or ``"binary"`` (its attributes are headers).
What AsyncAPI has no words for stands in ``x-evsim``: settings at their channel or operation, other parts (services,
links, routers, faults) at the top. What handlers emit is not known before a run and is not written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import yaml

from evsim.event import ATTRIBUTES
from evsim.lab import file
from evsim.lab.asyncapi_words import (
    EXTENSION,
    read_schema,
    whole_ms,
    write_amqp,
    write_kafka,
    write_properties,
    write_schema,
)
from evsim.lab.sense import named
from evsim.sim.part import BROKERS, Part

Envelope = Literal["structured", "binary"]
VERSION = "3.0.0"
_SPOKEN = {"log": "kafka", "queue": "amqp", "exchange": "amqp", "pubsub": "nats", "webhook": "http", "stream": "http"}
_PORTS = {"kafka": 9092, "amqp": 5672, "nats": 4222, "http": 8080}
_HEADERS = {"kafka": "ce_", "amqp": "cloudEvents:", "nats": "ce-", "http": "ce-"}
_TEXTS = ("id", "source", "partitionkey", "correlationid", "causationid")


def written(name: str, parts: tuple[Any, ...], envelope: Envelope = "structured") -> str:
    """A scenario as an AsyncAPI document in YAML."""
    return yaml.dump(
        document(name, parts, envelope), Dumper=file._Dumper, sort_keys=False, allow_unicode=True, width=100
    )


def document(name: str, parts: tuple[Any, ...], envelope: Envelope = "structured") -> dict[str, Any]:
    """A scenario as an AsyncAPI document in plain values."""
    return _Writing(name, parts, envelope).document()


class _Writing:
    """A scenario on its way to a document."""

    def __init__(self, name: str, parts: tuple[Any, ...], envelope: Envelope) -> None:
        self.name, self.parts, self.envelope = name, parts, envelope
        self.known: Mapping[str, Part] = named(parts)
        self.keys: dict[str, str] = {}
        self.messages: dict[str, dict[str, Any]] = {}
        self.types: dict[str, list[str]] = {}
        for part in parts:
            if isinstance(part, Part) and part.name:
                self.keys[part.name] = _free(part.name, set(self.keys.values()))

    def document(self) -> dict[str, Any]:
        """The whole."""
        channels: dict[str, Any] = {}
        operations: dict[str, Any] = {}
        listed: list[Any] = []
        plains = [file._written(part) for part in self.parts]
        for part, settings in zip(self.parts, plains, strict=True):
            if part.kind in BROKERS:
                channels[self.keys[part.name]] = self.channel(part, dict(settings))
            elif part.kind == "publisher" and self.kind_of(part.to) in BROKERS:
                operations[self.keys[part.name]] = self.sending(part, dict(settings))
            elif part.kind == "consumer" and self.kind_of(part.of) in BROKERS:
                operations[self.keys[part.name]] = {}
            else:
                listed.append(settings)
                continue
            listed.append(part.name)
        for part in self.parts:
            if part.kind == "consumer" and self.kind_of(part.of) in BROKERS:
                self.meet(part)
        for part, settings in zip(self.parts, plains, strict=True):
            if operations.get(self.keys.get(part.name or "", "")) == {}:
                operations[self.keys[part.name]] = self.receiving(part, dict(settings))
        for broker, types in self.types.items():
            referred = {kind: {"$ref": f"#/components/messages/{kind}"} for kind in types}
            channels[self.keys[broker]]["messages"] = referred
        spoken = {_SPOKEN[part.kind]: None for part in self.parts if part.kind in BROKERS}
        servers = {each: {"host": f"localhost:{_PORTS[each]}", "protocol": each} for each in spoken}
        return {
            "asyncapi": VERSION,
            "info": {"title": self.name, "version": "1.0.0"},
            "defaultContentType": "application/cloudevents+json"
            if self.envelope == "structured"
            else "application/json",
            "servers": servers,
            "channels": channels,
            "operations": operations,
            "components": {"messages": self.messages},
            EXTENSION: {"parts": listed},
        }

    def kind_of(self, name: str) -> str:
        """The kind of the part of this name."""
        part = self.known.get(name)
        return str(part.kind) if part is not None else ""

    # ---------------------------------------------------------------- brokers

    def channel(self, part: Any, settings: dict[str, Any]) -> dict[str, Any]:
        """A broker as a channel."""
        kind, name = settings.pop("kind"), settings.pop("name")
        self.types.setdefault(name, [])
        bindings: dict[str, Any] = {}
        if kind == "log":
            bindings = {"kafka": write_kafka(part)}
            said = {"partitions", "replicas", "compaction", "retention_bytes", "min_insync_replicas"}
            said |= {field for field in ("retention_s", "delete_retention_s") if _is_whole(part, field)}
            settings = {field: value for field, value in settings.items() if field not in said}
        elif kind in {"queue", "exchange"}:
            bindings = {"amqp": write_amqp(part)}
            settings.pop("durable" if kind == "queue" else "type", None)
        more = settings if kind in {"log", "queue", "exchange", "pubsub"} else {"kind": kind} | settings
        if kind not in {"log", "queue", "exchange"}:
            more = {"kind": kind} | settings
        if "{" in name or not name.strip():
            more = {"name": name} | more
        channel = {"address": name, "servers": [{"$ref": f"#/servers/{_SPOKEN[kind]}"}], "messages": {}}
        return channel | ({"bindings": bindings} if bindings else {}) | ({EXTENSION: more} if more else {})

    # ---------------------------------------------------------------- publishers and consumers

    def operation(self, action: str, part: Any, broker: str, types: list[str] | None) -> dict[str, Any]:
        """What operations of both kinds begin with."""
        at = f"#/channels/{self.keys[broker]}"
        found: dict[str, Any] = {"action": action, "channel": {"$ref": at}, "title": part.name}
        if types is not None:
            found["messages"] = [{"$ref": f"{at}/messages/{kind}"} for kind in types]
        return found

    def sending(self, part: Any, settings: dict[str, Any]) -> dict[str, Any]:
        """A publisher as an operation that sends."""
        schemas = {field: write_schema(given, settings["data"][field]) for field, given in part.data.items()}
        if None not in map(read_schema, schemas.values()):
            settings.pop("data", None)
        key = self.message(part, {"type": "object", "properties": schemas})
        found = self.operation("send", part, part.to, [key])
        for field in ("kind", "name", "to", "type"):
            settings.pop(field, None)
        properties = settings.pop("message", None)
        if properties is not None:
            if self.kind_of(part.to) in {"queue", "exchange"}:
                found["bindings"] = {"amqp": write_properties(part.message)}
                said = {"routing_key", "persistent", "priority", "mandatory"}
                said |= {"expiration_s"} if whole_ms(part.message.expiration_s) is not None else set()
                properties = {field: value for field, value in properties.items() if field not in said | {"kind"}}
            if properties:
                settings["message"] = properties
        return found | self.extension(part, settings)

    def message(self, part: Any, schema: dict[str, Any]) -> str:
        """The message that a publisher sends, among the components and in its channel: its key."""
        message = self.described(part.type, _SPOKEN[self.kind_of(part.to)], schema, part.version)
        key = part.type
        if self.messages.setdefault(key, message) != message:
            key = f"{part.type}.{self.keys[part.name]}"
            self.messages[key] = message
        if key not in self.types.setdefault(part.to, []):
            self.types[part.to].append(key)
        return str(key)

    def described(self, event_type: str, spoken: str, schema: dict[str, Any], version: int = 1) -> dict[str, Any]:
        """A message: its envelope and what is in it."""
        attributes: dict[str, Any] = {"specversion": {"const": "1.0"}} | {
            attribute: {"type": "string"} for attribute in ATTRIBUTES.values() if attribute in _TEXTS
        }
        attributes |= {"type": {"const": event_type}, "time": {"type": "string", "format": "date-time"}}
        attributes["dataversion"] = {"const": version}
        message: dict[str, Any] = {"name": event_type}
        required = ["specversion", "id", "source", "type", "time"]
        if self.envelope == "structured":
            message["contentType"] = "application/cloudevents+json"
            message["payload"] = {"type": "object", "required": required, "properties": attributes | {"data": schema}}
        else:
            prefix = _HEADERS[spoken]
            headers = {f"{prefix}{attribute}": given for attribute, given in attributes.items()}
            names = [f"{prefix}{attribute}" for attribute in required]
            message["contentType"] = "application/json"
            message["headers"] = {"type": "object", "required": names, "properties": headers}
            message["payload"] = schema
        return message | ({"bindings": {"kafka": {"key": {"type": "string"}}}} if spoken == "kafka" else {})

    def meet(self, part: Any) -> None:
        """The types that a consumer takes are messages of its channel, also where nobody here sends them."""
        known = self.types[part.of]
        for kind in _wanted(part):
            if not any(self.messages[key]["name"] == kind for key in known):
                self.messages.setdefault(kind, self.described(kind, _SPOKEN[self.kind_of(part.of)], {"type": "object"}))
                known.append(kind)

    def receiving(self, part: Any, settings: dict[str, Any]) -> dict[str, Any]:
        """A consumer as an operation that receives; its types are messages of the channel."""
        known, wanted = self.types[part.of], _wanted(part)
        taken = [key for key in known if self.messages[key]["name"] in wanted] if wanted else None
        names = dict.fromkeys(self.messages[key]["name"] for key in taken or ())
        if taken is not None and len(taken) < len(known) and tuple(names) == part.types and part.on is None:
            settings.pop("types")
        found = self.operation("receive", part, part.of, taken)
        group, kind = settings.get("group"), self.kind_of(part.of)
        if kind == "log":
            found["bindings"] = {"kafka": {"groupId": {"type": "string", "enum": [part.group_name]}}}
        elif kind == "pubsub":
            found["bindings"] = {"nats": {"queue": part.group_name}}
        elif kind in {"queue", "exchange"}:
            found["bindings"] = {"amqp": {"ack": part.commit != "before"}}
        if kind in {"log", "pubsub"} and group != part.name:
            settings.pop("group", None)
        for field in ("kind", "name", "of"):
            settings.pop(field)
        return found | self.extension(part, settings)

    def extension(self, part: Any, settings: dict[str, Any]) -> dict[str, Any]:
        """What AsyncAPI does not say of a part, its name included where no key can be like it."""
        name = {} if self.keys[part.name] == part.name else {"name": part.name}
        more = name | settings
        return {EXTENSION: more} if more else {}


def _wanted(part: Any) -> list[str]:
    """The types that a consumer says that it takes."""
    return list(part.on if part.on is not None else part.types or ())


def _is_whole(part: Any, field: str) -> bool:
    return whole_ms(getattr(part, field, None)) is not None


def _free(name: str, taken: set[str]) -> str:
    """A key for this name that needs no escape in a reference."""
    key = re.sub(r"[^A-Za-z0-9_.-]", "_", name) or "_"
    while key in taken:
        key = f"{key}_"
    return key
