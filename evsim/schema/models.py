"""Which models may be the schema of a payload: those that read what they write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel

from evsim.errors import BadEvent, BadSchema, EvsimError, shown
from evsim.schema.payload import Model, told, validated, written
from evsim.schema.reading import reads
from evsim.schema.samples import samples
from evsim.schema.shapes import Object, Shape, resolved, shape_of


def known_model(given: Any) -> Model:
    """The model that is given, once all that it names is defined, or BadSchema."""
    if not (isinstance(given, type) and issubclass(given, BaseModel)) or given is BaseModel:
        raise BadSchema(f"{shown(given)} is no model; give a class made from pydantic.BaseModel")
    with in_one_sentence(given):
        given.model_rebuild()
    return given


@contextmanager
def in_one_sentence(*models: Model) -> Iterator[None]:
    """What models let out when pydantic or we look into them becomes BadSchema that names them."""
    try:
        yield
    except EvsimError:
        raise
    except Exception as problem:
        names = " and ".join(dict.fromkeys(model.__name__ for model in models))
        raise BadSchema(f"{names} cannot be looked into ({told(problem)}); mend what it names there") from problem


def check_alone(event_type: str, version: int, model: Model) -> None:
    """Refuse a model that does not read what it writes: it is no schema."""
    shape = resolved(shape_of(model))
    inner = resolved(getattr(shape, "inner", shape))
    if not isinstance(inner, Object):
        raise BadSchema(f"{model.__name__} is no JSON object; the payload of {event_type} is an object with fields")
    broken = (f"{each}; mend the model" for each in reads(model, model) if each.proven)
    said = _names(inner) or next(broken, None) or _dumps(shape, inner, model)
    if said:
        raise BadSchema(f"{event_type} {version} cannot read what it writes: {said}")


def _names(shape: Object) -> str | None:
    """Why the names under which fields are written are not those under which they are read."""
    for field in shape.fields:
        if field.reads and field.written and field.name not in field.reads:
            names = " or ".join(map(repr, field.reads))
            return f"it writes {field.name!r} and reads {names}; give it one name for both"
        if field.required and not field.written:
            return f"it needs {field.name!r} and never writes it; give it a default, or write it"
    return None


def _dumps(shape: Shape, inner: Object, model: Model) -> str | None:
    """Why what this model really writes, when it has read a sample, is not read again."""
    computed = {field.name for field in inner.fields if not field.reads}
    for sample in samples(shape):
        read = {name: value for name, value in sample.items() if name not in computed}
        try:
            payload = validated(model, read, "")
        except BadEvent:
            continue
        try:
            written(payload, f"from {shown(read)}")
        except BadEvent as problem:
            return str(problem)
    return None
