"""The world of a run: its clock, its run loop, its chance, and the one function that records.

A ``World`` is a ``simpy.Environment``: users' own processes, events and resources run in it unchanged. Our parts do not
spend a process on each message: they schedule *light calls* on SimPy's own heap, ``(time, priority, id, fn, arg)``; a
SimPy event is the light call that runs its callbacks. The id is unique, so that ties break by order of scheduling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from types import GeneratorType
from typing import TYPE_CHECKING, Any

import simpy
from simpy.core import EmptySchedule, StopSimulation
from simpy.events import NORMAL, URGENT

from evsim.chance import Chance
from evsim.errors import BadScenario, UnknownName, did_you_mean
from evsim.history import History
from evsim.sim.agenda import Agenda
from evsim.sim.network import Link, LiveLink

if TYPE_CHECKING:
    from evsim.event import Event
    from evsim.sim.part import Part

_AT_ONCE = -1
Datasets = Callable[[str], Iterable[tuple[float, "Event"]]]


class World(simpy.Environment):
    """A ``simpy.Environment`` with light calls, named chance, live parts and a history.

    ``seed`` names all chance of the run; ``load`` gives a dataset by its name to publishers that replay one.
    """

    def __init__(self, initial_time: float = 0, *, seed: int = 0, load: Datasets | None = None) -> None:
        super().__init__(initial_time)
        self._heap: list[Any] = self._queue
        self.history = History()
        self.record = self.history.record
        self.call_at = self._caller()
        self.plan_at = Agenda(self).add
        self.chance = Chance(seed)
        self.load = load
        self.parts: dict[str, Part] = {}
        self.live: dict[str, Any] = {}
        self.nouns: dict[str, str] = {}
        self.away: dict[str, dict[tuple[str | None, int], set[int]]] = {}
        self.followers: set[int] = set()
        self.tried: dict[int, int] = {}
        self.set_aside: dict[int, float] = {}
        self.interrupted = False
        self.link_faults: list[Any] = []
        self.slips: dict[str, list[Any]] = {}
        self._links: dict[tuple[str, str], LiveLink] = {}
        self._closed = False

    # ---------------------------------------------------------------- time

    def _caller(self) -> Callable[..., None]:
        """``call_at(time, fn, arg=None)``: call ``fn(arg)`` at the simulated time, in seconds."""
        queue, following = self._heap, self._eid.__next__

        def call_at(time: float, fn: Callable[[Any], Any], arg: Any = None) -> None:
            heappush(queue, (time, NORMAL, following(), fn, arg))

        return call_at

    def call_in(self, delay_s: float, fn: Callable[[Any], Any], arg: Any = None) -> None:
        """Call ``fn(arg)`` after ``delay_s`` seconds."""
        self.call_at(self._now + delay_s, fn, arg)

    def plan_in(self, delay_s: float, fn: Callable[[Any], Any], arg: Any = None) -> None:
        """Like ``call_in``, for what happens seldom; ``plan_at`` is the like of ``call_at``."""
        self.plan_at(self._now + delay_s, fn, arg)

    def schedule(self, event: simpy.Event, priority: Any = NORMAL, delay: float = 0) -> None:
        """Schedule a SimPy event: a light call that runs its callbacks."""
        heappush(self._heap, (self._now + delay, priority, next(self._eid), self._process, event))

    def step(self) -> None:
        """Do the next thing, a light call or a SimPy event; raise EmptySchedule when there is none."""
        if not self._heap:
            raise EmptySchedule
        self._now, _, _, fn, arg = heappop(self._heap)
        fn(arg)

    def _process(self, event: simpy.Event) -> None:
        done: Any = None
        callbacks, event.callbacks = event.callbacks, done
        try:
            for callback in callbacks:
                callback(event)
        except StopSimulation:  # whoever waits behind the one who stopped is called when the run goes on
            event.callbacks = callbacks[callbacks.index(callback) + 1 :]
            self.schedule(event, _AT_ONCE)
            raise
        if not event._ok and not hasattr(event, "_defused"):
            failure = type(event._value)(*event._value.args)
            failure.__cause__ = event._value
            raise failure

    def run(self, until: Any = None) -> Any:
        """Run until a time, an event, or the end of all events: as SimPy's ``run``, and with light calls."""
        if until is not None:
            event = until if isinstance(until, simpy.Event) else self._alarm(until)
            callbacks: list[Any] | None = event.callbacks
            if callbacks is None:
                return event.value
            callbacks.append(StopSimulation.callback)
        try:
            self._loop()
        except StopSimulation as stop:
            return stop.args[0]
        if until is not None and not event.triggered:
            raise RuntimeError(f'No scheduled events left but "until" event was not triggered: {event}')
        return None

    def _alarm(self, until: Any) -> simpy.Event:
        at = until if isinstance(until, int) else float(until)
        if at <= self.now:
            raise ValueError(f"until ({at}) must be greater than the current simulation time")
        event = simpy.Event(self)
        event._ok = True
        event._value = None
        heappush(self._heap, (at, URGENT, next(self._eid), self._process, event))
        return event

    def _loop(self) -> None:
        queue, pop = self._heap, heappop
        while queue:
            self._now, _, _, fn, arg = pop(queue)
            fn(arg)

    def interrupt(self) -> None:
        """Stop the run before its next event; safe in a signal handler, for the heap is whole between two of them."""
        heappush(self._heap, (self._now, _AT_ONCE, next(self._eid), self._stop, None))

    def _stop(self, _: None) -> None:
        self.interrupted = True
        raise StopSimulation(None)

    # ---------------------------------------------------------------- parts

    def build(self, parts: Iterable[Any]) -> None:
        """Bring parts to life: each is built, then each is started, in the order given.

        A part is a value with ``build(world)``, or any generator function of ``world``.
        """
        described: list[Part] = []
        functions: list[Any] = []
        for part in parts:
            (described if hasattr(part, "build") else functions).append(part)
        for part in described:
            if part.name:
                self.parts[part.name] = part
        self.history.parts.update({name: part.describe() for name, part in self.parts.items()})
        self.record(self._now, self.history.code("started", "run"))
        built = [part.build(self) for part in described]
        for live in sorted(built, key=lambda live: getattr(live, "late", False)):
            if hasattr(live, "start"):
                live.start()
        for function in functions:
            self._start_process(function)

    def _start_process(self, function: Any) -> None:
        name = getattr(function, "__name__", repr(function))
        process = function(self) if callable(function) else None
        if not isinstance(process, GeneratorType):
            raise BadScenario(
                f"{name} is no part: expected a Publisher, Log, Consumer…, or a generator function of world"
            )
        self.process(process)

    def close(self) -> None:
        """Record that the run has stopped, once."""
        if not self._closed:
            self._closed = True
            self.record(self._now, self.history.code("stopped", "run"))

    def find(self, name: str) -> Any:
        """The live part of this name."""
        try:
            return self.live[name]
        except KeyError:
            raise UnknownName(f"no part called {name!r}{did_you_mean(name, self.live)}") from None

    def link(self, start: str, end: str) -> LiveLink:
        """The live link from one node to another; made on first use from the Link that names their parts."""
        link = self._links.get((start, end))
        if link is None:
            link = self._links[start, end] = LiveLink(self, start, end, self._link_value(start, end))
            for fault in self.link_faults:
                fault.meet(link)
        return link

    def _link_value(self, start: str, end: str) -> Link:
        links = [part for part in self.parts.values() if isinstance(part, Link)]
        forward = [link for link in links if link.joins(start, end)]
        backward = [link for link in links if link.joins(end, start)]
        return (forward or backward or [Link(start, end)])[0]

    @property
    def links(self) -> list[LiveLink]:
        """Every link that has been made so far."""
        return list(self._links.values())

    def draws(self, name: str, law: Any) -> Callable[[], float]:
        """The next value of this law from the stream of this name, each time it is called."""
        return self.chance.draws(name, law)
