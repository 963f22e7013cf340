"""What every plain value of evsim has in common: frozen, checked when made, and equal by what it says."""

from __future__ import annotations

import inspect
import typing
from functools import cache
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Self, dataclass_transform

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from evsim.errors import BadScenario, did_you_mean, shown

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from pydantic_core import ErrorDetails


def _named(cls: type[BaseModel], args: tuple[Any, ...], settings: dict[str, Any]) -> dict[str, Any]:
    """Give positional arguments their names, in the order of the fields."""
    names = positional_fields(cls)
    if len(args) > len(names):
        raise BadScenario(f"{cls.__name__} takes at most {len(names)} settings ({', '.join(names)}), not {len(args)}")
    named = dict(zip(names, args, strict=False))
    twice = next((name for name in named if name in settings), None)
    if twice is not None:
        given = f"{_shown(named[twice])} by its position and {_shown(settings[twice])} by its name"
        raise BadScenario(f"{cls.__name__} was given {twice} twice: {given}; give it once")
    return named | settings


@cache
def positional_fields(cls: type[BaseModel]) -> tuple[str, ...]:
    """The fields that may be given without their name: all but ``kind``."""
    return tuple(name for name in cls.model_fields if name != "kind")


def _new(self: BaseModel, /, *args: Any, **settings: Any) -> None:
    named = _named(type(self), args, settings) if args else settings
    try:
        type(self).__pydantic_validator__.validate_python(named, self_instance=self)
    except ValidationError as error:
        raise BadScenario(sentences(error, type(self), named)) from None


# With this mark pydantic reads nested values from JSON directly and reports where in the whole a mistake is.
_new.__pydantic_base_init__ = True  # type: ignore[attr-defined]


