"""A projection: what has happened, folded into a shape that is quick to ask; it knows how far it has come.

Its checkpoint is the position of the last event that it has taken. Positions come in order, but may come again
(delivery is *at least once*): what is at or below the checkpoint is known and changes nothing. So a read model can be
thrown away and built anew at any time, also beside the old one, and take its place when it has caught up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from evsim.errors import BadEvent, BadScenario, shown
from evsim.event import Event
from evsim.kinds import kind_of

Apply = Callable[[Any, Event], Any]
"""What an event means for the read model: ``(state, event)`` gives the next state, and leaves the old one alone."""
Progress = Callable[["Step"], None]


class View(NamedTuple):
    """A read model at a moment: its state, and the position up to which it knows what has happened (0: nothing)."""

    state: Any
    checkpoint: int = 0


class Step(NamedTuple):
    """How far a rebuild has come: the events taken, the checkpoint, and the position that it is to reach."""

    taken: int
    checkpoint: int
    head: int

    @property
    def share(self) -> float:
        """The part of the way that is done."""
        return min(1.0, self.checkpoint / self.head) if self.head else 1.0


@dataclass(frozen=True)
class Projection:
    """A read model as pure functions: ``Projection("totals", {}, on={"order.placed": add})``.

    Types that ``on`` does not name change nothing, and are passed all the same. ``version`` counts changes of the
    functions: a view of another version has to be rebuilt.
    """

    name: str
    initial: Any
    on: Mapping[str, Apply]
    version: int = 1

    def __post_init__(self) -> None:
        followed(self.name, self.on)

    @property
    def empty(self) -> View:
        """The read model before anything has happened."""
        return View(self.initial)

    def knows(self, view: View, position: int) -> bool:
        """Whether this view has taken what stands at a position."""
        return position <= view.checkpoint

    def next(self, view: View, position: Any, event: Event) -> View:
        """The view after an event; the same one when it has come before."""
        if self.knows(view, checked(position)):
            return view
        apply = self.on.get(event.type)
        return View(view.state if apply is None else apply(view.state, event), position)

    def over(self, events: Iterable[tuple[int, Event]], view: View | None = None) -> View:
        """The view after these events: from the beginning, or from a view."""
        found = self.empty if view is None else view
        for position, event in events:
            found = self.next(found, position, event)
        return found


def checked(position: Any) -> int:
    """This position; BadEvent when it is none."""
    if not isinstance(position, int) or isinstance(position, bool) or position < 1:
        raise BadEvent(f"{shown(position)} is no position of an event; positions are whole numbers from 1")
    return position


def followed(name: str, on: Any) -> dict[str, Callable[[Any, Event], Any]]:
    """The functions of a read model by type of event; BadScenario when it cannot follow these."""
    if not isinstance(on, Mapping):
        raise BadScenario(f"{name} has on={shown(on)}; expected functions by type of event: {{'order.placed': add}}")
    for event_type, apply in on.items():
        if not isinstance(event_type, str):
            raise BadScenario(f"{name} projects {shown(event_type)}, which is no type of event such as 'order.placed'")
        if kind_of(event_type) == "command":
            raise BadScenario(
                f"{name} projects {event_type!r}, which is a wish; a read model follows facts: 'order.placed'"
            )
        if not callable(apply):
            raise BadScenario(f"{name} cannot apply {shown(apply)} to {event_type!r}; give a function of two arguments")
    return dict(on)


# -------------------------------------------------------------------- read models, wherever they lie


class Model(Protocol):
    """A read model that lives somewhere: in memory, or in a database."""

    @property
    def checkpoint(self) -> int:
        """The position of the last event that it has taken."""

    def take(self, events: Iterable[tuple[int, Event]]) -> int:
        """Take these events, all in one act with the checkpoint, and say how many were new."""

    def reach(self, position: int) -> None:
        """Move the checkpoint to here: between the two there is nothing that anybody can read."""

    def take_over(self) -> None:
        """Answer whoever asks for this kind of read model, in place of the version that did."""


class Placed(Protocol):
    """An event where it stands, as a store gives it."""

    @property
    def position(self) -> int: ...
    @property
    def event(self) -> Event: ...


class Source(Protocol):
    """What a read model follows: a ``Store`` is one."""

    @property
    def position(self) -> int:
        """The position of the last event."""

    def read_all(self, start: int | None = None, limit: int | None = None) -> Iterable[Any]:
        """The events by position."""


@dataclass
class ReadModel:
    """A read model in memory."""

    projection: Projection
    view: View = field(init=False)

    def __post_init__(self) -> None:
        self.view = self.projection.empty

    @property
    def state(self) -> Any:
        """What it says."""
        return self.view.state

    @property
    def checkpoint(self) -> int:
        """The position of the last event that it has taken."""
        return self.view.checkpoint

    def take(self, events: Iterable[tuple[int, Event]]) -> int:
        """Take these events, and say how many were new."""
        view, new = self.view, 0
        for position, event in events:
            after = self.projection.next(view, position, event)
            new, view = new + (after.checkpoint > view.checkpoint), after
        self.view = view
        return new

    def reach(self, position: int) -> None:
        """Move the checkpoint to here, never back."""
        self.view = View(self.state, max(self.checkpoint, position))

    def take_over(self) -> None:
        """Nothing: in memory the one that is asked is the one that answers."""


def catch_up(model: Model, source: Source, *, batch: int = 1000, progress: Progress | None = None) -> int:
    """Take all that the source has beyond the checkpoint, a batch at a time, and say how many events that were.

    ``progress`` is called after each batch. The head is looked at again at the end, so that what was written meanwhile
    is taken too.
    """
    _check_batch(batch)
    taken = 0
    while model.checkpoint < source.position:
        taken += _go_on(model, source, batch)
        if progress is not None:
            progress(Step(taken, model.checkpoint, source.position))
    return taken


def _check_batch(batch: Any) -> None:
    if not isinstance(batch, int) or isinstance(batch, bool) or batch < 1:
        raise BadScenario(f"batch={shown(batch)} is refused; expected a number of events from 1")


def _go_on(model: Model, source: Source, batch: int) -> int:
    """Take the next batch, and say how many events of it were new.

    The last positions may be hidden, so the head is the goal when nothing is found: the one before the look, for what
    is written meanwhile is still to be taken.
    """
    head = source.position
    found = [(each.position, each.event) for each in source.read_all(model.checkpoint + 1, batch)]
    if found:
        return model.take(found)
    if model.checkpoint < head:
        model.reach(head)
    return 0


@dataclass
class BlueGreen:
    """Two read models, one that answers and one that is being built: ``BlueGreen(blue, green, source).swap()``.

    Both follow the source; readers ask ``live``. Green takes over only when it is not behind ``live`` any more, so that
    no reader sees time go back, and the old one stays as ``spare``: swapping again is the way back.
    """

    live: Any
    spare: Any
    source: Source

    def follow(self, *, batch: int = 1000, progress: Progress | None = None) -> None:
        """Let both go on by one batch; the new one has farther to go."""
        _check_batch(batch)
        for model in (self.live, self.spare):
            taken = _go_on(model, self.source, batch)
            if model is self.spare and progress is not None:
                progress(Step(taken, model.checkpoint, self.source.position))

    @property
    def behind(self) -> int:
        """By how many positions the new one is behind the one that answers."""
        return max(0, self.live.checkpoint - self.spare.checkpoint)

    def swap(self) -> Any:
        """Let the new one answer; BadScenario while it is behind, and nothing changes then."""
        if self.behind:
            raise BadScenario(
                f"the new read model is {self.behind} positions behind the old one; let it follow, and swap then"
            )
        self.spare.take_over()
        self.live, self.spare = self.spare, self.live
        return self.live
