"""A few payloads of a shape, the plainest first: what a failing example is built from."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import lru_cache
from itertools import islice, zip_longest
from typing import Any

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
    Property,
    Shape,
    Text,
    Union,
    resolved,
)

MOST = 6
"""So many samples of one shape are enough."""
DEPTH = 6
LONGEST = 5000
"""Longer samples are not made."""

_FORMATS: dict[str, tuple[str | float, ...]] = {
    "datetime": ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00"),
    "date": ("2026-01-01",),
    "time": ("09:30:00",),
    "timedelta": ("PT5S",),
    "uuid": (
        "12345678-1234-4234-8234-123456789abc",
        "12345678-1234-1234-8234-123456789abc",
        "12345678-1234-7234-8234-123456789abc",
    ),
    "decimal": ("1", 2.5, "0", "12.50", "-1", "1000"),
    "bytes": ("a", "abc", "a b!"),
    "url": ("https://example.com/", "ftp://example.com/", "http://localhost/", "x:y"),
    "multi-host-url": ("redis://example.com/",),
}
_OTHERS: tuple[Any, ...] = ("a", 1, None, {}, [], "plenty of text")


def samples(shape: Shape) -> list[Any]:
    """Up to ``MOST`` values that are written in this shape; none when none is known."""
    return deepcopy(list(plainest(shape)))


def plainest(shape: Shape, depth: int = DEPTH) -> tuple[Any, ...]:
    """The same values, for who does not change them."""
    return _found(resolved(shape), depth)


@lru_cache(maxsize=8192)
def _found(shape: Shape, depth: int) -> tuple[Any, ...]:
    return tuple(islice(_each(shape, depth), MOST))


def _each(shape: Shape, depth: int) -> Iterator[Any]:
    if depth < 0:
        return
    if isinstance(shape, Null):
        yield None
    elif isinstance(shape, Boolean):
        yield from (True, False)
    elif isinstance(shape, Anything):
        yield from _OTHERS
    elif isinstance(shape, Choice):
        yield from shape.values
    elif isinstance(shape, Number):
        yield from (number for number in numbers(shape) if shape.accepts(number))
    elif isinstance(shape, Text):
        yield from (text for text in texts(shape) if shape.accepts(text))
    elif isinstance(shape, Format):
        yield from (text for text in _FORMATS.get(shape.name, ()) if shape.accepts(text))
    elif isinstance(shape, Union):
        lists = (
            [plainest(option, depth - 1) for option in shape.options] if shape.tag is None else _tagged(shape, depth)
        )
        yield from _distinct(value for row in zip_longest(*lists, fillvalue=_NONE) for value in row)
    elif isinstance(shape, Array):
        yield from _arrays(shape, depth)
    elif isinstance(shape, Object):
        yield from _objects(shape, depth)
    elif isinstance(shape, Guarded):
        yield from plainest(shape.inner, depth)
    else:
        yield from (value for value in _OTHERS if shape.accepts(value))


_NONE: Any = object()


def _tagged(shape: Union, depth: int) -> list[list[Any]]:
    """What is chosen by each tag, with the tag that chooses it."""
    made = {tag: plainest(option, depth - 1) for tag, option in shape.tags.items()}
    return [[each | {shape.tag: tag} for each in known if isinstance(each, dict)] for tag, known in made.items()]


def _distinct(values: Iterator[Any]) -> Iterator[Any]:
    seen: set[str] = set()
    for value in values:
        if value is not _NONE and (text := json.dumps(value)) not in seen:
            seen.add(text)
            yield value


def numbers(shape: Number, near: Sequence[float] = ()) -> list[Any]:
    """Numbers that may be of this shape: plain ones, its bounds, and those around ``near``."""
    step = shape.multiple_of or 1
    bounds = [bound for bound in (*near, shape.low, shape.high) if not math.isinf(bound)]
    found: list[float] = [1, 0, -1, step, -step]
    for bound in bounds:
        found += [bound, bound + 1, bound - 1]
        found += [math.ceil(bound / step) * step, math.floor(bound / step) * step]
        found += [] if shape.whole else [bound + 0.5, bound - 0.5, math.nextafter(bound, math.inf),
                                         math.nextafter(bound, -math.inf)]  # fmt: skip
    found += [] if shape.whole else [0.5]
    if not math.isinf(shape.low) and not math.isinf(shape.high):
        middle = shape.low + (shape.high - shape.low) / 2
        found += [math.floor(middle), middle]
    kept = [int(number) for number in found if float(number).is_integer()] if shape.whole else found
    return list(dict.fromkeys(kept))


def texts(shape: Text, near: Sequence[float] = ()) -> list[str]:
    """Texts that may be of this shape: short ones, at its lengths, matching its pattern, and of lengths ``near``."""
    lengths = [1, 0, shape.shortest, shape.longest, *near]
    short = dict.fromkeys(int(length) for length in lengths if 0 <= length <= LONGEST)
    found = ["a" * length for length in short]
    if shape.pattern is not None:
        matching = _matching(shape.pattern)
        found = [*matching, *found, *(each.swapcase() for each in matching), *(f"{each}\n" for each in matching)]
    return list(dict.fromkeys(found))


def _arrays(shape: Array, depth: int) -> Iterator[Any]:
    lengths = dict.fromkeys(
        int(length) for length in (max(1, shape.shortest), shape.shortest, shape.longest) if length <= 100
    )
    for length in lengths:
        if shape.shortest <= length <= shape.longest and (made := array(shape, length, depth)) is not None:
            yield made


def array(shape: Array, length: int, depth: int = DEPTH) -> list[Any] | None:
    """A list of this length, of the plainest entries; None when there is none."""
    entries: list[Any] = []
    for position in range(length):
        item = shape.at(position)
        known = plainest(item, depth - 1) if item is not None else []
        if shape.distinct:
            known = [value for value in known if value not in entries]
        if not known:
            return None
        entries.append(known[0])
    return entries


def _objects(shape: Object, depth: int) -> Iterator[Any]:
    if not shape.fields:
        yield from _mappings(shape, depth)
        return
    written = list(shape.written.values())
    known = {each.name: plainest(each.shape, depth - 1) for each in written}
    if any(each.always and not known[each.name] for each in written):
        return
    least = {each.name: known[each.name][0] for each in written if each.always}
    yield least
    full = {each.name: known[each.name][0] for each in written if known[each.name]}
    if full != least:
        yield full


def _mappings(shape: Object, depth: int) -> Iterator[Any]:
    names = [name for name in ("a", "b", "c", "1", "2026-01-01") if shape.keys is None or shape.keys.accepts(name)]
    value = plainest(shape.extras, depth - 1)
    for size in dict.fromkeys((max(1, shape.fewest), shape.fewest)):
        if size <= len(names) and size <= shape.most and (value or not size):
            yield dict.fromkeys(names[:size], value[0] if value else None)


def with_field(shape: Object, field: Property | str, value: Any) -> Iterator[Any]:
    """Objects of this shape in which this field has this value: as little else as there may be, and as much."""
    name = field if isinstance(field, str) else field.name
    for made in plainest(shape) or ({},):
        yield made | {name: value}


def without_field(shape: Object, names: Sequence[str]) -> Iterator[Any]:
    """Objects of this shape without these fields."""
    for made in plainest(shape):
        yield {name: value for name, value in made.items() if name not in names}


# ---------------------------------------------------------------- texts that match a pattern


def _matching(pattern: str) -> list[str]:
    """A few texts that probably match; whoever asks tries them."""
    try:
        parsed: Any = re._parser.parse(pattern)  # type: ignore[attr-defined]
    except (re.error, RecursionError, OverflowError):
        return []
    try:
        return list(dict.fromkeys(_spell(parsed, most) for most in (False, True)))
    except (ValueError, RecursionError):
        return []


def _spell(parsed: Any, most: bool) -> str:
    return "".join(_spelt(str(code), given, most) for code, given in parsed)


def _spelt(code: str, given: Any, most: bool) -> str:
    if code == "LITERAL":
        return chr(given)
    if code == "NOT_LITERAL":
        return "b" if chr(given) == "a" else "a"
    if code == "ANY":
        return "a"
    if code == "IN":
        return _member(given, most)
    if code in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
        least, limit, inner = given
        return _spell(inner, most) * (min(int(limit), int(least) + 2) if most else max(int(least), min(1, int(limit))))
    if code == "SUBPATTERN":
        return _spell(given[-1], most)
    if code == "BRANCH":
        return _spell(given[1][-1 if most else 0], most)
    if code == "AT":
        return ""
    raise ValueError(code)


_CATEGORIES = {"CATEGORY_DIGIT": "07", "CATEGORY_WORD": "aZ", "CATEGORY_SPACE": " \t", "CATEGORY_NOT_DIGIT": "ab",
               "CATEGORY_NOT_SPACE": "ab", "CATEGORY_NOT_WORD": " -"}  # fmt: skip


def _member(given: Any, most: bool) -> str:
    if str(given[0][0]) == "NEGATE":
        return next((each for each in "a1 _~" if not any(_holds(code, what, each) for code, what in given[1:])), "a")
    code, what = given[-1 if most else 0]
    if str(code) == "RANGE":
        return chr(what[1 if most else 0])
    return chr(what) if str(code) == "LITERAL" else _CATEGORIES.get(str(what), "aa")[1 if most else 0]


def _holds(code: Any, what: Any, character: str) -> bool:
    if str(code) == "RANGE":
        return bool(what[0] <= ord(character) <= what[1])
    if str(code) == "LITERAL":
        return bool(ord(character) == what)
    return character in _CATEGORIES.get(str(what), "")
