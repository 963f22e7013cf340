"""The registry keeps its modes, verdicts tell the truth, and old events are read."""

from __future__ import annotations

import json
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, computed_field, create_model

import evsim as ev
from evsim.errors import BadEvent, BadSchema, UnknownName
from evsim.event import Event
from evsim.schema import Registry, changes, compatible, reads, takes, weakened


def model(extra="ignore", /, **fields: Any) -> type[BaseModel]:
    """A payload model with these fields: a type, or (type, default)."""
    told = {name: each if isinstance(each, tuple) else (each, ...) for name, each in fields.items()}
    return create_model("Payload", __config__=ConfigDict(extra=extra), **told)


def placed(version: int = 1, event_id: str = "shop.1", **data: Any) -> Event:
    return Event(event_id, "order.placed", 0.0, "shop", data, version=version)


def even(number: int) -> int:
    if number % 2:
        raise ValueError("odd")
    return number


Colour = Enum("Colour", {"RED": "red", "BLUE": "blue"})
Wide = Enum("Wide", {"RED": "red", "BLUE": "blue", "GREEN": "green"})
NONE, BACKWARD, FORWARD, FULL = "none", "backward", "forward", "full"

CHANGES = [
    ("nothing", model(a=int), model(a=int), FULL),
    ("optional field added", model(a=int), model(a=int, b=(int, 0)), FULL),
    ("required field added", model(a=int), model(a=int, b=int), FORWARD),
    ("optional field removed", model(a=int, b=(int, 0)), model(a=int), FULL),
    ("required field removed", model(a=int, b=int), model(a=int), BACKWARD),
    ("required becomes optional", model(a=int), model(a=(int, 0)), BACKWARD),
    ("optional becomes required", model(a=(int, 0)), model(a=int), FORWARD),
    ("null allowed", model(a=int), model(a=int | None), BACKWARD),
    ("null with a default", model(a=int), model(a=(int | None, None)), BACKWARD),
    ("int widened to float", model(a=int), model(a=float), BACKWARD),
    ("float narrowed to int", model(a=float), model(a=int), FORWARD),
    ("int becomes text", model(a=int), model(a=str), NONE),
    ("int or text", model(a=int), model(a=int | str), BACKWARD),
    ("constant added", model(a=Literal["x"]), model(a=Literal["x", "y"]), BACKWARD),
    ("constant removed", model(a=Literal["x", "y"]), model(a=Literal["y"]), FORWARD),
    ("member added", model(a=Colour), model(a=Wide), BACKWARD),
    ("enum becomes text", model(a=Colour), model(a=str), BACKWARD),
    ("enum and literal", model(a=Colour), model(a=Literal["red", "blue"]), FULL),
    ("bound loosened", model(a=Annotated[int, Field(ge=1)]), model(a=Annotated[int, Field(ge=0)]), BACKWARD),
    ("bound tightened", model(a=Annotated[float, Field(le=9)]), model(a=Annotated[float, Field(lt=9)]), FORWARD),
    ("bound said otherwise", model(a=Annotated[int, Field(gt=0)]), model(a=Annotated[int, Field(ge=1)]), FULL),
    ("steps", model(a=Annotated[int, Field(multiple_of=6)]), model(a=Annotated[int, Field(multiple_of=3)]), BACKWARD),
    ("few numbers", model(a=Annotated[int, Field(ge=1, le=2)]), model(a=Literal[1, 2, 3]), BACKWARD),
    ("text longer", model(a=Annotated[str, Field(max_length=5)]), model(a=str), BACKWARD),
    ("text at least", model(a=str), model(a=Annotated[str, Field(min_length=2)]), FORWARD),
    ("pattern added", model(a=str), model(a=Annotated[str, Field(pattern="^[A-Z]{3}$")]), FORWARD),
    ("pattern changed", model(a=Annotated[str, Field(pattern=r"^\d{3}$")]),
     model(a=Annotated[str, Field(pattern="^[a-c]+$")]), NONE),
    ("moment becomes text", model(a=datetime), model(a=str), BACKWARD),
    ("list of wider", model(a=list[int]), model(a=list[float]), BACKWARD),
    ("list must not be empty", model(a=list[int]), model(a=Annotated[list[int], Field(min_length=1)]), FORWARD),
    ("tuple becomes list", model(a=tuple[int, str]), model(a=list[int | str]), BACKWARD),
    ("nested field added", model(a=model(x=int)), model(a=model(x=int, y=int)), FORWARD),
    ("deep in lists", model(a=list[model(x=int)]), model(a=list[model(x=float)]), BACKWARD),
    ("wrapped", model(amount=int), model(amount=model(value=int, currency=(str, "EUR"))), NONE),
    ("mapping", model(a=dict[str, int]), model(a=dict[str, float]), BACKWARD),
    ("object becomes mapping", model(a=model(x=int)), model(a=dict[str, int]), BACKWARD),
    ("renamed", model(customer=str), model(buyer=str), NONE),
    ("renamed, read under both names", model(customer=str),
     model(buyer=(str, Field(validation_alias=AliasChoices("buyer", "customer")))), BACKWARD),
    ("an alias says the same", model(customer=str), model(who=(str, Field(alias="customer"))), FULL),
    ("the strict become tolerant", model("forbid", a=int), model(a=int, b=(int, 0)), BACKWARD),
    ("the tolerant become strict", model(a=int, b=(int, 0)), model("forbid", a=int), FORWARD),
    ("anything is kept", model("allow", a=int), model("forbid", a=int), FORWARD),
    ("a kept name gets a type", model("allow", a=int), model("allow", a=int, b=(int, 0)), FORWARD),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "kept"), [case[1:] for case in CHANGES], ids=[case[0] for case in CHANGES])
