"""Whether two core schemas, or two functions in them, are the same although pydantic made them anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import CodeType
from typing import Any

_UNSAID = {"metadata", "ref", "serialization"}
"""What pydantic says of a schema for others: nothing of it decides what is read."""
_HEEDED = ("str_", "val_", "ser_", "regex_engine", "validate_", "extra_", "url_")
_DEFAULTS = {"val_json_bytes": "utf8", "ser_json_bytes": "utf8", "ser_json_timedelta": "iso8601",
             "regex_engine": "rust-regex", "validate_by_alias": True, "extra_fields_behavior": "ignore"}  # fmt: skip
_OF_FORMAT = {
    "bytes": ("val_json_bytes", "ser_json_bytes"),
    "timedelta": ("ser_json_timedelta", "ser_json_temporal"),
    "datetime": ("ser_json_temporal",),
    "date": ("ser_json_temporal",),
    "time": ("ser_json_temporal",),
}


def heeded_by(kind: str, config: Any) -> dict[str, Any]:
    """What of a model's config decides how text of this kind is read and written."""
    heard = _OF_FORMAT.get(kind, ("url_preserve_empty_path",))
    return {name: each for name, each in heeded(config).items() if name in heard}


def heeded(config: Any) -> dict[str, Any]:
    """What of a model's config decides what the types within it read and write."""
    said = {name: each for name, each in (config or {}).items() if name.startswith(_HEEDED)}
    return {name: each for name, each in said.items() if each is not None and each != _DEFAULTS.get(name, False)}


def bare(raw: Mapping[str, Any]) -> dict[str, Any]:
    """What pydantic says of a shape, without what it says for others."""
    return {name: each for name, each in raw.items() if name not in _UNSAID}


def same(one: Any, other: Any) -> bool:
    """Whether two core schemas say the same, entry by entry."""
    if one is other:
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        one, other = bare(one), bare(other)
        return one.keys() == other.keys() and all(same(each, other[name]) for name, each in one.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if callable(one) and callable(other):
        return same_function(one, other)
    return type(one) is type(other) and bool(one == other)


def same_function(one: Any, other: Any, owners: tuple[Any, Any] | None = None) -> bool:
    """Whether two functions do the same: one function whose owners have the same things of the names in it.

    A validator that a model inherits may look at what its class has made of ``cls.LIMIT``. Functions of pydantic's own
    are made for each type anew, and are known by their code.
    """
    first, second = (getattr(each, "__func__", each) for each in (one, other))
    mine, yours = owners or (getattr(one, "__self__", None), getattr(other, "__self__", None))
    code = getattr(first, "__code__", None)
    if first is not second and not _made_alike(first, second):
        return False
    if mine is yours or not isinstance(mine, type) or not isinstance(yours, type):
        return bool(mine == yours)
    return code is not None and all(getattr(mine, name, None) == getattr(yours, name, None) for name in _names(code))


def _made_alike(one: Any, other: Any) -> bool:
    """Whether pydantic has made both from the same code and the same things."""
    code = getattr(one, "__code__", None)
    if code is None or code is not getattr(other, "__code__", None):
        return False
    held = [[cell.cell_contents for cell in each.__closure__ or ()] for each in (one, other)]
    return str(one.__module__).startswith("pydantic.") and same(*held)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _names(each)
