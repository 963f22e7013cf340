"""A producer that waits for answers: buffers, batches, sends, tries again, and gives up at last.

Named and behaving as Kafka's producer (https://kafka.apache.org/documentation/#producerconfigs): a batch leaves when it
is full or ``linger_s`` after its first event; at most ``max_in_flight`` requests are on their way; what has no answer
after ``request_timeout_s`` is sent again ``retry_backoff_s`` later, until ``delivery_timeout_s`` after its first event.

Each event ends with one of ``confirmed``, ``given_up``, ``shed``, or ``lost`` (the publisher crashed before it was sent
for the first time), unless the run or the publisher ends first. With ``acks="none"`` no answer is asked for.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from evsim.sim.batch import Batch, Flight, Lane, Slot
from evsim.sim.broker.base import Answer
from evsim.sim.spread import Spread
from evsim.sim.transaction import Transactions

if TYPE_CHECKING:
    from evsim.sim.node import Node
    from evsim.sim.publisher import Publisher
    from evsim.sim.world import World

FINAL = {"fenced", "unroutable", "too_large", "invalid_transaction"}
"""Refusals that no further attempt would change."""

Resolved = Callable[[int], Any]


class LiveProducer:
    """The sending half of a publisher. Its memory is lost in a crash; it takes the place of an ``Outlet``."""

    def __init__(self, world: World, node: Node, broker: Any, value: Publisher) -> None:
        self._world, self.node, self.name, self._broker, self._value = world, node, node.name, broker, value
        self.acks, self.message = value.acks, value.message
        self._record, code = world.record, world.history.code
        self._codes = {
            step: code(step, self.name, value.to)
            for step in ("published", "confirmed", "refused", "retried", "given_up", "shed", "lost")
        }
        self._confirmed = self._codes["confirmed"]
        self._link, self._back = world.link(self.name, value.to), world.link(value.to, self.name)
        self._send, self._take = self._link.send, broker.take
        self._is_log = hasattr(broker, "partitioner")
        self._spread = Spread(world, self.name, broker, value.batch_capacity)
        self._capacity = value.batch_capacity if self._is_log or value.batch_events is not None else 1
        self._linger_s, self._timeout_s = value.linger_s, value.request_timeout_s
        self._patience_s = value.delivery_timeout_s
        self._most, self._room = value.max_in_flight, value.buffer_events or math.inf
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
        self._door: deque[tuple[int, Resolved | None]] = deque()
        self._held = self._in_flight = 0
        self._draining = self._admitting = self._watching = self._sweeping = False

    # ---------------------------------------------------------------- the way in

    def publish(self, event: int, then: Resolved | None = None) -> bool:
        """Record an event as published and ``offer`` it."""
        self._record(self._world.now, self._codes["published"], event, 0)
        return self.offer(event, then)

    def forward(self, event: int) -> None:
        """Take an event that is published already."""
        self.offer(event)

    def close(self) -> None:
        """Nothing more will be published: end the last transaction."""
        if self.transactions is not None and not self._door:
            self.transactions.seal()

    def offer(self, event: int, then: Resolved | None = None) -> bool:
        """Take an event; False when the buffer is full and the caller must wait until ``then`` is called with it.

        When the buffer is full, ``"block"`` has it wait at the door; ``"drop"`` refuses it; ``"shed"`` throws the
        oldest event away that has never been sent, to make room for it.
        """
        if self._held < self._room:
            self._accept(event)
            return True
        if self._value.when_full == "block":
            self._door.append((event, then))
            return False
        victim = self._oldest() if self._value.when_full == "shed" else None
        if victim is None:
            self._end("shed", event, 0)
        else:
            self._held -= 1
            self._end("shed", victim, 0)
            self._accept(event)
        return True

    def _oldest(self) -> int | None:
        """Take the oldest event that has never been sent out of the buffer."""
        unsent = [b for lane in self._lanes.values() for b in lane.waiting if b.attempt == 0]
        if not unsent:
            return None
        batch = min(unsent, key=lambda each: each.events[0])
        event = batch.events.pop(0)
        if not batch.events:
            batch.done = True
            batch.lane.waiting.remove(batch)
            batch.lane.open = None if batch.lane.open is batch else batch.lane.open
        if self.transactions is not None:
            self.transactions.shed(batch)
        return event

    def _admit(self) -> None:
        """Let those in who wait at the door, while there is room."""
        if self._admitting:
            return
        self._admitting = True
        while self._door and self._held < self._room:
            event, then = self._door.popleft()
            self._accept(event)
            if then is not None:
                then(event)
        self._admitting = False

    def _accept(self, event: int) -> None:
        """Add an event to the open batch of its partition, or begin one."""
        self._held += 1
        partition = self._spread.partition_of(event)
        lane = self._lanes.get(partition)
        if lane is None:
            lane = self._lanes[partition] = Lane(partition, self.epoch)
        transactions = self.transactions
        number = -1 if transactions is None else transactions.enter()
        batch = lane.open
        if batch is not None:
            batch.events.append(event)
            if len(batch.events) >= self._capacity:
                lane.open, batch.ripe = None, True
                self._drain(lane)
        else:
            self._begin(lane, event, number)
        if transactions is not None:
            transactions.entered()

    def _begin(self, lane: Lane, event: int, transaction: int) -> None:
        now = self._world._now
        ripe = self._linger_s == 0 or self._capacity == 1
        batch = Batch(lane, event, now + self._patience_s, ripe, transaction)
        if not self._sweeping:
            self._sweeping = True
            self._world.plan_at(batch.deadline, self._sweep, self.node.epoch)
        if ripe and self._in_flight < self._most and not lane.waiting and not lane.stale and transaction < 0:
            self._in_flight += 1
            self._launch(batch, Slot(1))
            return
        lane.waiting.append(batch)
        if self._capacity > 1:
            lane.open = batch
        if ripe:
            self._drain(lane)
        else:
            self._world.call_at(now + self._linger_s, self._lingered, (batch, self.node.epoch))

    def _lingered(self, told: tuple[Batch, int]) -> None:
        """A batch has waited long enough for company."""
        batch, life = told
        if life != self.node.epoch or batch.ripe:
            return
        if self.node.frozen:
            self.node.hold(self._lingered, told)
            return
        batch.ripe = True
        self._drain(batch.lane)

    def flush(self, transaction: int) -> None:
        """Let all leave that has waited for company in this transaction."""
        for lane in list(self._lanes.values()):
            for batch in lane.waiting:
                if batch.transaction == transaction:
                    batch.ripe = True
            if lane.open is not None and lane.open.transaction == transaction:
                lane.open = None
            self._drain(lane)

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
        lane, world = batch.lane, self._world
        now = world._now
        batch.attempt += 1
        if lane.open is batch:
            lane.open = None
        if self._idempotent and batch.sequence < 0:
            batch.sequence, batch.epoch = lane.sequence, lane.epoch
            lane.sequence += len(batch.events)
            lane.unresolved.append(batch)
        if batch.attempt > 1:
            self._note("retried", batch)
        flight = Flight(self, batch, slot, now + self._timeout_s)
        lane.flying += 1
        events = batch.events
        if self.acks != "none":
            self._flights.append(flight)
            if not self._watching:
                self._watching = True
                world.plan_at(flight.due, self._watch, self.node.epoch)
        sent = self._send(self._take, flight, events[0])
        if not sent:
            for event in events[1:]:
                self._link.note("dropped", event)
        if self.acks == "none":
            self._land(flight)
            self._finish(batch)

    def travel_back(self, told: tuple[Flight, Answer], event: int) -> None:
        """An answer leaves the broker; one that the producer did not ask for is not sent."""
        if self.acks != "none":
            self._back.send(self._answered, told, event)

    # ---------------------------------------------------------------- answers

    def _answered(self, told: tuple[Flight, Answer]) -> None:
        """An answer has come; one that comes too late is not listened to."""
        flight, answer = told
        if flight.life != self.node.epoch or flight.over:
            return
        if self.node.frozen:
            self.node.hold(self._answered, told)
            return
        self._land(flight)
        batch = flight.batch
        if batch.done:
            self._renew(batch.lane)
        elif answer.ok:
            now, record, code, attempt = self._world._now, self._record, self._confirmed, batch.attempt
            for event in batch.events:
                record(now, code, event, attempt)
            self._finish(batch)
        else:
            self._note("refused", batch)
            self._refused(batch, answer.reason)
        lane = batch.lane
        if lane.waiting:
            self._ready[lane] = None
        if self._ready:
            self._drain_ready()

    def _land(self, flight: Flight) -> None:
        """A flight is over; when all of its request are, the slot is free."""
        flight.over = True
        flight.batch.lane.flying -= 1
        flight.slot.left -= 1
        if not flight.slot.left:
            self._in_flight -= 1
        flights = self._flights
        while flights and flights[0].over:
            flights.popleft()

    def _refused(self, batch: Batch, reason: str) -> None:
        lane = batch.lane
        if reason in FINAL or (not self._is_log and self._value.retries is None):
            self._give_up(batch)
            return
        if reason == "out_of_order_sequence" and lane.unresolved and lane.unresolved[0] is batch:
            self._begin_epoch(lane)
        self._try_again(batch)

    def _try_again(self, batch: Batch) -> None:
        now = self._world._now
        if batch.attempt > self._retries or now >= batch.deadline:
            self._give_up(batch)
            return
        batch.due = now + self._value.retry_backoff_s
        batch.lane.put_back(batch)
        self._renew(batch.lane)
        self._world.call_at(batch.due, self._due, (batch.lane, self.node.epoch))

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
            if flight.batch.done:
                self._renew(flight.batch.lane)
            else:
                self._try_again(flight.batch)
        if self._flights and not self._watching:
            self._watching = True
            self._world.plan_at(self._flights[0].due, self._watch, life)
        self.drain()

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
                if batch in batch.lane.waiting:
                    batch.lane.waiting.remove(batch)
                batch.lane.open = None if batch.lane.open is batch else batch.lane.open
                self._give_up(batch)
        left = [batch.deadline for batch in self._unfinished()]
        self._sweeping = bool(left)
        if left:
            self._world.plan_at(min(left), self._sweep, life)
        self.drain()

    def _unfinished(self) -> list[Batch]:
        waiting = [batch for lane in self._lanes.values() for batch in lane.waiting]
        return [*dict.fromkeys([flight.batch for flight in self._flights if not flight.batch.done] + waiting)]

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
        if lane.unresolved:
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

    def _end(self, step: str, event: int, number: int) -> None:
        self._record(self._world.now, self._codes[step], event, number)
        self._tell(event)

    def _tell(self, event: int) -> None:
        watcher = self.watchers.pop(event, None)
        if watcher is not None:
            watcher(event)

    def _note(self, step: str, batch: Batch) -> None:
        code, now = self._codes[step], self._world._now
        for event in batch.events:
            self._record(now, code, event, batch.attempt)

    # ---------------------------------------------------------------- what befalls the publisher

    def crashed(self) -> None:
        """The memory is gone: what was never sent is lost, of the rest nobody here will know."""
        unsent = [event for batch in self._unfinished() if batch.attempt == 0 for event in batch.events]
        for event in [*unsent, *(event for event, _ in self._door)]:
            self._record(self._world.now, self._codes["lost"], event, 0)
        self.watchers.clear()
        self.epoch += 1
        self._forget()
        if self.transactions is not None:
            self.transactions.crashed()

    def restarted(self) -> None:
        """A new process, which knows nothing of the old one but its name."""
        if self.transactions is not None:
            self.transactions.restarted()
