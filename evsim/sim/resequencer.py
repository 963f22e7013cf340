"""A part that puts events back into order: each is passed on when all before it of its key have been passed on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from evsim.chance import on_grid
from evsim.laws import Constant, Duration
from evsim.patterns import ordering
from evsim.sim.consumer import Consumer
from evsim.sim.handling import Handling
from evsim.sim.part import BROKERS, SOURCES
from evsim.sim.router import Forwarding, LiveForwarder, _Forwarder

if TYPE_CHECKING:
    from evsim.sim.handling import Member
    from evsim.sim.world import World


class Resequencer(_Forwarder):
    """A resequencer: ``Resequencer("sorter", of="orders", to="sorted", by="sequence", gap_timeout_s=5)``.

    ``by`` names the field of the data that numbers the events of a key from 1 on, as ``Publisher(sequence=…)`` writes
    it. What comes too early is held, on disk, until what is missing has come, or for ``gap_timeout_s`` (None: for
    ever), or until ``capacity`` events of a key are held. What comes after it was given up is passed on late. What has
    been passed on already, and comes again, is not passed on again; an event without a number is unroutable.
    """

    name: str
    of: str
    to: str
    by: str = "sequence"
    gap_timeout_s: float | None = Field(None, ge=0)
    capacity: int | None = Field(None, ge=1)
    service_s: Duration = Constant(0.0)
    prefetch: int | None = Field(1, ge=1, le=1_000_000)
    kind: Literal["resequencer"] = "resequencer"
    refers: ClassVar[Mapping[str, tuple[str, ...]]] = {"of": SOURCES, "to": BROKERS}

    @property
    def targets(self) -> list[str]:
        """The broker that events are passed on to."""
        return [self.to]

    def build(self, world: World) -> LiveResequencer:
        """Bring the resequencer to life."""
        return LiveResequencer(world, self)


class LiveResequencer(LiveForwarder):
    """A resequencer at work: one member, with what it holds on its disk."""

    def __init__(self, world: World, value: Resequencer) -> None:
        super().__init__(world, value)

    def handling_of(self) -> Handling:
        """Resequencing."""
        return Resequencing(self.world, self.value, self.group, self.forwarder)


class Resequencing(Forwarding):
    """To handle an event is to save it in its line, and to pass on all whose turn it is."""

    def __init__(self, world: World, value: Consumer, group: Any, forwarder: Any) -> None:
        super().__init__(world, value, group, forwarder)
        self.settings: Resequencer = forwarder
        self.lines = ordering.Resequencer(forwarder.gap_timeout_s, forwarder.capacity)
        self._alarm_s = math.inf
        self._member: Any = None

    def begin(self, member: Member, index: int) -> None:
        """Five steps: the event is in its line once it is *saved*, and the line moves on when it is *sent*."""
        self._member = member
        cursor, record, now = member.cursor, self.world.record, self.world.now
        for step, code in (("handled", cursor.handled), ("saved", cursor.saved)):
            record(now, code, index, cursor.position)
            if member.traps and member.trapped(step, index):
                return
        event = self.world.history.event_at(index)
        number = event.data.get(self.settings.by)
        if isinstance(number, int) and not isinstance(number, bool) and number >= 1:
            fate, released = self.lines.take(event.key, number, index, now)
            if fate == "known":
                record(now, self.world.history.code("deduplicated", member.name, cursor.place), index, cursor.position)
            self._pass_on(released)
        else:
            record(now, self.world.history.code("unroutable", member.name), index, 0)
        record(now, cursor.sent, index, cursor.position)
        if member.traps and member.trapped("sent", index):
            return
        self._set_alarm()
        member.finish()

    def _pass_on(self, events: list[int]) -> None:
        for event in events:
            self._way(self._member, self.settings.to, None).publish(event)

    # ---------------------------------------------------------------- what is waited for long enough

    def _set_alarm(self) -> None:
        due_s = self.lines.next_due_s
        if due_s < self._alarm_s:
            self._alarm_s = due_s
            self.world.call_in(max(0.0, on_grid(due_s - self.world.now)), self._ring, due_s)

    def _ring(self, due_s: float) -> None:
        """A gap may be due; a member that is down finds it when it is up again."""
        self._alarm_s = math.inf
        if self._member.frozen:
            self._member.hold(self._ring, due_s)
        elif self._member.down:
            self.world.call_in(RETRY_S, self._ring, due_s)
        else:
            self._pass_on(self.lines.due(max(self.world.now, due_s)))  # the clock is rounded to its grid
            self._set_alarm()


RETRY_S = 0.1
"""So often a resequencer that is down is looked after."""
