"""No payload refutes a verdict on two schemas, and what is the same or only loosened is called compatible."""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import pytest
from pydantic import (
    UUID4,
    AliasChoices,
    AnyUrl,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    HttpUrl,
    PostgresDsn,
    StringConstraints,
    create_model,
    field_serializer,
    field_validator,
    model_validator,
)
from typing_extensions import TypeAliasType

from evsim.errors import BadSchema
from evsim.schema import Registry, compatible, reads, takes


def model(config: dict[str, Any] | None = None, /, **fields: Any) -> type[BaseModel]:
    """A payload model with these fields: a type, or (type, default)."""
    told = {name: each if isinstance(each, tuple) else (each, ...) for name, each in fields.items()}
    return create_model("Payload", __config__=ConfigDict(**(config or {})), **told)


LETTERS = "^[a-z]+$"
KEPT = {"extra": "allow"}
STRIPPED = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Euros(BaseModel):
    a: int = 0

    @field_serializer("a")
    def say(self, value) -> str:
        return f"{value} EUR"


REFUTED = {
    "any number, whole steps": (model(a=float), model(a=Annotated[float, Field(multiple_of=1)])),
    "an extra name goes first": (model(KEPT, a=int), model(a=(int, Field(validation_alias=AliasChoices("b", "a"))))),
    "an alias goes first": (model(KEPT, a=int), model({"validate_by_name": True}, a=(int, Field(alias="b")))),
    "a decimal may be a number": (model(a=Decimal), model(a=str)),
    "flags of a pattern": (model(a=Annotated[str, Field(pattern=re.compile(LETTERS, re.IGNORECASE))]),
                           model(a=Annotated[str, Field(pattern=LETTERS)])),
    "engine of a pattern": (model({"regex_engine": "python-re"}, a=Annotated[str, Field(pattern="^a$")]),
                            model(a=Annotated[str, Field(pattern="^a$")])),
    "bytes as base64": (model(a=bytes), model({"val_json_bytes": "base64"}, a=bytes)),
    "a limit for all text": (model(a=STRIPPED), model({"str_max_length": 3}, a=STRIPPED)),
    "a serializer beside a default": (Euros, model(a=(int, 0))),
    "a default that is null": (model(note=(str, None)), model(note=(str, ""))),
    "a default out of bounds": (model(a=(Annotated[int, Field(ge=1)], 0)), model(a=(Annotated[int, Field(ge=1)], 1))),
    "any UUID": (model(a=uuid.UUID), model(a=UUID4)),
    "any scheme": (model(a=AnyUrl), model(a=HttpUrl)),
    "a moment without a zone": (model(a=datetime), model(a=AwareDatetime)),
    "more digits": (model(a=Annotated[Decimal, Field(max_digits=7)]), model(a=Annotated[Decimal, Field(max_digits=3)])),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUTED)
def test_what_a_payload_refutes_is_not_called_compatible(case):
    writer, reader = REFUTED[case]
    proven = [problem for problem in reads(writer, reader) if problem.proven]
    assert proven
    assert not any(takes(reader, problem.example) for problem in proven)


def test_infinity_is_no_json_and_makes_no_difference():
    """An event refuses it before any model is asked."""
    assert not reads(model(a=float), model(a=FiniteFloat))


class Limited(BaseModel):
    n: int
    LIMIT: ClassVar[int] = 100

    @field_validator("n")
    @classmethod
    def small(cls, n):
        if n > cls.LIMIT:
            raise ValueError("too much")
        return n


class Less(Limited):
    LIMIT: ClassVar[int] = 10


class Noted(Limited):
    note: str = ""


class Spent(BaseModel):
    n: int
    LIMIT: ClassVar[int] = 100

    @model_validator(mode="after")
    def small(self):
        if self.n > self.LIMIT:
            raise ValueError("too much")
        return self


class SpentLess(Spent):
    LIMIT: ClassVar[int] = 10


class SpentNoted(Spent):
    note: str = ""


