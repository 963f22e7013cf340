"""What a catalogue of events is made of: types of events, and the things whose life they tell."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel, TypeAdapter, create_model, field_validator

from evsim.errors import BadEvent, shown
from evsim.kinds import Kind, kind_of
from evsim.value import Value

Names = tuple[str, ...]
Model = type[BaseModel]
WORDS: Mapping[str, Any] = {
    "text": str, "whole number": int, "number": float, "true or false": bool, "list": list[Any],
    "object": dict[str, Any],
}  # fmt: skip
"""Types of fields in words, for those who have no model yet."""

_ARROW = re.compile(r"\s*(?:->|→)\s*")


def _names(given: Any) -> Any:
    """One name, several with commas between, or a list of them."""
    if isinstance(given, str):
        return tuple(name.strip() for name in given.split(",") if name.strip())
    return tuple(given) if isinstance(given, list | set | frozenset) else given


class EventType(Value):
    """One type of message as it is designed: whose it is, what it carries, what leads to it, and what it changes.

    ``owner`` is the context that publishes it; of a command, the context that handles it. ``caused_by`` lists types of
    messages, and actors: a name without a dot, such as ``"customer"`` or ``"clock"``. ``data`` says what the payload
    holds: a pydantic model, or names with their types (``{"amount": float}``; ``{}`` when the key says it all, None
    when nobody has decided). ``moves`` is the change of state that it tells: ``"placed, paid -> cancelled"``, or
    ``"-> placed"`` for a birth; ``of`` names the thing, when it is not the noun of the type. ``readers`` are contexts
    that listen without an answer. ``because`` is the reason why a rule of taste is broken on purpose.

    The type may be any text: what is wrong with it, ``lint`` says.
    """

    type: str
    owner: str = ""
    caused_by: Names = ()
    data: Any = None
    moves: str = ""
    of: str = ""
    readers: Names = ()
    meant: Kind | None = None
    because: str = ""

    _listed = field_validator("caused_by", "readers", mode="before")(_names)

    @field_validator("data")
    @classmethod
    def _known_types(cls, data: Any) -> Any:
        if data is None or (isinstance(data, type) and issubclass(data, BaseModel)):
            return data
        if not isinstance(data, Mapping):
            raise ValueError("give a pydantic model, or a mapping such as {'amount': float}")  # noqa: TRY004 - for pydantic
        return {name: _known_type(name, given) for name, given in data.items()}

    @field_validator("moves")
    @classmethod
    def _two_sides(cls, moves: str) -> str:
        if not moves.strip():
            return ""
        sides = _ARROW.split(moves.strip())
        if len(sides) != 2 or not sides[1] or "," in sides[1]:
            raise ValueError(
                "a change of state is written like 'placed, paid -> cancelled', or '-> placed' for a birth"
            )
        return f"{', '.join(_names(sides[0]))} -> {sides[1]}".strip()

    @property
    def kind(self) -> Kind | None:
        """``"command"``, ``"domain"`` or ``"integration"``, or None when no event may have this type."""
        try:
            return kind_of(self.type)
        except BadEvent:
            return None

    @property
    def before(self) -> Names:
        """The states from which it leads; none for a birth, and for what changes nothing."""
        return _names(self.moves.partition("->")[0]) if self.moves else ()

    @property
    def after(self) -> str:
        """The state to which it leads, or nothing."""
        return self.moves.partition("->")[2].strip()

    @property
    def noun(self) -> str:
        """What the type speaks of: ``order`` in ``order.placed``, ``shop.order.placed`` and ``place.order``."""
        words = self.type.split(".")
        return words[-1 if self.kind == "command" else -2] if len(words) > 1 else words[0]

    @property
    def fields(self) -> frozenset[str] | None:
        """The names in the payload, or None when nobody has decided."""
        if self.data is None:
            return None
        return frozenset(self.data if isinstance(self.data, Mapping) else self.data.model_fields)

    @property
    def model(self) -> Model:
        """The payload as a pydantic model."""
        if isinstance(self.data, type):
            return cast("Model", self.data)
        name = "".join(word.capitalize() for word in re.findall("[A-Za-z0-9]+", self.type)) or "Payload"
        fields: dict[str, Any] = {field: (given, ...) for field, given in (self.data or {}).items()}
        return create_model(name, **fields)


class Entity(Value):
    """A thing with a life: its states in order, and what must be known of it from each state on.

    ``Entity("order", {"placed": "customer, amount", "paid": "payment_id", "shipped": "tracking"})``
    """

    name: str
    states: Mapping[str, Names]

    @field_validator("states", mode="before")
    @classmethod
    def _each_with_fields(cls, states: Any) -> Any:
        if isinstance(states, str | list | tuple):
            return dict.fromkeys(_names(states), ())
        if not isinstance(states, Mapping):
            return states
        return {state: _names(fields) for state, fields in states.items()}


def _known_type(name: Any, given: Any) -> Any:
    if not isinstance(name, str) or not name.isidentifier() or name.startswith("_"):
        raise ValueError(f"{shown(name)} cannot name a field; use lower-case words such as 'amount'")
    if isinstance(given, str):
        if given not in WORDS:
            raise ValueError(f"{name} is {shown(given)}; a field is one of {', '.join(WORDS)}, or a type of Python")
        return WORDS[given]
    try:
        TypeAdapter(given).json_schema()
    except Exception:  # noqa: BLE001 - whatever pydantic makes of it, it cannot be a field in JSON
        raise ValueError(
            f"{name} is {shown(given)}, which JSON cannot hold; give a type such as str or float"
        ) from None
    return given
