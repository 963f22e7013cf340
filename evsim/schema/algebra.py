"""Sets of JSON values as a small algebra of shapes: what comparisons, samples and sentences are made from."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic_core import SchemaError, SchemaValidator, ValidationError

Raw = Mapping[str, Any]
"""A core schema of pydantic."""

MISSING: Any = object()


@dataclass(frozen=True, eq=False, kw_only=True)
class Shape:
    """Some set of JSON values; ``raw`` and ``config`` are pydantic's own words for it."""

    raw: Raw = field(default_factory=dict)
    config: Any = None

    @cached_property
    def _validator(self) -> SchemaValidator | None:
        try:
            return SchemaValidator(dict(self.raw), self.config)
        except SchemaError:
            return None

    @property
    def known(self) -> bool:
        """Whether pydantic can be asked about this shape alone, without what stands around it."""
        return self._validator is not None

    def accepts(self, value: Any) -> bool:
        """Whether pydantic takes this JSON value here."""
        if self._validator is None:
            return False
        try:
            self._validator.validate_json(json.dumps(value), strict=True)
        except ValidationError:
            return False
        return True


class Anything(Shape):
    """Every JSON value."""


class Null(Shape):
    """Only null."""


class Boolean(Shape):
    """True and false."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Number(Shape):
    """Numbers between two bounds, whole ones or all."""

    whole: bool
    low: float = -math.inf
    high: float = math.inf
    above_low: bool = False
    below_high: bool = False
    multiple_of: float | None = None

    @property
    def least(self) -> tuple[float, bool]:
        """The lower bound and whether it is left out; whole numbers have bounds that are their own."""
        return _whole_bound(self.low, self.above_low, 1) if self.whole else (self.low, self.above_low)

    @property
    def most(self) -> tuple[float, bool]:
        """The upper bound and whether it is left out."""
        return _whole_bound(self.high, self.below_high, -1) if self.whole else (self.high, self.below_high)


def _whole_bound(bound: float, left_out: bool, step: int) -> tuple[float, bool]:
    if math.isinf(bound):
        return bound, False
    inner = math.ceil(bound) if step > 0 else math.floor(bound)
    return (inner + step if left_out and inner == bound else inner), False


@dataclass(frozen=True, eq=False, kw_only=True)
class Text(Shape):
    """Text between two lengths that may have to match a pattern."""

    shortest: int = 0
    longest: float = math.inf
    pattern: str | None = None
    dialect: tuple[str, int] = ("", 0)
    """Which engine reads the pattern, and its flags."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Format(Shape):
    """Text of a kind that pydantic knows: a moment, a date, a UUID, a decimal number…"""

    name: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Choice(Shape):
    """A few constants: an Enum or a Literal."""

    values: tuple[Any, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Array(Shape):
    """A list; ``first`` are the shapes of its first entries (a tuple), ``item`` that of all others (None: no others).

    ``distinct`` when equal entries count once.
    """

    item: Shape | None
    first: tuple[Shape, ...] = ()
    shortest: int = 0
    longest: float = math.inf
    distinct: bool = False

    def at(self, position: int) -> Shape | None:
        """The shape of the entry at this position."""
        return self.first[position] if position < len(self.first) else self.item


@dataclass(frozen=True, eq=False, kw_only=True)
class Property:
    """One field of an object: what it is called in JSON by who writes and by who reads."""

    name: str
    reads: tuple[str, ...]
    shape: Shape
    required: bool
    always: bool
    """Whether who writes never leaves it out."""
    default: Any = MISSING
    stray: Shape | None = None
    """The default as it is written, where it is none of the field's own values."""
    written: bool = True
    blurred: bool = False
    """Whether it is read from deeper within, which no comparison here follows."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Object(Shape):
    """A JSON object with named fields; what happens with others; a mapping has no fields and allows others."""

    title: str
    fields: tuple[Property, ...] = ()
    extra: str = "ignore"
    extras: Shape = field(default_factory=Anything)
    keys: Shape | None = None
    fewest: int = 0
    most: float = math.inf

    @cached_property
    def written(self) -> Mapping[str, Property]:
        """The fields by the name under which they are written."""
        return {each.name: each for each in self.fields if each.written}


@dataclass(frozen=True, eq=False, kw_only=True)
class Union(Shape):
    """Any of these; where a tag chooses, ``tag`` is its name and ``tags`` says which value chooses which."""

    options: tuple[Shape, ...]
    tag: str | None = None
    tags: Mapping[Any, Shape] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class Guarded(Shape):
    """Some of the values of another shape: a function of the user's has the last word.

    ``reads`` when the function judges what is read, ``writes`` when it changes what is written.
    """

    inner: Shape
    function: Any
    name: str
    owner: Any = None
    """The class or the object whose method the function is."""
    reads: bool = True
    writes: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class Other(Shape):
    """Something that no comparison here looks into."""

    name: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Later(Shape):
    """A shape that contains itself, looked up when needed."""

    find: Callable[[], Shape]


def resolved(shape: Shape) -> Shape:
    """The shape itself, where it stands for another."""
    while isinstance(shape, Later):
        shape = shape.find()
    return shape


def vars_of(shape: Shape) -> dict[str, Any]:
    """The fields of a shape, to make another from."""
    return {name: getattr(shape, name) for name in shape.__dataclass_fields__}
