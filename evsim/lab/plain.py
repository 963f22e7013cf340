"""Parts as plain JSON: what a file holds, what a digest is taken of, and what two scenarios are compared by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any

from evsim.errors import BadScenario, shown
from evsim.lab.handlers import HANDLERS
from evsim.laws import Choice, Constant, Law
from evsim.sim.broker.exchange import Exchange
from evsim.sim.broker.log import Log
from evsim.sim.broker.pubsub import PubSub
from evsim.sim.broker.queue import Queue
from evsim.sim.broker.stream import Stream
from evsim.sim.broker.webhook import Replay, Webhook
from evsim.sim.cache import Cache
from evsim.sim.campaign import Campaign
from evsim.sim.clients import Clients
from evsim.sim.consumer import Consumer
from evsim.sim.disks import DiskFull
from evsim.sim.envelopes import Skew, WrongVersion
from evsim.sim.event_store import EventStore
from evsim.sim.faults import Crash, Delay, Drop, Duplicate, Join, Leave, Partition, Pause
from evsim.sim.gray import Corrupt, Poison, Reorder, Slow
from evsim.sim.growth import AddPartitions
from evsim.sim.network import Link
from evsim.sim.part import Part
from evsim.sim.projection import Projection
from evsim.sim.publisher import Publisher
from evsim.sim.redrive import Redrive
from evsim.sim.relay import Relay
from evsim.sim.resequencer import Resequencer
from evsim.sim.router import Router, Wiretap
from evsim.sim.saga import Saga
from evsim.sim.service import Service
from evsim.value import Value

PARTS: tuple[type[Part], ...] = (
    Publisher, Log, Queue, Exchange, Consumer, Service, Link,
    PubSub, Webhook, Stream,
    Router, Wiretap, Resequencer, Relay, Cache, Redrive, EventStore, Saga, Projection, Clients,
    Crash, Pause, Drop, Duplicate, Delay, Partition, Join, Leave,
    Slow, Reorder, Corrupt, Poison, Replay, Campaign, AddPartitions, Skew, WrongVersion, DiskFull,
)  # fmt: skip
"""Every kind of part that a file may hold."""

KINDS: dict[str, type[Part]] = {part.model_fields["kind"].default: part for part in PARTS}
_LAWS: tuple[type[Value], ...] = (*Law.__subclasses__(), Choice)
LAWS: dict[str, type[Value]] = {law.model_fields["kind"].default: law for law in _LAWS}

_WHOLE_MAX = 2.0**53
Naming = Callable[[Any], Any]


def plain(part: Part, name: Naming) -> dict[str, Any]:
    """A part as JSON: its kind, then every setting that is not its default; ``name`` gives words for functions."""
    settings = _settings(part, name)
    if isinstance(part, Link) and part.name == f"{part.start}>{part.end}":
        settings.pop("name", None)
    if isinstance(part, Publisher) and part.data:
        settings["data"] = {field: _payload(part, field, given, name) for field, given in part.data.items()}
    return settings


def _settings(value: Value, name: Naming) -> dict[str, Any]:
    said: dict[str, Any] = {"kind": type(value).model_fields["kind"].default}
    for field, info in type(value).model_fields.items():
        given = getattr(value, field)
        default = None if info.is_required() else info.get_default(call_default_factory=True)
        if field != "kind" and (info.is_required() or type(given) is not type(default) or given != default):
            said[field] = _plain(given, name) if isinstance(value, Choice) else _short(_plain(given, name))
    return said


def _short(said: Any) -> Any:
    """``20`` for ``20.0`` where a setting is a number of either kind; payloads stay as they are."""
    if isinstance(said, list):
        return [_short(entry) for entry in said]
    return int(said) if isinstance(said, float) and said.is_integer() and abs(said) < _WHOLE_MAX else said


def _plain(value: Any, name: Naming) -> Any:
    if isinstance(value, Constant):
        return value.value
    if isinstance(value, Value):
        return _settings(value, name)
    if isinstance(value, Mapping):
        return {str(key): _plain(entry, name) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry, name) for entry in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return name(value)


def _payload(part: Publisher, field: str, given: Any, name: Naming) -> Any:
    """A field of the payload: a law stays a law, also a constant one, and nothing else may look like one."""
    if isinstance(given, Law | Choice):
        return _settings(given, name)
    if is_law(given):
        raise BadScenario(
            f"{part.title}: data field {field!r} is a mapping that looks like a law; "
            f"give the law itself, such as {LAWS[given['kind']].__name__}(…), or rename its 'kind'"
        )
    return _plain(given, name)


def is_law(given: Any) -> bool:
    """Whether this JSON describes a law."""
    return isinstance(given, Mapping) and isinstance(given.get("kind"), str) and given["kind"] in LAWS


# ---------------------------------------------------------------- functions


def file_name(function: Any) -> str:
    """The name under which a file may mention this function."""
    for name, known in HANDLERS.items():
        if known is function:
            return name
    said = getattr(function, "__name__", None) or shown(function)
    raise BadScenario(
        f"{said!r} is a function of your own and cannot be written to a file; "
        f"a file may name the catalogue's handlers only: {', '.join(HANDLERS)}"
    )


def identity(function: Any) -> Any:
    """What stands for a function in a digest: the catalogue's name, or its own and a hash of what it does."""
    if any(known is function for known in HANDLERS.values()):
        return file_name(function)
    named = getattr(function, "__qualname__", None) or type(function).__qualname__
    return {"function": named, "code": _code_digest(function)}


def own_functions(parts: tuple[Any, ...]) -> list[str]:
    """The names of the functions in these parts that live outside the catalogue."""
    found: list[str] = []

    def note(function: Any) -> str:
        if not any(known is function for known in HANDLERS.values()):
            found.append(getattr(function, "__name__", shown(function)))
        return ""

    for part in parts:
        if isinstance(part, Part):
            plain(part, note)
        else:
            note(part)
    return list(dict.fromkeys(found))


def _code_digest(function: Any) -> str:
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)
    cells = [_held(cell) for cell in getattr(function, "__closure__", None) or ()]
    facts = [_code_facts(code), _held_values(getattr(function, "__defaults__", None) or ()), cells]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]


def _held(cell: Any) -> str:
    try:
        return _stable(cell.cell_contents)
    except ValueError:
        return "empty"


def _held_values(values: tuple[Any, ...]) -> list[str]:
    return [_stable(value) for value in values]


def _stable(value: Any) -> str:
    """A value as text without addresses of memory."""
    if callable(value):
        return getattr(value, "__qualname__", type(value).__qualname__)
    if isinstance(value, frozenset):
        return f"set {sorted(map(_stable, value))}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_stable, value))})"
    if isinstance(value, bool | int | float | str | bytes | type(None) | Value):
        return repr(value)
    return type(value).__qualname__


def _code_facts(code: CodeType | None) -> list[Any]:
    """Bytecode, constants and names; not the lines, so that a cell may move."""
    if code is None:
        return []
    constants = [_code_facts(c) if isinstance(c, CodeType) else _stable(c) for c in code.co_consts]
    return [code.co_code.hex(), constants, list(code.co_names)]


# ---------------------------------------------------------------- the whole


def canonical(name: str, parts: tuple[Any, ...]) -> str:
    """A scenario as one line of JSON that is equal for equal scenarios."""
    described = [plain(part, identity) if isinstance(part, Part) else identity(part) for part in parts]
    return json.dumps({"name": name, "parts": described}, sort_keys=True, separators=(",", ":"))
