"""A member of a consumer at a broker that pushes: what it is handed it handles, one message after the other.

Its memory (the messages in its hand) is lost in a crash; the broker still has them as unacknowledged, and decides by
its own rules when, and to whom, they are given again.
"""

from __future__ import annotations

from collections import deque
from heapq import heappush
from typing import TYPE_CHECKING, Any

from simpy.events import NORMAL

from evsim.patterns.handler import Reject, Requeue
from evsim.sim.connection import Connection
from evsim.sim.node import Node

if TYPE_CHECKING:
    from evsim.sim.broker.base import Delivery, Subscription
    from evsim.sim.handling import Handling
    from evsim.sim.world import World


class Codes:
    """The codes of all that a worker records at one place, and the number of the message it is at."""

    __slots__ = ("acked", "delivered", "failed", "handled", "place", "position", "pushed", "saved", "sent", "skipped")

    def __init__(self, world: World, worker: str, place: str) -> None:
        code = world.history.code
        self.position, self.place = 0, place
        self.pushed, self.delivered = code("pushed", worker, place), code("delivered", worker, place)
        self.handled, self.saved = code("handled", worker, place), code("saved", worker, place)
        self.sent, self.acked = code("sent", worker, place), code("acked", worker, place)
        self.skipped, self.failed = code("skipped", worker, place), code("failed", worker, place)


