"""What a producer has in memory: lanes of batches that wait or fly, a lane for each partition."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from evsim.sim.broker.base import Answer, Request

if TYPE_CHECKING:
    from evsim.sim.producer import LiveProducer


class Batch:
    """Events of one partition that are sent, confirmed and tried again together."""

    __slots__ = ("attempt", "deadline", "done", "due", "epoch", "events", "lane", "ripe", "sequence", "transaction")

    def __init__(self, lane: Lane, event: int, deadline: float, ripe: bool, transaction: int) -> None:
        self.lane, self.events, self.deadline, self.ripe = lane, [event], deadline, ripe
        self.transaction = transaction
        self.attempt = 0
        self.sequence = self.epoch = -1
        self.due = 0.0
        self.done = False


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
        if not head.ripe or head.due > now or head.transaction > transaction:
            return False
        return head.sequence < 0 or head is self.unresolved[0]

    def put_back(self, batch: Batch) -> None:
        """A batch waits for its next attempt, before all that have not been tried, in the order of sequence numbers."""
        place = 0
        while batch.sequence >= 0 and place < len(self.waiting) and 0 <= self.waiting[place].sequence < batch.sequence:
            place += 1
        self.waiting.insert(place, batch)

    def resolve(self, batch: Batch) -> None:
        """Nothing more will come of this batch."""
        if batch.sequence >= 0 and batch in self.unresolved:
            self.unresolved.remove(batch)

    def renumber(self, epoch: int) -> None:
        """Begin a new epoch with sequence number 0: what waits is numbered anew when it is sent."""
        self.epoch, self.sequence, self.stale = epoch, 0, False
        self.unresolved.clear()
        for batch in self.waiting:
            batch.sequence = -1


class Slot:
    """One request on the way: one batch of each partition that was ready when it left."""

    __slots__ = ("left",)

    def __init__(self, batches: int) -> None:
        self.left = batches


class Flight(Request):
    """One attempt to have a batch stored."""

    __slots__ = ("attempt", "batch", "due", "life", "over", "producing", "slot")

    def __init__(self, producing: LiveProducer, batch: Batch, slot: Slot, due: float) -> None:
        self.events, self.partition, self.epoch = batch.events, batch.lane.partition, batch.epoch
        self.sequence, self.transaction, self.attempt = batch.sequence, batch.transaction, batch.attempt
        self.acks, self.producer, self.message, self.marker = producing.acks, producing.name, producing.message, ""
        self.producing, self.batch, self.slot, self.due = producing, batch, slot, due
        self.life, self.over = producing.node.epoch, False

    def reply(self, answer: Answer) -> Any:
        """The broker has decided: the answer travels back."""
        self.producing.travel_back((self, answer), self.events[0])
