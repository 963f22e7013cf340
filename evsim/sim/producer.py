"""A producer that waits for answers: it buffers, batches, sends, tries again, and gives up at last.

Named and behaving as Kafka's producer (https://kafka.apache.org/documentation/#producerconfigs): a batch leaves when it
is full or ``linger_s`` after its first event; at most ``max_in_flight`` requests are on their way; what has no answer
after ``request_timeout_s`` is sent again ``retry_backoff_s`` later, until ``delivery_timeout_s`` after its first event.

Each event ends with one of ``confirmed``, ``given_up``, ``shed``, or ``lost`` (the publisher crashed before it was sent
for the first time), unless the run or the publisher ends first. With ``acks="none"`` no answer is asked for.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from evsim.sim.batch import Batch, Lane
from evsim.sim.sender import Resolved, Sender
from evsim.sim.spread import Spread

if TYPE_CHECKING:
    from evsim.sim.node import Node
    from evsim.sim.publisher import Publisher
    from evsim.sim.world import World


class LiveProducer(Sender):
    """What a publisher hands its events to. Its memory is lost in a crash; it takes the place of an ``Outlet``."""

    def __init__(self, world: World, node: Node, broker: Any, value: Publisher) -> None:
        super().__init__(world, node, broker, value)
        self._capacity = value.batch_capacity if self._is_log or value.batch_events is not None else 1
        self._linger_s, self._room = value.linger_s, value.buffer_events or math.inf
        self.partition_of = Spread(world, self.name, broker, value.batch_capacity).partition_of
        self._key_parts = world.history.key_parts
        self._plain = value.linger_s == 0 and value.acks != "none" and self.transactions is None

    def _forget(self) -> None:
        super()._forget()
        self._admitting = False

    # ---------------------------------------------------------------- the way in

    def publish(self, event: int, then: Resolved | None = None) -> bool:
        """Record an event as published and ``offer`` it."""
        self._record(self._world.now, self._codes["published"], event, 0)
        return self.offer(event, self.partition_of(*self._key_parts(event)), then)

    def forward(self, event: int) -> None:
        """Take an event that is published already."""
        self.offer(event, self.partition_of(*self._key_parts(event)))

    def offer(self, event: int, partition: int | None, then: Resolved | None = None) -> bool:
        """Take an event; False when the buffer is full and the caller must wait until ``then`` is called with it."""
        if self._held >= self._room:
            return self._overflow(event, partition, then)
        self._held += 1
        lane = self._lanes.get(partition) or self._lane(partition)
        if not self._plain or self._in_flight >= self._most or lane.waiting or lane.stale:
            self._accept(lane, event)
            return True
        now = self._world._now  # nothing waits and a slot is free: the event leaves at once, alone, with the least ado
        batch = Batch(self, lane, event, now + self._patience_s)
        batch.attempt = 1
        if self._idempotent:
            batch.sequence = lane.sequence
            lane.sequence += 1
            lane.unresolved.append(batch)
        self._in_flight += 1
        lane.flying += 1
        if self._watching:
            batch.due = now + self._timeout_s
            self._flights.append(batch)
        else:
            self._await(batch)
        self._send(self._take, batch, event)
        return True

    def _accept(self, lane: Lane, event: int) -> None:
        """Add an event to the open batch of its partition, or begin one."""
        transactions = self.transactions
        number = -1 if transactions is None else transactions.enter()
        batch = lane.open
        if batch is None:
            self._begin(lane, event, number)
        else:
            batch.events.append(event)
            if len(batch.events) >= self._capacity:
                lane.open, batch.ripe = None, True
                self._drain(lane)
        if transactions is not None:
            transactions.entered()

    def _begin(self, lane: Lane, event: int, transaction: int) -> None:
        now = self._world._now
        batch = Batch(self, lane, event, now + self._patience_s, transaction)
        self._sweep_at(batch.deadline)
        lane.waiting.append(batch)
        if self._capacity > 1:
            lane.open = batch
        if self._linger_s == 0 or self._capacity == 1:
            batch.ripe = True
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

    def close(self) -> None:
        """Nothing more will be published: end the last transaction."""
        if self.transactions is not None:
            self.transactions.seal()

    # ---------------------------------------------------------------- a full buffer

    def _overflow(self, event: int, partition: int | None, then: Resolved | None) -> bool:
        """``"block"`` has the event wait at the door; ``"drop"`` refuses it; ``"shed"`` throws an older one away.

        That is the oldest that has never been sent; when all have been, the new one is refused too.
        """
        if self._value.when_full == "block":
            self._door.append((event, partition, then))
            return False
        victim = self._oldest() if self._value.when_full == "shed" else None
        if victim is None:
            self._end("shed", event)
        else:
            self._end("shed", victim)
            self._accept(self._lane(partition), event)
        return True

    def _oldest(self) -> int | None:
        """Take the oldest event that has never been sent out of the buffer."""
        unsent = [batch for lane in self._lanes.values() for batch in lane.waiting if batch.attempt == 0]
        if not unsent:
            return None
        batch = min(unsent, key=lambda each: each.events[0])
        event = batch.events.pop(0)
        if not batch.events:
            batch.done = True
            batch.lane.take_out(batch)
        if self.transactions is not None:
            self.transactions.shed(batch)
        return event

    def _admit(self) -> None:
        """Let those in who wait at the door, while there is room."""
        if self._admitting:
            return
        self._admitting = True
        while self._door and self._held < self._room:
            event, partition, then = self._door.popleft()
            self.offer(event, partition)
            if then is not None:
                then(event)
        self._admitting = False

    # ---------------------------------------------------------------- what befalls the publisher

    def crashed(self) -> None:
        """The memory is gone: what was never sent is lost, of the rest nobody here will know."""
        unsent = [event for batch in self._unfinished() if batch.attempt == 0 for event in batch.events]
        for event in [*unsent, *(event for event, *_ in self._door)]:
            self._record(self._world.now, self._codes["lost"], event, 0)
        for flight in self._flights:
            flight.over = True
        self.watchers.clear()
        self.epoch += 1
        self._forget()
        if self.transactions is not None:
            self.transactions.crashed()

    def restarted(self) -> None:
        """A new process, which knows nothing of the old one but its name."""
        if self.transactions is not None:
            self.transactions.restarted()
