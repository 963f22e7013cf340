"""One payload and its model: read strictly, and written so that it can be read again."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ValidationError

from evsim.errors import BadEvent, shown
from evsim.event import freeze, thaw

Model = type[BaseModel]


CURE = "register an upcaster, or mend the event"


def validated(model: Model, payload: Any, title: str, cure: str = CURE) -> BaseModel:
    """The payload as this model, read as JSON and strictly, or BadEvent."""
    try:
        return model.__pydantic_validator__.validate_json(json.dumps(payload), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "payload"
        given = "" if first["type"] == "missing" else f", not {shown(first['input'])}"
        said = " ".join((first["msg"][0].lower() + first["msg"][1:]).splitlines())
        raise BadEvent(f"{title}: {where}: {said}{given}; {cure}") from None
    except Exception as problem:
        raise BadEvent(
            f"{title}: {model.__name__} failed on {shown(payload)} ({told(problem)}); let it raise ValueError"
        ) from problem


def written(payload: BaseModel, title: str) -> dict[str, Any]:
    """The JSON object as which this payload travels, once its own model has read it without loss, or BadEvent."""
    model = type(payload)
    data = _dumped(payload, title)
    again = _dumped(validated(model, data, title, "mend the model, or the value"), title)
    # a computed field is read by nobody, and may depend on a clock
    computed = {each.alias or name for name, each in model.model_computed_fields.items()}
    kept = {name: _unordered(again.get(name)) == _unordered(value) for name, value in data.items()}
    lost = next((name for name, same in kept.items() if not same and name not in computed), None)
    if lost is not None:
        ways = f"written as {shown(data[lost])} and read back as {shown(again.get(lost))}"
        raise BadEvent(f"{title}: {lost} is {ways}; give it one form for both")
    return data


def _unordered(value: Any) -> Any:
    """The same JSON with lists put in order: that of a set is luck."""
    if isinstance(value, dict):
        return {name: _unordered(each) for name, each in value.items()}
    if isinstance(value, list):
        return sorted(map(_unordered, value), key=lambda each: json.dumps(each, sort_keys=True))
    return value


def _dumped(payload: BaseModel, title: str) -> dict[str, Any]:
    """What pydantic writes, if that is the data of an event."""
    try:
        plain = payload.model_dump(mode="json", by_alias=True, warnings=False)
    except Exception as problem:
        raise BadEvent(f"{title}: pydantic cannot write it as JSON ({told(problem)}); mend the value") from problem
    data: dict[str, Any] = thaw(freeze(plain))
    return data


def told(problem: Exception) -> str:
    """A foreign exception in a sentence of ours."""
    text = " ".join(str(problem).split())
    return f"{type(problem).__name__}: {text}" if text else type(problem).__name__
