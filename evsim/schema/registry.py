"""The versions of every type of event: what may be registered, and how an event of any version is read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from evsim.errors import BadEvent, BadSchema, UnknownName, did_you_mean, shown
from evsim.event import Event, thaw
from evsim.kinds import kind_of
from evsim.schema.export import asyncapi
from evsim.schema.proof import Proof, prove
from evsim.schema.reading import Problem, reads
from evsim.schema.samples import samples
from evsim.schema.shapes import Object, resolved, shape_of
from evsim.schema.upcasting import Step, Upcaster
from evsim.schema.verdict import Mode, Model, Verdict, compatible, directions, known_mode
from evsim.schema.weak import weakened


class Registry:
    """``registry = Registry("backward")``: the models of the payloads, by type and version.

    A new version must keep the mode towards those before it, else it is refused and nothing is changed. ``modes`` gives
    single types another mode. Where an upcaster leads from one version to the next, old payloads are read through it.
    """

    def __init__(self, mode: str = "backward", modes: Mapping[str, str] | None = None) -> None:
        self._mode = known_mode(mode)
        self._modes = {event_type: known_mode(each) for event_type, each in (modes or {}).items()}
        self._models: dict[str, list[Model]] = {}
        self._steps: dict[tuple[str, int], Step] = {}

    # ---------------------------------------------------------------- what is known

    @property
    def types(self) -> tuple[str, ...]:
        """The types of event that are known, in the order in which they were registered."""
        return tuple(self._models)

    def mode(self, event_type: str) -> Mode:
        """The mode that this type must keep."""
        return self._modes.get(event_type, self._mode)

    def versions(self, event_type: str) -> range:
        """The versions of a type: 1, 2, … without a gap."""
        return range(1, len(self._known(event_type)) + 1)

    def newest(self, event_type: str) -> int:
        """The newest version of a type."""
        return len(self._known(event_type))

    def model(self, event_type: str, version: int | None = None) -> Model:
        """The model of one version, or of the newest."""
        models = self._known(event_type)
        if version is None:
            return models[-1]
        if version not in self.versions(event_type):
            raise UnknownName(_unknown_version(event_type, version, len(models)))
        return models[version - 1]

    def _known(self, event_type: str) -> list[Model]:
        try:
            return self._models[event_type]
        except KeyError:
            hint = did_you_mean(event_type, self._models) or "; no type is registered yet"
            raise UnknownName(f"no schema for events of type {event_type!r}{hint}") from None

    def upcaster(self, event_type: str, from_version: int) -> Step | None:
        """The upcaster from this version to the next, if there is one."""
        return self._steps.get((event_type, from_version))

    # ---------------------------------------------------------------- registering

    def register(self, event_type: str, version: int, model: Any) -> Verdict:
        """Take the next version of a type, or refuse it with the reason and a payload that would fail."""
        kind_of(event_type)
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise BadSchema(f"{shown(model)} is no model; give a class made from pydantic.BaseModel")
        models = self._models.get(event_type, [])
        if version != len(models) + 1:
            raise BadSchema(_out_of_turn(event_type, version, len(models)))
        _check_alone(event_type, version, model)
        verdict = self.verdict(event_type, model)
        if not verdict.ok:
            raise BadSchema(_refusal(event_type, version, verdict, (event_type, version - 1) in self._steps))
        self._models.setdefault(event_type, []).append(model)
        return verdict

    def verdict(self, event_type: str, model: Model, mode: str | None = None) -> Verdict:
        """What registering this model as the next version would lead to; nothing is changed."""
        models = self._models.get(event_type, [])
        asked = known_mode(mode) if mode is not None else self.mode(event_type)
        if not models:
            return Verdict(asked, (), (), ())
        found = compatible(models, model, asked)
        if "backward" in directions(asked) and (event_type, len(models)) in self._steps:
            return Verdict(asked, found.changes, self._after_upcasting(event_type, model, found), found.forward)
        return found

    def _after_upcasting(self, event_type: str, model: Model, found: Verdict) -> tuple[Problem, ...]:
        """What is still not read when old payloads go through the upcasters: nothing is proved, all is tried."""
        models = self._models[event_type]
        first = 1 if found.mode.endswith("_transitive") else len(models)
        for version in range(first, len(models) + 1):
            old = models[version - 1]
            tried = [*samples(shape_of(old)), *(p.example for p in reads(old, model) if p.proven)]
            for payload in tried:
                try:
                    _validated(model, self._raise(event_type, payload, version, len(models) + 1), "the new version")
                except BadEvent as problem:
                    return (Problem("", str(problem).partition(";")[0], payload, proven=True),)
        return ()

    def upcast(self, event_type: str, from_version: int, function: Upcaster) -> None:
        """Have ``function`` bring payloads from this version to the next; it may be given before the next version."""
        newest = self.newest(event_type)
        if from_version not in range(1, newest + 1):
            raise BadSchema(
                f"an upcaster of {event_type} from version {shown(from_version)} starts nowhere; "
                f"versions are 1 to {newest}"
            )
        if (event_type, from_version) in self._steps:
            raise BadSchema(f"{self._steps[event_type, from_version]} is there already; one step has one upcaster")
        self._steps[event_type, from_version] = Step(event_type, from_version, function)

    # ---------------------------------------------------------------- reading

    def read(self, event: Event, version: int | None = None, *, weak: bool = False) -> BaseModel:
        """The payload of an event as the model of ``version`` (None: the newest), or BadEvent.

        An older payload is brought up step by step. A newer one is read as it is, with the older model: so an old
        consumer reads. ``weak`` looks at names alone: unknown ones are passed over, and what is missing is its default,
        or None.
        """
        models = self._models.get(event.type)
        if models is None:
            hint = did_you_mean(event.type, self._models) or "; no type is registered yet"
            raise BadEvent(f"event {event.id} has the unknown type {event.type!r}{hint}")
        if event.version > len(models) and not weak:
            raise BadEvent(f"event {event.id}: {_unknown_version(event.type, event.version, len(models))}")
        target = len(models) if version is None else version
        model = self.model(event.type, target)
        payload = self._raise(event.type, thaw(event.data), event.version, target)
        title = f"event {event.id}, {event.type} {event.version}, read as version {target}"
        return _validated(weakened(model) if weak else model, payload, title)

    def upcasted(self, event: Event) -> Event:
        """The event with its payload in the newest version, checked; all else is as it was."""
        self.read(event)
        newest = self.newest(event.type)
        plain = event.to_dict() | {"version": newest}
        return Event.from_dict(plain | {"data": self._raise(event.type, thaw(event.data), event.version, newest)})

    def write(self, event_type: str, payload: BaseModel) -> tuple[int, dict[str, Any]]:
        """The version and the JSON object with which this payload travels: ``version=…, data=…`` of its event."""
        for version, model in enumerate(self._known(event_type), start=1):
            if type(payload) is model:
                return version, payload.model_dump(mode="json", by_alias=True)
        known = ", ".join(model.__name__ for model in self._models[event_type])
        raise BadEvent(f"{type(payload).__name__} is no version of {event_type}; known: {known}")

    def _raise(self, event_type: str, payload: Any, version: int, target: int) -> Any:
        for step in range(version, target):
            upcaster = self._steps.get((event_type, step))
            payload = payload if upcaster is None else upcaster(payload)
        return payload

    # ---------------------------------------------------------------- proof and export

    def prove(self, stored: Iterable[Event] | Mapping[str, Mapping[int, Any]]) -> Proof:
        """Read every version of every type once, from events or from ``{type: {version: payload}}``, or BadSchema."""
        return prove(self, stored)

    def gaps(self) -> tuple[str, ...]:
        """Every step that neither an upcaster nor the schemas themselves take: old events would be stranded there."""
        found: list[str] = []
        for event_type, models in self._models.items():
            for version in range(1, len(models)):
                if (event_type, version) in self._steps:
                    continue
                problems = reads(models[version - 1], models[version])
                found += [f"{event_type} {version} → {version + 1}: {problems[0]}"] if problems else []
        return tuple(found)

    def json_schema(self, event_type: str, version: int | None = None) -> dict[str, Any]:
        """The JSON Schema of one version, as pydantic writes it."""
        model = self.model(event_type, version)
        number = self.newest(event_type) if version is None else version
        head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:{event_type}:{number}"}
        return head | model.model_json_schema(by_alias=True)

    def to_json(self) -> str:
        """All schemas of all types, by type and version."""
        whole = {
            event_type: {str(version): self.json_schema(event_type, version) for version in self.versions(event_type)}
            for event_type in self._models
        }
        return json.dumps(whole, indent=1, ensure_ascii=False)

    def to_asyncapi(self, title: str = "events") -> dict[str, Any]:
        """An AsyncAPI 3 document with a message for each version of each type, its payload as JSON Schema."""
        return asyncapi(self, title)

    def __repr__(self) -> str:
        lines = [f"Registry, {self._mode}"]
        for event_type in self._models:
            steps = [f"{v} → {v + 1}" for v in self.versions(event_type) if (event_type, v) in self._steps]
            upcast = f", upcasters {', '.join(steps)}" if steps else ""
            count = self.newest(event_type)
            versions = "version 1" if count == 1 else f"versions 1 to {count}"
            lines.append(f"  {event_type}  {versions}, {self.mode(event_type)}{upcast}")
        return "\n".join(lines)


def _validated(model: Model, payload: Any, title: str) -> BaseModel:
    try:
        return model.__pydantic_validator__.validate_json(json.dumps(payload), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "payload"
        given = "" if first["type"] == "missing" else f", not {shown(first['input'])}"
        said = first["msg"][0].lower() + first["msg"][1:]
        raise BadEvent(f"{title}: {where}: {said}{given}; register an upcaster, or mend the event") from None


def _check_alone(event_type: str, version: int, model: Model) -> None:
    """A model that does not read what it writes is no schema."""
    shape = resolved(shape_of(model))
    if not isinstance(getattr(shape, "inner", shape), Object):
        raise BadSchema(f"{model.__name__} is no JSON object; the payload of {event_type} is an object with fields")
    broken = [problem for problem in reads(model, model) if problem.proven]
    for field in getattr(shape, "fields", ()):
        if field.required and field.reads and field.written and field.name not in field.reads:
            said = f"it writes {field.name!r} and reads {' or '.join(map(repr, field.reads))}"
            raise BadSchema(f"{event_type} {version} cannot read what it writes: {said}; give it one name for both")
    if broken:
        raise BadSchema(f"{event_type} {version} cannot read what it writes: {broken[0]}; mend the model")


def _out_of_turn(event_type: str, version: Any, count: int) -> str:
    if isinstance(version, int) and 1 <= version <= count:
        return f"{event_type} has a version {version} already, and what is stored cannot change; register {count + 1}"
    said = f"versions of {event_type} go up to {count}" if count else f"{event_type} has no version yet"
    return f"{said}, so {shown(version)} is not the next; register {count + 1}"


def _unknown_version(event_type: str, version: Any, count: int) -> str:
    known = "only version 1 is" if count == 1 else f"1 to {count} are"
    return f"version {version} of {event_type} is unknown; {known} registered"


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
