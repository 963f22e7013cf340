"""An aggregate: what has happened makes the state, and the state decides what may happen next.

Two pure functions are enough: ``decide(state, command)`` gives new events or refuses, ``apply(state, event)`` gives the
next state (J. Chassaing, *Functional Event Sourcing Decider*, 2021; the state is a left fold over the history). Whoever
prefers a class writes ``Aggregate``, which is turned into the same two functions. Nothing here has an effect on the
outside world, so that a history can be replayed as often as one likes.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from evsim.errors import BadEvent, BadScenario, did_you_mean
from evsim.event import Event, freeze
from evsim.kinds import kind_of
from evsim.patterns.handler import Reject


class Draft(NamedTuple):
    """An event that is to be: its type and its data."""

    type: str
    data: Mapping[str, Any]


Decide = Callable[[Any, Mapping[str, Any]], Iterable[tuple[str, Mapping[str, Any]]]]
"""What a command leads to: ``(state, data of the command)`` gives pairs of type and data, or raises ``Reject``."""
Apply = Callable[[Any, Mapping[str, Any]], Any]
"""What an event means: ``(state, data of the event)`` gives the next state."""


_BEGINNING: Any = object()


def _same(state: Any) -> Any:
    return state


@dataclass(frozen=True)
class Decider:
    """An aggregate as two tables of functions: ``Decider("account", {"balance": 0}, decide={…}, apply={…})``.

    ``decide`` maps types of commands, ``apply`` types of events. The functions must be pure and may not change the
    state that they are given. ``version`` counts changes of the shape of the state, so that a snapshot of an older
    shape is not used; ``plain`` and ``from_plain`` turn a state into JSON and back (None: it is JSON).
    """

    name: str
    initial: Any
    decide: Mapping[str, Decide]
    apply: Mapping[str, Apply]
    version: int = 1
    plain: Callable[[Any], Any] = _same
    from_plain: Callable[[Any], Any] = _same

    def __post_init__(self) -> None:
        for command in self.decide:
            if kind_of(command) != "command":
                raise BadScenario(
                    f"{self.name} decides on {command!r}, which is no command; call it like 'place.order'"
                )
        for event in self.apply:
            if kind_of(event) == "command":
                raise BadScenario(f"{self.name} applies {event!r}, which is no fact; call it like 'order.placed'")
        if "-" in self.name or not self.name:
            raise BadScenario(
                f"{self.name!r} is no name of a kind of aggregate; expected one without a dash: 'account'"
            )

    def next(self, state: Any, event: Event | Draft) -> Any:
        """The state after an event; BadEvent when this aggregate does not know it."""
        function = self.apply.get(event.type)
        if function is None:
            raise BadEvent(f"{self.name} cannot apply {event.type!r}{did_you_mean(event.type, self.apply)}")
        return function(state, event.data)

    def beginning(self) -> Any:
        """The state before the first event, each time a new one: an ``apply`` that changes it spoils nobody else's."""
        return copy.deepcopy(self.initial)

    def state_of(self, events: Iterable[Event | Draft], state: Any = _BEGINNING) -> Any:
        """The state after these events: from the beginning, or from a state, which may be None."""
        found = self.beginning() if state is _BEGINNING else state
        for event in events:
            found = self.next(found, event)
        return found

    def decided(self, state: Any, command: Event | Draft) -> list[Draft]:
        """The events that a command leads to in this state; ``Reject`` when it is refused.

        BadEvent when the command is unknown, or an event that this aggregate could not apply was decided.
        """
        function = self.decide.get(command.type)
        if function is None:
            raise BadEvent(f"{self.name} decides nothing on {command.type!r}{did_you_mean(command.type, self.decide)}")
        drafts = [Draft(kind, freeze(dict(data))) for kind, data in function(state, command.data)]
        for draft in drafts:
            if draft.type not in self.apply:
                hint = did_you_mean(draft.type, self.apply)
                raise BadEvent(f"{self.name} decided {draft.type!r} and could not apply it{hint}")
        return drafts


class Aggregate:
    """An aggregate as a class: methods for commands emit, methods for events change the state.

    ``withdraw_money(self, amount)`` answers to the command ``withdraw.money`` and calls
    ``self.emit("money.withdrawn", amount=amount)`` or raises ``Reject``; ``when_money_withdrawn(self, amount)`` is what
    the event does to the state, which is the attributes of the object and must be JSON. An object is new for each
    decision: nothing that a refused command has begun remains.
    """

    version: ClassVar[int] = 1

    def __init__(self) -> None:
        self._drafts: list[Draft] = []

    def emit(self, type: str, **data: Any) -> None:  # noqa: A002
        """Something has happened: it is applied at once, and stored when the command is through."""
        draft = Draft(type, freeze(data))
        _method(self, draft.type)(**data)
        self._drafts.append(draft)

    @classmethod
    def decider(cls) -> Decider:
        """This class as two tables of functions."""
        found = [name for name, _ in inspect.getmembers(cls, inspect.isfunction) if not name.startswith("_")]
        events = {_type_of(name.removeprefix("when_")): _applier(name) for name in found if name.startswith("when_")}
        commands = {
            _type_of(name): _chooser(name)
            for name in found
            if not name.startswith("when_") and name not in vars(Aggregate) and "_" in name
        }
        name = cls.__name__.lower()
        return Decider(name, cls(), commands, events, cls.version, _attributes, lambda plain: _revived(cls, plain))


def _type_of(method: str) -> str:
    """``money_withdrawn`` is ``money.withdrawn``: the last underscore of a fact, the first of a command."""
    first, _, rest = method.partition("_")
    noun, _, last = method.rpartition("_")
    try:
        return f"{noun}.{last}" if kind_of(f"{noun}.{last}") != "command" else f"{first}.{rest}"
    except BadEvent:
        return f"{first}.{rest}"


def _method(aggregate: Aggregate, event_type: str) -> Callable[..., Any]:
    method = getattr(aggregate, "when_" + event_type.replace(".", "_"), None)
    if method is None:
        known = [name.removeprefix("when_") for name in dir(aggregate) if name.startswith("when_")]
        wanted = event_type.replace(".", "_")
        hint = did_you_mean(wanted, known)
        raise BadEvent(f"{type(aggregate).__name__} has no method when_{wanted} for {event_type!r}{hint}")
    found: Callable[..., Any] = method
    return found


def _copied(state: Aggregate) -> Aggregate:
    fresh = copy.copy(state)
    fresh.__dict__ = copy.deepcopy(state.__dict__) | {"_drafts": []}
    return fresh


def _applier(method: str) -> Apply:
    def apply(state: Aggregate, data: Mapping[str, Any]) -> Aggregate:
        after = _copied(state)
        getattr(after, method)(**data)
        return after

    return apply


def _chooser(method: str) -> Decide:
    def decide(state: Aggregate, data: Mapping[str, Any]) -> list[Draft]:
        fresh = _copied(state)
        getattr(fresh, method)(**data)
        return fresh._drafts

    return decide


def _attributes(state: Aggregate) -> dict[str, Any]:
    return {name: value for name, value in vars(state).items() if name != "_drafts"}


def _revived(kind: type[Aggregate], plain: Mapping[str, Any]) -> Aggregate:
    fresh = kind()
    fresh.__dict__.update(copy.deepcopy(dict(plain)))
    return fresh


__all__ = ["Aggregate", "Decider", "Draft", "Reject"]