def test_every_kind_of_change_has_its_verdict_and_shows_what_fails(old, new, kept):
    verdict = compatible(old, new, "full")
    assert verdict.kept == kept
    for problem in verdict.backward:
        assert problem.proven, problem
        assert takes(old, problem.example)
        assert not takes(new, problem.example)
    for problem in verdict.forward:
        assert problem.proven, problem
        assert takes(new, problem.example)
        assert not takes(old, problem.example)
    for mode in ("backward", "forward", "full", "none"):
        assert compatible(old, new, mode).ok == (mode in {kept, "none"} or kept == "full")


@pytest.mark.parametrize(("old", "new"), [case[1:3] for case in CHANGES[1:]], ids=[case[0] for case in CHANGES[1:]])
def test_every_problem_belongs_to_a_change(old, new):
    told = changes(old, new)
    for way, problems in (("backward", reads(old, new)), ("forward", reads(new, old))):
        assert sorted(str(p) for change in told for p in getattr(change, way)) == sorted(map(str, problems))


def test_a_verdict_is_told_change_by_change():
    old = model(id=str, amount=int, note=(str, ""))
    new = model(id=str, amount=float, currency=str)
    assert repr(compatible(old, new, "backward")).splitlines() == [
        "backward: not compatible",
        "  amount: a whole number becomes a number; keeps backward",
        (
            "    forward:  a number is written, a whole number is read; fails on "
            '{"id": "a", "amount": 0.5, "currency": "a"}'
        ),
        "  note: removed; it had a default; keeps full",
        "  currency: added, and needed; keeps forward",
        '    backward: currency is needed, and never written; fails on {"id": "a", "amount": 1}',
    ]


def test_transitive_modes_look_at_every_version_before():
    first, second, third = model(a=int), model(a=int, b=(int, 0)), model(a=int, b=(str, ""))
    assert not compatible([first, second], third, "backward").ok
    dropped = model(a=int)
    assert compatible([first, second, dropped], third, "backward").ok
    verdict = compatible([first, second, dropped], third, "BACKWARD_TRANSITIVE")
    assert not verdict.ok
    assert verdict.problems[0].path == "b"
    assert compatible([first, second, dropped], third, "forward").ok
    assert not compatible([first, second, dropped], third, "full_transitive").ok
    with pytest.raises(UnknownName, match="did you mean 'backward'"):
        compatible(first, second, "backwards")