def test_an_inherited_validator_is_the_same_until_its_class_says_otherwise():
    assert reads(Limited, Less)
    assert reads(Spent, SpentLess)
    assert not reads(Limited, Noted)
    assert not reads(Noted, Limited)
    assert not reads(Spent, SpentNoted)


def test_a_model_that_writes_a_default_it_does_not_read_is_refused_at_once():
    with pytest.raises(BadSchema, match=r"null is written as the default, text is read; fails on \{\"note\": null\}"):
        Registry().register("order.placed", 1, model(note=(str, None)))


# ---------------------------------------------------------------- what is the same is read


class Card(BaseModel):
    kind: Literal["card"] = "card"
    number: int


class Cash(BaseModel):
    kind: Literal["cash"] = "cash"


class Voucher(BaseModel):
    kind: Literal["voucher"] = "voucher"
    code: str


@dataclass
class Point:
    x: int


@dataclass
class DeepPoint:
    x: int
    y: int = 0


class Pair(NamedTuple):
    x: int


class Triple(NamedTuple):
    x: int
    y: int = 0


PAID = Annotated[Card | Cash, Field(discriminator="kind")]
SAME = [PAID, list[PAID], ipaddress.IPv4Address, ipaddress.IPv4Network, ipaddress.IPv6Address, Path, HttpUrl, AnyUrl,
        PostgresDsn, re.Pattern, defaultdict[str, int], Decimal, AwareDatetime, UUID4, Point, Pair]  # fmt: skip


@pytest.mark.parametrize("kind", SAME, ids=str)
def test_an_optional_field_may_be_added_beside_any_type(kind):
    assert compatible(model(a=kind), model(a=kind, b=(int, 0)), "full")


LOOSENED = {
    "one more that a tag chooses": (PAID, Annotated[Card | Cash | Voucher, Field(discriminator="kind")]),
    "more digits": (Annotated[Decimal, Field(max_digits=5, decimal_places=2)],
                    Annotated[Decimal, Field(max_digits=7, decimal_places=2)]),
    "a lower bound": (Annotated[Decimal, Field(ge=1)], Annotated[Decimal, Field(gt=0)]),
    "whole numbers as decimal ones": (Annotated[int, Field(ge=1)], Annotated[Decimal, Field(ge=0)]),
    "any moment": (AwareDatetime, datetime),
    "any UUID": (UUID4, uuid.UUID),
    "any URL": (HttpUrl, AnyUrl),
    "a dataclass": (Point, DeepPoint),
    "a named tuple": (Pair, Triple),
}  # fmt: skip


@pytest.mark.parametrize("case", LOOSENED)
def test_what_is_only_loosened_is_read(case):
    old, new = LOOSENED[case]
    assert compatible(model(a=old), model(a=new), "backward")


def test_other_rules_of_a_model_leave_the_moments_in_it_as_they_are():
    strict = model({"extra": "forbid", "str_max_length": 9}, at=datetime, id=uuid.UUID)
    assert compatible(strict, model(at=datetime, id=uuid.UUID), "full")
    assert not reads(model({"str_max_length": 9}, at=datetime), model(at=datetime))
    assert not reads(model(at=datetime), model({"str_max_length": 9}, at=datetime))


def test_a_verdict_says_in_which_limit_two_kinds_differ():
    (problem,) = reads(model(a=Decimal), model(a=Annotated[Decimal, Field(ge=1)]))
    assert problem.reason == "a decimal number is written, a decimal number (ge 1) is read"


Cell = TypeAliasType("Cell", "int | list[Cell]")
Leaf = TypeAliasType("Leaf", "str | list[Leaf]")


def test_a_type_that_contains_itself_has_a_verdict():
    registry = Registry("full")
    registry.register("order.placed", 1, model(a=Cell))
    assert registry.register("order.placed", 2, model(a=Cell, b=(int, 0))).ok
    with pytest.raises(BadSchema, match="is not backward compatible"):
        registry.register("order.placed", 3, model(a=Leaf))
