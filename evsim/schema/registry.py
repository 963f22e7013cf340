"""The versions of every type of event: what may be registered, and how an event of any version is read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from evsim.errors import BadEvent, BadSchema, UnknownName, did_you_mean, shown
from evsim.event import Event, thaw
from evsim.kinds import kind_of
from evsim.schema.chain import Chain
from evsim.schema.export import asyncapi, json_schema
from evsim.schema.models import check_alone, in_one_sentence, known_model
from evsim.schema.payload import Model, validated, written
from evsim.schema.proof import Proof, prove
from evsim.schema.upcasting import Step, Upcaster
from evsim.schema.verdict import Mode, Verdict, compatible, directions, known_mode, told_once
from evsim.schema.weak import weakened


class Registry:
    """``registry = Registry("backward")``: the models of the payloads, by type and version.

    A new version must keep the mode towards those before it, else it is refused and nothing is changed. ``modes`` gives
    single types another mode. Where an upcaster leads from one version to the next, old payloads are read through it.
    """

    def __init__(self, mode: str = "backward", modes: Mapping[str, str] | None = None) -> None:
        if modes is not None and not isinstance(modes, Mapping):
            raise BadSchema(
                f"modes={shown(modes)} is no mapping; give a mode for each type, as {{'order.placed': 'full'}}"
            )
        self._mode = known_mode(mode)
        self._modes = {event_type: known_mode(each) for event_type, each in (modes or {}).items()}
        self._chains: dict[str, Chain] = {}

    # ---------------------------------------------------------------- what is known

    @property
    def types(self) -> tuple[str, ...]:
        """The types of event that are known, in the order in which they were registered."""
        return tuple(self._chains)

    def mode(self, event_type: str) -> Mode:
        """The mode that this type must keep."""
        return self._modes.get(event_type, self._mode)

    def versions(self, event_type: str) -> range:
        """The versions of a type: 1, 2, … without a gap."""
        return self._known(event_type).versions

    def newest(self, event_type: str) -> int:
        """The newest version of a type."""
        return self._known(event_type).newest

    def model(self, event_type: str, version: int | None = None) -> Model:
        """The model of one version, or of the newest."""
        chain = self._known(event_type)
        return chain.model(chain.newest if version is None else version)

    def upcaster(self, event_type: str, from_version: int) -> Step | None:
        """The upcaster from this version to the next, if there is one."""
        return self._known(event_type).steps.get(from_version)

    def _known(self, event_type: object) -> Chain:
        chain = self._chains.get(event_type) if isinstance(event_type, str) else None
        if chain is None:
            hint = did_you_mean(event_type, self._chains) or "; no type is registered yet"
            raise UnknownName(f"no schema for events of type {shown(event_type)}{hint}")
        return chain

    # ---------------------------------------------------------------- registering

    def register(self, event_type: str, version: int, model: Any) -> Verdict:
        """Take the next version of a type, or refuse it with the reason and a payload that would fail."""
        chain = self._chain(event_type)
        known_model(model)
        if (said := chain.out_of_turn(version)) is not None:
            raise BadSchema(said)
        with in_one_sentence(model):
            check_alone(event_type, version, model)
        verdict = self.verdict(event_type, model)
        if not verdict.ok:
            raise BadSchema(_refusal(event_type, version, verdict, version - 1 in chain.steps))
        chain.models.append(model)
        self._chains[event_type] = chain
        return verdict

    def verdict(self, event_type: str, model: Model, mode: str | None = None) -> Verdict:
        """What registering this model as the next version would lead to; nothing is changed."""
        chain = self._chain(event_type)
        asked = known_mode(mode) if mode is not None else self.mode(event_type)
        if not chain.models:
            return Verdict(asked, (), (), ())
        found = compatible(chain.models, model, asked)
        first = 1 if asked.endswith("_transitive") else chain.newest
        backward = [chain.unread(version, model, chain.newest + 1) for version in chain.versions[first - 1 :]]
        return replace(found, backward=told_once(problem for each in backward for problem in each))

    def _chain(self, event_type: object) -> Chain:
        """The versions of a type, which may be none."""
        if not isinstance(event_type, str):
            raise BadSchema(f"{shown(event_type)} is no type of an event; name it like 'order.placed'")
        kind_of(event_type)
        return self._chains.get(event_type) or Chain(event_type)

    def upcast(self, event_type: str, from_version: int, function: Upcaster) -> None:
        """Have ``function`` bring payloads from this version to the next; it may be given before the next version."""
        self._known(event_type).upcast(from_version, function)

    # ---------------------------------------------------------------- reading

    def read(self, event: Event, version: int | None = None, *, weak: bool = False) -> BaseModel:
        """The payload of an event as the model of ``version`` (None: the newest), or BadEvent.

        An older payload is brought up step by step. A newer one is read as it is, with the older model: so an old
        consumer reads. ``weak`` looks at names alone: unknown ones are passed over, and what is missing is its default,
        or None.
        """
        chain = self._chain_of(event, any_version=weak)
        target = chain.newest if version is None else version
        model = chain.model(target)
        payload = chain.raised(thaw(event.data), event.version, target)
        title = f"event {event.id}, {event.type} {event.version}, read as version {target}"
        return validated(weakened(model) if weak else model, payload, title)

    def check(self, event: Event) -> None:
        """Refuse with BadEvent what is no payload of the version that the event itself names."""
        model = self._chain_of(event).model(event.version)
        title = f"event {event.id} is no {event.type} {event.version}"
        validated(model, thaw(event.data), title, "mend the event, or give it the version that it was written in")

    def upcasted(self, event: Event) -> Event:
        """The event with its payload in the newest version, checked; all else is as it was."""
        self.read(event)
        chain = self._known(event.type)
        data = chain.raised(thaw(event.data), event.version, chain.newest)
        return Event.from_dict(event.to_dict() | {"version": chain.newest, "data": data})

    def write(self, event_type: str, payload: BaseModel) -> tuple[int, dict[str, Any]]:
        """The version and the JSON object with which this payload travels: ``version=…, data=…`` of its event.

        It is read once before it is given out: BadEvent when its own version would not read it, or not all of it.
        """
        models = self._known(event_type).models
        for version, model in enumerate(models, start=1):
            if type(payload) is model:
                return version, written(payload, f"{event_type} {version} is not written")
        known = ", ".join(model.__name__ for model in models)
        raise BadEvent(f"{type(payload).__name__} is no version of {event_type}; known: {known}")

    def _chain_of(self, event: Event, *, any_version: bool = False) -> Chain:
        """The versions among which that of an event is, or BadEvent."""
        if not isinstance(event, Event):
            raise BadEvent(f"{shown(event)} is no event; expected an ev.Event")
        chain = self._chains.get(event.type)
        if chain is None:
            hint = did_you_mean(event.type, self._chains) or "; no type is registered yet"
            raise BadEvent(f"event {event.id} has the unknown type {event.type!r}{hint}")
        if event.version > chain.newest and not any_version:
            raise BadEvent(f"event {event.id}: {chain.unknown(event.version)}")
        return chain

    # ---------------------------------------------------------------- proof and export

    def prove(self, stored: Iterable[Event] | Mapping[str, Mapping[int, Any]]) -> Proof:
        """Read every version of every type once, from events or from ``{type: {version: payload}}``, or BadSchema."""
        return prove(self, stored)

    def gaps(self) -> tuple[str, ...]:
        """Every stretch that neither upcasters nor the schemas themselves take: old events would be stranded there."""
        return tuple(gap for chain in self._chains.values() for gap in chain.gaps())

    def json_schema(self, event_type: str, version: int | None = None) -> dict[str, Any]:
        """The JSON Schema of what one version reads, as pydantic writes it."""
        model = self.model(event_type, version)
        number = self.newest(event_type) if version is None else version
        head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:{event_type}:{number}"}
        return head | json_schema(model)

    def to_json(self) -> str:
        """All schemas of all types, by type and version."""
        whole = {
            event_type: {str(version): self.json_schema(event_type, version) for version in chain.versions}
            for event_type, chain in self._chains.items()
        }
        return json.dumps(whole, indent=1, ensure_ascii=False)

    def to_asyncapi(self, title: str = "events") -> dict[str, Any]:
        """An AsyncAPI 3 document with a message for each version of each type, its payload as JSON Schema."""
        return asyncapi(self, title)

    def __repr__(self) -> str:
        lines = [f"Registry, {self._mode}"]
        for event_type, chain in self._chains.items():
            steps = ", ".join(f"{version} → {version + 1}" for version in sorted(chain.steps))
            upcast = f", upcasters {steps}" if steps else ""
            versions = "version 1" if chain.newest == 1 else f"versions 1 to {chain.newest}"
            lines.append(f"  {event_type}  {versions}, {self.mode(event_type)}{upcast}")
        return "\n".join(lines)


_CURE = {
    "backward": "give new fields a default, or register an upcaster first",
    "forward": "leave old readers what they need",
}


def _refusal(event_type: str, version: int, verdict: Verdict, upcast: bool) -> str:
    way = next(way for way in directions(verdict.mode) if getattr(verdict, way))
    problem = getattr(verdict, way)[0]
    cure = "mend the upcaster: it meets such payloads" if upcast and way == "backward" else _CURE[way]
    count = len(verdict.problems)
    more = f" (and {count - 1} more)" if count > 1 else ""
    return f"{event_type} {version} is not {way} compatible: {problem}{more}; {cure}"
