"""A registry writes only what it reads, knows where its chain is broken, and says no in one sentence."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import pytest
from jsonschema import validate
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    computed_field,
    create_model,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)

from evsim import BadEvent, BadSchema, Event, EvsimError, UnknownName
from evsim.schema import Registry, compatible


def model(**whole: Any):
    return create_model(
        "Placed", **{name: each if isinstance(each, tuple) else (each, ...) for name, each in whole.items()}
    )


def registry_of(*models: type[BaseModel], mode: str = "none") -> Registry:
    found = Registry(mode)
    for version, each in enumerate(models, start=1):
        found.register("order.placed", version, each)
    return found


def placed(version=1, **data):
    return Event("shop.1", "order.placed", 0.0, "shop", data, version=version)


# ---------------------------------------------------------------- what is written is read


class NullByDefault(BaseModel):
    note: str = None  # type: ignore[assignment]


class TooSmallByDefault(BaseModel):
    amount: Annotated[int, Field(ge=1)] = 0


class OtherTypeWritten(BaseModel):
    amount: int

    @field_serializer("amount")
    def with_currency(self, value: int) -> str:
        return f"{value} EUR"


class OtherTypeWrittenWithDefault(OtherTypeWritten):
    amount: int = 0


class ComputedAndForbidden(BaseModel):
    model_config = ConfigDict(extra="forbid")
    amount: int

    @computed_field
    @property
    def twice(self) -> int:
        return 2 * self.amount


class OtherNameWritten(BaseModel):
    amount: int = Field(0, serialization_alias="cents")


class OtherObjectWritten(BaseModel):
    amount: int

    @model_serializer
    def in_cents(self) -> dict[str, int]:
        return {"cents": 100 * self.amount}


class NeededAndNeverWritten(BaseModel):
    amount: int = Field(exclude=True)


class SecondsWritten(BaseModel):
    model_config = ConfigDict(ser_json_timedelta="float")
    wait: timedelta


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (NullByDefault, "note"),
        (TooSmallByDefault, "amount"),
        (OtherTypeWritten, "'1 EUR'"),
        (OtherTypeWrittenWithDefault, " EUR'"),
        (ComputedAndForbidden, "twice: extra inputs are not permitted, not 2"),
        (OtherNameWritten, "it writes 'cents' and reads 'amount'; give it one name for both"),
        (OtherObjectWritten, "amount: field required"),
        (NeededAndNeverWritten, "it needs 'amount' and never writes it"),
        (SecondsWritten, "wait: input should be a valid duration, not 5.0"),
    ],
)
def test_a_model_that_does_not_read_what_it_writes_is_not_registered(bad, said):
    registry = Registry()
    with pytest.raises(BadSchema) as refused:
        registry.register("order.placed", 1, bad)
    assert str(refused.value).startswith("order.placed 1 cannot read what it writes: ")
    assert said in str(refused.value)
    assert registry.types == ()


class Tagged(BaseModel):
    model_config = ConfigDict(extra="allow")
    amount: int
    note: str | None = None
    secret: int = Field(0, exclude=True)
    at: datetime = datetime(2026, 1, 1)  # noqa: DTZ001 - a local time may be written too

    @computed_field
    @property
    def twice(self) -> int:
        return 2 * self.amount + self.secret


def test_what_a_good_model_writes_it_reads():
    registry = registry_of(Tagged)
    version, data = registry.write("order.placed", Tagged(amount=3, secret=1, colour="red"))
    assert (data["twice"], data["colour"], "secret" in data) == (7, "red", False)
    assert registry.read(placed(version, **data)).amount == 3


def test_the_order_of_a_set_is_no_loss():
    crowded = set(range(100))
    crowded -= crowded - {1, 8}
    assert list(crowded) != list(set(crowded)), "the same set, in two orders"
    registry = registry_of(model(sizes=set[int]))
    _, data = registry.write("order.placed", registry.model("order.placed")(sizes=crowded))
    assert registry.read(placed(**data)).sizes == crowded


class Halved(BaseModel):
    """Writes what it reads differently, but only from 1000 on."""

    amount: int

    @field_serializer("amount")
    def rounded(self, value: int) -> Any:
        return value if value < 1000 else str(value)


class Shifted(BaseModel):
    amount: int

    @field_validator("amount")
    @classmethod
    def at_most_nine(cls, value: int) -> int:
        return min(value, 9)


def changed(payload, **values):
    for name, value in values.items():
        setattr(payload, name, value)
    return payload


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (changed(model(amount=int)(amount=1), amount="x"), "amount: input should be a valid integer, not 'x'"),
        (Halved(amount=1000), "amount: input should be a valid integer, not '1000'"),
        (changed(Shifted(amount=3), amount=12), "amount is written as 12 and read back as 9"),
        (model(amount=float)(amount=math.nan), "nan is not a JSON number"),
        (model(amount=bytes)(amount=b"\xff"), "pydantic cannot write it as JSON"),
    ],
)
def test_a_payload_that_its_own_version_would_not_read_is_not_written(payload, said):
    registry = registry_of(type(payload))
    with pytest.raises(BadEvent) as refused:
        registry.write("order.placed", payload)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


# ---------------------------------------------------------------- chains


def test_a_stretch_that_only_its_neighbours_can_read_is_a_gap():
    """Version 2 reads 1 and 3 reads 2, but nobody brings 1 to 3."""
    registry = registry_of(model(amount=(int, 0)), model(), model(amount=(str, "")), mode="backward")
    assert [gap.partition(":")[0] for gap in registry.gaps()] == ["order.placed 1 → 3"]
    with pytest.raises(BadSchema, match=r"the chain is broken at order.placed 1 → 3"):
        registry.prove({"order.placed": {1: {}, 2: {}, 3: {}}})
    with pytest.raises(BadEvent):
        registry.read(placed(1, amount=3))


def test_a_stretch_ends_at_the_next_upcaster():
    registry = registry_of(model(amount=(int, 0)), model(), model(amount=(str, "")), mode="backward")
    registry.upcast("order.placed", 2, lambda payload: {"amount": str(payload.get("amount", ""))})
    assert registry.gaps() == ()
    assert registry.read(placed(1, amount=3)).amount == "3"


def test_an_upcaster_given_after_the_next_version_is_tried_too():
    registry = registry_of(model(amount=int), model(amount=int))
    assert registry.gaps() == ()
    registry.upcast("order.placed", 1, lambda payload: {})
    assert registry.gaps() == ('order.placed 1 → 2: the new version: amount: field required; fails on {"amount": 1}',)


def test_an_upcaster_meets_what_no_other_has_brought_up():
    registry = registry_of(model(amount=int), model(amount=int, note=(str, "")), model(note=str))
    registry.upcast("order.placed", 2, lambda payload: {"note": payload["note"]})
    assert [gap.partition(":")[0] for gap in registry.gaps()] == ["order.placed 2 → 3"]


def test_a_gap_is_told_once():
    registry = registry_of(*[model(amount=int)] * 3, model(cents=int))
    assert [gap.partition(":")[0] for gap in registry.gaps()] == ["order.placed 3 → 4"]


def test_samples_that_the_old_version_would_not_take_are_not_tried():
    class Even(BaseModel):
        amount: int

        @field_validator("amount")
        @classmethod
        def even(cls, value: int) -> int:
            if value % 2:
                raise ValueError("odd")
            return value

    registry = registry_of(Even, model(half=Literal[0, -1, 1, 2]))
    registry.upcast("order.placed", 1, lambda payload: {"half": payload["amount"] / 2 if payload["amount"] % 2 else 0})
    assert registry.gaps() == ()


def test_an_upcaster_on_the_way_counts_for_all_versions_before_it():
    registry = Registry("backward_transitive")
    registry.register("order.placed", 1, model(amount=int))
    registry.upcast("order.placed", 1, lambda payload: {"cents": 100 * payload["amount"]})
    registry.register("order.placed", 2, model(cents=int))
    assert registry.register("order.placed", 3, model(cents=int, note=(str, ""))).ok
    assert registry.read(placed(1, amount=3)).cents == 300
    with pytest.raises(BadSchema, match="cents: input should be a valid string, not 100"):
        registry.register("order.placed", 4, model(cents=str))


# ---------------------------------------------------------------- one sentence for whatever is wrong


class Undefined(BaseModel):
    amount: "Nowhere"  # type: ignore[name-defined]  # noqa: F821, UP037


class Careless(BaseModel):
    amount: dict[str, int]

    @field_validator("amount")
    @classmethod
    def look(cls, value: dict[str, int]) -> dict[str, int]:
        return {"net": value["net"]}


CARELESS = Careless.model_construct(amount={"a": 1})


class Related(BaseModel):
    low: int
    high: int

    @model_validator(mode="after")
    def ordered(self) -> Related:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


class WithNaN(BaseModel):
    amount: float = Field(math.nan, exclude=True)


GOOD = registry_of(model(amount=int), model(amount=int, note=(str, "")))


@pytest.mark.parametrize(
    ("act", "kind", "said"),
    [
        (lambda: compatible({"a": 1}, model(a=int)), BadSchema, "{'a': 1} is no model"),
        (lambda: compatible(None, model(a=int)), BadSchema, "None is no model"),
        (lambda: compatible(model(a=int), "new"), BadSchema, "'new' is no model"),
        (lambda: compatible(model(), model(), None), UnknownName, "no mode is called None; known: none, backward"),
        (lambda: Registry(None), UnknownName, "no mode is called None"),
        (lambda: Registry(modes=["full"]), BadSchema, "modes=['full'] is no mapping; give a mode for each type"),
        (lambda: Registry().register("order.placed", 1, BaseModel), BadSchema, "is no model"),
        (lambda: Registry().register("order.placed", 1, Undefined), BadSchema, "Undefined cannot be looked into"),
        (lambda: registry_of(Careless).read(placed(amount={"a": 1})), BadEvent, "(KeyError: 'net'); let it raise"),
        (lambda: registry_of(Careless).write("order.placed", CARELESS), BadEvent, "(KeyError: 'net'); let it raise"),
        (lambda: compatible(Undefined, model()), BadSchema, "name 'Nowhere' is not defined"),
        (lambda: Registry().register(None, 1, model()), BadSchema, "None is no type of an event"),
        (lambda: Registry().register("order.placed", True, model()), BadSchema, "so True is not the next; register 1"),
        (lambda: Registry().register("order.placed", 1.0, model()), BadSchema, "so 1.0 is not the next; register 1"),
        (lambda: GOOD.model("order.placed", True), UnknownName, "version True of order.placed is unknown"),
        (lambda: GOOD.read(placed(amount=3), version=1.0), UnknownName, "version 1.0 of order.placed is unknown"),
        (lambda: GOOD.upcast("order.placed", True, dict), BadSchema, "from version True starts nowhere"),
        (lambda: GOOD.newest([]), UnknownName, "no schema for events of type []; known: order.placed"),
        (lambda: GOOD.read({"amount": 3}), BadEvent, "{'amount': 3} is no event; expected an ev.Event"),
        (lambda: GOOD.read(placed(2), version=1, weak=None), BadEvent, "amount: field required"),
        (lambda: GOOD.prove(None), BadSchema, "None is nothing stored; give events"),
        (lambda: GOOD.prove([1]), BadSchema, "1 is no event; give events"),
        (lambda: GOOD.prove({"order.placed": [{}]}), BadSchema, "is given for 'order.placed'; give events"),
        (
            lambda: registry_of(Related).read(placed(low=1), weak=True),
            BadEvent,
            "Related failed on {'low': 1} (TypeError",
        ),
        (lambda: registry_of(WithNaN).to_json(), BadSchema, "WithNaN has no JSON Schema"),
    ],
)
def test_whatever_is_wrong_is_one_sentence(act, kind, said):
    with pytest.raises(EvsimError) as refused:
        act()
    assert type(refused.value) is kind
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_function_in_a_model_has_no_schema():
    class Called(BaseModel):
        call: Callable[[int], int]

    registry = registry_of(Called)
    for act in (registry.to_json, registry.to_asyncapi):
        with pytest.raises(BadSchema, match=r"Called has no JSON Schema \(PydanticInvalidForJsonSchema"):
            act()


# ---------------------------------------------------------------- for others


class Card(BaseModel):
    kind: Literal["card"]
    number: str


class Cash(BaseModel):
    kind: Literal["cash"]


class Paid(BaseModel):
    by: Annotated[Card | Cash, Field(discriminator="kind")]
    amount: int

    @computed_field
    @property
    def twice(self) -> int:
        return 2 * self.amount


def test_a_discriminator_of_asyncapi_is_the_name_of_a_property():
    payload = registry_of(Paid).to_asyncapi()["components"]["messages"]["order.placed.v1"]["payload"]
    assert payload["properties"]["by"]["discriminator"] == "kind"
    plain = registry_of(Paid).json_schema("order.placed")
    assert plain["properties"]["by"]["discriminator"]["propertyName"] == "kind"


def test_a_message_says_what_is_written_and_a_schema_what_is_read():
    registry = registry_of(Paid)
    _, data = registry.write("order.placed", Paid(by=Cash(kind="cash"), amount=3))
    message = registry.to_asyncapi()["components"]["messages"]["order.placed.v1"]["payload"]
    assert message["properties"]["twice"]["type"] == "integer"
    assert "twice" not in registry.json_schema("order.placed")["properties"]
    validate(data, registry.json_schema("order.placed"))
    assert json.loads(registry.to_json())["order.placed"]["1"] == registry.json_schema("order.placed")