@dataclass_transform(kw_only_default=False)
class Value(BaseModel):
    """A frozen value: settings by position or by name, a mistake answered with one sentence, equality by content.

    A concrete value ends with ``kind: Literal["exponential"] = "exponential"``, its tag in JSON.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        arbitrary_types_allowed=True,
        allow_inf_nan=False,
        validate_default=True,
    )

    if not TYPE_CHECKING:
        __init__ = _new

    @classmethod
    def __pydantic_init_subclass__(cls, **settings: Any) -> None:
        super().__pydantic_init_subclass__(**settings)
        cls.__signature__ = _signature(cls)

    @classmethod
    def model_validate(cls, obj: Any, **how: Any) -> Self:
        """The value that this mapping describes, or BadScenario."""
        try:
            return super().model_validate(obj, **how)
        except ValidationError as error:
            raise BadScenario(sentences(error, cls, obj)) from None

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **how: Any) -> Self:
        """The value that this JSON describes, or BadScenario."""
        try:
            return super().model_validate_json(json_data, **how)
        except ValidationError as error:
            raise BadScenario(sentences(error, cls)) from None

    def but(self, **changes: Any) -> Self:
        """The same value with these settings changed, checked like a new one."""
        return type(self)(**{name: getattr(self, name) for name in type(self).model_fields} | changes)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in type(self).model_fields:
            raise BadScenario(f"{_title(type(self), self)} cannot be changed; make another with .but({name}=…)")
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        raise BadScenario(f"{_title(type(self), self)} cannot lose its '{name}'; make another value")

    def __hash__(self) -> int:
        return hash((type(self), *(_hashable(value) for value in self.__dict__.values())))

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """What the value says beyond its defaults; the first settings without their names."""
        for position, (name, field) in enumerate(type(self).model_fields.items()):
            value = getattr(self, name)
            if field.is_required():
                bare = position == 0 or "name" not in type(self).model_fields
                yield (None if bare else name), _Text(_shown(value))
            elif name != "kind" and value != field.default and value != _default(type(self), name):
                yield name, _Text(_shown(value))

    def __str__(self) -> str:
        return repr(self)


class _Text(str):
    """Text that stands in a repr without quotes."""

    __slots__ = ()
    __repr__ = str.__str__


def _hashable(value: Any) -> Hashable:
    if isinstance(value, dict):
        return frozenset((key, _hashable(entry)) for key, entry in value.items())
    if isinstance(value, list | tuple):
        return tuple(_hashable(entry) for entry in value)
    if isinstance(value, set | frozenset):
        return frozenset(value)
    return typing.cast("Hashable", value)


def _shown(value: Any) -> str:
    """A value as its reader would write it: functions by their names."""
    if isinstance(value, FunctionType | BuiltinFunctionType | MethodType | type):
        return value.__name__
    if type(value) is dict:
        return "{" + ", ".join(f"{_shown(key)}: {_shown(entry)}" for key, entry in value.items()) + "}"
    if type(value) is list:
        return "[" + ", ".join(map(_shown, value)) + "]"
    if type(value) is tuple:
        return "(" + ", ".join(map(_shown, value)) + ("," if len(value) == 1 else "") + ")"
    return repr(value)


@cache
def _default(cls: type[Value], name: str) -> Any:
    """The default as it looks once checked: a bare number may have become a Constant."""
    field = cls.model_fields[name]
    default = field.get_default(call_default_factory=True, validated_data={})
    try:
        checked: Any = typing.Annotated[(field.annotation, *field.metadata)]
        return TypeAdapter(checked, config={"arbitrary_types_allowed": True}).validate_python(default)
    except Exception:  # noqa: BLE001 - a default that only its own class can check is compared as written
        return default


def _signature(cls: type[BaseModel]) -> inspect.Signature:
    """What help and completion show: the fields in order, with their types and defaults."""
    parameters: list[inspect.Parameter] = []
    optional = False
    kind: Any = inspect.Parameter.POSITIONAL_OR_KEYWORD
    for name in positional_fields(cls):
        field = cls.model_fields[name]
        if field.is_required() and optional:
            kind = inspect.Parameter.KEYWORD_ONLY
        optional = optional or not field.is_required()
        default = inspect.Parameter.empty if field.is_required() else field.get_default(call_default_factory=True)
        parameters.append(inspect.Parameter(name, kind, default=default, annotation=field.annotation))
    return inspect.Signature(parameters, return_annotation=None)


# ---------------------------------------------------------------- sentences about mistakes

EXPECTED = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "bool": "True or False",
    "callable": "a function",
    "none": "None",
    "list": "a list",
    "tuple": "a list",
    "dict": "a mapping",
    "mapping": "a mapping",
}
BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
    "multiple_of": ("a multiple of", "multiple_of"),
    "string_too_short": ("text no shorter than", "min_length"),
    "string_too_long": ("text no longer than", "max_length"),
    "too_short": ("a list no shorter than", "min_length"),
    "too_long": ("a list no longer than", "max_length"),
}
GIVEN_SHOWN = 80
ARMS = {"float", "int", "str", "bool", "none", "callable", "any"}
NOT_A_VALUE = {"model_type", "model_attributes_type", "union_tag_not_found", "is_instance_of", "dataclass_type"}


def sentences(error: ValidationError, cls: Any, given: Any = None) -> str:
    """Say each mistake that pydantic found in one line: the part, the setting, what was given and expected.

    ``cls`` is what should have been made (a Value, or a union of them), ``given`` what it should be made from.
    """
    return "\n".join(dict.fromkeys(sentence for _, sentence in mistakes(error, cls, given)))


def mistakes(error: ValidationError, cls: Any, given: Any = None) -> list[tuple[tuple[int | str, ...], str]]:
    """Where each mistake is, as pydantic says it, and the sentence about it."""
    found: dict[str, tuple[_Place, list[ErrorDetails]]] = {}
    for detail in error.errors(include_url=False):
        place = _Place(cls, detail)
        found.setdefault(place.path, (place, []))[1].append(detail)
    inner = {path for path in found for other in found if other.startswith((f"{path}.", f"{path}[")) and path}
    title = _title(cls, given)
    return [
        (details[0]["loc"], _sentence(place, details, title))
        for path, (place, details) in found.items()
        if path not in inner
    ]


def _title(cls: Any, given: Any) -> str:
    name = given.get("name") if isinstance(given, dict) else getattr(given, "name", None)
    if inspect.isclass(cls):
        title = cls.__name__
    else:
        kind = given.get("kind") if isinstance(given, dict) else None
        title = next((each.__name__ for each in _values_in(cls) if kind and _tag(each) == kind), "")
    return f"{title} {shown(name)}".strip() if isinstance(name, str) else title or "this value"


class _Place:
    """Where a mistake is: the value that owns the setting, and the path to it in the reader's names."""

    def __init__(self, cls: Any, detail: ErrorDetails) -> None:
        self.path = self.around = self.setting = ""
        self.owner: Any = cls if inspect.isclass(cls) and issubclass(cls, BaseModel) else None
        self.nested = False
        self.candidates = _values_in(cls)
        inside = self.owner is not None
        steps = detail["loc"]
        for number, step in enumerate(steps):
            last_extra = number == len(steps) - 1 and detail["type"] == "extra_forbidden"
            if isinstance(step, int):
                self.path += f"[{step}]"
                continue
            tagged = None if inside else next((c for c in self.candidates if step in (_tag(c), c.__name__)), None)
            if tagged is not None:
                self.owner, self.nested, inside = tagged, bool(self.path), True
                continue
            only = self.candidates[0] if not inside and len(self.candidates) == 1 else None
            if only is not None and (step in only.model_fields or last_extra):
                self.owner, self.nested, inside = only, True, True
            if inside:
                self.around, self.setting = self.path, step
                self.path += f".{step}" if self.path else step
                field = self.owner.model_fields.get(step)
                self.candidates = _values_in(field.annotation, *field.metadata) if field else []
                inside = False
            elif not _is_branch(step):
                self.path += f"[{step!r}]"


