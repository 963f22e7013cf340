"""Two shapes compared: what the one may write and the other may not read."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeGuard

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
    Property,
    Shape,
    Text,
    Union,
    resolved,
    vars_of,
)
from evsim.schema.doubts import TRIED, Doubt, array_with, other_type, within
from evsim.schema.fields import objects
from evsim.schema.limits import LIMITS, few_of
from evsim.schema.sameness import same_function
from evsim.schema.samples import array, plainest, without_field
from evsim.schema.wording import words


class Comparison:
    """Two shapes while they are compared, with the pairs that are being compared already."""

    def __init__(self) -> None:
        self.open: set[tuple[int, int]] = set()
        self.held: list[Shape] = []
        self.parts: dict[tuple[int, Any], Object] = {}

    def doubts(self, writer: Shape, reader: Shape) -> list[Doubt]:
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

    def _compare(self, writer: Shape, reader: Shape) -> list[Doubt]:
        if isinstance(reader, Anything):
            return []
        if isinstance(writer, Guarded):
            return self._guarded(writer, reader)
        if isinstance(reader, Guarded):
            return self._judged(writer, reader)
        if isinstance(writer, Union):
            options = writer.options if writer.tag is None else [self._chosen(writer, value) for value in writer.tags]
            return [doubt for option in options for doubt in self.doubts(option, reader)]
        if isinstance(writer, Choice | Null | Boolean):
            return self._constants(writer, reader)
        if isinstance(reader, Union):
            return self._one_of(writer, reader)
        if isinstance(writer, Array) and isinstance(reader, Array):
            return list(self._arrays(writer, reader))
        if isinstance(writer, Object) and isinstance(reader, Object):
            return list(objects(self.doubts, writer, reader))
        if (rule := LIMITS.get((type(writer), type(reader)))) is not None:
            return list(rule(writer, reader))
        if isinstance(writer, Number) and (few := few_of(writer)) is not None:
            return self._constants(Choice(values=few), reader)
        return [other_type(writer, reader)]

    # ---------------------------------------------------------------- functions of the user's

    def _guarded(self, writer: Guarded, reader: Shape) -> list[Doubt]:
        if writer.writes:
            if _same_guard(reader, writer) and not self._differ(writer.inner, reader.inner):
                return []
            why = f"{words(writer.inner)} is written as '{writer.name}' likes"
            return [Doubt((), why, tuple(plainest(writer.inner)), written=True)]
        if _same_guard(reader, writer):
            return self._judged_alike(writer, reader)
        return self.doubts(writer.inner, reader)

    def _judged(self, writer: Shape, reader: Guarded) -> list[Doubt]:
        found = self.doubts(writer, reader.inner)
        if not reader.reads:
            return found
        return found or [Doubt((), f"'{reader.name}' judges what is read", tuple(plainest(writer)))]

    def _judged_alike(self, writer: Guarded, reader: Guarded) -> list[Doubt]:
        return self._judged(writer.inner, reader) if self._differ(writer.inner, reader.inner) else []

    def _differ(self, one: Shape, other: Shape) -> bool:
        return bool(self.doubts(one, other) or self.doubts(other, one))

    # ---------------------------------------------------------------- constants and choices

    def _constants(self, writer: Shape, reader: Shape) -> list[Doubt]:
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
            return [Doubt((), f"{shown}{more} {are} not among {words(reader)}", tuple(refused))]
        return [Doubt((), f"{words(writer)} is written, {words(reader)} is read", tuple(refused))]

    def _one_of(self, writer: Shape, reader: Union) -> list[Doubt]:
        if reader.tag is not None:
            return self._tagged(writer, reader)
        tries = [self.doubts(writer, option) for option in reader.options]
        if not all(tries):
            return []
        nearest = [doubts for doubts, option in zip(tries, reader.options, strict=True)
                   if type(resolved(option)) is type(writer)]  # fmt: skip
        if len(nearest) == 1:
            return nearest[0]
        few = few_of(writer) if isinstance(writer, Number) else None
        if few is not None:
            return self._constants(Choice(values=few), reader)
        return [Doubt((), f"{words(writer)} is written, {words(reader)} is read", _examples(writer, tries))]

    def _tagged(self, writer: Shape, reader: Union) -> list[Doubt]:
        tag = reader.tag or ""
        if not isinstance(writer, Object):
            return [other_type(writer, reader)]
        found = writer.written.get(tag)
        shape = resolved(found.shape) if found is not None else None
        if found is None or not isinstance(shape, Choice) or not found.always:
            why = f"'{tag}' says which of several it is, and is not always there with a known value"
            return [Doubt((tag,), why, (*without_field(writer, [tag]), *plainest(writer)))]
        doubts: list[Doubt] = []
        for value in shape.values:
            part = self._part(writer, found, value)
            if value in reader.tags:
                doubts += self.doubts(part, reader.tags[value])
            else:
                doubts.append(Doubt((tag,), f"{tag} {json.dumps(value)} is not known", tuple(plainest(part))))
        return doubts

    def _chosen(self, writer: Union, value: Any) -> Shape:
        """What the tag chooses when it has this value; with a function around it, as it is."""
        option = resolved(writer.tags[value])
        tag = option.written.get(writer.tag or "") if isinstance(option, Object) else None
        return option if tag is None or not isinstance(option, Object) else self._part(option, tag, value)

    def _part(self, writer: Object, tag: Property, value: Any) -> Object:
        """Those objects of the writer that have this tag; in them it cannot be left out."""
        if (id(writer), value) not in self.parts:
            narrow = replace(
                tag,
                always=True,
                required=True,
                stray=None,
                shape=Choice(raw={"type": "literal", "expected": [value]}, values=(value,)),
            )
            fields = tuple(narrow if each is tag else each for each in writer.fields)
            self.parts[id(writer), value] = Object(**{**vars_of(writer), "fields": fields})
        return self.parts[id(writer), value]

    # ---------------------------------------------------------------- lists

    def _arrays(self, writer: Array, reader: Array) -> Iterator[Doubt]:
        shortest, longest = writer.shortest, writer.longest
        too_long = longest > reader.longest or (writer.distinct and not reader.distinct and reader.longest < math.inf)
        too_short = shortest < reader.shortest or (reader.shortest > 1 and reader.distinct and not writer.distinct)
        if too_long or too_short:
            lengths = [length for length in (reader.longest + 1, reader.shortest - 1, shortest, longest)
                       if shortest <= length <= min(longest, 1000)]  # fmt: skip
            made = [array(writer, int(length)) for length in dict.fromkeys(lengths)]
            made += [[plainest(writer.item)[0]] * reader.shortest] if writer.item and plainest(writer.item) else []
            why = f"{words(writer)} is written, {words(reader)} is read"
            yield Doubt((), why, tuple(each for each in made if each is not None))
        reach = max(len(writer.first), len(reader.first)) + 1
        for position in range(int(min(reach, longest, reader.longest))):
            wrote, read = writer.at(position), reader.at(position)
            if wrote is not None and read is not None:
                for doubt in self.doubts(wrote, read):
                    yield within("[]", doubt, array_with, writer, position)


# ---------------------------------------------------------------- small things


def _only(value: Any) -> Choice:
    return Choice(raw={"type": "literal", "expected": [value]}, values=(value,))


def _same_guard(reader: Shape, writer: Guarded) -> TypeGuard[Guarded]:
    if not isinstance(reader, Guarded):
        return False
    return same_function(writer.function, reader.function, (writer.owner, reader.owner))


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


def _examples(writer: Shape, tries: list[list[Doubt]]) -> tuple[Any, ...]:
    return (*plainest(writer), *(value for doubts in tries for doubt in doubts for value in doubt.examples))[:TRIED]
