"""RabbitMQ definitions read as scenarios: the exchanges, queues, bindings and policies of one virtual host.

Definitions are what ``rabbitmqctl export_definitions`` or the management interface writes. They hold no publishers and
no consumers; add them with ``.plus``. Users and permissions are left out, and so is what does not change behaviour here
(auto-delete, exclusive, where leaders are placed). What would, and is not known here, is refused. Names and meanings:
https://www.rabbitmq.com/docs/definitions, https://www.rabbitmq.com/docs/queues, https://www.rabbitmq.com/docs/policies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from evsim.errors import BadScenario, did_you_mean, shown
from evsim.lab.foreign import Foreign, part_name
from evsim.lab.marks import Path
from evsim.patterns.matching import topic_problem
from evsim.sim.part import Part

MS = {"message-ttl": "message_ttl_s", "expires": "expires_s", "consumer-timeout": "consumer_timeout_s"}
"""Settings of a queue that RabbitMQ gives in milliseconds."""

SAME = {
    "max-length": "max_length", "overflow": "overflow", "max-priority": "max_priority",
    "single-active-consumer": "single_active_consumer", "delivery-limit": "delivery_limit", "queue-type": "type",
    "dead-letter-routing-key": "dead_letter_routing_key",
}  # fmt: skip
"""Settings of a queue that mean the same here under another name."""

_HARMLESS = {
    "queue-mode", "queue-version", "queue-leader-locator", "queue-master-locator", "quorum-initial-group-size",
    "quorum-target-group-size", "max-in-memory-length", "max-in-memory-bytes", "dead-letter-strategy", "ha-mode",
    "ha-params", "ha-sync-mode", "ha-promote-on-failure", "ha-promote-on-shutdown", "federation-upstream",
    "federation-upstream-set",
}  # fmt: skip
_TYPES = ("direct", "fanout", "topic", "headers")
_PREDECLARED = {f"amq.{kind}": kind for kind in _TYPES} | {"amq.match": "headers", "amq.rabbitmq.trace": "topic"}
_NAME_MAX = 255
_REPEATS_MAX = 3
_REPEATS = re.compile(r"[*+{]")
_REPEATED_GROUP = re.compile(r"\)[*+{?]")


def read(text: str, vhost: str | None = None, where: str = "definitions") -> tuple[str, tuple[Part, ...]]:
    """The name and the parts that definitions describe, or BadScenario with every problem and its line."""
    definitions = Definitions(text, vhost, where)
    described = definitions.described()
    return definitions.name, definitions.parts(described)


class Definitions(Foreign):
    """Definitions on their way to a scenario."""

    def __init__(self, text: str, vhost: str | None, where: str) -> None:
        super().__init__(text, where)
        self.taken: set[str] = set()
        self.queues: dict[str, str] = {}
        self.exchanges: dict[str, str] = {}
        self.settings: dict[str, tuple[Path, dict[str, Any]]] = {}
        if not isinstance(self.data, dict):
            raise BadScenario(f"{where}: definitions are one JSON object with 'queues', 'exchanges' and 'bindings'")
        self.vhost = self._vhost(vhost)
        self.name = "rabbitmq" if self.vhost == "/" else f"rabbitmq {self.vhost}"
        self.policies = sorted(self._policies(), key=lambda policy: -policy[0])

    def described(self) -> list[tuple[Path, dict[str, Any]]]:
        """The settings of each exchange and queue, with where they stand."""
        queues, exchanges = [*self.listed("queues")], [*self.listed("exchanges")]
        for _, queue in queues:
            self.queues[queue["name"]] = part_name(queue["name"], self.taken)
        used = {str(binding.get("source")) for _, binding in self.every("bindings")} & set(_PREDECLARED)
        declared = {exchange["name"] for _, exchange in exchanges}
        exchanges += [(("bindings",), {"name": n, "type": _PREDECLARED[n]}) for n in sorted(used - declared)]
        exchanges = [each for each in exchanges if each[1]["name"] and (each[1]["name"] in used or not _own(each[1]))]
        for _, exchange in exchanges:
            name = exchange["name"]
            self.exchanges[name] = part_name(f"{name}.exchange" if name in self.taken else name, self.taken)
        for path, exchange in exchanges:
            self.exchange(path, exchange)
        for path, queue in queues:
            self.queue(path, queue)
        for path, binding in self.every("bindings"):
            self.bind(path, binding)
        return [*self.settings.values()]

    # ---------------------------------------------------------------- what stands where

    def every(self, field: str) -> Iterator[tuple[Path, Mapping[str, Any]]]:
        """The objects of this virtual host in one of the lists."""
        for place, given in enumerate(self.sequence(self.data.get(field), (field,))):
            path: Path = (field, place)
            each = self.mapping(given, path)
            if each and each.get("vhost", self.vhost) == self.vhost:
                yield path, each

    def listed(self, field: str) -> Iterator[tuple[Path, Mapping[str, Any]]]:
        """Those that have a name."""
        for path, each in self.every(field):
            if isinstance(each.get("name"), str) and len(each["name"]) <= _NAME_MAX:
                yield path, each
            else:
                self.wrong(
                    path,
                    f"{shown(each.get('name'))} is no name; expected text of at most {_NAME_MAX} characters",
                )

    def _vhost(self, vhost: str | None) -> str:
        """The virtual host that is asked for, else the only one that has anything in it."""
        lists = [self.data.get(field) for field in ("queues", "exchanges", "bindings")]
        every = [each.get("vhost", "/") for given in lists if isinstance(given, list) for each in given if _is(each)]
        named = sorted({each for each in every if isinstance(each, str)})
        if vhost is not None:
            if vhost not in named:
                raise BadScenario(f"{self.where}: no virtual host called {vhost!r}{did_you_mean(vhost, named)}")
            return vhost
        if len(named) > 1:
            raise BadScenario(
                f"{self.where}: {len(named)} virtual hosts ({', '.join(named)}); give vhost=, one of them"
            )
        return named[0] if named else "/"

    # ---------------------------------------------------------------- policies

    def _policies(self) -> Iterator[tuple[float, re.Pattern[str], str, Mapping[str, Any], Path]]:
        for path, policy in self.every("policies"):
            pattern = policy.get("pattern")
            if not isinstance(pattern, str) or not _is_plain(pattern):
                self.wrong((*path, "pattern"), f"the pattern {shown(pattern)} is not run here; write a plainer one")
                continue
            try:
                compiled = re.compile(pattern)
            except re.error as problem:
                self.wrong((*path, "pattern"), f"the pattern {shown(pattern)} is no regular expression: {problem}")
                continue
            priority = policy.get("priority", 0)
            definition = self.mapping(policy.get("definition"), (*path, "definition"))
            applies = str(policy.get("apply-to", "all"))
            yield (priority if isinstance(priority, (int, float)) else 0), compiled, applies, definition, path

    def policy(self, name: str, kind: str) -> Mapping[str, Any]:
        """The one policy that applies: of those whose pattern fits the name, that of the highest priority."""
        for _, pattern, applies, definition, _path in self.policies:
            if (applies == "all" or applies.endswith(kind)) and pattern.search(name):
                return definition
        return {}

    # ---------------------------------------------------------------- parts

    def exchange(self, path: Path, given: Mapping[str, Any]) -> None:
        """An exchange; one that delays messages is what it delays them for."""
        name = given["name"]
        arguments = self.mapping(given.get("arguments"), (*path, "arguments"))
        kind = given.get("type")
        kind = arguments.get("x-delayed-type") if kind == "x-delayed-message" else kind
        if kind not in _TYPES:
            hint = did_you_mean(kind, _TYPES) if isinstance(kind, str) else ""
            self.wrong(
                (*path, "type"), f"the exchange {name!r} is of type {shown(kind)}, which is not known here{hint}"
            )
            return
        settings = {"kind": "exchange", "name": self.exchanges[name], "type": kind}
        alternate = arguments.get("alternate-exchange") or self.policy(name, "exchanges").get("alternate-exchange")
        if alternate is not None:
            settings["alternate"] = self.exchange_named(alternate, path)
        self.settings[f"exchange {name}"] = (path, settings)

    def queue(self, path: Path, given: Mapping[str, Any]) -> None:
        """A queue: its arguments count more than the policy that applies to it."""
        name = given["name"]
        settings: dict[str, Any] = {"kind": "queue", "name": self.queues[name]}
        if given.get("durable", True) is not True:
            settings["durable"] = False
        own = {
            str(word).removeprefix("x-"): value
            for word, value in self.mapping(given.get("arguments"), (*path, "arguments")).items()
        }
        policy = self.policy(name, "queues")
        policy = {word: value for word, value in policy.items() if word != "alternate-exchange"}
        whole = {**policy, **own}
        for word, value in whole.items():
            if word in MS:
                settings[MS[word]] = value / 1000 if isinstance(value, (int, float)) else value
            elif word in SAME:
                settings[SAME[word]] = value
            elif word not in _HARMLESS | {"dead-letter-exchange"}:
                hint = did_you_mean(word, [*MS, *SAME, "dead-letter-exchange"])
                self.wrong(path, f"the queue {name!r} has {shown(word)}, which is not known here{hint}")
        if settings.get("type") == "stream":
            self.wrong(path, f"the queue {name!r} is a stream; what is like it here is a Log, so take it out")
        if "dead-letter-exchange" in whole:
            settings["dead_letter"] = self.dead_letter(whole, name, path)
        self.settings[f"queue {name}"] = (path, settings)

    def dead_letter(self, whole: Mapping[str, Any], name: str, path: Path) -> str:
        """An exchange; or with the default exchange, the queue that the routing key names."""
        if whole["dead-letter-exchange"] != "":
            return self.exchange_named(whole["dead-letter-exchange"], path)
        return self.queue_named(whole.get("dead-letter-routing-key", name), path)

    def exchange_named(self, name: Any, path: Path) -> str:
        """The part that is this exchange."""
        name = name if isinstance(name, str) else shown(name)
        if name not in self.exchanges:
            hint = did_you_mean(name, self.exchanges)
            self.wrong(path, f"no exchange called {shown(name)} is in these definitions{hint}")
        return self.exchanges.get(name, "")

    def queue_named(self, name: Any, path: Path) -> str:
        """The part that is this queue."""
        name = name if isinstance(name, str) else shown(name)
        if name not in self.queues:
            self.wrong(path, f"no queue called {shown(name)} is in these definitions{did_you_mean(name, self.queues)}")
        return self.queues.get(name, "")

    # ---------------------------------------------------------------- bindings

    def bind(self, path: Path, binding: Mapping[str, Any]) -> None:
        """A binding from an exchange to a queue or another exchange; the default exchange needs none."""
        source, key = binding.get("source"), binding.get("routing_key", "")
        if source == "":
            return
        to_queue = binding.get("destination_type", "queue") == "queue"
        target = (self.queue_named if to_queue else self.exchange_named)(binding.get("destination"), path)
        self.exchange_named(source, path)
        if not target or f"exchange {source}" not in self.settings:
            return
        settings = self.settings[f"exchange {source}"][1]
        arguments = self.mapping(binding.get("arguments"), (*path, "arguments"))
        bound = settings.setdefault("bindings", {})
        if settings["type"] == "headers":
            if target in bound and bound[target] != arguments:
                self.wrong(
                    path, f"{source!r} is bound to {target!r} by headers twice; one headers binding is kept here"
                )
            bound[target] = dict(arguments)
            return
        problem = topic_problem(key) if isinstance(key, str) else f"{shown(key)} is no routing key; expected text"
        if problem is not None and (settings["type"] == "topic" or not isinstance(key, str)):
            self.wrong((*path, "routing_key"), problem)
            return
        keys = [*([] if target not in bound else [bound[target]] if isinstance(bound[target], str) else bound[target])]
        keys += [key] if key not in keys else []
        bound[target] = keys[0] if len(keys) == 1 else keys


def _is_plain(pattern: str) -> bool:
    """Whether a pattern is sure to be quick: short, few repetitions, and none of a group."""
    few = len(pattern) <= _NAME_MAX and len(_REPEATS.findall(pattern)) <= _REPEATS_MAX
    return few and _REPEATED_GROUP.search(pattern) is None


def _is(given: Any) -> bool:
    return isinstance(given, dict)


def _own(exchange: Mapping[str, Any]) -> bool:
    """Whether RabbitMQ makes this exchange by itself."""
    return str(exchange["name"]).startswith("amq.")