def test_what_a_function_judges_is_not_called_compatible():
    checked = model(a=Annotated[int, AfterValidator(even)])
    problem = reads(model(a=int), checked)[0]
    assert problem.proven  # 1 is odd
    assert not reads(checked, model(a=int))
    assert not reads(checked, model(a=Annotated[int, AfterValidator(even)]))
    harmless = model(a=Annotated[int, AfterValidator(abs)])
    (problem,) = reads(model(a=int), harmless)
    assert not problem.proven
    assert "cannot be proved" in problem.reason
    assert not compatible(model(a=int), harmless)


class Tree(BaseModel):
    value: int
    below: list[Tree] = []


class WideTree(BaseModel):
    value: float
    below: list[WideTree] = []


class Total(BaseModel):
    a: int

    @computed_field
    @property
    def double(self) -> int:
        return 2 * self.a


class Card(BaseModel):
    kind: Literal["card"]
    number: str


class Cash(BaseModel):
    kind: Literal["cash"]


class Voucher(BaseModel):
    kind: Literal["voucher"]
    code: str


def test_trees_tags_and_what_is_computed():
    assert not reads(Tree, WideTree)
    (problem,) = reads(WideTree, Tree)
    assert problem.path == "value"
    some = model(by=Annotated[Card | Cash, Field(discriminator="kind")])
    more = model(by=Annotated[Card | Cash | Voucher, Field(discriminator="kind")])
    assert not reads(some, more)
    assert not reads(some, some)
    (problem,) = reads(more, some)
    assert problem.reason == 'kind "voucher" is not known'
    assert problem.example == {"by": {"kind": "voucher", "code": "a"}}
    assert not reads(some, model(by=Card | Cash | Voucher))
    assert reads(Total, model("forbid", a=int))


# ---------------------------------------------------------------- Hypothesis: a verdict is never refuted


def _limits(low, high):
    return st.none() | st.integers(low, high)


NUMBERS = st.builds(
    lambda kind, ge, le, step: Annotated[kind, Field(ge=ge, le=le, multiple_of=step)],
    st.sampled_from([int, float]), _limits(-3, 2), _limits(2, 6), st.none() | st.sampled_from([1, 2, 4]),
)  # fmt: skip
TEXTS = st.builds(
    lambda shortest, longest, pattern: Annotated[
        str, Field(min_length=shortest, max_length=longest, pattern=pattern)
    ],
    _limits(0, 2), _limits(2, 4), st.none() | st.sampled_from(["^a*$", "^[ab]+$", "b"]),
)  # fmt: skip
SCALARS = st.one_of(
    NUMBERS, TEXTS, st.sampled_from([bool, type(None), Any, datetime, Colour, Wide, int, str, float]),
    st.lists(st.sampled_from(["a", "b", "red", 1, 2, None]), min_size=1, unique=True).map(lambda v: Literal[tuple(v)]),
)  # fmt: skip


def _holding(inner):
    return st.one_of(
        inner.map(lambda each: each | None if each is not type(None) and each is not Any else each),
        st.tuples(inner, inner).map(lambda pair: pair[0] | pair[1] if Any not in pair and pair[0] != pair[1] else int),
        st.builds(lambda each, least, most: Annotated[list[each], Field(min_length=least, max_length=most)],
                  inner, _limits(0, 2), _limits(2, 3)),
        inner.map(lambda each: dict[str, each]),
        st.tuples(inner, inner).map(lambda pair: tuple[pair]),
        _models(inner),
    )  # fmt: skip


def _models(inner):
    names = st.sampled_from(["a", "b", "c"])
    aliases = st.sampled_from([(), ("a",), ("d",), ("c", "b")])
    field = st.tuples(inner, st.booleans(), aliases)
    return st.builds(_model, st.dictionaries(names, field, max_size=3),
                     st.sampled_from(["ignore", "ignore", "forbid", "allow"]))  # fmt: skip


def _model(fields, extra):
    told = {}
    for name, (each, required, aliases) in fields.items():
        others = AliasChoices(name, *(alias for alias in aliases if alias not in fields)) if aliases else None
        shape = each if required or each in {Any, type(None)} else each | None
        told[name] = (shape, Field(... if required else None, validation_alias=others))
    return create_model("Payload", __config__=ConfigDict(extra=extra), **told)


