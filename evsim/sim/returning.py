"""A redrive from a queue: it takes one dead letter after the other, and acknowledges it when its target has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from evsim.patterns.breaker import RateLimit
from evsim.patterns.handler import Requeue
from evsim.sim.broker.base import Answer, Request
from evsim.sim.consumer import Consumer, LiveConsumer
from evsim.sim.handling import Handling
from evsim.sim.redrive import ASK_AGAIN_S, Redrive
from evsim.sim.router import message_of

if TYPE_CHECKING:
    from evsim.sim.handling import Member
    from evsim.sim.world import World


class LiveReturn(LiveConsumer):
    """A redrive at work at a queue: a consumer with one member."""

    def __init__(self, world: World, redrive: Redrive) -> None:
        pace = RateLimit(redrive.rate)
        super().__init__(world, Consumer(redrive.name, of=redrive.of, rate_limit=pace, joins_at_s=redrive.at_s))
        self.redrive = redrive
        self.wanted: set[int] = set()
        """What lay in the queue when it was time, by its number there."""
        self.left: set[int] = set()
        """What of it is not back yet."""

    def _enroll(self, _: Any) -> None:
        queue = self.world.find(self.redrive.of)
        self.wanted = {entry.number for entry in queue.ready}
        self.left = set(self.wanted)
        super()._enroll(_)

    def handling_of(self) -> Handling:
        """Returning."""
        return _Returning(self.world, self.value, self.group, self)


class _Asked(NamedTuple):
    """What was sent to the target: who waits for the answer, since which life of it, and for which sending."""

    member: Any
    epoch: int
    ticket: int
    event: int


class _Returning(Handling):
    """To handle a dead letter is to have its target confirm it."""

    def __init__(self, world: World, value: Consumer, group: Any, live: LiveReturn) -> None:
        super().__init__(world, value, group)
        self.live, self._ticket = live, 0
        self._target = world.find(live.redrive.to)
        self._way = world.link(live.name, live.redrive.to)
        self._back = world.link(live.redrive.to, live.name)

    def skips(self, member: Member, event: int) -> bool:
        """Nothing is skipped."""
        return False

    def begin(self, member: Member, index: int) -> None:
        """Send the event to the target; what came later than ``at_s`` goes back, and we are done."""
        if self.live.redrive.once and member.cursor.position not in self.live.wanted:
            member.refuse(Requeue("it came later"))
            self.live.members[0].leave()
            return
        self._send(member, index)

    def _send(self, member: Any, index: int) -> None:
        self._ticket += 1
        asked = _Asked(member, member.epoch, self._ticket, index)
        self.world.record(
            self.world.now, self.world.history.code("published", member.name, self.live.redrive.to), index, 0
        )
        self._way.send(self._at_the_target, (asked, message_of(member)), index)
        self.world.call_in(ASK_AGAIN_S, self._unheard, asked)

    def _at_the_target(self, sent: tuple[_Asked, Any]) -> None:
        asked, message = sent

        def answer(given: Answer) -> None:
            if given.ok:
                self._back.send(self._confirmed, asked, asked.event)

        partition = getattr(self._target, "partitioner", None)
        stem, number = self.world.history.key_parts(asked.event)
        place = None if partition is None else 0 if stem is None else int(partition.of(stem, number))
        self._target.take(Request([asked.event], answer, partition=place, producer=self.live.name, message=message))

    def _is_over(self, asked: _Asked) -> bool:
        return asked.epoch != asked.member.epoch or asked.ticket != self._ticket

    def _confirmed(self, asked: _Asked) -> None:
        if self._is_over(asked):
            return
        member = asked.member
        if member.frozen:
            member.hold(self._confirmed, asked)
            return
        self._ticket += 1
        cursor, history = member.cursor, self.world.history
        self.world.record(
            self.world.now, history.code("redriven", member.name, cursor.place), asked.event, cursor.position
        )
        self.live.left.discard(cursor.position)
        done = self.live.redrive.once and not self.live.left
        member.finish()
        if done:
            member.leave()

    def _unheard(self, asked: _Asked) -> None:
        if self._is_over(asked):
            return
        if asked.member.frozen:
            asked.member.hold(self._unheard, asked)
            return
        self._send(asked.member, asked.event)
