"""The judges of notebook 17 roll out what is claimed, and say what came of it."""

from __future__ import annotations

from pathlib import Path

import pytest

import evsim as ev
from evsim import classroom
from evsim.classroom.exercises.exercises_17 import MORE
from evsim.lab.rollout import CHANGES
from evsim.schema import compatible

NOTEBOOK = Path(__file__).parents[1] / "notebooks/solutions/17-version-your-events.ipynb"
RIGHT = {
    "give a field a default": "consumers",
    "lower a limit": "producers",
    "turn text into a number": "nobody",
    "remove an optional field": "anyone",
    "add a choice": "consumers",
}


# -------------------------------------------------------------------- 17.1: who goes first


def test_the_right_words_are_right():
    assert classroom.check("17.1", RIGHT).state == "held"


def test_the_answers_cannot_be_copied_from_the_map_of_the_notebook():
    assert not set(MORE) & set(CHANGES)


def test_the_verdict_says_the_same_as_the_rollouts_by_which_we_judge():
    first = {"full": "anyone", "backward": "consumers", "forward": "producers", "none": "nobody"}
    assert {change: first[compatible(*models, "full").kept] for change, models in MORE.items()} == RIGHT


@pytest.mark.parametrize("change", list(RIGHT))
@pytest.mark.parametrize("word", ["consumers", "producers", "anyone", "nobody"])
def test_any_other_word_is_told_what_was_seen_and_its_command_works(change, word):
    if word == RIGHT[change]:
        return
    found = classroom.check("17.1", RIGHT | {change: word})
    assert found.state == "broken"
    assert f"{change!r}: you said {word!r}" in found.saw
    assert RIGHT[change] not in found.saw
    assert found.ask
    assert eval(found.look, {"ev": ev, "MORE": MORE}) is not None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("consumers", "nothing is said about"),
        ({}, "nothing is said about"),
        (RIGHT | {"paint it": "nobody"}, "changes that are not there"),
        (RIGHT | {"add a choice": "everybody"}, "expected one of"),
        (RIGHT | {"add a choice": ["consumers"]}, "expected one of"),
    ],
)
def test_what_is_no_answer_is_told_so(answer, said):
    found = classroom.check("17.1", answer)
    assert found.state == "broken"
    assert said in found.saw


def test_the_notebook_names_every_change():
    told = NOTEBOOK.read_text(encoding="utf-8")
    assert all(f"*{change}*" in told for change in MORE)


# -------------------------------------------------------------------- 17.2: from money to cents


def rest(payload):
    return {name: value for name, value in payload.items() if name != "total"}


@pytest.mark.parametrize(
    ("to_cents", "state", "saw"),
    [
        (lambda payload: rest(payload) | {"cents": round(payload["total"] * 100)}, "held", ""),
        (lambda payload: rest(payload) | {"cents": int(payload["total"] * 100)}, "broken", "cents is"),
        (lambda payload: {"cents": round(payload["total"] * 100), "currency": "EUR", "country": None}, "broken", "is"),
        (lambda payload: rest(payload) | {"cents": payload["total"] * 100}, "broken", "cents"),
        (rest, "broken", "cents"),
    ],
    ids=["right", "one cent short", "forgets the rest", "no whole cents", "forgets the cents"],
)
def test_cents_are_judged_to_the_cent(to_cents, state, saw):
    outcome = classroom.check("17.2", to_cents)
    assert (outcome.state, saw in outcome.saw) == (state, True), outcome