MODELS = _models(st.recursive(SCALARS, _holding, max_leaves=3))


def written(draw, shape_model):
    """A payload that this model writes: what Hypothesis finds that it takes, with no names of others."""
    return {
        name: value
        for name, field in shape_model.model_fields.items()
        if field.is_required() or draw(st.booleans())
        for value in [draw(values(field.annotation, field.metadata))]
    } | (draw(st.dictionaries(st.sampled_from(["a", "b", "x"]), JSON, max_size=2).map(lambda extra: {
        name: each for name, each in extra.items() if name not in shape_model.model_fields}))
        if shape_model.model_config.get("extra") == "allow" else {})  # fmt: skip


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 8) | st.floats(-5, 8) | st.text("ab", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
    max_leaves=4,
)


def values(annotation, metadata=()):
    """JSON that may be written for this annotation."""
    from typing import Union, get_args, get_origin

    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return values(args[0], args[1:])
    if annotation is Any:
        return JSON
    if annotation is type(None):
        return st.none()
    if origin is Literal:
        return st.sampled_from(args)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return st.sampled_from([member.value for member in annotation])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return st.composite(written)(annotation)
    if origin is list:
        return st.lists(values(args[0]), max_size=4)
    if origin is dict:
        return st.dictionaries(st.sampled_from(["a", "b", "zz"]), values(args[1]), max_size=3)
    if origin is tuple:
        return st.tuples(*map(values, args)).map(list)
    if origin is not None and (origin is Union or type(None) in args or len(args) > 1):
        return st.one_of(*map(values, args))
    return {
        bool: st.booleans(), int: st.integers(-6, 9), float: st.integers(-6, 9) | st.floats(-6, 9),
        str: st.text("ab", max_size=5) | st.sampled_from(["red", "blue"]), datetime: st.just("2026-01-01T00:00:00Z"),
    }[annotation]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(MODELS, MODELS, st.data())
def test_no_payload_of_the_writer_refutes_a_verdict(writer, reader, data):
    problems = reads(writer, reader)
    for problem in problems:
        if problem.proven:
            assert takes(writer, problem.example)
            assert not takes(reader, problem.example)
    for _ in range(5):
        payload = data.draw(st.composite(written)(writer))
        if takes(writer, payload) and not takes(reader, payload):
            assert problems, f"{payload} is not read, and the verdict says that it is"


@settings(max_examples=100, deadline=None)
@given(MODELS, st.data())
def test_a_version_reads_what_it_writes_itself(writer, data):
    assert not [problem for problem in reads(writer, writer) if problem.proven]
    assert not reads(writer, model("ignore"))


# ---------------------------------------------------------------- the registry


V1 = model(customer=str, amount=int)
V2 = model(customer=str, amount=int, currency=(str, "EUR"))


class Money(BaseModel):
    value: int
    currency: str


V3 = model(buyer=str, money=Money)


def wrap_amount(payload):
    currency = payload.get("currency", "EUR")
    return {"buyer": payload["customer"], "money": {"value": payload["amount"], "currency": currency}}


def say_currency(payload):
    return {"currency": "EUR", **payload}


def shop_registry(mode="backward") -> Registry:
    registry = Registry(mode)
    registry.register("order.placed", 1, V1)
    registry.register("order.placed", 2, V2)
    registry.upcast("order.placed", 1, say_currency)
    registry.upcast("order.placed", 2, wrap_amount)
    registry.register("order.placed", 3, V3)
    return registry


def test_a_change_that_breaks_the_mode_is_refused_and_nothing_has_changed():
    registry = Registry("backward")
    registry.register("order.placed", 1, V1)
    with pytest.raises(BadSchema) as refusal:
        registry.register("order.placed", 2, model(customer=str, amount=int, currency=str))
    assert str(refusal.value) == (
        "order.placed 2 is not backward compatible: currency is needed, and never written; fails on "
        '{"customer": "a", "amount": 1}; give new fields a default, or register an upcaster first'
    )
    assert registry.newest("order.placed") == 1
    assert registry.register("order.placed", 2, V2).ok


