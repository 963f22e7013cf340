"""Shapes and paths in words."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence

from evsim.schema.algebra import (
    Anything,
    Array,
    Boolean,
    Choice,
    Format,
    Guarded,
    Null,
    Number,
    Object,
    Other,
    Shape,
    Text,
    Union,
    resolved,
)
from evsim.schema.sameness import bare, heeded_by

FEW = 5
DEEP = 6


def path_of(steps: Sequence[str]) -> str:
    """``("lines", "[]", "price")`` is ``lines[].price``; the whole payload is an empty path."""
    return ".".join(steps).replace(".[]", "[]").replace(".{}", "{}")


def words(shape: Shape, depth: int = DEEP) -> str:
    """A shape as a sentence may name it: ``a whole number from 1 on``; what is deep within is only ``…``."""
    shape = resolved(shape)
    if not depth:
        return "…"
    if isinstance(shape, Number):
        return _number(shape)
    if isinstance(shape, Text):
        return _text(shape)
    if isinstance(shape, Choice):
        shown = [json.dumps(value, ensure_ascii=False) for value in shape.values]
        return ", ".join(shown[:FEW]) + (f" and {len(shown) - FEW} more" if len(shown) > FEW else "")
    if isinstance(shape, Union):
        return " or ".join(dict.fromkeys(words(option, depth - 1) for option in shape.options))
    if isinstance(shape, Array):
        return _array(shape, depth - 1)
    if isinstance(shape, Object):
        return shape.title
    if isinstance(shape, Guarded):
        return f"{words(shape.inner, depth - 1)} as '{shape.name}' likes it"
    if isinstance(shape, Format):
        return _format(shape)
    if isinstance(shape, Other):
        return shape.name
    return _PLAIN[type(shape)]


_PLAIN: dict[type[Shape], str] = {Anything: "anything", Null: "null", Boolean: "true or false"}
_FORMATS = {"datetime": "a moment", "date": "a date", "time": "a time of day", "timedelta": "a duration",
            "uuid": "a UUID", "decimal": "a decimal number", "bytes": "bytes", "url": "a URL"}  # fmt: skip
_USUAL = {"type", "microseconds_precision"}


def _number(shape: Number) -> str:
    limits = [
        "" if math.isinf(shape.low) else f"above {shape.low:g}" if shape.above_low else f"from {shape.low:g} on",
        "" if math.isinf(shape.high) else f"below {shape.high:g}" if shape.below_high else f"up to {shape.high:g}",
        "" if shape.multiple_of is None else f"in steps of {shape.multiple_of:g}",
    ]
    if limits[0].endswith(" on") and limits[1]:
        limits[0] = limits[0].removesuffix(" on")
    return " ".join(["a whole number" if shape.whole else "a number", *filter(None, limits)])


def _text(shape: Text) -> str:
    limits = [
        f"at least {shape.shortest}" if shape.shortest else "",
        "" if math.isinf(shape.longest) else f"at most {shape.longest:g}",
    ]
    length = " and ".join(filter(None, limits))
    pattern = "" if shape.pattern is None else f" like {shape.pattern}{_dialect(*shape.dialect)}"
    return f"text{f' of {length} characters' if length else ''}{pattern}"


def _dialect(engine: str, flags: int) -> str:
    if engine == "rust-regex":
        return ""
    said = re.RegexFlag(flags & ~re.UNICODE)
    return f" in Python's regex{f' with {said.name}' if said else ''}"


def _format(shape: Format) -> str:
    said = bare(shape.raw) | heeded_by(shape.name, shape.config)
    limits = [f"{name} {each}" for name, each in said.items() if name not in _USUAL]
    return _FORMATS.get(shape.name, shape.name) + (f" ({', '.join(limits)})" if limits else "")


def _array(shape: Array, depth: int) -> str:
    kind = "a list" if not shape.distinct else "a set"
    if shape.item is None:
        return f"a list of {len(shape.first)}"
    least = f"at least {shape.shortest}" if shape.shortest else ""
    most = "" if math.isinf(shape.longest) else f"at most {shape.longest:g}"
    limits = " and ".join(filter(None, [least, most]))
    return f"{kind}{f' of {limits}' if limits else ''} ({words(shape.item, depth)})"
