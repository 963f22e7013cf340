"""Exercises of notebook 17: schema evolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, Field, create_model

from evsim.classroom.exercise import Exercise, Outcome, broken, held
from evsim.errors import EvsimError
from evsim.event import Event
from evsim.lab.rollout import roll_out
from evsim.schema import Registry

Model = type[BaseModel]


def _order(**fields: Any) -> Model:
    whole: Any = {name: each if isinstance(each, tuple) else (each, ...) for name, each in fields.items()}
    model: Model = create_model("OrderPlaced", **whole)
    return model


MORE: dict[str, tuple[Model, Model]] = {
    "give a field a default": (_order(customer=str, note=str), _order(customer=str, note=(str, ""))),
    "lower a limit": (
        _order(customer=str, amount=(int, Field(le=1000))), _order(customer=str, amount=(int, Field(le=500)))
    ),
    "turn text into a number": (_order(customer=str, number=str), _order(customer=str, number=int)),
    "remove an optional field": (_order(customer=str, note=(str, "")), _order(customer=str)),
    "add a choice": (
        _order(customer=str, speed=Literal["normal", "express"]),
        _order(customer=str, speed=Literal["normal", "express", "drone"]),
    ),
}  # fmt: skip
"""Changes that are not in the notebook's map, each as the old and the new model."""
SAFE = {
    "consumers": ("consumers first",),
    "producers": ("producers first",),
    "anyone": ("consumers first", "producers first"),
    "nobody": (),
}
"""The orders of upgrades that each answer calls safe."""
WHILE = {
    "consumers first": "an upgraded consumer reads: who still writes the old version, and what is in it?",
    "producers first": "an upgraded producer writes: which readers are still old, and what do they expect?",
}
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
    if not isinstance(answer, dict) or set(answer) != set(MORE):
        missing = [change for change in MORE if not isinstance(answer, dict) or change not in answer]
        said = (
            f"nothing is said about {missing[0]!r}" if missing else "it says something about changes that are not there"
        )
        return broken(said, "list(MORE)", "which five changes are in the list?")
    for change, said in answer.items():
        if not isinstance(said, str) or said not in SAFE:
            return broken(f"{change!r}: {said!r}; expected one of {', '.join(SAFE)}")
    wrong = (_unlike(change, answer[change]) for change in MORE)
    return next((each for each in wrong if each is not None), held(f"for all {len(MORE)} changes"))


def _unlike(change: str, said: str) -> Outcome | None:
    """What speaks against this word for this change; None when nothing does."""
    safe = []
    for order in SAFE["anyone"]:
        rolled = roll_out(*MORE[change], order)
        if rolled.failed and order in SAFE[said]:
            failed = f"{rolled.failed} of {sum(rolled.reads.values())} reads failed"
            look = f"ev.roll_out(*MORE[{change!r}], {order!r}).figure()"
            return broken(f"{change!r}: you said {said!r}, and with {order} {failed}", look, WHILE[order])
        safe += [] if rolled.failed else [order]
    if len(safe) == len(SAFE[said]):
        return None
    if said == "nobody":
        look = f"ev.schema.compatible(*MORE[{change!r}], 'full')"
        ask = "which read would fail with consumers first, and which with producers first?"
        return broken(f"{change!r}: you said 'nobody', and not in every order did a read fail", look, ask)
    other = next(order for order in safe if order not in SAFE[said])
    look = f"ev.roll_out(*MORE[{change!r}], {other!r})"
    return broken(f"{change!r}: you said {said!r}, and no read failed", look, "is this the only order that is safe?")


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