def _is_branch(step: str) -> bool:
    """Whether this step only names one arm of a union."""
    return "[" in step or "-" in step or step in ARMS


def _values_in(*annotations: Any) -> list[type[BaseModel]]:
    """Every model that a type mentions."""
    found: list[type[BaseModel]] = []
    for annotation in annotations:
        annotation = getattr(annotation, "__value__", annotation)  # noqa: PLW2901 - a named type stands for what it names
        if isinstance(annotation, FieldInfo):
            continue
        if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
            found.append(annotation)
        else:
            found += _values_in(*(arg for arg in typing.get_args(annotation) if arg is not annotation))
    return list(dict.fromkeys(found))


def _tag(cls: type[BaseModel]) -> str | None:
    field = cls.model_fields.get("kind")
    return field.default if field and isinstance(field.default, str) else None


def _sentence(place: _Place, details: Sequence[ErrorDetails], title: str) -> str:
    detail = details[0]
    setting, owner = place.setting, place.owner
    whose = f"{owner.__name__} in {place.around} of {title}" if place.nested and owner else title
    kind = detail["type"]
    if kind == "extra_forbidden":
        known = positional_fields(owner) if owner else ()
        return f"{shown(setting)} is not a setting of {whose}{did_you_mean(setting, known)}"
    if kind == "missing":
        return f"{whose} needs '{setting}', which was not given; add {setting}=…"
    where = f"{title}: {place.path}" if place.path else title
    if kind in {"value_error", "assertion_error"}:
        reason = _one_line(str(detail["ctx"]["error"]) or "it does not hold")
        return f"{where}={_given(detail)}: {reason}" if place.path else f"{where}: {reason}"
    if kind == "union_tag_invalid":
        tags = [tag for tag in map(_tag, place.candidates) if tag]
        return f"{where} has no kind called {shown(detail['ctx']['tag'])}{did_you_mean(detail['ctx']['tag'], tags)}"
    if kind == "json_invalid":
        return f"{where} should be read from JSON, but this is not JSON: {detail['ctx']['error']}"
    expected = " or ".join(dict.fromkeys(_expected(each, place) for each in details))
    hint = _hint(detail)
    return (
        f"{where}={_given(detail)} is refused; expected {expected}{hint}"
        if place.path
        else (f"{where} cannot be made from {_given(detail)}; expected {expected}{hint}")
    )


def _given(detail: ErrorDetails) -> str:
    text = _one_line(_shown(detail["input"]))
    return text if len(text) <= GIVEN_SHOWN else f"{text[:GIVEN_SHOWN]}…"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _expected(detail: ErrorDetails, place: _Place) -> str:
    kind, limits = detail["type"], detail.get("ctx", {})
    if kind in BOUNDS:
        words, limit = BOUNDS[kind]
        return f"{words} {limits[limit]:g}" if isinstance(limits[limit], float) else f"{words} {limits[limit]}"
    if kind == "literal_error":
        return str(limits["expected"])
    if kind in NOT_A_VALUE and place.candidates:
        names = [each.__name__ for each in place.candidates]
        if len(names) == 1:
            return f"{'an' if names[0][0] in 'AEIO' else 'a'} {names[0]}"
        return f"one of {', '.join(names[:8])}{', …' if len(names) > 8 else ''}"
    if kind == "int_from_float":
        return EXPECTED["int"]
    return EXPECTED.get(kind.partition("_")[0]) or _one_line(detail["msg"]).removeprefix("Input should be ")


def _hint(detail: ErrorDetails) -> str:
    """The nearest allowed word, when words were allowed and one was given."""
    if detail["type"] != "literal_error" or not isinstance(detail["input"], str):
        return ""
    words = [word for word in detail["ctx"]["expected"].split("'")[1::2] if word]
    hint = did_you_mean(detail["input"], words)
    return hint if "did you mean" in hint else ""
