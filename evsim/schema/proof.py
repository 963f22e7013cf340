"""The proof that old events are still read: every stored version of every type, once, to the newest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evsim.errors import BadEvent, BadSchema, shown
from evsim.event import Event, thaw

if TYPE_CHECKING:
    from evsim.schema.registry import Registry


@dataclass(frozen=True)
class Proof:
    """What was read: how many payloads of each version of each type, and by which upcasters."""

    read: Mapping[str, Mapping[int, int]]
    steps: Mapping[str, tuple[str, ...]]

    def __repr__(self) -> str:
        lines = []
        for event_type, versions in self.read.items():
            told = ", ".join(f"{version} ({count})" for version, count in versions.items())
            ways = "; ".join(self.steps[event_type])
            lines.append(f"✓  {event_type}: versions {told}" + (f"; {ways}" if ways else ""))
        return "\n".join(lines)


def prove(registry: Registry, stored: Iterable[Event] | Mapping[str, Mapping[int, Any]]) -> Proof:
    """Complete: each version reaches the newest. Wired: reading a stored one goes there. Pure: twice the same."""
    gap = next(iter(registry.gaps()), None)
    if gap is not None:
        raise BadSchema(f"the chain is broken at {gap}; register an upcaster for this step, or mend it")
    read: dict[str, dict[int, int]] = {
        event_type: dict.fromkeys(registry.versions(event_type), 0) for event_type in registry.types
    }
    for event in _events(stored):
        _read_twice(registry, event)
        read[event.type][event.version] += 1
    missing = [(event_type, version) for event_type, counts in read.items() for version, n in counts.items() if not n]
    if missing:
        listed = ", ".join(f"{event_type} {version}" for event_type, version in missing[:3])
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise BadSchema(f"nothing was read of {listed}{more}, so nothing is proved; add a stored payload of each")
    steps = {
        event_type: tuple(str(step) for version in counts if (step := registry.upcaster(event_type, version)))
        for event_type, counts in read.items()
    }
    return Proof(read, steps)


def _read_twice(registry: Registry, event: Event) -> None:
    """Read an event as what it says it is, then as the newest, twice."""
    before = thaw(event.data)
    try:
        registry.read(event, version=min(event.version, registry.newest(event.type)))
        first, second = registry.upcasted(event), registry.upcasted(event)
    except BadEvent as problem:
        raise BadSchema(f"a stored event is not read: {problem}") from problem
    except LookupError as problem:
        raise BadSchema(f"event {event.id} is of the unknown type {event.type!r}: {problem}") from problem
    if first.data != second.data:
        raise BadSchema(
            f"reading {event.type} {event.version} twice gives two payloads; an upcaster must be pure: "
            "no clock, no chance, no memory"
        )
    assert thaw(event.data) == before, "an upcaster is given a copy"


def _events(stored: Any) -> Iterator[Event]:
    if not isinstance(stored, Iterable) or isinstance(stored, str | bytes):
        raise BadSchema(f"{shown(stored)} is nothing stored; {_EXPECTED}")
    for each in stored if not isinstance(stored, Mapping) else _samples(stored):
        if not isinstance(each, Event):
            raise BadSchema(f"{shown(each)} is no event; {_EXPECTED}")
        yield each


_EXPECTED = "give events, or payloads as {type: {version: payload}}"


def _samples(stored: Mapping[str, Any]) -> Iterator[Event]:
    for event_type, versions in stored.items():
        if not isinstance(versions, Mapping):
            raise BadSchema(f"{shown(versions)} is given for {event_type!r}; {_EXPECTED}")
        for version, payload in versions.items():
            yield Event(f"sample.{event_type}.{version}", event_type, 0.0, "samples", payload, version=version)
