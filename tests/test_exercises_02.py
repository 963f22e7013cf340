"""The judges of notebook 02 let right answers pass and say which rule does not fit the others."""

from __future__ import annotations

import pytest

import evsim as ev
from evsim import classroom
from evsim.classroom.exercises.exercises_02 import COUNT, KINDS, _truth

RIGHT = {number: _truth(number) for number in range(1, COUNT + 1)}


def test_right_kinds_pass():
    assert classroom.check("02.1", RIGHT).state == "held"


@pytest.mark.parametrize("number", RIGHT)
def test_every_wrong_kind_is_named_with_a_reason_and_without_the_answer(number):
    for kind in set(KINDS) - {RIGHT[number]}:
        outcome = classroom.check("02.1", RIGHT | {number: kind})
        assert outcome.state == "broken"
        assert f"number {number} is not" in outcome.saw
        assert RIGHT[number] not in outcome.saw


@pytest.mark.parametrize(
    ("answer", "saw"),
    [
        ({1: "command"}, "no word for number 2"),
        (RIGHT | {7: "comand"}, "'comand' for number 7"),
        ("command", "not a mapping"),
        ([*RIGHT.values()], "not a mapping"),
    ],
)
def test_half_an_answer_is_answered_in_words(answer, saw):
    outcome = classroom.check("02.1", answer)
    assert (outcome.state, saw in outcome.saw) == ("broken", True), outcome


def sick():
    return ev.EventCatalogue(
        ev.EventType("place.order", "ordering", "customer", {"amount": float}),
        ev.EventType("order.update", "ordering", "place.order", {"amount": float}, "-> placed", meant="domain"),
        ev.EventType(
            "payment.take", "payment", "order.update", {"amount": float}, meant="command", readers="accounting"
        ),
        ev.EventType("payment.taken", "payment", "payment.take", {"amount": float}, readers="accounting, analytics"),
        ev.Entity("order", {"placed": "amount"}),
        name="sick",
    )


def repaired(readers="accounting, analytics"):
    promised = ev.EventType("payment.payment.taken", "payment", "payment.taken", {"amount": float}, readers=readers)
    named = sick().replace("order.update", type="order.placed").replace("payment.take", type="take.payment", readers=())
    return named.replace("payment.taken", readers=()).plus(promised)


@pytest.mark.parametrize(
    ("design", "state", "saw"),
    [
        (repaired(), "held", ""),
        (sick(), "broken", "3 findings"),
        (repaired().replace("order.placed", type="order.updated"), "broken", "a row was written"),
        (repaired(readers="accounting"), "broken", "analytics no longer hear"),
        (ev.EventCatalogue(), "broken", "a wish to ordering"),
        (repaired().replace("order.placed", moves="").plus(), "broken", "findings"),
        ("repaired", "broken", "not a catalogue"),
    ],
    ids=["repaired", "sick", "a row", "one is deaf", "empty", "no state", "text"],
)
def test_a_design_is_repaired_when_no_rule_is_broken_and_nobody_is_left_out(design, state, saw):
    outcome = classroom.check("02.2", design)
    assert (outcome.state, saw in outcome.saw) == (state, True), outcome
