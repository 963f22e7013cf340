"""Whether what one shape writes, another reads: proved, or doubted with examples that are then really tried."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError

from evsim.schema.samples import array, numbers, samples, texts, with_field, without_field
from evsim.schema.shapes import (
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
    Property,
    Shape,
    Text,
    Union,
    resolved,
    shape_of,
    vars_of,
)
from evsim.schema.wording import path_of, words

TRIED = 12
"""So many examples of one doubt are tried."""
EXPANDED = 64
"""A range of whole numbers as short as this is also seen as a choice among them."""


@dataclass(frozen=True)
class Problem:
    """One reason why a payload that one version writes may not be read by another.

    ``example`` is a payload that the writer's model takes and the reader's refuses; both were asked. When ``proven`` is
    false there is none: nothing shows that it fails, and nothing shows that it cannot.
    """

    path: str
    reason: str
    example: Any = None
    proven: bool = False

    def __str__(self) -> str:
        end = f"fails on {json.dumps(self.example, ensure_ascii=False)}" if self.proven else "no example is known"
        return f"{self.reason}; {end}"


def reads(writer: type[BaseModel], reader: type[BaseModel]) -> tuple[Problem, ...]:
    """Why the reader cannot read all that the writer writes; nothing when it can.

    What a model writes is its fields under their names, those with a default perhaps left out, and other names only
    where it allows them. It is read as JSON, strictly: text is no number, 1.0 is not whole.
    """
    return _reads(writer, reader)


@lru_cache(maxsize=512)
def _reads(writer: type[BaseModel], reader: type[BaseModel]) -> tuple[Problem, ...]:
    doubts = _Comparison().doubts(shape_of(writer), shape_of(reader))
    return tuple(_tried(doubt, writer, reader) for doubt in doubts)


def takes(model: type[BaseModel], payload: Any) -> bool:
    """Whether the model reads this payload."""
    try:
        model.__pydantic_validator__.validate_json(json.dumps(payload), strict=True)
    except ValidationError:
        return False
    return True


@dataclass(frozen=True)
class _Doubt:
    """What is not proved: where, why, and values of the writer that may show it."""

    path: tuple[str, ...]
    reason: str
    examples: tuple[Any, ...]


def _tried(doubt: _Doubt, writer: type[BaseModel], reader: type[BaseModel]) -> Problem:
    path = path_of(doubt.path)
    for example in doubt.examples:
        if takes(writer, example) and not takes(reader, example):
            return Problem(path, doubt.reason, example, proven=True)
    return Problem(path, f"{doubt.reason}, which cannot be proved", None)


class _Comparison:
    """Two shapes while they are compared, with the pairs that are being compared already."""

    def __init__(self) -> None:
        self.open: set[tuple[int, int]] = set()
        self.held: list[Shape] = []
        self.parts: dict[tuple[int, Any], Object] = {}

    def doubts(self, writer: Shape, reader: Shape) -> list[_Doubt]:
        writer, reader = resolved(writer), resolved(reader)
        pair = (id(writer), id(reader))
        if pair in self.open:
            return []  # what contains itself is as good as what else it holds
        self.held += [writer, reader]
        self.open.add(pair)
        try:
            return self._compare(writer, reader)
        finally:
            self.open.discard(pair)

    def _compare(self, writer: Shape, reader: Shape) -> list[_Doubt]:
        if isinstance(reader, Anything):
            return []
        if isinstance(writer, Guarded):
            return self._guarded(writer, reader)
        if isinstance(reader, Guarded):
            return self._judged(writer, reader)
        if isinstance(writer, Union):
            return [doubt for option in writer.options for doubt in self.doubts(option, reader)]
        if isinstance(writer, Choice | Null | Boolean):
            return self._constants(writer, reader)
        if isinstance(reader, Union):
            return self._one_of(writer, reader)
        rule = _RULES.get((type(writer), type(reader)))
        if rule is not None:
            return list(rule(self, writer, reader))
        if isinstance(writer, Number) and (few := _few(writer)) is not None:
            return self._constants(Choice(values=few), reader)
        return [self._other_type(writer, reader)]

    # ---------------------------------------------------------------- functions of the user's

    def _guarded(self, writer: Guarded, reader: Shape) -> list[_Doubt]:
        if writer.writes:
            same = isinstance(reader, Guarded) and _function(reader) is _function(writer)
            if same and isinstance(reader, Guarded) and not self._differ(writer.inner, reader.inner):
                return []
            why = f"{words(writer.inner)} is written as '{writer.name}' likes"
            return [_Doubt((), why, tuple(samples(writer.inner)))]
        if isinstance(reader, Guarded) and _function(reader) is _function(writer):
            return self._judged_alike(writer, reader)
        return self.doubts(writer.inner, reader)

    def _judged(self, writer: Shape, reader: Guarded) -> list[_Doubt]:
        found = self.doubts(writer, reader.inner)
        if not reader.reads:
            return found
        return found or [_Doubt((), f"'{reader.name}' judges what is read", tuple(samples(writer)))]

    def _judged_alike(self, writer: Guarded, reader: Guarded) -> list[_Doubt]:
        return self._judged(writer.inner, reader) if self._differ(writer.inner, reader.inner) else []

    def _differ(self, one: Shape, other: Shape) -> bool:
        return bool(self.doubts(one, other) or self.doubts(other, one))

    # ---------------------------------------------------------------- constants and choices

    def _constants(self, writer: Shape, reader: Shape) -> list[_Doubt]:
        values = _values(writer)
        if _is_scalar(reader):
            refused = [value for value in values if not reader.accepts(value)]
        else:
            options = reader.options if isinstance(reader, Union) else ()
            refused = [value for value in values if not any(_takes(option, value) for option in options)]
        if not refused:
            return []
        if len(refused) < len(values) or _is_constant(reader):
            shown = ", ".join(json.dumps(value) for value in refused[:3])
            are = "is" if len(refused) == 1 else "are"
            more = f" and {len(refused) - 3} more" if len(refused) > 3 else ""
            return [_Doubt((), f"{shown}{more} {are} not among {words(reader)}", tuple(refused))]
        return [_Doubt((), f"{words(writer)} is written, {words(reader)} is read", tuple(refused))]

    def _one_of(self, writer: Shape, reader: Union) -> list[_Doubt]:
        if reader.tag is not None:
            return self._tagged(writer, reader)
        tries = [self.doubts(writer, option) for option in reader.options]
        if not all(tries):
            return []
        nearest = [doubts for doubts, option in zip(tries, reader.options, strict=True)
                   if type(resolved(option)) is type(writer)]  # fmt: skip
        if len(nearest) == 1:
            return nearest[0]
        few = _few(writer) if isinstance(writer, Number) else None
        if few is not None:
            return self._constants(Choice(values=few), reader)
        return [_Doubt((), f"{words(writer)} is written, {words(reader)} is read", _examples(writer, tries))]

    def _tagged(self, writer: Shape, reader: Union) -> list[_Doubt]:
        tag = reader.tag or ""
        if not isinstance(writer, Object):
            return [self._other_type(writer, reader)]
        found = next((each for each in writer.fields if tag in each.reads), None)
        shape = resolved(found.shape) if found is not None else None
        if found is None or not isinstance(shape, Choice) or not found.always:
            why = f"'{tag}' says which of several it is, and is not always there with a known value"
            return [_Doubt((tag,), why, (*without_field(writer, [tag]), *samples(writer)))]
        doubts: list[_Doubt] = []
        for value in shape.values:
            part = self._part(writer, found, value)
            if value in reader.tags:
                doubts += self.doubts(part, reader.tags[value])
            else:
                doubts.append(_Doubt((tag,), f"{tag} {json.dumps(value)} is not known", tuple(samples(part))))
        return doubts

    def _part(self, writer: Object, tag: Property, value: Any) -> Object:
        """Those objects of the writer that have this tag."""
        if (id(writer), value) not in self.parts:
            narrow = replace(tag, shape=Choice(raw={"type": "literal", "expected": [value]}, values=(value,)))
            fields = tuple(narrow if each is tag else each for each in writer.fields)
            self.parts[id(writer), value] = Object(**{**vars_of(writer), "fields": fields})
        return self.parts[id(writer), value]

    # ---------------------------------------------------------------- the same type with other limits

    def numbers(self, writer: Number, reader: Number) -> Iterator[_Doubt]:
        if reader.whole and not writer.whole:
            pool = numbers(writer)
            why = f"{words(writer)} is written, {words(reader)} is read"
            yield _Doubt((), why, tuple(each for each in pool if writer.accepts(each) and not reader.accepts(each)))
            return
        low, without_low = _as(writer, reader)
        high, without_high = _as(writer, reader, top=True)
        (w_low, w_open), (w_high, w_shut) = writer.least, writer.most
        fits = (w_low, w_open) >= (low, without_low) and (-w_high, w_shut) >= (-high, without_high)
        steps = reader.multiple_of in (None, writer.multiple_of) or _divides(reader.multiple_of, writer)
        if fits and steps:
            return
        few = _few(writer)
        if few is not None and all(reader.accepts(each) for each in few):
            return
        pool = [*(few or ()), *numbers(writer, (reader.low, reader.high)), *numbers(reader, (writer.low, writer.high))]
        refused = [each for each in pool if writer.accepts(each) and not reader.accepts(each)]
        yield _Doubt((), f"{words(writer)} is written, {words(reader)} is read", tuple(refused))

    def texts(self, writer: Text, reader: Text) -> Iterator[_Doubt]:
        fits = reader.shortest <= writer.shortest and writer.longest <= reader.longest
        if fits and reader.pattern in (None, writer.pattern):
            return
        pool = [*texts(writer, (reader.shortest - 1, reader.longest + 1)), *texts(reader)]
        refused = [each for each in pool if writer.accepts(each) and not reader.accepts(each)]
        yield _Doubt((), f"{words(writer)} is written, {words(reader)} is read", tuple(refused))

    def formats(self, writer: Format, reader: Format) -> Iterator[_Doubt]:
        if _bare(writer) != _bare(reader):
            yield self._other_type(writer, reader)

    def text_of(self, writer: Format, reader: Text) -> Iterator[_Doubt]:
        """What has a format is text, where any text will do."""
        if reader.shortest or reader.longest != math.inf or reader.pattern is not None:
            yield self._other_type(writer, reader)

    def decimals(self, writer: Number, reader: Format) -> Iterator[_Doubt]:
        if reader.name != "decimal" or set(_bare(reader)) != {"type"}:
            yield self._other_type(writer, reader)

    def others(self, writer: Other, reader: Other) -> Iterator[_Doubt]:
        if _bare(writer) != _bare(reader):
            yield self._other_type(writer, reader)

    # ---------------------------------------------------------------- lists

    def arrays(self, writer: Array, reader: Array) -> Iterator[_Doubt]:
        shortest, longest = writer.shortest, writer.longest
        too_long = longest > reader.longest or (writer.distinct and not reader.distinct and reader.longest < math.inf)
        too_short = shortest < reader.shortest or (reader.shortest > 1 and reader.distinct and not writer.distinct)
        if too_long or too_short:
            lengths = [length for length in (reader.longest + 1, reader.shortest - 1, shortest, longest)
                       if shortest <= length <= min(longest, 1000)]  # fmt: skip
            made = [array(writer, int(length)) for length in dict.fromkeys(lengths)]
            made += [[samples(writer.item)[0]] * reader.shortest] if writer.item and samples(writer.item) else []
            why = f"{words(writer)} is written, {words(reader)} is read"
            yield _Doubt((), why, tuple(each for each in made if each is not None))
        reach = max(len(writer.first), len(reader.first)) + 1
        for position in range(int(min(reach, longest, reader.longest))):
            wrote, read = writer.at(position), reader.at(position)
            if wrote is not None and read is not None:
                for doubt in self.doubts(wrote, read):
                    yield _within("[]", doubt, _array_with, writer, position)

    # ---------------------------------------------------------------- objects

    def objects(self, writer: Object, reader: Object) -> Iterator[_Doubt]:
        for each in reader.fields:
            if each.reads:
                yield from self._field(writer, each)
        yield from self._unknown(writer, reader)
        yield from self._sizes(writer, reader)

    def _field(self, writer: Object, read: Property) -> Iterator[_Doubt]:
        wrote = [writer.written[name] for name in read.reads if name in writer.written]
        name = read.reads[0]
        if read.blurred:
            yield _Doubt((name,), f"{name} is read in a way that is not followed here", tuple(samples(writer)))
        for each in wrote:
            for doubt in self.doubts(each.shape, read.shape):
                yield _within(each.name, doubt, with_field, writer, each)
            if each.always:
                return
        if writer.extra == "allow":
            for doubt in self.doubts(writer.extras, read.shape):
                unwritten = next((other for other in read.reads if other not in writer.written), name)
                yield _within(unwritten, doubt, with_field, writer, unwritten)
        if read.required:
            names = [each.name for each in wrote]
            never = "is needed, and never written" if not names else "is needed, and may be left out"
            yield _Doubt((name,), f"{name} {never}", tuple(without_field(writer, names)))

    def _unknown(self, writer: Object, reader: Object) -> Iterator[_Doubt]:
        """What happens with names that the reader does not know."""
        known = {name for each in reader.fields for name in each.reads}
        for name, each in writer.written.items():
            clear = [read for read in reader.fields if name in read.reads
                     and sum(other in writer.written for other in read.reads) == 1]  # fmt: skip
            if clear:
                continue
            found = [value for one in samples(each.shape) for value in with_field(writer, each, one)]
            if reader.extra == "forbid":
                why = f"{name} is not known, and unknown names are refused" if name not in known else (
                    f"{name} may stand beside another name of the same field")  # fmt: skip
                yield _Doubt((name,), why, tuple(found))
            elif reader.extra == "allow" and name not in known:
                for doubt in self.doubts(each.shape, reader.extras):
                    yield _within(name, doubt, with_field, writer, each)
        if writer.extra == "allow" and reader.extra != "ignore":
            free = next(each for each in ("something", "anything", "whatever", "a b") if each not in known)
            if reader.extra == "forbid":
                some = samples(writer.extras)
                found = [value for one in some for value in with_field(writer, free, one)]
                found += samples(writer)
                yield _Doubt((), "other names may be written, and unknown names are refused", tuple(found))
            else:
                for doubt in self.doubts(writer.extras, reader.extras):
                    yield _within("{}", doubt, _mapping_with, writer, free)

    def _sizes(self, writer: Object, reader: Object) -> Iterator[_Doubt]:
        least = sum(each.always for each in writer.fields if each.written) or writer.fewest
        most = math.inf if writer.extra == "allow" else len(writer.written)
        most = min(most, writer.most) if not writer.fields else most
        same_keys = reader.keys is None or (
            writer.keys is not None and not writer.fields and not self.doubts(writer.keys, reader.keys)
        )
        if writer.extra != "allow" and reader.keys is not None:
            same_keys = all(reader.keys.accepts(name) for name in writer.written)
        if least < reader.fewest or most > reader.most or not same_keys:
            found = list(samples(writer))
            value = samples(writer.extras)
            if writer.extra == "allow" and value and reader.most < 1000:
                found.append({f"name{n}": value[0] for n in range(int(reader.most) + 1)})
            found += [{key: value[0]} for key in ("1", "a", "", "A b")] if value and not writer.fields else []
            yield _Doubt((), f"{words(writer)} is written, {words(reader)} is read", tuple(found))

    @staticmethod
    def _other_type(writer: Shape, reader: Shape) -> _Doubt:
        return _Doubt((), f"{words(writer)} is written, {words(reader)} is read", tuple(samples(writer)))


_RULES: dict[tuple[type[Shape], type[Shape]], Callable[..., Iterator[_Doubt]]] = {
    (Number, Number): _Comparison.numbers,
    (Text, Text): _Comparison.texts,
    (Format, Format): _Comparison.formats,
    (Format, Text): _Comparison.text_of,
    (Number, Format): _Comparison.decimals,
    (Array, Array): _Comparison.arrays,
    (Object, Object): _Comparison.objects,
    (Other, Other): _Comparison.others,
}


# ---------------------------------------------------------------- small things


def _within(name: str, doubt: _Doubt, build: Callable[..., Iterable[Any]], shape: Shape, place: Any) -> _Doubt:
    """The same doubt as it is seen from outside: its examples stand in something larger, at this place."""
    built = [whole for value in doubt.examples for whole in build(shape, place, value)]
    return _Doubt((name, *doubt.path), doubt.reason, tuple(built[:TRIED]))


def _array_with(shape: Array, position: int, value: Any) -> Iterator[Any]:
    for length in (max(shape.shortest, position + 1), max(shape.shortest, position + 2)):
        made = array(shape, length)
        if made is not None:
            made[position] = value
            yield made
    if position == 0 and not shape.first and shape.shortest <= 1:
        yield [value]


def _mapping_with(shape: Object, name: str, value: Any) -> Iterator[Any]:
    if shape.fields:
        yield from with_field(shape, name, value)
        return
    keys = [each for each in (name, "a", "1", "2026-01-01") if shape.keys is None or shape.keys.accepts(each)]
    for made in [*samples(shape), {}]:
        yield from ({**dict(list(made.items())[1:]), key: value} for key in keys[:1])


def _function(guard: Guarded) -> Any:
    return getattr(guard.function, "__func__", guard.function)


def _is_scalar(shape: Shape) -> bool:
    return isinstance(shape, Null | Boolean | Number | Text | Format | Choice | Other)


def _is_constant(shape: Shape) -> bool:
    if isinstance(shape, Union):
        return all(_is_constant(resolved(option)) for option in shape.options)
    return isinstance(shape, Choice)


def _takes(option: Shape, value: Any) -> bool:
    option = resolved(option)
    if isinstance(option, Union):
        return any(_takes(each, value) for each in option.options)
    return isinstance(option, Anything) or (_is_scalar(option) and option.accepts(value))


def _values(shape: Shape) -> tuple[Any, ...]:
    if isinstance(shape, Choice):
        return shape.values
    return (None,) if isinstance(shape, Null) else (True, False)


def _few(shape: Number) -> tuple[Any, ...] | None:
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
    both_whole = writer.whole and step is not None and wrote is not None and float(step).is_integer()
    return (
        bool(both_whole and wrote is not None and float(wrote).is_integer() and wrote % (step or 1) == 0) or step == 1
    )


def _bare(shape: Shape) -> dict[str, Any]:
    """What pydantic says of a shape, without what it says for others."""
    return {name: value for name, value in shape.raw.items() if name not in {"metadata", "ref", "serialization"}}


def _examples(writer: Shape, tries: list[list[_Doubt]]) -> tuple[Any, ...]:
    return (*samples(writer), *(value for doubts in tries for doubt in doubts for value in doubt.examples))[:TRIED]
