"""What JSON a pydantic model writes and reads, as a shape that can be compared.

pydantic has already worked out what a model is: its core schema. What no comparison can look into (a validator, a
serializer, a type with rules of its own) is ``Guarded`` or ``Other``.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, SchemaError, SchemaSerializer, SchemaValidator, ValidationError

from evsim.schema.algebra import (
    MISSING,
    Anything,
    Array,
    Boolean,
    Choice,
    Format,
    Guarded,
    Later,
    Null,
    Number,
    Object,
    Other,
    Property,
    Raw,
    Shape,
    Text,
    Union,
    resolved,
    vars_of,
)

__all__ = ["Array", "Null", "Object", "Property", "Shape", "Union", "resolved", "shape_of"]

_SCALARS = (str, int, float, bool, type(None))


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
        self.definitions: list[Any] = []
        self.known: dict[str, Shape] = {}

    def shape(self, raw: Any, config: Any) -> Shape:
        kind = raw["type"]
        if raw.get("ref") and raw["ref"] not in self.defined:
            self.defined[raw["ref"]] = raw
        serializer = raw.get("serialization") or {}
        if serializer.get("type", "").startswith("function") and not _is_faithful(serializer["function"], raw):
            plain = self.shape({name: each for name, each in raw.items() if name != "serialization"}, config)
            function = serializer["function"]
            return Guarded(
                raw=raw,
                config=config,
                inner=plain,
                function=function,
                name=_name(function),
                owner=getattr(function, "__self__", None),
                reads=False,
                writes=True,
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
        pattern, dialect = said.get("pattern"), _dialect(said, config or {})
        changes = any(said.get(name) for name in ("strip_whitespace", "to_lower", "to_upper"))
        if changes and (limits != {"shortest": 0, "longest": math.inf} or pattern is not None):
            return Other(raw=said, config=config, name="text that is changed before it is judged")
        pattern = getattr(pattern, "pattern", pattern)
        longest = math.inf if limits["longest"] is None else limits["longest"]
        return Text(
            raw=raw, config=config, shortest=limits["shortest"], longest=longest, pattern=pattern, dialect=dialect
        )

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
            return Guarded(raw=raw, config=config, inner=inner, function=getattr(cls, name), name=name, owner=cls)
        return inner

    def _dataclass(self, raw: Raw, config: Any) -> Shape:
        inner, cls = self.shape(raw["schema"], raw.get("config") or {}), raw["cls"]
        if isinstance(inner, Object):
            inner = Object(**{**vars_of(inner), "title": cls.__name__})
        if not raw.get("post_init"):
            return inner
        return Guarded(raw=raw, config=config, inner=inner, function=cls.__post_init__, name="__post_init__", owner=cls)

    def _dataclass_args(self, raw: Raw, config: Any) -> Shape:
        if any(each.get("init_only") or not each.get("init", True) for each in raw["fields"]):
            return Other(raw=raw, config=config, name=raw["dataclass_name"])
        return self._model_fields({**raw, "fields": {each["name"]: each for each in raw["fields"]}}, config)

    def _named_tuple(self, raw: Raw, config: Any) -> Shape:
        """A list or an object, whichever is written."""
        fields = tuple(self._property(each["name"], each, config or {}, by_name=True, by_alias=False)
                       for each in raw["fields"])  # fmt: skip
        listed = Array(
            item=None, first=tuple(each.shape for each in fields), longest=len(fields),
            shortest=sum(each.required for each in fields),
        )  # fmt: skip
        named = Object(title=raw["cls"].__name__, fields=fields, extra="forbid")
        return Union(raw=raw, config=config, options=(listed, named))

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
        stray: Shape | None = None
        if inner["type"] == "default":
            default, required = inner.get("default", ...), False
            checked = inner.get("validate_default", config.get("validate_default", False))
            serializer = {"serialization": inner["serialization"]} if "serialization" in inner else {}
            inner = {**inner["schema"], **serializer}
            alone = {"type": "definitions", "schema": inner, "definitions": self.definitions}
            blurred = bool(checked) and not _valid(alone, config, default)
            stray = None if checked else _stray(alone, config, default)
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
            stray=stray,
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

    def _chain(self, raw: Raw, config: Any) -> Shape:
        judges = [step for step in raw["steps"] if not _is_faithful(step.get("function", {}).get("function"), step)]
        return self.shape(judges[0], config) if len(judges) == 1 else Other(raw=raw, config=config, name="a chain")

    def _guarded(self, raw: Raw, config: Any) -> Shape:
        function = raw["function"]["function"]
        if _is_faithful(function, raw):
            return self.shape(raw["schema"], config)
        return Guarded(
            raw=raw, config=config, inner=self.shape(raw["schema"], config), function=function, name=_name(function),
            owner=getattr(function, "__self__", raw["schema"].get("cls")), writes=raw["type"] == "function-wrap",
        )  # fmt: skip

    def _lax_or_strict(self, raw: Raw, config: Any) -> Shape:
        return self.shape(raw["strict_schema"], config)

    def _json_or_python(self, raw: Raw, config: Any) -> Shape:
        return self.shape(raw["json_schema"], config)

    def _definitions(self, raw: Raw, config: Any) -> Shape:
        self.definitions += raw["definitions"]
        self.defined |= {each["ref"]: each for each in raw["definitions"]}
        return self.shape(raw["schema"], config)

    def _definition_ref(self, raw: Raw, config: Any) -> Shape:
        return Later(find=lambda: self._found(raw["schema_ref"], config))

    def _found(self, ref: str, config: Any) -> Shape:
        if ref not in self.known:
            self.known[ref] = self.shape(self.defined[ref], config)
        return self.known[ref]


def _bounds(raw: Raw, name: str, closed: str, open_: str, flag: str, tighter: Any) -> dict[str, Any]:
    given = [(raw[word], word == open_) for word in (closed, open_) if raw.get(word) is not None]
    if not given:
        return {}
    bound = tighter(value for value, _ in given)
    return {name: bound, flag: (bound, True) in given}


def _dialect(said: Raw, config: Raw) -> tuple[str, int]:
    flags = getattr(said.get("pattern"), "flags", None)
    engine = said.get("regex_engine") or config.get("regex_engine") or "rust-regex"
    return (
        ("rust-regex", re.UNICODE) if flags is None and engine == "rust-regex" else ("python-re", flags or re.UNICODE)
    )


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


def _valid(raw: Raw, config: Any, default: Any) -> bool:
    try:
        SchemaValidator(dict(raw), config).validate_python(default, strict=True)
    except (SchemaError, ValidationError):
        return False
    return True


def _stray(raw: Raw, config: Any, default: Any) -> Shape | None:
    shape = Shape(raw=raw, config=config)
    try:
        written = SchemaSerializer(dict(raw), config).to_python(default, mode="json", warnings=False)
    except (SchemaError, PydanticSerializationError, TypeError):
        return None
    wrong = shape.known and isinstance(written, _SCALARS) and not shape.accepts(written)
    return Choice(values=(written,)) if wrong else None


_FAITHFUL = ("ser_ip", "ser_path", "serialize_url", "wrap_val", "_mapping_schema", "defaultdict_validator")
"""Functions of pydantic's own that neither judge what is read nor change what is written."""


def _is_faithful(function: Any, raw: Raw) -> bool:
    if isinstance(function, attrgetter):  # a compiled pattern is written as its text
        return _is_pydantic(raw.get("function", {}).get("function"))
    plain = getattr(function, "func", function)
    return _is_pydantic(plain) and any(name in plain.__qualname__ for name in _FAITHFUL)