class LiveWorker(Node):
    """One member. The broker pushes at most ``prefetch`` messages that are not yet acknowledged."""

    __slots__ = (
        "_back",
        "_codes",
        "_due",
        "_here",
        "_ids",
        "_left_s",
        "_link",
        "_policy",
        "_queue",
        "_record",
        "_served",
        "_service",
        "_there",
        "_ticket",
        "_turnaround",
        "busy",
        "cursor",
        "delivery",
        "done",
        "event",
        "group",
        "handling",
        "in_hand",
        "leaving",
        "number",
        "prefetch",
        "silences",
        "there",
        "traps",
        "unacked",
    )

    def __init__(self, world: World, name: str, number: int, group: Subscription, handling: Handling | None) -> None:
        super().__init__(world, name)
        value, broker = group.value, group.broker
        self.number, self.group, self.handling = number, group, handling
        self.prefetch = value.prefetch
        self.unacked = 0
        self.there = self.busy = self.leaving = False
        self.silences = 0
        self.event = -1
        self.traps: list[Any] = []
        self.in_hand: deque[Delivery] = deque()
        self.done: list[Delivery] = []
        self.delivery: Delivery
        self.cursor: Codes
        self._codes: dict[str, Codes] = {}
        self._ticket = 0
        self._due = -1.0
        self._left_s: float | None = None
        self._link, self._back = world.link(broker.name, name), world.link(name, broker.name)
        self._there, self._here = Connection(world, self._link), Connection(world, self._back)
        self._policy = value.commit
        self._service = world.draws(f"{name} service", value.service_s)
        self._turnaround = world.draws(f"{name} turnaround", value.turnaround_s) if value.has_turnaround else None
        self._record, self._served = world.record, self.served
        self._queue: list[Any] = world._queue
        self._ids = world._eid.__next__
        world.live[name] = self

    # ---------------------------------------------------------------- what the broker does with a worker

    @property
    def cut_off(self) -> bool:
        """Whether the way to the broker or back is cut."""
        return self._link.cut > 0 or self._back.cut > 0

    @property
    def is_silent(self) -> bool:
        """Whether the broker hears nothing of this member."""
        return self.down or self.frozen or self.cut_off

    def codes(self, place: str) -> Codes:
        """The codes for what this worker records at a place."""
        codes = self._codes.get(place)
        if codes is None:
            codes = self._codes[place] = Codes(self.world, self.name, place)
        return codes

    def join(self) -> None:
        """Say to the broker that we are there, and ready for messages."""
        self.there = True
        self.note("joined", self.group.broker.name, self.silences)
        self.group.attach(self)

    def push(self, delivery: Delivery) -> None:
        """At the broker: hand this message over; recorded, and sent on its way."""
        self._record(self.world._now, self.codes(delivery.place).pushed, delivery.event, delivery.number)
        self._there.send(self.arrive, delivery, delivery.event)

    def closed(self, _: Any = None) -> None:
        """The broker has closed the connection and taken back what was in our hand; open another one.

        What is being handled goes on to its end, but its acknowledgement will not be known any more.
        """
        self._there.reset()
        self._here.reset()
        self.in_hand.clear()
        self.done.clear()
        self.silences += 1
        if self.busy:
            self.delivery.epoch = -1
        self.there = False
        if not self.is_silent and not self.leaving:
            self.join()

    # ---------------------------------------------------------------- one delivery

    def arrive(self, delivery: Delivery) -> None:
        """A message has come."""
        if delivery.epoch != self.epoch or self.down:
            return
        if self.frozen:
            self.hold(self.arrive, delivery)
            return
        self.in_hand.append(delivery)
        if not self.busy:
            self._begin()

    def _begin(self) -> None:
        self.busy = True
        self.delivery = delivery = self.in_hand.popleft()
        self.cursor = self.codes(delivery.place)
        self.cursor.position = delivery.number
        self.event = delivery.event
        if self.handling is None:
            self.attempt_it()
        else:
            self._consider(self.epoch)

    def _consider(self, epoch: int) -> None:
        """Whether the event is due, and whether there is anything to do for it."""
        if epoch != self.epoch:
            return
        if self.frozen:
            self.hold(self._consider, epoch)
            return
        handling, event = self.handling, self.event
        assert handling is not None
        if handling.dismisses(self, event):
            self.world.call_in(0.0, self._skipped, epoch)
            return
        early_s = handling.early_s(self, event)
        if early_s > 0:
            self.world.call_in(early_s, self._consider, epoch)
        elif handling.skips(self, event):
            self._record(self.world._now, self.cursor.skipped, event, self.cursor.position)
            self.world.call_in(0.0, self._skipped, epoch)
        else:
            self.attempt_it()

    def attempt_it(self) -> None:
        """Begin to handle the message in hand, for the first time or again."""
        event, now = self.event, self.world._now
        self._record(now, self.cursor.delivered, event, self.delivery.number)
        if self.traps and self.trapped("delivered", event):
            return
        self._due = due = now + self._service()
        heappush(self._queue, (due, NORMAL, self._ids(), self._served, self._ticket))

    def _skipped(self, epoch: int) -> None:
        if epoch != self.epoch:
            return
        if self.frozen:
            self.hold(self._skipped, epoch)
            return
        self.finish()

    def served(self, ticket: int) -> None:
        """The service time is over: let the handler act, then pass the rest of the five steps."""
        if ticket != self._ticket:
            return
        event = self.event
        if self.handling is not None:
            self._due = -1.0
            self.handling.begin(self, event)
            return
        self._record(self.world._now, self.cursor.handled, event, self.delivery.number)
        if self.traps and any(self.trapped(step, event) for step in ("handled", "saved", "sent")):
            return
        self.finish()

    def trapped(self, step: str, event: int) -> bool:
        """Whether a fault was waiting at this step, and has struck."""
        return any(trap.springs(step, self, event) for trap in self.traps)

    @property
    def attempt(self) -> int:
        """How often the message in hand has been delivered, this time included."""
        return self.delivery.attempt

    def count_attempt(self) -> None:
        """The broker counts the deliveries of a message."""

    def refuse(self, problem: Exception) -> bool:
        """Tell the broker that the handler has failed on this message; False when nobody said what to do then."""
        wish = self.group.value.nack
        if isinstance(problem, Reject):
            wish = "reject"
        elif isinstance(problem, Requeue):
            wish = "requeue"
        if wish is None:
            return False
        delivery = self.delivery
        if delivery.epoch == self.epoch:
            self._here.send(self._nack_at_the_broker, (delivery, wish == "requeue"), delivery.event)
        self._next()
        return True

    def _nack_at_the_broker(self, refused: tuple[Delivery, bool]) -> None:
        self.group.nack(*refused)

    def finish(self) -> None:
        """The message is dealt with: acknowledge by the policy, turn to the next."""
        delivery = self.delivery
        if self.group.watchers:
            self.group.tell(self.event)
        if delivery.epoch != self.epoch:
            self._next()
            return
        if self._policy == "after":
            self._here.send(self.group.ack, delivery, delivery.event)
        elif self._policy == "batch":
            self._gather(delivery)
        if self.traps and self.trapped("acked", self.event):
            return
        self._next()

    def _gather(self, delivery: Delivery) -> None:
        """Acknowledge several at once, when nothing more is in hand."""
        self.done.append(delivery)
        if not self.in_hand:
            done, self.done = self.done, []
            for each in done:
                self._here.send(self.group.ack, each, each.event)

    def _next(self) -> None:
        if self._turnaround is not None:
            self.world.call_in(self._turnaround(), self._turned, self.epoch)
        elif self.leaving:
            self._go()
        elif self.in_hand:
            self._begin()
        else:
            self.busy = False

    def _turned(self, epoch: int) -> None:
        if epoch != self.epoch:
            return
        if self.frozen:
            self.hold(self._turned, epoch)
        elif self.leaving:
            self._go()
        elif self.in_hand:
            self._begin()
        else:
            self.busy = False

    # ---------------------------------------------------------------- what befalls a worker

    def leave(self) -> None:
        """Finish what is being handled, say goodbye, and be gone for good."""
        if self.there and not self.leaving:
            self.leaving = True
            if not self.busy:
                self._go()

    def _go(self) -> None:
        self.there = self.busy = False
        self.in_hand.clear()
        self._there.reset()
        self.epoch += 1
        self.note("left", self.group.broker.name, self.silences)
        self.group.left(self)

    def crashed(self) -> None:
        """What was in hand was memory; the broker still counts it as not acknowledged."""
        if self.handling is not None:
            self.handling.crashed(self)
        self.in_hand.clear()
        self.done.clear()
        self._there.reset()
        self._here.reset()
        self._ticket += 1
        self._left_s = None
        self.busy = False
        self.silences += 1
        if self.there:
            self.there = False
            self.group.gone(self)

    def restarted(self) -> None:
        """A new process, a new connection."""
        if self.handling is not None:
            self.handling.restarted(self)
        if not self.leaving and not self.cut_off:
            self.join()

    def paused(self) -> None:
        """Work stops where it is; the broker hears nothing more."""
        if self.busy and self._due >= self.world.now:
            self._left_s = self._due - self.world.now
            self._ticket += 1
        self.silences += 1
        self.group.silent(self)

    def resumed(self) -> None:
        """Go on; if the broker has closed the connection meanwhile, it says so now."""
        self.silences += 1
        if self._left_s is not None:
            self._due = self.world.now + self._left_s
            self._left_s = None
            self.world.call_at(self._due, self._served, self._ticket)
        if not self.cut_off:
            self.appear()

    def appear(self) -> None:
        """Be heard of again."""
        if self.there:
            self.group.heard(self)
        elif not self.leaving and self.up:
            self.join()

    def cut(self) -> None:
        """The link to the broker is cut."""
        self.silences += 1
        self.group.silent(self)

    def healed(self) -> None:
        """The link to the broker is whole again."""
        self.silences += 1
        if not self.is_silent:
            self.appear()