def test_types_may_have_modes_of_their_own():
    registry = Registry(modes={"order.placed": "forward", "order.paid": "none"})
    registry.register("order.placed", 1, V1)
    registry.register("order.placed", 2, model(customer=str, amount=int, currency=str))
    with pytest.raises(BadSchema, match="not forward compatible"):
        registry.register("order.placed", 3, model(customer=str))
    registry.register("order.paid", 1, V1)
    registry.register("order.paid", 2, model(other=int))
    assert registry.mode("order.shipped") == "backward"


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda r: r.register("order.placed", 1, V1), "has a version 1 already, and what is stored cannot change"),
        (lambda r: r.register("order.placed", 7, V1), "versions of order.placed go up to 3, so 7 is not the next"),
        (lambda r: r.register("order.paid", 2, V1), "has no version yet, so 2 is not the next; register 1"),
        (lambda r: r.register("order.placed", "4", V1), "'4' is not the next"),
        (lambda r: r.register("order.placed", 4, {"a": int}), "is no model"),
        (lambda r: r.register("Order", 1, V1), "did you mean 'order.created'"),
        (lambda r: r.register("order.paid", 1, model(a=(int, Field(validation_alias="b")))), "cannot read what it"),
        (lambda r: r.upcast("order.placed", 9, wrap_amount), "starts nowhere; versions are 1 to 3"),
        (lambda r: r.upcast("order.placed", 2, wrap_amount), "is there already"),
        (lambda r: r.upcast("order.placed", 3, "wrap"), "is no upcaster"),
        (lambda r: r.upcast("order.plced", 1, wrap_amount), "did you mean 'order.placed'"),
        (lambda r: r.model("order.placed", 4), "version 4 of order.placed is unknown; 1 to 3 are registered"),
        (lambda r: r.read(placed(version=4)), "version 4 of order.placed is unknown"),
        (lambda r: r.read(Event("x", "order.plced", 0.0, "shop", {})), "unknown type 'order.plced'"),
        (lambda r: r.read(placed(version=3, buyer="Ann")), "money: field required"),
        (lambda r: r.read(placed(version=1, amount=3)), "KeyError: 'customer'"),
        (lambda r: r.read(placed(version=1, customer="Ann", amount="3")), "money.value: input should be a valid int"),
    ],
)
def test_whatever_is_wrong_is_one_sentence(act, said):
    registry = shop_registry()
    before = repr(registry)
    with pytest.raises(ev.EvsimError) as refusal:
        act(registry)
    sentence = str(refusal.value)
    assert said in sentence
    assert "\n" not in sentence
    assert repr(registry) == before


def test_old_events_are_brought_up_step_by_step():
    registry = shop_registry()
    event = placed(1, customer="Ann", amount=3)
    assert registry.read(event).model_dump() == {"buyer": "Ann", "money": {"value": 3, "currency": "EUR"}}
    assert registry.read(event, version=2).model_dump() == {"customer": "Ann", "amount": 3, "currency": "EUR"}
    raised = registry.upcasted(event)
    assert (raised.version, raised.id) == (3, event.id)
    assert raised.data["money"]["currency"] == "EUR"
    assert event.version == 1
    assert "currency" not in event.data


def test_an_old_consumer_reads_new_events_when_it_can():
    registry = shop_registry()
    assert registry.read(placed(2, customer="Ann", amount=3, currency="USD"), version=1).amount == 3
    with pytest.raises(BadEvent, match=r"order.placed 3, read as version 1: customer: field required"):
        registry.read(placed(3, buyer="Ann", money={"value": 3, "currency": "EUR"}), version=1)


def test_what_is_written_carries_its_version():
    registry = shop_registry()
    assert registry.write("order.placed", V2(customer="Ann", amount=3)) == (
        2, {"customer": "Ann", "amount": 3, "currency": "EUR"},
    )  # fmt: skip
    with pytest.raises(BadEvent, match=r"is no version of order.placed"):
        registry.write("order.placed", Money(value=1, currency="EUR"))


