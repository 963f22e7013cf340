"""The exchanges and queues of a scenario, written as RabbitMQ definitions that a broker can import."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from evsim.errors import BadScenario, a_or_an
from evsim.lab.rabbitmq import MS, SAME
from evsim.lab.sense import named


def written(parts: tuple[Any, ...]) -> str:
    """Definitions as JSON text, for the virtual host ``/``; what is no exchange and no queue is left out."""
    return json.dumps(document(parts), indent=2) + "\n"


def document(parts: tuple[Any, ...]) -> dict[str, Any]:
    """Definitions as plain values."""
    known = named(parts)
    kinds = {name: str(part.kind) for name, part in known.items()}
    queues = [part for part in known.values() if part.kind == "queue"]
    exchanges = [part for part in known.values() if part.kind == "exchange"]
    return {
        "vhosts": [{"name": "/"}],
        "policies": [],
        "queues": [_queue(part, kinds) for part in queues],
        "exchanges": [_exchange(part) for part in exchanges],
        "bindings": [binding for part in exchanges for binding in _bindings(part, kinds)],
    }


def _queue(queue: Any, kinds: Mapping[str, str]) -> dict[str, Any]:
    if queue.visibility_timeout_s is not None or queue.fifo:
        raise BadScenario(
            f"queue {queue.name!r} works as SQS does, which RabbitMQ cannot; take out its visibility timeout"
        )
    arguments: dict[str, Any] = {}
    plainest = type(queue)(queue.name)
    for word, field in {**SAME, **MS}.items():
        value = getattr(queue, field)
        if value is not None and (value != getattr(plainest, field) or word == "queue-type"):
            arguments[f"x-{word}"] = round(value * 1000) if word in MS else value
    if queue.dead_letter is not None:
        arguments |= _dead_letter(queue, kinds)
    return {
        "name": queue.name, "vhost": "/", "durable": queue.durable, "auto_delete": False, "arguments": arguments
    }  # fmt: skip


def _dead_letter(queue: Any, kinds: Mapping[str, str]) -> dict[str, Any]:
    """To a queue one gets through the default exchange, by its name."""
    kind = kinds[queue.dead_letter]
    if kind == "exchange":
        return {"x-dead-letter-exchange": queue.dead_letter}
    if kind == "queue":
        return {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": queue.dead_letter}
    raise BadScenario(
        f"queue {queue.name!r} puts dead letters into {a_or_an(kind)}, which RabbitMQ cannot; give it a queue"
    )


def _exchange(exchange: Any) -> dict[str, Any]:
    arguments = {"alternate-exchange": exchange.alternate} if exchange.alternate else {}
    return {
        "name": exchange.name, "vhost": "/", "type": exchange.type, "durable": True, "auto_delete": False,
        "internal": False, "arguments": arguments,
    }  # fmt: skip


def _bindings(exchange: Any, kinds: Mapping[str, str]) -> list[dict[str, Any]]:
    found = []
    for target, bound in exchange.bindings.items():
        common = {
            "source": exchange.name, "vhost": "/", "destination": target, "destination_type": kinds.get(target, "queue")
        }  # fmt: skip
        if isinstance(bound, Mapping):
            found.append(common | {"routing_key": "", "arguments": dict(bound)})
        else:
            keys = [bound] if isinstance(bound, str) else bound or [""]
            found += [common | {"routing_key": key, "arguments": {}} for key in keys]
    return found
