"""What is not proved yet: where, why, and payloads that may show it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from evsim.schema.algebra import Array, Object, Shape
from evsim.schema.samples import array, plainest, with_field
from evsim.schema.wording import words

TRIED = 12
"""So many examples of one doubt are tried."""


@dataclass(frozen=True)
class Doubt:
    """What is not proved: where, why, and values of the writer that may show it."""

    path: tuple[str, ...]
    reason: str
    examples: tuple[Any, ...]
    written: bool = False
    """Whether only what is really written after an example may show it."""


def other_type(writer: Shape, reader: Shape) -> Doubt:
    """The doubt that says what is written and what is read."""
    return Doubt((), f"{words(writer)} is written, {words(reader)} is read", tuple(plainest(writer)))


def within(name: str, doubt: Doubt, build: Callable[..., Iterable[Any]], shape: Shape, place: Any) -> Doubt:
    """The same doubt as it is seen from outside: its examples stand in something larger, at this place."""
    built = [whole for value in doubt.examples for whole in build(shape, place, value)]
    return replace(doubt, path=(name, *doubt.path), examples=tuple(built[:TRIED]))


def array_with(shape: Array, position: int, value: Any) -> Iterator[Any]:
    for length in (max(shape.shortest, position + 1), max(shape.shortest, position + 2)):
        made = array(shape, length)
        if made is not None:
            made[position] = value
            yield made
    if position == 0 and not shape.first and shape.shortest <= 1:
        yield [value]


def mapping_with(shape: Object, name: str, value: Any) -> Iterator[Any]:
    if shape.fields:
        yield from with_field(shape, name, value)
        return
    keys = [each for each in (name, "a", "1", "2026-01-01") if shape.keys is None or shape.keys.accepts(each)]
    for made in [*plainest(shape), {}]:
        yield from ({**dict(list(made.items())[1:]), key: value} for key in keys[:1])
