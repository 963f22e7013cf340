"""The judges of notebook 15 let good answers pass and say in words what is wrong with others."""

from __future__ import annotations

import pytest

from evsim import classroom


def fold(events, **more):
    state = {"balance": 0, "lowest": 0, "withdrawals": 0} | more
    for event in events:
        if event.type == "money.paid":
            state["balance"] += event.data["amount"]
        elif event.type == "money.withdrawn":
            state["balance"] -= event.data["amount"]
            state["withdrawals"] += 1
        state["lowest"] = min(state["lowest"], state["balance"])
    return state


@pytest.mark.parametrize(
    ("answer", "state", "saw"),
    [
        (fold, "held", ""),
        (lambda events: fold(events, count=0), "broken", "after nothing: there is 'count' in it too"),
        (
            lambda events: fold(events)["balance"],
            "broken",
            "my_fold gave 0, and should give a dict with balance, lowest",
        ),
        (lambda events: None, "broken", "my_fold gave None, and should give a dict"),
        (
            lambda events: {"balance": 0, "lowest": 0},
            "broken",
            "there is no withdrawals in {'balance': 0, 'lowest': 0}",
        ),
        (lambda events: fold(events) | {"lowest": 1}, "broken", "after nothing: lowest is 1, and should be 0"),
        (lambda events: fold(events[:1]), "broken", "and should be"),
    ],
    ids=["right", "a key more", "a number", "nothing", "a key less", "a wrong beginning", "the first event only"],
)
def test_a_fold_is_judged_by_its_keys_and_its_values(answer, state, saw):
    outcome = classroom.check("15.1", answer)
    assert (outcome.state, saw in outcome.saw) == (state, True), outcome


def test_no_verdict_on_a_fold_says_that_a_value_should_be_what_it_is():
    for answer in (lambda events: fold(events, count=0), lambda events: fold(events)["balance"]):
        given, _, wanted = classroom.check("15.1", answer).saw.partition(", and should be ")
        assert not wanted or not given.endswith(f"is {wanted}")


def test_a_fold_that_remembers_is_found():
    state = {"balance": 0, "lowest": 0, "withdrawals": 0}

    def remembering(events):
        for event in events:
            state["balance"] += event.data.get("amount", 0) if event.type == "money.paid" else 0
        return dict(state)

    assert classroom.check("15.1", remembering).state == "broken"


def first_wrong(links, chained):
    before = bytes(32)
    for expected, (position, stream, version, body, link) in enumerate(links, start=1):
        before = chained(before, position, stream, version, body)
        if position != expected or link != before:
            return expected
    return None


def own_position(links, chained):
    before = bytes(32)
    for position, stream, version, body, link in links:
        before = chained(before, position, stream, version, body)
        if link != before:
            return position
    return None


@pytest.mark.parametrize(
    ("answer", "state", "saw"),
    [
        (first_wrong, "held", ""),
        (own_position, "broken", "event 5 was taken away: you said 6"),
        (lambda links, chained: None, "broken", "you said None, and it is 1"),
        (lambda links, chained: 1, "broken", "nothing was changed: you said 1"),
    ],
    ids=["right", "the row's own position", "nothing", "always the first"],
)
def test_a_detective_is_judged_by_the_place_that_is_named(answer, state, saw):
    outcome = classroom.check("15.2", answer)
    assert (outcome.state, saw in outcome.saw) == (state, True), outcome
