"""The sending half of a producer: requests in flight, answers, further attempts, and when to give up."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from evsim.sim.batch import Batch, Flight, Lane, Slot, origin
from evsim.sim.broker.base import DISCONNECTED, Answer
from evsim.sim.transaction import Transactions

if TYPE_CHECKING:
    from evsim.sim.node import Node
    from evsim.sim.publisher import Publisher
    from evsim.sim.world import World

FINAL = {"fenced", "unroutable", "too_large", "invalid_record", "invalid_transaction"}
"""Refusals that no further attempt would change."""

_STEPS = ("published", "confirmed", "refused", "retried", "given_up", "shed", "lost")
Resolved = Callable[[int], Any]


class Sender:
    """Sends batches, at most ``max_in_flight`` requests at a time, until each is confirmed or given up."""

    def __init__(self, world: World, node: Node, broker: Any, value: Publisher) -> None:
        self._world, self.node, self.name, self._value = world, node, node.name, value
        self.acks, self.message = value.acks, value.message
        self._record = world.record
        self._codes = {step: world.history.code(step, self.name, value.to) for step in _STEPS}
        self._confirmed = self._codes["confirmed"]
        self._link = world.link(self.name, value.to)
        self._send, self._take = self._link.send, broker.take
        self.hears = self.answered
        self.send_back = world.link(value.to, self.name).send
        self._is_log = hasattr(broker, "partitioner")
        self._timeout_s, self._patience_s = value.request_timeout_s, value.delivery_timeout_s
        self._most = value.max_in_flight
        self._idempotent = value.is_idempotent and self._is_log
        self._retries = math.inf if value.retries is None else value.retries
        self.epoch = 0
        self.watchers: dict[int, Resolved] = {}
        self._forget()
        self.transactions = Transactions(world, self, broker, value) if value.transaction_events else None

    def _forget(self) -> None:
        """Begin with an empty memory."""
        self._lanes: dict[int | None, Lane] = {}
        self._ready: dict[Lane, None] = {}
        self._flights: deque[Flight] = deque()
        self._door: deque[tuple[int, int | None, Resolved | None]] = deque()
        self._held = self._in_flight = 0
        self._draining = self._watching = self._sweeping = False

    def _lane(self, partition: int | None) -> Lane:
        """The lane of a partition, made on first use."""
        lane = self._lanes.get(partition)
        if lane is None:
            lane = self._lanes[partition] = Lane(partition, self.epoch)
        return lane

    # ---------------------------------------------------------------- the way out

    @property
    def current(self) -> int:
        """The transaction whose events may be sent now."""
        return -1 if self.transactions is None else self.transactions.current

    def drain(self) -> None:
        """Send what may leave."""
        for lane in self._lanes.values():
            self._renew(lane)
            self._ready[lane] = None
        self._drain_ready()

    def _drain(self, lane: Lane) -> None:
        self._ready[lane] = None
        self._drain_ready()

    def _drain_ready(self) -> None:
        """Fill the free slots: each request takes the first batch of every partition that has one to send."""
        if self._draining:
            return
        self._draining = True
        while self._ready and self._in_flight < self._most:
            now, current = self._world._now, self.current
            leaving = [lane for lane in self._ready if lane.may_send(now, current)]
            self._ready = dict.fromkeys(lane for lane in leaving if len(lane.waiting) > 1)
            if leaving:
                slot = Slot(len(leaving))
                self._in_flight += 1
                for batch in [lane.waiting.popleft() for lane in leaving]:
                    self._launch(batch, slot)
        self._draining = False

    def _launch(self, batch: Batch, slot: Slot) -> None:
        """Send a batch on its way. The answer may be here before this returns, so all is noted before."""
        lane = batch.lane
        batch.attempt += 1
        if lane.open is batch:
            lane.open = None
        if self._idempotent and batch.sequence < 0:
            lane.number(batch)
        if batch.attempt > 1:
            self._note("retried", batch)
        flight = batch if batch.attempt == 1 else Flight(batch)
        flight.slot = slot
        lane.flying += 1
        if self.acks != "none":
            self._await(flight)
        if not self._send(self._take, flight, batch.events[0]):
            for event in batch.events[1:]:
                self._link.note("dropped", event)
        if self.acks == "none":
            self._land(flight)
            self._finish(batch)

    def _await(self, flight: Flight) -> None:
        """Expect an answer in time."""
        flight.due = self._world._now + self._timeout_s
        self._flights.append(flight)
        if not self._watching:
            self._watching = True
            self._world.plan_at(flight.due, self._watch, self.node.epoch)

    # ---------------------------------------------------------------- answers

    def answered(self, told: tuple[Flight, Answer]) -> None:
        """An answer has come; one that comes too late is not listened to."""
        flight, answer = told
        if flight.over:
            return
        if self.node.frozen:
            self.node.hold(self.answered, told)
            return
        lane, slot, flights = flight.lane, flight.slot, self._flights  # as in _land, which this call would double
        flight.over = True
        lane.flying -= 1
        if slot is None or slot.landed():
            self._in_flight -= 1
        while flights and flights[0].over:
            flights.popleft()
        batch = flight if flight.__class__ is Batch else flight.batch
        if batch.done:
            self._renew(lane)
        elif answer[0]:
            now, record, code, attempt = self._world._now, self._record, self._confirmed, batch.attempt
            for event in batch.events:
                record(now, code, event, attempt)
            self._finish(batch)
        elif answer is DISCONNECTED:
            self._try_again(batch)
        else:
            self._note("refused", batch)
            self._refused(flight, batch, answer.reason)
        if lane.waiting:
            self._ready[lane] = None
        if self._ready:
            self._drain_ready()

    def _land(self, flight: Flight) -> None:
        """A flight is over; when all of its request are, the slot is free."""
        flight.over = True
        flight.lane.flying -= 1
        if flight.slot is None or flight.slot.landed():
            self._in_flight -= 1
        while self._flights and self._flights[0].over:
            self._flights.popleft()

    def _refused(self, flight: Flight, batch: Batch, reason: str) -> None:
        """A queue's refusal is the application's affair (AMQP); what a log refuses is tried again."""
        if reason in FINAL or (not self._is_log and self._value.retries is None):
            self._give_up(batch)
            return
        if reason == "out_of_order_sequence" and flight.first:
            self._begin_epoch(batch.lane)
        self._try_again(batch)

    def _try_again(self, batch: Batch) -> None:
        now = self._world._now
        if batch.attempt > self._retries or now >= batch.deadline:
            self._give_up(batch)
            return
        batch.ripe, batch.wait_until = True, now + self._value.retry_backoff_s
        batch.lane.put_back(batch)
        self._renew(batch.lane)
        self._sweep_at(batch.deadline)
        self._world.call_at(batch.wait_until, self._due, (batch.lane, self.node.epoch))

    def _due(self, told: tuple[Lane, int]) -> None:
        lane, life = told
        if life != self.node.epoch:
            return
        if self.node.frozen:
            self.node.hold(self._due, told)
            return
        self._drain(lane)

    def _begin_epoch(self, lane: Lane) -> None:
        """A gap in the sequence numbers of a partition cannot be closed: begin anew, with a higher epoch."""
        if not lane.stale:
            self.epoch += 1
            for each in self._lanes.values():
                each.stale = True

    def _renew(self, lane: Lane) -> None:
        """A partition follows into the new epoch when nothing of the old one is in flight there."""
        if lane.stale and not lane.flying:
            lane.renumber(self.epoch)

    # ---------------------------------------------------------------- time

    def _watch(self, life: int) -> None:
        """Requests without an answer for too long have failed."""
        if life != self.node.epoch:
            return
        if self.node.frozen:
            self.node.hold(self._watch, life)
            return
        self._watching = False
        now = self._world._now
        while self._flights and self._flights[0].due <= now:
            flight = self._flights[0]
            self._land(flight)
            batch = origin(flight)
            if batch.done:
                self._renew(batch.lane)
            else:
                self._try_again(batch)
        if self._flights and not self._watching:
            self._watching = True
            self._world.plan_at(self._flights[0].due, self._watch, life)
        self.drain()

    def _sweep_at(self, deadline: float) -> None:
        """Look at this time at the latest for what must be given up."""
        if not self._sweeping:
            self._sweeping = True
            self._world.plan_at(deadline, self._sweep, self.node.epoch)

    def _sweep(self, life: int) -> None:
        """Give up what has not been confirmed in time, whether it waits or flies."""
        if life != self.node.epoch:
            return
        if self.node.frozen:
            self.node.hold(self._sweep, life)
            return
        now = self._world._now
        for batch in self._unfinished():
            if batch.deadline <= now:
                batch.lane.take_out(batch)
                self._give_up(batch)
        self._sweeping = False
        left = [batch.deadline for batch in self._unfinished()]
        if left:
            self._sweep_at(min(left))
        self.drain()

    def _unfinished(self) -> list[Batch]:
        """All batches that are neither confirmed nor given up."""
        flying = [origin(flight) for flight in self._flights]
        waiting = [batch for lane in self._lanes.values() for batch in lane.waiting]
        return [*dict.fromkeys([batch for batch in flying if not batch.done] + waiting)]

    # ---------------------------------------------------------------- endings

    def _give_up(self, batch: Batch) -> None:
        """Stop trying. Later sequence numbers would leave a gap, so their partition needs a new epoch."""
        self._note("given_up", batch)
        if batch.sequence >= 0:
            self._begin_epoch(batch.lane)
        self._finish(batch, ok=False)

    def _finish(self, batch: Batch, ok: bool = True) -> None:
        """The batch needs no more room; tell those who waited for its events."""
        batch.done = True
        lane, events = batch.lane, batch.events
        if batch.sequence >= 0:
            if lane.unresolved[0] is batch:
                lane.unresolved.popleft()
            else:
                lane.resolve(batch)
        if lane.stale:
            self._renew(lane)
        self._held -= len(events)
        if self.watchers:
            for event in events:
                self._tell(event)
        if self.transactions is not None:
            self.transactions.finished(batch, ok)
        if self._door:
            self._admit()

    def _admit(self) -> None:
        """Let those in who wait at the door, while there is room."""
        raise NotImplementedError

    def flush(self, transaction: int) -> None:
        """Let all leave that has waited for company in this transaction."""
        for lane in list(self._lanes.values()):
            for batch in lane.waiting:
                if batch.transaction == transaction:
                    batch.ripe = True
            if lane.open is not None and lane.open.transaction == transaction:
                lane.open = None
            self._drain(lane)

    def _end(self, step: str, event: int) -> None:
        self._record(self._world.now, self._codes[step], event, 0)
        self._tell(event)

    def _tell(self, event: int) -> None:
        watcher = self.watchers.pop(event, None)
        if watcher is not None:
            watcher(event)

    def _note(self, step: str, batch: Batch) -> None:
        code, now = self._codes[step], self._world._now
        for event in batch.events:
            self._record(now, code, event, batch.attempt)
