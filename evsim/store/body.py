"""How a store keeps an event: as JSON, with the timestamp in seconds, and quick to read again.

What is read is checked as strictly as any event; only the checks of what comes again and again (types, sources, keys)
are remembered, and what is out of the ordinary takes the long way.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pydantic_core import from_json, to_json

from evsim.errors import BadEvent, BadFile
from evsim.event import CHECKS, REQUIRED, Event, frozen_at_once

EVENT_MAX = 1 << 20
"""Bytes of an event."""


def body_of(event: Event) -> str:
    """The event as it is stored, or BadEvent when it is too large."""
    data: Any = event.data
    fields: dict[str, Any] = {
        "id": event.id,
        "type": event.type,
        "timestamp": event.timestamp,
        "source": event.source,
        "data": data.copy(),  # to_json is quicker with a dict
    }
    if event.version != 1:
        fields["version"] = event.version
    if event.key is not None:
        fields["key"] = event.key
    if event.correlation_id is not None:
        fields["correlation_id"] = event.correlation_id
    if event.causation_id is not None:
        fields["causation_id"] = event.causation_id
    body = to_json(fields, fallback=dict)
    if len(body) > EVENT_MAX:
        raise BadEvent(f"event {event.id} has {len(body):,} bytes as JSON; expected at most {EVENT_MAX:,} bytes")
    return body.decode()


def event_of(body: str, position: int) -> Event:
    """An event as it was stored, or BadFile."""
    try:
        return _event(from_json(body, allow_inf_nan=False))
    except (ValueError, TypeError) as problem:
        raise BadFile(f"position {position} holds no event any more ({problem}); run verify()") from None


def _event(fields: Any) -> Event:
    if type(fields) is not dict or not _FIELDS.issuperset(fields):
        return Event.from_dict(fields)
    data = frozen_at_once(fields.get("data"))
    if data is None or any(name not in fields for name in REQUIRED):
        return Event.from_dict(fields)
    rest: list[Any] = [_good(name, fields[name]) if name in fields else usual for name, usual in _REST]
    return Event.trusted(
        CHECKS["id"](fields["id"], "id"),
        _good("type", fields["type"]),
        CHECKS["timestamp"](fields["timestamp"], "timestamp"),
        _good("source", fields["source"]),
        data,
        *rest,
    )


_FIELDS = frozenset(CHECKS)
_REST = (("version", 1), ("key", None), ("correlation_id", None), ("causation_id", None))


@lru_cache(maxsize=4096, typed=True)
def _good(field: str, value: Any) -> Any:
    return CHECKS[field](value, field)
