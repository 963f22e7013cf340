"""Exercises of notebook 17: schema evolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from evsim.classroom.exercise import Exercise, Outcome, broken, held
from evsim.errors import EvsimError
from evsim.event import Event
from evsim.lab.rollout import CHANGES
from evsim.schema import Registry, compatible

FIRST = {"full": "anyone", "backward": "consumers", "forward": "producers", "none": "nobody"}
TYPE = "order.placed"
WRITTEN: tuple[tuple[int, dict[str, Any], dict[str, Any]], ...] = (
    (3, {"total": 64.17, "currency": "EUR", "country": "DE"}, {"cents": 6417, "currency": "EUR", "country": "DE"}),
    (3, {"total": 0.29, "currency": "USD", "country": None}, {"cents": 29, "currency": "USD", "country": None}),
    (3, {"total": 19.665099, "currency": "EUR", "country": "AT"}, {"cents": 1967, "currency": "EUR", "country": "AT"}),
    (3, {"total": -1.15, "currency": "CHF", "country": "CH"}, {"cents": -115, "currency": "CHF", "country": "CH"}),
    (3, {"total": 0.0, "currency": "EUR", "country": "DE"}, {"cents": 0, "currency": "EUR", "country": "DE"}),
    (2, {"amount": 4.35, "currency": "USD"}, {"cents": 435, "currency": "USD", "country": None}),
    (1, {"amount": 1.1}, {"cents": 110, "currency": "EUR", "country": None}),
)
"""Payloads by version, and what they are in version 4."""


class _One(BaseModel):
    amount: float


class _Two(BaseModel):
    amount: float
    currency: str


class _Three(BaseModel):
    total: float
    currency: str
    country: str | None


class _Four(BaseModel):
    cents: int
    currency: str
    country: str | None


def _first(answer: Any) -> Outcome:
    if not isinstance(answer, dict) or set(answer) != set(CHANGES):
        missing = [name for name in CHANGES if not isinstance(answer, dict) or name not in answer]
        said = (
            f"nothing is said about {missing[0]!r}" if missing else "it says something about changes that are not there"
        )
        return broken(said, "list(CHANGES)", "which six changes are in the map?")
    for name, (old, new) in CHANGES.items():
        verdict = compatible(old, new, "full")
        if answer[name] not in FIRST.values():
            return broken(f"{name!r}: {answer[name]!r}; expected one of {', '.join(FIRST.values())}")
        if answer[name] != FIRST[verdict.kept]:
            ask = "is there an order of upgrades in which nobody reads what it does not understand?"
            if answer[name] in {"anyone", "producers"} and verdict.forward:
                ask = "an upgraded producer writes: which readers are still old, and what do they miss?"
            elif answer[name] in {"anyone", "consumers"} and verdict.backward:
                ask = "an upgraded consumer reads: who still writes the old version, and what is not in it?"
            return broken(f"{name!r}: you said {answer[name]!r}", f"verdicts[{name!r}]", ask)
    return held("for all six changes")


def _cents(to_cents: Callable[..., Any]) -> Outcome:
    registry = Registry("none")
    registry.register(TYPE, 1, _One)
    registry.upcast(TYPE, 1, lambda payload: payload | {"currency": "EUR"})
    registry.register(TYPE, 2, _Two)
    registry.upcast(TYPE, 2, lambda old: {"total": old["amount"], "currency": old["currency"], "country": None})
    registry.register(TYPE, 3, _Three)
    registry.upcast(TYPE, 3, to_cents)
    registry.register(TYPE, 4, _Four)
    for number, (version, payload, wanted) in enumerate(WRITTEN):
        event = Event(f"hidden.{number}", TYPE, 0.0, "hidden", payload, version=version)
        try:
            found = registry.read(event).model_dump()
        except EvsimError as problem:
            return broken(str(problem), f"to_cents({WRITTEN[0][1]!r})", "what does version 4 need, and of what kind?")
        if found != wanted:
            wrong = next(name for name in wanted if found[name] != wanted[name])
            return broken(
                f"version {version} {payload}: {wrong} is {found[wrong]!r}, and should be {wanted[wrong]!r}",
                f"{payload.get('total', payload.get('amount'))} * 100",
                "what does a computer make of that product?" if wrong == "cents" else "where has it gone?",
            )
    return held(f"for {len(WRITTEN)} orders of three versions")


EXERCISES = (
    Exercise("17.1", "Who goes first?", "no order of upgrades that you call safe loses an event", "my_first", _first),
    Exercise(
        "17.2",
        "From money to cents",
        "orders of every version come out in whole cents, to the cent",
        "to_cents(payload)",
        _cents,
    ),
)
