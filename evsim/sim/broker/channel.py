"""Who gets the next message of a queue: channels of consumers that take turns, each with what it still has."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from evsim.sim.broker.base import Delivery, Subscription

if TYPE_CHECKING:
    from evsim.sim.broker.queue import LiveQueue
    from evsim.sim.worker import LiveWorker


class Channel:
    """The connection of one worker: what was given to it and when, until it is acknowledged."""

    __slots__ = ("most", "open", "priority", "pushed_at", "unacked", "watched", "worker")

    def __init__(self, worker: LiveWorker) -> None:
        self.worker = worker
        value = worker.group.value
        self.priority = value.priority
        self.most = None if value.commit == "before" else worker.prefetch
        self.unacked: dict[int, Delivery] = {}
        self.pushed_at: dict[int, float] = {}
        self.open = True
        self.watched = False


class Dispatcher:
    """Gives the messages of a queue to its channels."""

    def __init__(self, queue: LiveQueue) -> None:
        self.queue, self.world = queue, queue.world
        self.channels: list[Channel] = []
        self._turns: deque[Channel] = deque()
        self._delivering = False
        self._receipts: deque[tuple[float, Delivery]] = deque()
        value = queue.value
        self._timeout_s, self._visible_s = value.consumer_timeout_s, value.visibility_timeout_s
        self._alone = value.single_active_consumer
        self._plain = True

    # ---------------------------------------------------------------- giving

    def deliver(self) -> None:
        """Give what waits to those who have room."""
        queue = self.queue
        if self._delivering or not queue.up:
            return
        self._delivering = True
        while len(queue.ready):
            channel = self._who()
            if channel is None:
                break
            entry = queue.next()
            if entry is None:
                break
            self._give(channel, entry)
        self._delivering = False

    def _who(self) -> Channel | None:
        """The next channel in turn that has room; of those the ones with the highest priority come first."""
        turns = self._turns
        if self._alone and turns:
            first = self.channels[0]
            return first if first.most is None or len(first.unacked) < first.most else None
        best: Channel | None = None
        for _ in range(len(turns)):
            channel = turns[0]
            turns.rotate(-1)
            if channel.most is None or len(channel.unacked) < channel.most:
                if self._plain:
                    return channel
                if best is None or channel.priority > best.priority:
                    best = channel
        return best

    def _give(self, channel: Channel, entry: Any) -> None:
        worker = channel.worker
        entry.attempts += 1
        delivery = Delivery(entry.event, self.queue.name, entry.number, entry.attempts, worker, entry)
        entry.delivery, entry.channel = delivery, channel
        if worker.group.value.commit == "before":
            worker.push(delivery)
            self.queue.acked(delivery, worker)
            return
        channel.unacked[entry.number] = delivery
        worker.unacked += 1
        if self._visible_s is not None:
            self._receive(delivery)
        elif self._timeout_s is not None:
            channel.pushed_at[entry.number] = self.world._now
            if not channel.watched:
                self._watch(channel)
        worker.push(delivery)

    # ---------------------------------------------------------------- taking back

    def in_flight(self) -> list[Any]:
        """The entries that somebody has in hand."""
        invisible = [delivery.entry for _, delivery in self._receipts if delivery.entry.delivery is delivery]
        known = [delivery.entry for channel in self.channels for delivery in channel.unacked.values()]
        return list({id(entry): entry for entry in known + invisible}.values())

    def settle(self, delivery: Delivery) -> bool:
        """Take a delivery out of its channel; False when it is not known any more."""
        entry = delivery.entry
        channel = entry.channel
        if entry.delivery is not delivery or channel.unacked.pop(entry.number, None) is not delivery:
            return False
        channel.pushed_at.pop(entry.number, None)
        delivery.worker.unacked -= 1
        return True

    def _watch(self, channel: Channel) -> None:
        """A channel that keeps its oldest message for too long is closed (consumer timeout)."""
        channel.watched = bool(channel.pushed_at)
        if channel.watched:
            oldest = next(iter(channel.pushed_at.values()))
            self.world.plan_at(oldest + (self._timeout_s or 0.0), self._too_long, channel)

    def _too_long(self, channel: Channel) -> None:
        if not channel.open:
            return
        oldest = next(iter(channel.pushed_at.values()), self.world.now)
        if self.world.now < oldest + (self._timeout_s or 0.0):
            self._watch(channel)
            return
        self.close(channel)
        channel.worker.closed()

    def _receive(self, delivery: Delivery) -> None:
        """From now on the message is invisible for a while."""
        if not self._receipts:
            self.world.plan_in(self._visible_s or 0.0, self._reappears)
        self._receipts.append((self.world.now + (self._visible_s or 0.0), delivery))

    def _reappears(self, _: Any = None) -> None:
        if self.queue.frozen:
            self.queue.hold(self._reappears, None)
            return
        while self._receipts and self._receipts[0][0] <= self.world.now:
            _, delivery = self._receipts.popleft()
            if self.settle(delivery) or delivery.entry.delivery is delivery:
                self.queue.give_back(delivery.entry)
        if self._receipts:
            self.world.plan_at(self._receipts[0][0], self._reappears)
        self.deliver()

    # ---------------------------------------------------------------- channels

    def open(self, worker: LiveWorker) -> None:
        """A worker has connected."""
        channel = Channel(worker)
        self.channels.append(channel)
        self._turns.append(channel)
        self._changed()
        self.deliver()

    def of(self, worker: LiveWorker) -> Channel | None:
        """The open channel of a worker."""
        return next((channel for channel in reversed(self.channels) if channel.worker is worker), None)

    def close(self, channel: Channel) -> None:
        """A connection has ended: what was not acknowledged waits again, in its old place."""
        if not channel.open:
            return
        channel.open = False
        self.channels.remove(channel)
        self._turns.remove(channel)
        back, channel.unacked = list(channel.unacked.values()), {}
        channel.worker.unacked -= len(back)
        if self._visible_s is None:
            for delivery in back:
                self.queue.give_back(delivery.entry)
        self._changed()
        self.deliver()

    def _changed(self) -> None:
        """Others take their turns now."""
        self._plain = len({channel.priority for channel in self.channels}) < 2
        self.queue.used()

    def lose_connections(self) -> None:
        """The broker has crashed: every connection ends, and each worker that lives opens another."""
        channels, self.channels = self.channels, []
        self._turns.clear()
        self._receipts.clear()
        for channel in channels:
            channel.open = False
            channel.worker.unacked = 0
            channel.unacked = {}
        for channel in channels:
            channel.worker.closed()


class QueueSubscription(Subscription):
    """The members of one consumer at a queue. Other consumers of the queue compete with them."""

    broker: LiveQueue

    def attach(self, worker: LiveWorker) -> None:
        """A member has opened a channel."""
        self.broker.dispatcher.open(worker)

    def ack(self, delivery: Delivery) -> None:
        """Forget this message, unless it has been given to somebody else meanwhile."""
        queue = self.broker
        if queue.frozen:
            queue.hold(self.ack, delivery)
        elif queue.up and queue.dispatcher.settle(delivery):
            queue.acked(delivery, delivery.worker)
            queue.dispatcher.deliver()

    def nack(self, delivery: Delivery, requeue: bool) -> None:
        """Give it to somebody again, or put it aside. At SQS there is no nack: it reappears in its time."""
        queue = self.broker
        if queue.frozen:
            queue.hold(lambda _: self.nack(delivery, requeue), None)
            return
        invisible = requeue and queue.value.visibility_timeout_s is not None
        if not queue.up or not queue.dispatcher.settle(delivery):
            return
        if invisible:
            queue.dispatcher.deliver()
            return
        if requeue:
            queue.give_back(delivery.entry, to_the_tail=queue.value.type == "quorum")
        else:
            queue.reject(delivery.entry)
        queue.dispatcher.deliver()

    def gone(self, worker: LiveWorker) -> None:
        """The operating system closes the connection of a process that died."""
        channel = self.broker.dispatcher.of(worker)
        if channel is not None:
            self.world.plan_in(self.broker.value.connection_loss_s, self.broker.dispatcher.close, channel)

    def silent(self, worker: LiveWorker) -> None:
        """Without heartbeats the broker closes the connection after a while."""
        channel = self.broker.dispatcher.of(worker)
        if channel is not None:
            self.world.plan_in(self.broker.value.heartbeat_s, self._still_silent, (channel, worker.silences))

    def _still_silent(self, silence: tuple[Channel, int]) -> None:
        channel, number = silence
        if channel.open and channel.worker.silences == number and channel.worker.is_silent:
            self.broker.dispatcher.close(channel)

    def heard(self, worker: LiveWorker) -> None:
        """Who was silent for too long learns that its connection is closed."""
        if self.broker.dispatcher.of(worker) is None:
            worker.closed()

    def left(self, worker: LiveWorker) -> None:
        """A member has closed its channel."""
        channel = self.broker.dispatcher.of(worker)
        if channel is not None:
            self.broker.dispatcher.close(channel)
