"""AsyncAPI 3 documents read as scenarios.

A channel becomes a broker: a log where its bindings or its server speak Kafka, a queue or an exchange for AMQP, a
pub/sub for NATS and MQTT, a webhook for HTTP, a log otherwise. An operation that sends becomes a publisher for each of
its messages, one that receives a consumer. What AsyncAPI has no words for (rates, times, faults) stands in ``x-evsim``
where this house has written the document, and is a default where it has not. ``$ref`` is followed inside the document
only; nothing is fetched. See https://www.asyncapi.com/docs/reference/specification/v3.0.0 and its bindings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from evsim.errors import shown
from evsim.lab.asyncapi_words import EXTENSION, one_of, read_amqp, read_kafka, read_properties, read_schema
from evsim.lab.foreign import Foreign, event_type, part_name
from evsim.lab.marks import Path
from evsim.sim.part import Part

RATE = 1.0
"""Events a second of a publisher whose document says no rate."""

_PROTOCOLS = {
    "kafka": "log", "kafka-secure": "log", "amqp": "queue", "amqps": "queue", "nats": "pubsub", "mqtt": "pubsub",
    "mqtts": "pubsub", "secure-mqtt": "pubsub", "mqtt5": "pubsub", "http": "webhook", "https": "webhook",
}  # fmt: skip
_BROKERS = ("log", "queue", "exchange", "pubsub", "webhook", "stream")
_REFERENCES_MAX = 20


def read(text: str, where: str = "AsyncAPI") -> tuple[str, tuple[Part, ...]]:
    """The name and the parts that an AsyncAPI 3 document describes, or BadScenario with every problem and its line."""
    return _Document(text, where).scenario()


class _Document(Foreign):
    """An AsyncAPI document on its way to a scenario."""

    def __init__(self, text: str, where: str) -> None:
        super().__init__(text, where)
        self.brokers: dict[str, str] = {}
        self.taken: set[str] = set()
        self.described: dict[str, tuple[Path, dict[str, Any]]] = {}

    def scenario(self) -> tuple[str, tuple[Part, ...]]:
        """Channels first, since operations name them; then in the order of the document, or of ``x-evsim``."""
        if not isinstance(self.data, dict):
            self.wrong((), "an AsyncAPI document is a mapping with 'asyncapi', 'info', 'channels' and 'operations'")
            return "", self.parts([])
        version = self.data.get("asyncapi")
        if not isinstance(version, str) or not version.startswith("3."):
            said = "was not given" if version is None else f"is {shown(version)}"
            self.wrong(("asyncapi",), f"'asyncapi' {said}; this evsim reads AsyncAPI 3, such as 3.0.0")
        info = self.mapping(self.data.get("info"), ("info",))
        for name, given in self.mapping(self.data.get("channels"), ("channels",)).items():
            self.channel(name, given)
        for name, given in self.mapping(self.data.get("operations"), ("operations",)).items():
            self.operation(name, given)
        title = info.get("title", "scenario")
        return str(title) if isinstance(title, str) and title.strip() else "scenario", self.parts(self.ordered())

    def ordered(self) -> list[tuple[Path, dict[str, Any]]]:
        """Publishers, brokers, consumers; or as ``x-evsim`` says, with the parts that AsyncAPI does not know."""
        extension = self.mapping(self.data.get(EXTENSION), (EXTENSION,))
        listed = self.sequence(extension.get("parts"), (EXTENSION, "parts"))
        left = dict(self.described)
        found: list[tuple[Path, dict[str, Any]]] = []
        for place, each in enumerate(listed):
            if isinstance(each, dict):
                found.append(((EXTENSION, "parts", place), each))
            elif isinstance(each, str) and each in left:
                found.append(left.pop(each))
        rank = {"publisher": 0, "consumer": 2}
        return found + sorted(left.values(), key=lambda part: rank.get(part[1]["kind"], 1))

    # ---------------------------------------------------------------- references

    def resolved(self, given: Any, path: Path) -> Mapping[str, Any]:
        """What stands here, or what its ``$ref`` leads to inside this document."""
        for _ in range(_REFERENCES_MAX):
            if not isinstance(given, dict) or "$ref" not in given:
                return self.mapping(given, path)
            target = self.pointed(given["$ref"])
            if target is None:
                self.wrong((*path, "$ref"), f"{shown(given['$ref'])} leads nowhere; expected '#/…' in this document")
                return {}
            given = target[1]
        self.wrong(path, "references go round in a circle here")
        return {}

    def pointed(self, reference: Any) -> tuple[Path, Any] | None:
        """Where a ``$ref`` points to, and what stands there."""
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return None
        at: Any = self.data
        path: Path = ()
        for step in reference[2:].split("/"):
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            if not isinstance(at, dict) or name not in at:
                return None
            at, path = at[name], (*path, name)
        return path, at

    def merged(self, given: Any, path: Path) -> dict[str, Any]:
        """An object with its traits merged into it; what it says itself wins."""
        whole = self.resolved(given, path)
        found: dict[str, Any] = {}
        for place, trait in enumerate(self.sequence(whole.get("traits"), (*path, "traits"))):
            found |= self.resolved(trait, (*path, "traits", place))
        return found | dict(whole)

    def bindings(self, given: Mapping[str, Any], path: Path) -> dict[str, Mapping[str, Any]]:
        """The bindings of an object, by protocol."""
        path = (*path, "bindings")
        found = self.resolved(given.get("bindings"), path)
        return {name: self.resolved(each, (*path, name)) for name, each in found.items()}

    # ---------------------------------------------------------------- channels

    def channel(self, key: str, given: Any) -> None:
        """A channel is a broker."""
        path: Path = ("channels", key)
        channel = self.merged(given, path)
        more = dict(self.mapping(channel.get(EXTENSION), (*path, EXTENSION)))
        bindings = self.bindings(channel, path)
        kind = more.pop("kind", None) or self.kind(channel, bindings, path)
        if kind not in _BROKERS:
            self.wrong(path, f"{shown(kind)} is no kind of broker; expected {', '.join(_BROKERS)}")
            return
        address = channel.get("address")
        name = address if isinstance(address, str) and address.strip() and "{" not in address else key
        said: dict[str, Any] = {}
        if kind == "log":
            name, said = read_kafka(bindings.get("kafka", {}), name)
        elif kind in {"queue", "exchange"}:
            name, said = read_amqp(bindings.get("amqp", {}), kind, name)
        name = part_name(str(more.pop("name", None) or name), self.taken)
        self.brokers[key] = name
        self.described[name] = (path, {"kind": kind, "name": name} | more | said)

    def kind(self, channel: Mapping[str, Any], bindings: Mapping[str, Any], path: Path) -> str:
        """Which kind of broker: the bindings say it, or the server, or it is a log."""
        amqp = bindings.get("amqp")
        if amqp is not None:
            return "queue" if amqp.get("is") == "queue" else "exchange" if amqp.get("exchange") else "queue"
        spoken = [name for name in bindings if name in _PROTOCOLS]
        listed = self.sequence(channel.get("servers"), (*path, "servers"))
        servers = [(each, (*path, "servers", place)) for place, each in enumerate(listed)]
        if not listed:
            every = self.mapping(self.data.get("servers"), ("servers",))
            servers = [(each, ("servers", name)) for name, each in every.items()]
        protocols = {str(self.resolved(each, at).get("protocol")) for each, at in servers}
        if not spoken and len(protocols) == 1:
            spoken = [each for each in protocols if each in _PROTOCOLS]
        return _PROTOCOLS[spoken[0]] if spoken else "log"

    # ---------------------------------------------------------------- operations

    def operation(self, key: str, given: Any) -> None:
        """An operation is somebody who publishes or consumes."""
        path: Path = ("operations", key)
        operation = self.merged(given, path)
        more = dict(self.mapping(operation.get(EXTENSION), (*path, EXTENSION)))
        action = operation.get("action")
        if not isinstance(action, str) or action not in {"send", "receive"}:
            self.wrong((*path, "action"), f"'action' is {shown(action)}; expected send or receive")
            return
        channel = self.channel_of(operation, path)
        if channel is None:
            return
        messages = self.messages(operation, channel, path)
        bindings = self.bindings(operation, path)
        name = more.pop("name", None) or key
        if action == "send":
            self.senders(path, name, self.brokers[channel], messages, bindings, more)
        else:
            self.receiver(path, name, channel, messages, bindings, more)

    def channel_of(self, operation: Mapping[str, Any], path: Path) -> str | None:
        """The key of the channel that an operation names."""
        given = self.mapping(operation.get("channel"), (*path, "channel"))
        found = self.pointed(given.get("$ref"))
        if found is not None and len(found[0]) == 3 and found[0][:2] == ("components", "channels"):
            every = self.mapping(self.data.get("channels"), ("channels",))
            named = [key for key, each in every.items() if each == {"$ref": given["$ref"]}]
            found = (("channels", named[0]), None) if named else None
        if found is None or found[0][0] != "channels" or found[0][-1] not in self.brokers:
            self.wrong((*path, "channel"), f"{shown(given.get('$ref'))} is no channel; expected $ref: '#/channels/…'")
            return None
        return str(found[0][-1])

    def messages(self, operation: Mapping[str, Any], channel: str, path: Path) -> dict[str, Mapping[str, Any]]:
        """The messages of an operation by their keys: those that it names, else all of its channel."""
        at: Path = ("channels", channel)
        known = self.mapping(self.merged(self.data["channels"][channel], at).get("messages"), (*at, "messages"))
        if "messages" not in operation:
            return {key: self.merged(each, (*at, "messages", key)) for key, each in known.items()}
        found: dict[str, Mapping[str, Any]] = {}
        for place, each in enumerate(self.sequence(operation["messages"], (*path, "messages"))):
            here = (*path, "messages", place)
            reference = self.mapping(each, here).get("$ref")
            target = self.pointed(reference)
            key = str(target[0][-1]) if target is not None else ""
            if key not in known:
                self.wrong(here, f"{shown(reference)} is no message of the channel {channel!r}")
            else:
                found[key] = self.merged(each, here)
        return found

    def senders(
        self,
        path: Path,
        name: str,
        to: str,
        messages: Mapping[str, Mapping[str, Any]],
        bindings: Mapping[str, Mapping[str, Any]],
        more: dict[str, Any],
    ) -> None:
        """A publisher for each message that is sent."""
        every = messages or {"message": {}}
        properties = read_properties(bindings.get("amqp", {})) | dict(self.mapping(more.pop("message", None), path))
        for key, message in every.items():
            kind = event_type(str(message.get("name") or key))
            whole = name if len(every) == 1 else f"{name}.{kind}"
            settings = {"kind": "publisher", "name": part_name(whole, self.taken), "to": to, "type": kind} | more
            if not {"rate", "gap_s", "clients", "replay"} & set(more):
                settings["rate"] = RATE
            if "data" not in more and (data := self.payload(message, path)):
                settings["data"] = data
            if properties:
                settings["message"] = {"kind": "message"} | properties
            self.described[settings["name"]] = (path, settings)

    def receiver(
        self,
        path: Path,
        name: str,
        channel: str,
        messages: Mapping[str, Mapping[str, Any]],
        bindings: Mapping[str, Mapping[str, Any]],
        more: dict[str, Any],
    ) -> None:
        """A consumer; of the channel's messages it takes those that the operation names."""
        group = one_of(bindings.get("kafka", {}).get("groupId")) or bindings.get("nats", {}).get("queue")
        settings: dict[str, Any] = {
            "kind": "consumer",
            "name": part_name(name, self.taken),
            "of": self.brokers[channel],
        }
        if group and group != settings["name"]:
            settings["group"] = group
        known = self.mapping(self.resolved(self.data["channels"][channel], path).get("messages"), path)
        if len(messages) < len(known) and not {"on", "types"} & set(more):
            names = [event_type(str(message.get("name") or key)) for key, message in messages.items()]
            settings["types"] = list(dict.fromkeys(names))
        self.described[settings["name"]] = (path, settings | more)

    # ---------------------------------------------------------------- payloads

    def payload(self, message: Mapping[str, Any], path: Path) -> dict[str, Any]:
        """What draws the payload that a schema describes; of a CloudEvents envelope, its data."""
        schema = self.schema(message.get("payload"), path)
        properties = self.mapping(schema.get("properties"), path)
        if {"specversion", "data"} <= set(properties):
            properties = self.mapping(self.schema(properties["data"], path).get("properties"), path)
        drawn = {name: read_schema(self.schema(each, path)) for name, each in properties.items()}
        return {name: value for name, value in drawn.items() if value is not None}

    def schema(self, given: Any, path: Path) -> Mapping[str, Any]:
        """A schema, or that of a multi-format schema; true and false say nothing."""
        found = self.resolved(None if isinstance(given, bool) else given, path)
        return self.resolved(found["schema"], path) if "schemaFormat" in found else found
