"""A schema on its way into a fleet: what fails is what the verdict says, for every change, mode and order."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from ipaddress import IPv4Address
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import ValidationError, validate
from pydantic import BaseModel, ConfigDict, create_model, field_validator

import evsim as ev
from evsim import BadScenario, Event, UnknownName, schema, store
from evsim.lab.rollout import CHANGES, ORDERS, Plan, roll_out, roll_out_all

# ---------------------------------------------------------------- six changes, three modes, two orders


def test_the_map_of_failures_is_what_the_verdicts_predict():
    found = roll_out_all()
    assert found.failures == found.predicted
    assert len(found.failures) == 36
    for change in CHANGES:
        assert not found.failures[change, "backward", "consumers first"], "consumers first is what backward is for"
        assert not found.failures[change, "forward", "producers first"], "producers first is what forward is for"
        for order in ("consumers first", "producers first"):
            assert not found.failures[change, "full", order]
    assert found.failures["remove a needed field", "backward", "producers first"] > 100
    assert found.failures["add a needed field", "forward", "consumers first"] > 100
    assert found.failures["rename a field", "full", "consumers first"] is None, "it is refused"


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("change", CHANGES)
def test_without_a_registry_that_refuses_the_verdict_still_tells_every_failure(change, order):
    done = roll_out(*CHANGES[change], order, producers=2, consumers=2)
    assert done.failed == done.predicted
    assert sum(done.reads.values()) > 300
    assert "as the verdict says" in repr(done)


# ---------------------------------------------------------------- other changes

fields = st.dictionaries(
    st.sampled_from(["customer", "amount", "note"]),
    st.sampled_from([
        (str, ...), (int, ...), (float, ...), (str | None, ...), (str, ""), (int, 0), (str | None, None),
        (Literal["a", "b"], ...), (Literal["a"], ...), (list[int], ...), (bool, ...),
    ]),
    max_size=3,
)  # fmt: skip
models = st.builds(
    lambda whole, extra: create_model("Payload", __config__=ConfigDict(extra=extra), **whole),
    fields,
    st.sampled_from(["ignore", "forbid"]),
)


@settings(max_examples=40, deadline=None)
@given(models, models, st.sampled_from(ORDERS))
def test_any_change_fails_as_often_as_its_verdict_says(old, new, order):
    done = roll_out(old, new, order, producers=1, consumers=2, rate=2.0)
    assert done.failed == done.predicted


# ---------------------------------------------------------------- upcasters and newcomers


def test_a_newcomer_reads_old_events_from_the_beginning_and_needs_an_upcaster():
    old, new = CHANGES["rename a field"]
    naive = roll_out(old, new, "together", newcomer_s=40.0, producers=2, consumers=2)
    assert naive.failures[1, 2] > 0
    assert len(naive.lanes[-1].failed_s) == naive.failures[1, 2] - sum(
        naive.plan.upgrade_s("consumers", n) <= at_s
        for n, lane in enumerate(naive.lanes[2:4])
        for at_s in lane.failed_s
    ), "in the picture, the newcomer has a lane of its own"
    mended = roll_out(
        old, new, "together", newcomer_s=40.0, producers=2, consumers=2,
        upcast=lambda payload: {"buyer": payload["customer"]},
    )  # fmt: skip
    assert mended.failures.get((1, 2), 0) == 0
    assert mended.reads[1, 2] > naive.plan.producers * 10, "the newcomer has read all that the old shops wrote"
    assert mended.failed == mended.predicted == mended.failures[2, 1], "old consumers still cannot read new events"


def test_what_fails_is_put_aside_and_lost_to_nobody():
    done = roll_out(*CHANGES["rename a field"], "producers first")
    assert len(done.run.history.of("dead_lettered")) == done.failed
    assert done.run.check(ev.nothing_lost())[0].state == "ok"


# ---------------------------------------------------------------- plans


def test_the_second_side_waits_for_the_first():
    plan = Plan("producers first", producers=3, consumers=2, start_s=10, every_s=4, settle_s=5)
    assert [plan.upgrade_s("producers", n) for n in range(3)] == [10, 14, 18]
    assert [plan.upgrade_s("consumers", n) for n in range(2)] == [23, 27]
    together = Plan("together", start_s=10, every_s=4)
    assert together.upgrade_s("consumers", 1) == together.upgrade_s("producers", 1) == 14


def test_plans_that_make_no_sense_are_refused():
    with pytest.raises(UnknownName, match="did you mean 'consumers first'"):
        Plan("consumer first")
    with pytest.raises(BadScenario, match="give a later end_s"):
        Plan(every_s=50)
    with pytest.raises(BadScenario, match="1 to 20"):
        Plan(consumers=0)


# ---------------------------------------------------------------- figures


def test_the_figures_say_what_they_show():
    done = roll_out(*CHANGES["remove a choice"], "consumers first")
    lanes = done.figure()
    assert f"{done.failed} of" in lanes.claim
    assert lanes.png("dark") != lanes.png("light")
    heat = roll_out_all({"rename a field": CHANGES["rename a field"]}, producers=1, consumers=1).figure()
    assert "6 were refused" in heat.claim
    assert len(heat.png()) > 5000
    verdicts = {name: schema.compatible(old, new, "full") for name, (old, new) in CHANGES.items()}
    matrix = ev.compatibility(verdicts)
    assert "1 of 6 changes" in matrix.claim
    assert "fails on" in matrix.caption
    assert len(matrix.png()) > 5000


# ---------------------------------------------------------------- stored events


def model(**whole: Any):
    return create_model("OrderPlaced", **{name: (kind, ...) for name, kind in whole.items()})


@pytest.fixture
def registry():
    found = schema.Registry("backward_transitive")
    found.register("order.placed", 1, model(amount=int))
    found.upcast("order.placed", 1, lambda old: {"cents": 100 * old["amount"]})
    found.register("order.placed", 2, model(cents=int))
    found.upcast("order.placed", 2, lambda old: old | {"currency": "EUR"})
    found.register("order.placed", 3, model(cents=int, currency=str))
    return found


def event(n, version, **data):
    return Event(f"shop.{n}", "order.placed", float(n), "shop", data, version=version)


def test_every_stored_version_is_read_from_a_real_store(tmp_path, registry):
    """The proof reads each event of the file, as what it is and as the newest."""
    with store.open(tmp_path / "shop.db") as shop:
        shop.append("order-1", [event(1, 1, amount=3), event(2, 2, cents=350), event(3, 3, cents=5, currency="EUR")])
        proof = registry.prove(each.event for each in shop.read_all())
        assert proof.read["order.placed"] == {1: 1, 2: 1, 3: 1}
        newest = [registry.upcasted(each.event).data for each in shop.read("order-1")]
    assert newest == [
        {"cents": 300, "currency": "EUR"}, {"cents": 350, "currency": "EUR"}, {"cents": 5, "currency": "EUR"}
    ]  # fmt: skip


def test_transitive_looks_further_back_than_one_version():
    """Version 3 reads 2, and 2 reads 1, but 3 does not read 1."""
    one = create_model("One", amount=(int, ...))
    two = create_model("Two", amount=(int, 0), price=(int, 0))
    three = create_model("Three", amount=(str, ""), price=(int, 0))
    two_without = create_model("TwoWithout", price=(int, 0))
    assert schema.compatible(one, two, "backward").ok
    assert schema.compatible([one, two_without], three, "backward").ok
    transitive = schema.compatible([one, two_without], three, "backward_transitive")
    assert not transitive.ok
    assert "amount" in str(transitive.problems[0])


def test_asyncapi_has_every_version_with_a_schema_that_takes_what_it_should(registry):
    document = registry.to_asyncapi("orders")
    assert document["asyncapi"] == "3.0.0"
    messages = document["components"]["messages"]
    assert list(messages) == ["order.placed.v1", "order.placed.v2", "order.placed.v3"]
    for reference in document["channels"]["order.placed"]["messages"].values():
        assert reference["$ref"].removeprefix("#/components/messages/") in messages
    validate({"cents": 3, "currency": "EUR"}, messages["order.placed.v3"]["payload"])
    with pytest.raises(ValidationError, match="currency"):
        validate({"cents": 3}, messages["order.placed.v3"]["payload"])


# ---------------------------------------------------------------- what cannot be rolled out, or foretold


def test_what_is_written_is_a_payload_of_its_writer():
    """An address is text, and not any text."""
    old, new = model(address=IPv4Address), create_model("OrderPlaced", address=(IPv4Address, ...), note=(str, ""))
    with suppress(BadScenario):  # no address is known
        assert roll_out(old, new, producers=1, consumers=1).failed == 0


class Prime(BaseModel):
    number: int

    @field_validator("number")
    @classmethod
    def large(cls, value: int) -> int:
        if value < 10**6:
            raise ValueError("too small")
        return value


def test_a_model_without_a_known_payload_is_refused():
    with pytest.raises(BadScenario, match="no payload of Prime is known, so there is nothing to publish"):
        roll_out(Prime, Prime)


def test_what_the_verdict_cannot_prove_is_not_foretold():
    class Liked(BaseModel):
        number: int

        @field_validator("number")
        @classmethod
        def liked(cls, value: int) -> int:
            if value == 123456:
                raise ValueError("nobody likes that")
            return value

    done = roll_out(model(number=int), Liked, producers=1, consumers=1)
    assert not done.verdict.ok
    assert (done.failed, done.predicted) == (0, None)
    assert "0 of" in repr(done)
    assert "not to be known from the verdict" in repr(done)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rate": 0}, "rate=0 is refused; give 0.001 to 1000 events a second"),
        ({"rate": "5"}, "rate='5' is no number"),
        ({"rate": math.inf}, "rate=inf is no number"),
        ({"every_s": math.nan}, "every_s=nan is no number"),
        ({"end_s": "late"}, "end_s='late' is no number"),
        ({"producers": 1.5}, "a fleet has 1 to 20 producers and consumers, not 1.5 and 3"),
        ({"consumers": True}, "not 3 and True"),
        ({"consumer": 3}, "no setting of a rollout is called 'consumer' — did you mean 'consumers'?"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_one_sentence(settings, said):
    with pytest.raises(ev.EvsimError, match=re.escape(said)) as refused:
        roll_out(*CHANGES["rename a field"], **settings)
    assert "\n" not in str(refused.value)
