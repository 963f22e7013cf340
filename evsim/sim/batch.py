"""What a producer has in memory: lanes of batches that wait or fly, a lane for each partition."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from evsim.sim.broker.base import Answer, Request

if TYPE_CHECKING:
    from evsim.sim.sender import Sender


class Flight(Request):
    """One more attempt to have a batch stored: what the broker gets to see.

    ``first``: all sequence numbers before this one were resolved when it left.
    """

    __slots__ = ("attempt", "batch", "due", "first", "lane", "over", "producing", "slot")

    def __init__(self, batch: Batch) -> None:
        self.events, self.partition, self.epoch = batch.events, batch.partition, batch.epoch
        self.acks, self.producer, self.message, self.marker = batch.acks, batch.producer, batch.message, ""
        self.sequence, self.transaction = batch.sequence, batch.transaction
        self.producing: Sender = batch.producing
        self.lane: Lane = batch.lane
        self.batch = batch
        self.attempt: int = batch.attempt
        self.due, self.over = 0.0, False
        self.first = batch.sequence >= 0 and batch.lane.unresolved[0] is batch
        self.slot: Slot | None = None

    def reply(self, answer: Answer) -> Any:
        """The broker has decided: the answer travels back, unless none was asked for."""
        if self.acks != "none":
            producing = self.producing
            producing.send_back(producing.hears, (self, answer), self.events[0])


class Batch(Flight):
    """Events of one partition that are sent, confirmed and tried again together; it is its own first attempt."""

    __slots__ = ("deadline", "done", "ripe", "wait_until")

    def __init__(self, producing: Sender, lane: Lane, event: int, deadline: float, transaction: int = -1) -> None:
        self.events, self.partition, self.epoch, self.sequence = [event], lane.partition, lane.epoch, -1
        self.acks, self.producer, self.message, self.marker = producing.acks, producing.name, producing.message, ""
        self.transaction, self.producing, self.lane, self.deadline = transaction, producing, lane, deadline
        self.attempt = 0
        self.slot = None
        self.over = self.done = self.ripe = self.first = False
        self.due = self.wait_until = 0.0


def origin(flight: Flight) -> Batch:
    """The batch that this is an attempt of: itself, for the first one (a field that said so would be a cycle)."""
    return flight if isinstance(flight, Batch) else flight.batch


class Slot:
    """One request on the way: one batch of each partition that was ready when it left."""

    __slots__ = ("left",)

    def __init__(self, batches: int) -> None:
        self.left = batches

    def landed(self) -> bool:
        """One of its batches was answered; True when that was the last."""
        self.left -= 1
        return not self.left


class Lane:
    """The batches of one partition: those that wait, oldest first, and those in flight."""

    __slots__ = ("epoch", "flying", "open", "partition", "sequence", "stale", "unresolved", "waiting")

    def __init__(self, partition: int | None, epoch: int) -> None:
        self.partition, self.epoch = partition, epoch
        self.waiting: deque[Batch] = deque()
        self.open: Batch | None = None
        self.flying = 0
        self.sequence = 0
        self.unresolved: deque[Batch] = deque()
        self.stale = False

    def may_send(self, now: float, transaction: int) -> bool:
        """Whether the batch at the head may leave.

        While one waits for its next attempt, later ones do not overtake it here (those in flight do). A batch with a
        sequence number is sent again only when all before it are resolved, as Kafka's producer does.
        """
        if not self.waiting or self.stale:
            return False
        head = self.waiting[0]
        if not head.ripe or head.wait_until > now or head.transaction > transaction:
            return False
        return head.sequence < 0 or head is self.unresolved[0]

    def put_back(self, batch: Batch) -> None:
        """A batch waits for its next attempt, before all that have not been tried, in the order of sequence numbers."""
        place = 0
        while batch.sequence >= 0 and place < len(self.waiting) and 0 <= self.waiting[place].sequence < batch.sequence:
            place += 1
        self.waiting.insert(place, batch)

    def take_out(self, batch: Batch) -> None:
        """A batch waits no longer, and takes no more events."""
        if batch in self.waiting:
            self.waiting.remove(batch)
        if self.open is batch:
            self.open = None

    def number(self, batch: Batch) -> None:
        """Give a batch that is about to be sent its sequence number."""
        batch.sequence, batch.epoch = self.sequence, self.epoch
        self.sequence += len(batch.events)
        self.unresolved.append(batch)

    def resolve(self, batch: Batch) -> None:
        """Nothing more will come of this batch."""
        if batch in self.unresolved:
            self.unresolved.remove(batch)

    def renumber(self, epoch: int) -> None:
        """Begin a new epoch with sequence number 0: what waits is numbered anew when it is sent."""
        self.epoch, self.sequence, self.stale = epoch, 0, False
        self.unresolved.clear()
        for batch in self.waiting:
            batch.sequence = -1
