"""Whether what one shape writes, another reads: proved, or doubted with examples that are then really tried."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError

from evsim.schema.comparison import Comparison
from evsim.schema.doubts import Doubt
from evsim.schema.shapes import shape_of
from evsim.schema.wording import path_of


@dataclass(frozen=True)
class Problem:
    """One reason why a payload that one version writes may not be read by another.

    ``example`` is a payload that the writer's model takes or has written, and the reader's refuses; both were asked.
    When ``proven`` is false there is none: nothing shows that it fails, and nothing shows that it cannot.
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
    where it allows them. It is read as JSON, strictly: text is no number, 1.0 is not whole,
    infinity is no JSON.
    """
    return _reads(writer, reader)


@lru_cache(maxsize=512)
def _reads(writer: type[BaseModel], reader: type[BaseModel]) -> tuple[Problem, ...]:
    doubts = Comparison().doubts(shape_of(writer), shape_of(reader))
    return tuple(_tried(doubt, writer, reader) for doubt in doubts)


def takes(model: type[BaseModel], payload: Any) -> bool:
    """Whether the model reads this payload."""
    try:
        model.__pydantic_validator__.validate_json(json.dumps(payload), strict=True)
    except ValidationError:
        return False
    return True


def _tried(doubt: Doubt, writer: type[BaseModel], reader: type[BaseModel]) -> Problem:
    path = path_of(doubt.path)
    taken = [example for example in doubt.examples if takes(writer, example)]
    written = [each for payload in taken for each in _written(writer, payload)] if doubt.written else []
    for example in (*taken, *written):
        if not takes(reader, example):
            return Problem(path, doubt.reason, json.loads(json.dumps(example)), proven=True)
    return Problem(path, f"{doubt.reason}, which cannot be proved", None)


def _written(model: type[BaseModel], payload: Any) -> Iterator[Any]:
    """What the model writes after it has taken this payload."""
    try:
        taken = model.__pydantic_validator__.validate_json(json.dumps(payload), strict=True)
        yield taken.model_dump(mode="json", by_alias=True, warnings=False)
    except Exception:  # noqa: BLE001 whatever a serializer of the user's fails on, it has not written
        return
