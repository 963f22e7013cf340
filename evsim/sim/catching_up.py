"""A catch-up subscription: an event store hands over its events by position, and a reader says how far it has come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evsim.sim.broker.base import Delivery, Subscription

if TYPE_CHECKING:
    from evsim.sim.consumer import Consumer
    from evsim.sim.event_store import LiveEventStore
    from evsim.sim.worker import LiveWorker
    from evsim.sim.world import World

AHEAD = 100
"""So many events are handed over before the first of them is acknowledged."""


class CatchUp(Subscription):
    """One reader of an event store, from its first event on. It survives a crash of the reader, and of the store.

    ``acked`` is the position up to which the reader is done, which is kept; ``sent`` what was handed over last.
    """

    broker: LiveEventStore

    def __init__(self, world: World, value: Consumer, store: LiveEventStore) -> None:
        super().__init__(world, value, store)
        self.acked = self.sent = 0
        self._reader: LiveWorker | None = None
        self._tries: dict[int, int] = {}
        self._broken = False

    def attach(self, worker: LiveWorker) -> None:
        """The reader is there: it goes on behind what it has acknowledged."""
        self._reader, self._broken, self.sent = worker, False, self.acked
        self.pump()

    def pump(self) -> None:
        """Hand over what there is, as far as there is room."""
        reader, store = self._reader, self.broker
        if reader is None or self._broken or not store.up:
            return
        room = min(store.visible, self.acked + (self.value.prefetch or AHEAD)) - self.sent
        for each in store.events_after(self.sent, max(0, room)):
            self.sent += 1
            tries = self._tries[self.sent] = self._tries.get(self.sent, 0) + 1
            reader.push(Delivery(each, store.name, self.sent, tries, reader, None))

    def ack(self, delivery: Delivery) -> None:
        """The reader is done with this event, and with all before it."""
        if delivery.number != self.acked + 1:
            return
        self.acked = delivery.number
        self._tries.pop(delivery.number, None)
        code = delivery.worker.codes(delivery.place).acked
        self.world.record(self.world.now, code, delivery.event, delivery.number)
        self.pump()

    def nack(self, delivery: Delivery, requeue: bool) -> None:
        """An event cannot be passed over: it is brought again."""
        delivery.worker.in_hand.clear()
        self.sent = self.acked
        self.pump()

    def gone(self, worker: LiveWorker) -> None:
        """The reader's process has died."""
        if worker is self._reader:
            self._reader = None

    left = gone

    def silent(self, worker: LiveWorker) -> None:
        """A cut ends the connection; a pause does not."""
        self._broken = self._broken or worker.cut_off

    def heard(self, worker: LiveWorker) -> None:
        """After a cut the reader connects again."""
        if self._broken:
            worker.closed()

    def hang_up(self) -> None:
        """The store has crashed: nothing comes until it is back, and then from the last acknowledgement on."""
        if self._reader is not None and not self._reader.is_silent:
            self._reader.closed()
