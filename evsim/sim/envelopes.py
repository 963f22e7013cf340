"""What is wrong in the envelopes that a part writes: a clock that is off, a version of the schema that nobody knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from evsim.chance import on_grid
from evsim.sim.faults import OnPart, Starter, nodes_of
from evsim.sim.part import Part

if TYPE_CHECKING:
    from evsim.sim.world import World

WRITERS = ("publisher", "consumer")
"""The kinds of part that write events."""


class _OnWriter(OnPart):
    """A fault of what a part writes; it is known before anybody starts."""

    at_s: float = Field(0.0, ge=0)
    for_s: float | None = Field(None, gt=0)
    word: ClassVar[str]
    """The step of the row that says when it begins."""

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """Only who writes events can write them wrongly, and all members of a consumer write alike."""
        yield from self.refer("part", self.part, self.hits(), parts)

    @staticmethod
    def hits() -> tuple[str, ...]:
        """The kinds of part that it can hit."""
        return WRITERS

    def lasts(self, now: float) -> bool:
        """Whether it is at work now."""
        return now >= self.at_s and (self.for_s is None or now < self.at_s + self.for_s)

    def build(self, world: World) -> Starter:
        """Have it known, and begin when all parts stand."""
        world.slips.setdefault(self.part, []).append(self.at_work(world))
        return super().build(world)

    def begin(self, world: World) -> None:
        """Have the history tell from when to when it lasted."""
        world.plan_at(max(self.at_s, world.now), self._note, (world, self.word))
        if self.for_s is not None:
            world.plan_at(max(self.at_s, world.now) + self.for_s, self._note, (world, "healed"))

    def _note(self, told: tuple[World, str]) -> None:
        world, step = told
        for node in nodes_of(world, self.part):
            node.note(step)

    def at_work(self, world: World) -> Any:
        """It at work in this world."""
        raise NotImplementedError


class Skew(_OnWriter):
    """``Skew("shop", by_s=-5, drift=1e-4)``: this part's clock is off, and every event that it writes says so.

    The clock shows ``by_s`` more than the time, and gains ``drift`` seconds each second from ``at_s`` on, for
    ``for_s``. Only what is written is wrong: timers of the part run as they should. A webhook's clock is in its
    signatures, and an endpoint, the consumer of a webhook, compares them with its own. Quartz drifts up to about 5e-5.
    """

    part: str
    by_s: float = 0.0
    drift: float = 0.0
    at_s: float = Field(0.0, ge=0)
    for_s: float | None = Field(None, gt=0)
    kind: Literal["skew"] = "skew"
    word: ClassVar[str] = "skewed"

    @staticmethod
    def hits() -> tuple[str, ...]:
        """The kinds of part that it can hit."""
        return (*WRITERS, "webhook")

    def at_work(self, world: World) -> _Clock:
        """The clock that is off."""
        return _Clock(self)


class _Clock:
    def __init__(self, value: Skew) -> None:
        self.value = value

    def shows(self, now: float) -> float:
        """The time that this clock shows."""
        value = self.value
        return now + on_grid(value.by_s + value.drift * (now - value.at_s)) if value.lasts(now) else now

    def write(self, now: float, timestamp: float, template: int) -> tuple[float, int]:
        return timestamp + self.shows(now) - now, template


class WrongVersion(_OnWriter):
    """``WrongVersion("shop", version=2, share=0.1)``: this share of its events claims another version of the schema.

    Consumers that say which ``versions`` they understand fail on any other.
    """

    part: str
    version: int = Field(2, ge=1, le=1_000_000)
    share: float = Field(1.0, ge=0, le=1)
    at_s: float = Field(0.0, ge=0)
    for_s: float | None = Field(None, gt=0)
    kind: Literal["wrong_version"] = "wrong_version"
    word: ClassVar[str] = "misversioned"

    def at_work(self, world: World) -> _Label:
        """The label that is wrong."""
        return _Label(self, world)


class _Label:
    def __init__(self, value: WrongVersion, world: World) -> None:
        self.value, self.world = value, world
        self._draw = world.chance.uniforms(repr(value))

    def shows(self, now: float) -> float:
        return now

    def write(self, now: float, timestamp: float, template: int) -> tuple[float, int]:
        value, history = self.value, self.world.history
        if value.lasts(now) and (value.share == 1.0 or self._draw() < value.share):
            usual = history.templates[template]
            template = history.template(usual.stem, usual.source, usual.type, value.version, usual.key_stem)
        return timestamp, template


def writer(world: World, name: str) -> Callable[..., int]:
    """``History.new_event`` as this part calls it, with all that is wrong in its envelopes."""
    new_event, slips = world.history.new_event, world.slips.get(name, [])
    if not slips:
        return new_event

    def write(timestamp: float, template: int, *rest: Any) -> int:
        for slip in slips:
            timestamp, template = slip.write(world.now, timestamp, template)
        return new_event(timestamp, template, *rest)

    return write


def clock(world: World, name: str) -> float:
    """The time that the clock of this part shows."""
    now = world.now
    for slip in world.slips.get(name, ()):
        now = slip.shows(now)
    return now
