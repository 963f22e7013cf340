"""Scalars of one type with other limits: whether every value that is written is among those that are read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from evsim.schema.algebra import Format, Number, Other, Raw, Shape, Text
from evsim.schema.doubts import Doubt, other_type
from evsim.schema.sameness import bare, heeded, heeded_by, same
from evsim.schema.samples import numbers as some_numbers
from evsim.schema.samples import texts as some_texts
from evsim.schema.wording import words

EXPANDED = 64
"""A range of whole numbers as short as this is also seen as a choice among them."""


def numbers(writer: Number, reader: Number) -> Iterator[Doubt]:
    """Numbers between two bounds, in steps."""
    if reader.whole and not writer.whole:
        pool = some_numbers(writer)
        why = f"{words(writer)} is written, {words(reader)} is read"
        yield Doubt((), why, tuple(each for each in pool if writer.accepts(each) and not reader.accepts(each)))
        return
    low, without_low = _as(writer, reader)
    high, without_high = _as(writer, reader, top=True)
    (w_low, w_open), (w_high, w_shut) = writer.least, writer.most
    fits = (w_low, w_open) >= (low, without_low) and (-w_high, w_shut) >= (-high, without_high)
    steps = reader.multiple_of in (None, writer.multiple_of) or _divides(reader.multiple_of, writer)
    if fits and steps:
        return
    few = few_of(writer)
    if few is not None and all(reader.accepts(each) for each in few):
        return
    bounds = (reader.low, reader.high, writer.low, writer.high)
    pool = [*(few or ()), *some_numbers(writer, bounds[:2]), *some_numbers(reader, bounds[2:])]
    refused = [each for each in pool if writer.accepts(each) and not reader.accepts(each)]
    yield Doubt((), f"{words(writer)} is written, {words(reader)} is read", tuple(refused))


def texts(writer: Text, reader: Text) -> Iterator[Doubt]:
    """Text of two lengths, like a pattern."""
    fits = reader.shortest <= writer.shortest and writer.longest <= reader.longest
    known = (writer.pattern, writer.dialect) == (reader.pattern, reader.dialect)
    if fits and (reader.pattern is None or known):
        return
    pool = [*some_texts(writer, (reader.shortest - 1, reader.longest + 1)), *some_texts(reader)]
    refused = [each for each in pool if writer.accepts(each) and not reader.accepts(each)]
    yield Doubt((), f"{words(writer)} is written, {words(reader)} is read", tuple(refused))


def formats(writer: Format, reader: Format) -> Iterator[Doubt]:
    """Text of one kind, where the reader may have fewer limits."""
    alike = heeded_by(writer.name, writer.config) == heeded_by(reader.name, reader.config)
    if not alike or not keeps(bare(writer.raw), bare(reader.raw)):
        yield other_type(writer, reader)


def text_of(writer: Format, reader: Text) -> Iterator[Doubt]:
    """What has a format is text, where any text will do; only a decimal number may be a number too."""
    if writer.name == "decimal" or reader.shortest or reader.longest != math.inf or reader.pattern is not None:
        yield other_type(writer, reader)


def decimals(writer: Number, reader: Format) -> Iterator[Doubt]:
    """Numbers, which a decimal number may be too."""
    kept = keeps(bare(writer.raw) | {"type": "decimal"}, bare(reader.raw))
    if reader.name != "decimal" or not kept or (reader.raw.get("multiple_of") and not writer.whole):
        yield other_type(writer, reader)


def others(writer: Other, reader: Other) -> Iterator[Doubt]:
    """What nobody looks into reads what is the same."""
    if not _alike(writer, reader):
        yield other_type(writer, reader)


LIMITS: dict[tuple[type[Shape], type[Shape]], Callable[[Any, Any], Iterator[Doubt]]] = {
    (Number, Number): numbers,
    (Text, Text): texts,
    (Format, Format): formats,
    (Format, Text): text_of,
    (Number, Format): decimals,
    (Other, Other): others,
}


# ---------------------------------------------------------------- limits as pydantic says them


_FREE = ("version", "tz_constraint", "now_op", "multiple_of", "host_required")
"""Whoever does not say these takes any."""
_DIGITS = ("max_digits", "decimal_places")
_LIMITS = {"ge", "gt", "le", "lt", "min_length", "max_length", "allowed_schemes", *_FREE, *_DIGITS}


def keeps(wrote: Raw, read: Raw) -> bool:
    """Whether what keeps the limits that are written keeps those that are read."""
    rest = [{name: each for name, each in raw.items() if name not in _LIMITS} for raw in (wrote, read)]
    return (
        same(*rest)
        and all(read.get(name) is None or wrote.get(name) == read[name] for name in _FREE)
        and _bounds(wrote, read)
        and _digits(wrote, read)
        and (wrote.get("min_length") or 0) >= (read.get("min_length") or 0)
        and wrote.get("max_length", math.inf) <= read.get("max_length", math.inf)
        and _schemes(wrote, read)
    )


def _bounds(wrote: Raw, read: Raw) -> bool:
    try:
        (low, high), (low_read, high_read) = _low_and_high(wrote), _low_and_high(read)
        least = low_read is None or (low is not None and low >= low_read)
        return least and (high_read is None or (high is not None and high <= high_read))
    except TypeError:  # a naive moment and an aware one have no order
        return False


def _low_and_high(raw: Raw) -> tuple[Any, Any]:
    low = [(raw[name], name == "gt") for name in ("ge", "gt") if raw.get(name) is not None]
    high = [(raw[name], name == "le") for name in ("le", "lt") if raw.get(name) is not None]
    return max(low, default=None), min(high, default=None)


def _schemes(wrote: Raw, read: Raw) -> bool:
    known = read.get("allowed_schemes")
    return known is None or ("allowed_schemes" in wrote and set(wrote["allowed_schemes"]) <= set(known))


def _digits(wrote: Raw, read: Raw) -> bool:
    """Whether no more digits are written than are read: in all, behind the point and before it."""
    pairs = [[raw.get(name, math.inf) for name in _DIGITS] for raw in (wrote, read)]
    (most, places), (most_read, places_read) = pairs
    if math.inf in {places_read, most_read}:
        return bool(most <= most_read and places <= places_read)
    return bool(most <= most_read and places <= places_read and most - places <= most_read - places_read)


def few_of(shape: Number) -> tuple[Any, ...] | None:
    """All numbers of this shape, when they are few."""
    if not shape.whole or math.isinf(shape.low) or math.isinf(shape.high):
        return None
    (low, _), (high, _) = shape.least, shape.most
    if high - low >= EXPANDED:
        return None
    return tuple(each for each in range(int(low), int(high) + 1) if shape.accepts(each))


def _as(writer: Number, reader: Number, *, top: bool = False) -> tuple[float, bool]:
    """A bound of the reader for numbers of the writer's kind."""
    whole = replace(reader, whole=True) if writer.whole else reader
    return whole.most if top else whole.least


def _divides(step: float | None, writer: Number) -> bool:
    wrote = writer.multiple_of
    if not writer.whole or step is None or not float(step).is_integer():
        return False
    return step == 1 or (wrote is not None and float(wrote).is_integer() and wrote % step == 0)


def _alike(one: Shape, other: Shape) -> bool:
    return same(one.raw, other.raw) and heeded(one.config) == heeded(other.config)
