"""A command bus: every wish is checked before anybody sees it, and exactly one handler is responsible for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

from pydantic import BaseModel, ValidationError

from evsim.errors import BadEvent, BadScenario, EvsimError, UnknownName, did_you_mean, shown
from evsim.event import Event, thaw
from evsim.kinds import kind_of
from evsim.value import sentences

Handler = Callable[[Any, Event], Any]
"""What a command leads to: ``(its data as the model says, the same as an event)`` gives whatever it likes."""


class Handles(Protocol):
    """Whoever decides on a command for one thing: a ``Repository`` does."""

    def handle(self, name: str, command: Event) -> Any:
        """Load, decide, append."""


class _Way(NamedTuple):
    model: type[BaseModel]
    handler: Handler
    title: str


class CommandBus:
    """The way in: ``bus.route("withdraw.money", WithdrawMoney, to=accounts, by="account")``, then ``bus.send(…)``.

    A command is an ``Event`` whose data the pydantic model takes as JSON, where ``"50"`` is no number; its handler gets
    what the model made of it, defaults and all. One handler answers for a type of command, for two would decide twice;
    to tell others is what events are for.
    """

    def __init__(self) -> None:
        self._ways: dict[str, _Way] = {}

    @property
    def types(self) -> tuple[str, ...]:
        """The types of commands that are taken."""
        return tuple(self._ways)

    def register(self, command_type: Any, model: Any, handler: Any) -> None:
        """Have this handler answer for a type of command; BadScenario when another one does already."""
        if not isinstance(command_type, str) or kind_of(command_type) != "command":
            raise BadScenario(f"{shown(command_type)} is no command; call it like 'place.order'")
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise BadScenario(f"{shown(model)} is no pydantic model for {command_type!r}; give a class of BaseModel")
        if not callable(handler):
            raise BadScenario(f"{shown(handler)} cannot handle {command_type!r}; give a function of (command, event)")
        title = getattr(handler, "__name__", shown(handler))
        known = self._ways.get(command_type)
        if known is not None:
            raise BadScenario(
                f"{command_type!r} is handled by {known.title} already, so {title} cannot handle it too; "
                "a command has one handler, and whoever else wants to know listens to its events"
            )
        twin = next((name for name, way in self._ways.items() if way.model is model), None)
        if twin is not None:
            raise BadScenario(f"{model.__name__} stands for {twin!r} already; give {command_type!r} a model of its own")
        self._ways[command_type] = _Way(model, handler, title)

    def handles(self, command_type: str, model: type[BaseModel]) -> Callable[[Handler], Handler]:
        """``register`` as a decorator."""

        def decorate(handler: Handler) -> Handler:
            self.register(command_type, model, handler)
            return handler

        return decorate

    def route(self, command_type: str, model: type[BaseModel], *, to: Handles, by: str) -> None:
        """Have a repository decide, for the aggregate that the field ``by`` names."""
        if by not in model.model_fields:
            raise BadScenario(f"{model.__name__} has no field {by!r}{did_you_mean(by, model.model_fields)}")

        def handler(command: BaseModel, event: Event) -> Any:
            return to.handle(str(getattr(command, by)), event)

        handler.__name__ = f"the repository of {command_type!r}"
        self.register(command_type, model, handler)

    # ---------------------------------------------------------------- what comes in

    def check(self, command: Any) -> BaseModel:
        """The data of a command as its model says; BadEvent with one sentence a mistake, UnknownName for its type."""
        if not isinstance(command, Event):
            raise BadEvent(f"{shown(command)} is no command; send an Event, or what bus.event(command, id) makes of it")
        model, given = self._way(command.type).model, thaw(command.data)
        try:
            return model.model_validate_json(json.dumps(given), strict=True)
        except ValidationError as error:
            raise BadEvent(sentences(error, model, given)) from None
        except EvsimError as problem:
            raise BadEvent(str(problem)) from None
        except Exception as problem:  # noqa: BLE001 - a validator is somebody else's code
            raise BadEvent(
                f"{model.__name__} cannot check {shown(given)}: its validator raised {shown(problem)}; "
                "let it raise ValueError with the reason"
            ) from None

    def send(self, command: Event) -> Any:
        """Check a command and have it handled, with its data as it was checked; what its handler answers."""
        checked = self.check(command)
        return self._way(command.type).handler(checked, replace(command, data=_plain(checked)))

    def event(self, command: BaseModel, id: str, timestamp: float = 0.0, source: str = "client") -> Event:  # noqa: A002
        """A command that was made as an object of its model, as an event that can be sent."""
        found = next((name for name, way in self._ways.items() if way.model is type(command)), None)
        if found is None:
            known = [way.model.__name__ for way in self._ways.values()]
            raise UnknownName(f"nobody handles {type(command).__name__!r}{did_you_mean(type(command).__name__, known)}")
        return Event(id, found, timestamp, source, _plain(command))

    def _way(self, command_type: str) -> _Way:
        way = self._ways.get(command_type)
        if way is None:
            raise UnknownName(f"nobody handles {command_type!r}{did_you_mean(command_type, self._ways)}")
        return way


def _plain(command: BaseModel) -> dict[str, Any]:
    """The data of a command as it travels, under the names that its model takes."""
    return command.model_dump(mode="json", by_alias=True)