def test_the_weak_schema_takes_what_is_there():
    registry = shop_registry()
    odd = placed(9, customer="Ann", shoe_size=43)
    assert registry.read(odd, version=1, weak=True).model_dump() == {"customer": "Ann", "amount": None}
    with pytest.raises(BadEvent, match="customer"):
        registry.read(placed(9, customer=7), version=1, weak=True)
    strict = model("forbid", a=int, b=str)
    for other in (model(), model(a=int), model(b=str, c=int), model(a=(int, 3), d=(str, ""))):
        assert not reads(other, weakened(strict))
    assert reads(model(a=str), weakened(strict))


# ---------------------------------------------------------------- the proof


def payloads():
    return {
        "order.placed": {
            1: {"customer": "Ann", "amount": 3},
            2: {"customer": "Ann", "amount": 3, "currency": "USD"},
            3: {"buyer": "Ann", "money": {"value": 3, "currency": "EUR"}},
        }
    }


def test_every_stored_version_of_every_type_is_read_once():
    proof = shop_registry().prove(payloads())
    assert repr(proof) == (
        "✓  order.placed: versions 1 (1), 2 (1), 3 (1); "
        "upcaster 'say_currency' of order.placed 1 → 2; upcaster 'wrap_amount' of order.placed 2 → 3"
    )
    events = [placed(1, "e1", customer="Ann", amount=3), placed(1, "e2", customer="Bob", amount=4)]
    with pytest.raises(BadSchema, match=r"nothing was read of order.placed 2, order.placed 3, so nothing is proved"):
        shop_registry().prove(events)


def test_a_step_that_nobody_takes_is_a_gap():
    registry = Registry("none")
    registry.register("order.placed", 1, V1)
    registry.register("order.placed", 2, V2)
    registry.register("order.placed", 3, V3)
    assert registry.gaps()[0].startswith("order.placed 2 → 3: buyer is needed")
    with pytest.raises(BadSchema, match=r"the chain is broken at order.placed 2 → 3"):
        registry.prove(payloads())


def _needs_currency(payload):
    return {"buyer": payload["customer"], "money": {"value": payload["amount"], "currency": payload["currency"]}}


def _forgets(payload):
    return {"buyer": payload["customer"], "money": {"value": payload["amount"], "currency": payload["curency"]}}


COUNTER = iter(range(10**9))


def _by_chance(payload):
    return {"buyer": f"buyer {next(COUNTER)}", "money": {"value": 1, "currency": "EUR"}}


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (_forgets, "KeyError: 'curency'"),
        (lambda payload: payload, "buyer: field required"),
        (lambda payload: None, "gave None; it must return the payload of version 3"),
        (_by_chance, "an upcaster must be pure"),
        (lambda payload: payload.clear() or wrap_amount(payload), "KeyError"),
    ],
)
def test_the_proof_catches_upcasters_that_do_not_work(broken, said):
    registry = Registry("none")
    for version, each in enumerate((V1, V2, V3), start=1):
        registry.register("order.placed", version, each)
    registry.upcast("order.placed", 2, broken)
    with pytest.raises(BadSchema, match=said):
        registry.prove(payloads())


def test_an_upcaster_that_fails_does_not_let_a_version_in():
    registry = Registry()
    registry.register("order.placed", 1, V1)
    registry.register("order.placed", 2, V2)
    registry.upcast("order.placed", 2, _needs_currency)  # version 2 may leave it out
    with pytest.raises(BadSchema, match="KeyError: 'currency'") as refusal:
        registry.register("order.placed", 3, V3)
    assert str(refusal.value).endswith("mend the upcaster: it meets such payloads")
    assert registry.newest("order.placed") == 2


def test_schemas_are_exported_as_json_schema():
    jsonschema = pytest.importorskip("jsonschema")
    registry = shop_registry()
    exported = json.loads(registry.to_json())
    assert list(exported["order.placed"]) == ["1", "2", "3"]
    for version, payload in payloads()["order.placed"].items():
        schema = exported["order.placed"][str(version)]
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(payload, schema)
        assert registry.json_schema("order.placed", version) == schema
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(payloads()["order.placed"][1], exported["order.placed"]["3"])


def test_the_front_door_leads_here():
    assert ev.schema.Registry is Registry
    assert ev.BadSchema is BadSchema
