"""What JSON a pydantic model writes and reads, as a small algebra of shapes.

pydantic has already worked out what a model is: its core schema. Here it becomes values that can be compared. What no
comparison can look into (a validator, a serializer, a type with rules of its own) is ``Guarded`` or ``Other``.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import BaseModel
from pydantic_core import SchemaError, SchemaValidator, ValidationError

Raw = Mapping[str, Any]
"""A core schema of pydantic."""

MISSING: Any = object()
_SCALARS = (str, int, float, bool, type(None))


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


# ---------------------------------------------------------------- from pydantic


def shape_of(model: type[BaseModel]) -> Shape:
    """The shape of the JSON that this model writes and reads."""
    model.model_rebuild()
    return _Reading().shape(model.__pydantic_core_schema__, None)


_FORMATS = {"datetime", "date", "time", "timedelta", "uuid", "decimal", "bytes", "url", "multi-host-url"}
_GUARDS = {"function-after", "function-before", "function-wrap"}
_CONSTRAINTS = {
    "decimal": ("gt", "ge", "lt", "le", "multiple_of", "max_digits", "decimal_places"),
    "datetime": ("gt", "ge", "lt", "le", "now_op", "tz_constraint"),
}


class _Reading:
    """A core schema while it is read, with the shapes that have a name in it."""

    def __init__(self) -> None:
        self.defined: dict[str, Any] = {}
        self.known: dict[str, Shape] = {}

    def shape(self, raw: Any, config: Any) -> Shape:
        kind = raw["type"]
        if raw.get("ref") and raw["ref"] not in self.defined:
            self.defined[raw["ref"]] = raw
        serializer = raw.get("serialization") or {}
        if serializer.get("type", "").startswith("function"):
            plain = self.shape({name: each for name, each in raw.items() if name != "serialization"}, config)
            function = serializer["function"]
            return Guarded(
                raw=raw, config=config, inner=plain, function=function, name=_name(function), reads=False, writes=True
            )
        made = getattr(self, f"_{kind.replace('-', '_')}", None)
        if made is not None:
            found: Shape = made(raw, config)
            return found
        if kind in _FORMATS:
            return Format(raw=raw, config=config, name=kind)
        if kind in _GUARDS:
            return self._guarded(raw, config)
        return Other(raw=raw, config=config, name=kind)

    # ---------------------------------------------------------------- scalars

    def _any(self, raw: Raw, config: Any) -> Shape:
        return Anything(raw=raw)

    def _none(self, raw: Raw, config: Any) -> Shape:
        return Null(raw=raw)

    def _bool(self, raw: Raw, config: Any) -> Shape:
        return Boolean(raw=raw)

    def _int(self, raw: Raw, config: Any) -> Shape:
        return Number(
            raw=raw, whole=raw["type"] == "int", **_bounds(raw, "low", "ge", "gt", "above_low", max),
            **_bounds(raw, "high", "le", "lt", "below_high", min), multiple_of=raw.get("multiple_of"),
        )  # fmt: skip

    _float = _int

    def _str(self, raw: Raw, config: Any) -> Shape:
        said = {name.removeprefix("str_"): each for name, each in (config or {}).items() if name.startswith("str_")}
        said |= raw
        limits = {"shortest": said.get("min_length") or 0, "longest": said.get("max_length", math.inf)}
        pattern = said.get("pattern")
        changes = any(said.get(name) for name in ("strip_whitespace", "to_lower", "to_upper"))
        if changes and (limits != {"shortest": 0, "longest": math.inf} or pattern is not None):
            return Other(raw=raw, config=config, name="text that is changed before it is judged")
        pattern = getattr(pattern, "pattern", pattern)
        longest = math.inf if limits["longest"] is None else limits["longest"]
        return Text(raw=raw, config=config, shortest=limits["shortest"], longest=longest, pattern=pattern)

    def _literal(self, raw: Raw, config: Any) -> Shape:
        return Choice(raw=raw, values=tuple(getattr(each, "value", each) for each in raw["expected"]))

    def _enum(self, raw: Raw, config: Any) -> Shape:
        values = tuple(each.value for each in raw["members"])
        if not all(isinstance(value, _SCALARS) for value in values):
            return Other(raw=raw, config=config, name="a choice among what is not JSON")
        return Choice(raw=raw, values=values)

    # ---------------------------------------------------------------- what holds others

    def _nullable(self, raw: Raw, config: Any) -> Shape:
        return Union(raw=raw, config=config, options=(self.shape(raw["schema"], config), Null(raw={"type": "none"})))

    def _union(self, raw: Raw, config: Any) -> Shape:
        choices = [each[0] if isinstance(each, tuple) else each for each in raw["choices"]]
        return Union(raw=raw, config=config, options=tuple(self.shape(each, config) for each in choices))

    def _tagged_union(self, raw: Raw, config: Any) -> Shape:
        tag = raw["discriminator"]
        if not isinstance(tag, str):
            return Other(raw=raw, config=config, name="a choice by a function")
        tags = {getattr(key, "value", key): self.shape(each, config) for key, each in raw["choices"].items()}
        return Union(raw=raw, config=config, options=tuple(dict.fromkeys(tags.values())), tag=tag, tags=tags)

    def _list(self, raw: Raw, config: Any) -> Shape:
        item = self.shape(raw.get("items_schema", {"type": "any"}), config)
        return Array(
            raw=raw, config=config, item=item, distinct=raw["type"] != "list",
            shortest=raw.get("min_length") or 0, longest=_or_endless(raw.get("max_length")),
        )  # fmt: skip

    _set = _frozenset = _list

    def _tuple(self, raw: Raw, config: Any) -> Shape:
        shapes = [self.shape(each, config) for each in raw["items_schema"]]
        endless = raw.get("variadic_item_index")
        if endless is None:
            return Array(raw=raw, item=None, first=tuple(shapes), shortest=len(shapes), longest=len(shapes))
        if endless != len(shapes) - 1:
            return Other(raw=raw, config=config, name="a tuple with an open middle")
        first = tuple(shapes[:-1])
        shortest = max(len(first), raw.get("min_length") or 0)
        return Array(raw=raw, item=shapes[-1], first=first, shortest=shortest,
                     longest=_or_endless(raw.get("max_length")))  # fmt: skip

    def _dict(self, raw: Raw, config: Any) -> Shape:
        keys = self.shape(raw.get("keys_schema", {"type": "any"}), config)
        free = isinstance(keys, Anything) or (isinstance(keys, Text) and not _limited(keys))
        return Object(
            raw=raw, config=config, title="a mapping", extra="allow", keys=None if free else keys,
            extras=self.shape(raw.get("values_schema", {"type": "any"}), config),
            fewest=raw.get("min_length") or 0, most=_or_endless(raw.get("max_length")),
        )  # fmt: skip

    def _model(self, raw: Raw, config: Any) -> Shape:
        inner = self.shape(raw["schema"], raw.get("config") or {})
        cls = raw["cls"]
        own_init = raw.get("custom_init") or (raw.get("post_init") and not _is_pydantic(cls.model_post_init))
        if isinstance(inner, Object):
            inner = Object(**{**vars_of(inner), "title": cls.__name__})
        if own_init:
            name = "__init__" if raw.get("custom_init") else "model_post_init"
            return Guarded(raw=raw, config=config, inner=inner, function=getattr(cls, name), name=name)
        return inner

    def _model_fields(self, raw: Raw, config: Any) -> Shape:
        config = config or {}
        by_name = config.get("validate_by_name", config.get("populate_by_name", False))
        by_alias = config.get("validate_by_alias", True)
        fields = tuple(
            self._property(name, each, config, by_name=by_name, by_alias=by_alias)
            for name, each in raw["fields"].items()
        )
        fields += tuple(self._computed(each, config) for each in raw.get("computed_fields", ()))
        extra = raw.get("extra_behavior") or config.get("extra_fields_behavior") or "ignore"
        extras = self.shape(raw["extras_schema"], config) if "extras_schema" in raw else Anything()
        title = raw.get("model_name", "an object")
        return Object(raw=raw, config=config, title=title, fields=fields, extra=extra, extras=extras)

    def _typed_dict(self, raw: Raw, config: Any) -> Shape:
        found = self._model_fields(raw, raw.get("config") or config)
        assert isinstance(found, Object)
        cls = raw.get("cls")
        return Object(**{**vars_of(found), "title": getattr(cls, "__name__", "an object")})

    def _property(self, name: str, raw: Raw, config: Any, *, by_name: bool, by_alias: bool) -> Property:
        inner, default, required = raw["schema"], MISSING, raw.get("required", True)
        blurred = False
        if inner["type"] == "default":
            default, required = inner.get("default", ...), False
            checked = inner.get("validate_default", config.get("validate_default", False))
            inner = inner["schema"]
            blurred = bool(checked) and not Shape(raw=inner, config=config).accepts(_plain(default))
        aliases = list(_aliases(raw.get("validation_alias"))) if by_alias else []
        blurred = blurred or any(len(path) > 1 for path in aliases)
        reads = [str(path[0]) for path in aliases]
        reads += [name] if by_name or not reads else []
        may_lack = bool(raw.get("serialization_exclude_if"))
        return Property(
            name=raw.get("serialization_alias", name),
            reads=tuple(dict.fromkeys(reads)),
            shape=self.shape(inner, config),
            required=bool(required),
            always=bool(required) and not may_lack,
            default=default,
            written=not raw.get("serialization_exclude"),
            blurred=blurred,
        )

    def _computed(self, raw: Raw, config: Any) -> Property:
        """What is written and never read."""
        name = str(raw.get("alias") or raw["property_name"])
        shape = self.shape(raw.get("return_schema") or {"type": "any"}, config)
        return Property(name=name, reads=(), shape=shape, required=False, always=True)

    # ---------------------------------------------------------------- what stands for others

    def _default(self, raw: Raw, config: Any) -> Shape:
        return self.shape(raw["schema"], config)

    def _guarded(self, raw: Raw, config: Any) -> Shape:
        function = raw["function"]["function"]
        return Guarded(
            raw=raw, config=config, inner=self.shape(raw["schema"], config), function=function, name=_name(function),
            writes=raw["type"] == "function-wrap",
        )  # fmt: skip

    def _lax_or_strict(self, raw: Raw, config: Any) -> Shape:
        return self.shape(raw["strict_schema"], config)

    def _json_or_python(self, raw: Raw, config: Any) -> Shape:
        return self.shape(raw["json_schema"], config)

    def _definitions(self, raw: Raw, config: Any) -> Shape:
        self.defined |= {each["ref"]: each for each in raw["definitions"]}
        return self.shape(raw["schema"], config)

    def _definition_ref(self, raw: Raw, config: Any) -> Shape:
        return Later(find=lambda: self._found(raw["schema_ref"], config))

    def _found(self, ref: str, config: Any) -> Shape:
        if ref not in self.known:
            self.known[ref] = self.shape(self.defined[ref], config)
        return self.known[ref]


def vars_of(shape: Shape) -> dict[str, Any]:
    """The fields of a shape, to make another from."""
    return {name: getattr(shape, name) for name in shape.__dataclass_fields__}


def _bounds(raw: Raw, name: str, closed: str, open_: str, flag: str, tighter: Any) -> dict[str, Any]:
    given = [(raw[word], word == open_) for word in (closed, open_) if raw.get(word) is not None]
    if not given:
        return {}
    bound = tighter(value for value, _ in given)
    return {name: bound, flag: (bound, True) in given}


def _or_endless(value: Any) -> float:
    return math.inf if value is None else value


def _limited(text: Text) -> bool:
    return bool(text.shortest or text.longest != math.inf or text.pattern is not None)


def _aliases(given: Any) -> Iterator[list[Any]]:
    """The paths that an alias names: one name, one path, or a choice of paths."""
    if given is None:
        return
    if isinstance(given, str):
        yield [given]
    elif given and not isinstance(given[0], list):
        yield list(given)
    else:
        yield from (list(path) for path in given)


def _name(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _is_pydantic(function: Any) -> bool:
    return str(getattr(inspect.unwrap(function), "__module__", "")).startswith("pydantic.")


def _plain(value: Any) -> Any:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return None
    return value
