"""Clients who write, and soon after read what they have written: from a read model, or in a way that cures its lag."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from evsim.chance import on_grid
from evsim.laws import Constant, Duration, Exponential
from evsim.sim.envelopes import writer
from evsim.sim.node import Node
from evsim.sim.outlet import Outlet
from evsim.sim.part import Part
from evsim.sim.positions import Positions, Reached

if TYPE_CHECKING:
    from evsim.sim.projection import LiveProjection
    from evsim.sim.world import World


class Clients(Part):
    """Clients: ``Clients("customers", to="orders", views=("orders-view",), rate=8, sessions=50, read_after_s=0.1)``.

    So many ``sessions`` write an event of their own key each now and then, ``rate`` times a second together (a Poisson
    process), and read it back ``read_after_s`` later, ``reads`` times, ``between_s`` from one to the next. Without a
    ``cure`` they ask any one of the ``views``, which takes ``read_s``, and see what it knows by then. ``"wait"``: the
    view answers only when it has come to the position of their last write, or after ``patience_s``. ``"write_side"``:
    they ask the side that they wrote to, which takes ``write_read_s``. ``"sticky"``: a session asks the same view each
    time. ``"token"``: they show the newest position in the log that they have written or seen; a view that has not
    come so far sends them on to the next one, and the last of them to the write side, which is also asked for what the
    log has not got yet.
    """

    name: str
    to: str
    views: tuple[str, ...] = Field(min_length=1)
    rate: float = Field(gt=0)
    sessions: int = Field(100, ge=1, le=100_000)
    type: str = "order.placed"
    read_after_s: Duration = Constant(0.1)
    reads: int = Field(1, ge=1, le=1000)
    between_s: Duration = Constant(0.1)
    cure: Literal["wait", "write_side", "sticky", "token"] | None = None
    read_s: Duration = Constant(0.0)
    write_read_s: Duration = Constant(0.0)
    patience_s: float = Field(5.0, gt=0)
    kind: Literal["clients"] = "clients"
    refers: ClassVar[Mapping[str, tuple[str, ...]]] = {"to": ("log",), "views": ("projection",)}

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """What is wrong with these clients among these parts."""
        yield from super().check(parts)
        for view in self.views:
            part = parts.get(view)
            if part is not None and part.kind == "projection" and getattr(part, "of", None) != self.to:
                yield f"{self.title}: {view!r} shows what is in {part.of!r}, but they write to {self.to!r}"  # type: ignore[attr-defined]

    def build(self, world: World) -> LiveClients:
        """Bring the clients to life."""
        return LiveClients(world, self)


class Question(NamedTuple):
    """What a session wants to read: its own write, at these views, how many times more, and in which epoch."""

    session: int
    event: int
    views: tuple[LiveProjection, ...]
    left: int
    epoch: int


class LiveClients(Node):
    """The clients at work: one node, from which many sessions ask."""

    def __init__(self, world: World, value: Clients) -> None:
        super().__init__(world, value.name)
        self.value = value
        self._count = 0
        self._tokens: dict[int, Reached] = {}
        world.live[value.name] = self

    def start(self) -> None:
        """Have the first client write."""
        value, world = self.value, self.world
        self._template = world.history.template(value.name, value.name, value.type, 1, value.name)
        self._new_event = writer(world, value.name)
        self._outlet = Outlet(world, value.name, world.find(value.to))
        self._positions = Positions(world, world.find(value.to))
        self._views: tuple[LiveProjection, ...] = tuple(world.find(view) for view in value.views)
        self._gap = world.draws(f"{self.name} gaps", Exponential(1 / value.rate))
        self._who = world.chance.uniforms(f"{self.name} sessions")
        self._which = world.chance.uniforms(f"{self.name} views")
        self._after = world.draws(f"{self.name} reading", value.read_after_s)
        self._between = world.draws(f"{self.name} reading again", value.between_s)
        self._read = world.draws(f"{self.name} read", value.read_s)
        self._write_read = world.draws(f"{self.name} write read", value.write_read_s)
        world.call_in(self._gap(), self._write, self.epoch)

    def restarted(self) -> None:
        """Go on writing."""
        self.world.call_in(self._gap(), self._write, self.epoch)

    def _away(self, fn: Any, arg: Any, epoch: int) -> bool:
        """Whether nothing can be done now: it was forgotten, or is held until we can move again."""
        if epoch == self.epoch and self.frozen:
            self.hold(fn, arg)
        return epoch != self.epoch or self.frozen

    # ---------------------------------------------------------------- writing

    def _write(self, epoch: int) -> None:
        if self._away(self._write, epoch, epoch):
            return
        self._count += 1
        session = 1 + int(self._who() * self.value.sessions)
        event = self._new_event(self.world.now, self._template, self._count, session, -1, -1, None)
        self._outlet.publish(event)
        self.world.call_in(self._after(), self._ask, Question(session, event, self._views, self.value.reads, epoch))
        self.world.call_in(self._gap(), self._write, epoch)

    # ---------------------------------------------------------------- reading

    def _ask(self, question: Question) -> None:
        """A session wants to know: choose whom it asks first."""
        if self._away(self._ask, question, question.epoch):
            return
        value = self.value
        if value.cure == "write_side":
            self._note("asked", question, value.to)
            self.world.call_in(self._write_read(), self._seen, (question, value.to))
            return
        count = len(self._views)
        first = question.session % count if value.cure == "sticky" else int(self._which() * count) if count > 1 else 0
        question = question._replace(views=(*self._views[first:], *self._views[:first]))
        self._note("asked", question, question.views[0].name)
        self.world.call_in(self._read(), self._look, question)

    def _look(self, question: Question) -> None:
        """A view is asked: it answers, or waits, or sends the session on."""
        if self._away(self._look, question, question.epoch):
            return
        view, cure = question.views[0], self.value.cure
        if cure == "wait" and not self._sees(view, question.event):
            self._wait(question)
        elif cure == "token" and not (self._sees(view, question.event) and self._knows(view, question)):
            if len(question.views) > 1:
                self.world.call_in(self._read(), self._look, question._replace(views=question.views[1:]))
            else:
                self.world.call_in(self._write_read(), self._seen, (question, self.value.to))
        else:
            self._seen((question, view.name))

    def _sees(self, view: LiveProjection, event: int) -> bool:
        """Whether the view has come to the position that this write was acknowledged with."""
        position = self._positions.of(event)
        return position is not None and view.reached(event).covers(position)

    def _knows(self, view: LiveProjection, question: Question) -> bool:
        """Whether the view has come as far as the session has been shown before."""
        token = self._tokens.get(question.session)
        return token is None or view.reached(question.event).includes(token)

    def _wait(self, question: Question) -> None:
        """Answer when the view has come so far, or when patience is over."""
        view, open_ = question.views[0], [True]

        def answer(_: Any = None) -> None:
            if open_:
                open_.clear()
                self._seen((question, view.name))

        view.when(question.event, lambda: self._sees(view, question.event), answer)
        self.world.call_in(on_grid(self.value.patience_s), answer)

    def _seen(self, answer: tuple[Question, str]) -> None:
        """What is there at this moment is what the session reads."""
        question, place = answer
        if self._away(self._seen, answer, question.epoch):
            return
        self._note("read", question, place)
        if self.value.cure == "token":
            side = self._positions.newest if place == self.value.to else self.world.find(place).reached
            self._tokens.setdefault(question.session, Reached()).join(side(question.event))
        if question.left > 1:
            self.world.call_in(self._between(), self._ask, question._replace(left=question.left - 1))

    def _note(self, step: str, question: Question, place: str) -> None:
        code = self.world.history.code(step, f"{self.name}-{question.session}", place)
        self.world.record(self.world.now, code, question.event, question.left)
