"""How a client follows a stream endpoint: what it has been sent, what it has seen, and how it comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evsim.patterns.matching import subject_matcher
from evsim.sim.broker.base import Delivery, Subscription
from evsim.sim.connection import Connection
from evsim.sim.worker import LiveWorker

if TYPE_CHECKING:
    from collections.abc import Callable

    from evsim.sim.consumer import Consumer
    from evsim.sim.handling import Handling
    from evsim.sim.world import World

_STEPS = ("requeued", "rejected", "missed", "lost")


class Own:
    """The way of a client to its own memory, where it keeps the last id: nothing lies between."""

    __slots__ = ()

    def send(self, fn: Callable[[Any], Any], arg: Any, event: int = -1) -> None:
        """Call ``fn(arg)`` at once."""
        fn(arg)

    def reset(self) -> None:
        """Nothing is under way."""


class Client(LiveWorker):
    """A client: it reads from its connection, handles one event after the other, and keeps the id of the last."""

    __slots__ = ("ask", "following")

    def __init__(self, world: World, name: str, number: int, group: Following, handling: Handling | None) -> None:
        super().__init__(world, name, number, group, handling)
        self.following = group
        self.ask = Connection(world, self._back)
        self._here: Any = Own()

    def arrive(self, delivery: Delivery) -> None:
        """An event has come; what belongs to an earlier connection is not read."""
        if delivery.entry != self.following.connection:
            return
        if self._policy == "before" and not self.frozen and delivery.epoch == self.epoch:
            self.following.ack(delivery)
        super().arrive(delivery)

    def _begin(self) -> None:
        super()._begin()
        self.following.has_read()

    def _next(self) -> None:
        super()._next()
        self.following.may_be_idle()

    def _turned(self, epoch: int) -> None:
        super()._turned(epoch)
        self.following.may_be_idle()


class Following(Subscription):
    """One client of a stream. ``seen`` is its Last-Event-ID, ``sent`` what the server has written last."""

    def __init__(self, world: World, value: Consumer, broker: Any) -> None:
        super().__init__(world, value, broker)
        self.terms = broker.value
        self._matchers = [subject_matcher(pattern) for pattern in value.subjects or (">",)]
        self._codes = {step: world.history.code(step, value.name, broker.name) for step in _STEPS}
        self.seen = self.sent = -1
        self.connection = 0
        self._open = False
        self._live_from = 0
        self._client: Client | None = None
        self._stand_ins: list[Client] = []
        self._unseen: dict[int, tuple[int, int]] = {}
        self._under_way: set[int] = set()
        self._left_out: set[int] = set()
        self._asked = False
        self._polls = 0

    def member(self, name: str, number: int, handling: Handling | None) -> LiveWorker:
        """A new client."""
        worker = Client(self.world, name, number, self, handling)
        self.workers.append(worker)
        return worker

    # ---------------------------------------------------------------- connect

    def attach(self, worker: Any) -> None:
        """The process of a client is there: it connects, and says what it has seen last."""
        if self._client is not None and self._client is not worker:
            self._stand_ins.append(worker)
            return
        self._client = worker
        if self.seen < 0:
            self.seen = self.sent = self.broker.count
        self._connect(self.connection)

    def _connect(self, connection: int) -> None:
        client = self._client
        if connection != self.connection or client is None or client.is_silent or self._open:
            return
        if self.broker.down:
            self.world.call_in(max(self.terms.retry_s, 0.001), self._connect, connection)
            return
        self._open, self._live_from = True, self.broker.count
        if self.terms.long_poll:
            self._poll()
        else:
            self.pump()

    def hang_up(self) -> None:
        """The connection is closed; the client comes again after ``retry_s``."""
        if not self._open:
            return
        self._open = self._asked = False
        self.world.call_in(self.terms.retry_s, self._reconnect, self.connection)

    def _reconnect(self, connection: int) -> None:
        if connection == self.connection and not self._open and self._client is not None and not self._client.is_silent:
            self._client.note("joined", self.broker.name, self.seen)
        self._connect(connection)

    def _rewind(self) -> None:
        """What was sent behind the last event seen is to be sent again, as far as the server still remembers it.

        What is still under way belongs to an earlier connection and will not be read.
        """
        self.connection += 1
        self._open = self._asked = False
        first = self.broker.first
        for number, (event, _) in [*self._unseen.items()]:
            if number < first:
                self._record("missed", event, number)
                del self._unseen[number]
            elif number in self._under_way:
                self._record("requeued", event, number)
        self._under_way.clear()
        self.sent = max(min([self.sent + 1, *self._unseen]) - 1, first - 1)
        if self._client is not None:
            self._client.unacked = 0

    # ---------------------------------------------------------------- send

    def pump(self) -> None:
        """Write to the connection what there is, as far as there is room."""
        client, broker = self._client, self.broker
        if self.terms.long_poll:
            self._answer()
            return
        while self._open and client is not None and broker.up and self.sent < broker.count:
            if client.unacked < self.terms.buffer_events:
                self._send_next(client)
            elif self.terms.when_full == "block" or self.sent < self._live_from:
                break
            elif self.terms.when_full == "drop":
                self.lose(self.sent + 1, "missed")
            else:
                client.note("expelled", broker.name, self.sent)
                self.hang_up()

    def _send_next(self, client: Client) -> bool:
        """Send the next event, if the client listens to its type."""
        self.sent += 1
        number = self.sent
        event = self.broker.event(number)
        if not self._lacks(number, event):
            return False
        _, attempts = self._unseen.get(number, (event, 0))
        self._unseen[number] = event, attempts + 1
        self._under_way.add(number)
        client.unacked += 1
        client.push(Delivery(event, self.broker.name, number, attempts + 1, client, self.connection))
        return True

    def _lacks(self, number: int, event: int) -> bool:
        """Whether the client is to get this event: it listens to its type, has not seen it, was not left out of it."""
        if number in self._left_out or (number <= self.seen and number not in self._unseen):
            return False
        subject = self.world.history.type_of(event)
        return any(matches(subject) for matches in self._matchers)

    def lose(self, upto: int, step: str) -> None:
        """What has not been sent up to this id never will be, not even when the client comes back."""
        while 0 <= self.sent < upto:
            self.sent += 1
            event = self.broker.event(self.sent)
            if self._lacks(self.sent, event):
                self._unseen.pop(self.sent, None)
                self._left_out.add(self.sent)
                self._record(step, event, self.sent)

    # ---------------------------------------------------------------- long poll

    def _poll(self, _: Any = None) -> None:
        """The client asks for more."""
        if self._open and self._client is not None:
            self._client.ask.send(self._ask, self.connection)

    def _ask(self, connection: int) -> None:
        if self.broker.frozen:
            self.broker.hold(self._ask, connection)
        elif self.broker.up and connection == self.connection and self._open:
            self._asked = True
            self._polls += 1
            self.world.call_in(self.terms.poll_s, self._nothing, self._polls)
            self._answer()

    def _answer(self) -> None:
        """Answer an open request with what there is."""
        client, many = self._client, 0
        if not self._asked or client is None or not self.broker.up:
            return
        while self.sent < self.broker.count and many < self.terms.buffer_events:
            many += 1
            self._asked = False
            if not self._send_next(client):
                many -= 1
        self._asked = many == 0

    def _nothing(self, poll: int) -> None:
        """A request has waited long enough: answer that there is nothing, so that the client asks again."""
        if self._asked and poll == self._polls and self._client is not None:
            self._asked = False
            self._client._there.send(self._poll, None)

    def may_be_idle(self) -> None:
        """The client has handled something; if that was all, it asks for more."""
        client = self._client
        if self.terms.long_poll and client is not None and not client.busy and not client.unacked and not self._asked:
            self._poll()

    # ---------------------------------------------------------------- what the client has seen

    def has_read(self) -> None:
        """The client has read an event, so that there is room for another."""
        if self._client is not None and self._client.unacked:
            self._client.unacked -= 1
            if not self.terms.long_poll:
                self.pump()

    def ack(self, delivery: Delivery) -> None:
        """The client keeps the id of this event as the last that it has seen."""
        if self._unseen.pop(delivery.number, None) is not None:
            self.seen = max(self.seen, delivery.number)
            code = delivery.worker.codes(delivery.place).acked
            self.world.record(self.world.now, code, delivery.event, delivery.number)

    def nack(self, delivery: Delivery, requeue: bool) -> None:
        """A client cannot refuse an event; it can leave it out, or connect again and ask for it."""
        if delivery.number not in self._unseen or delivery.entry != self.connection:
            return
        if not requeue:
            self._record("rejected", self._unseen.pop(delivery.number)[0], delivery.number)
            self.seen = max(self.seen, delivery.number)
            return
        delivery.worker.in_hand.clear()
        self._rewind()
        self.world.call_in(self.terms.retry_s, self._reconnect, self.connection)

    # ---------------------------------------------------------------- what befalls the client

    def gone(self, worker: Any) -> None:
        """The process of the client has died; it has kept the last id."""
        if worker in self._stand_ins:
            self._stand_ins.remove(worker)
        if worker is self._client:
            self._rewind()
            self._client = None
            if self._stand_ins:
                self.attach(self._stand_ins.pop(0))

    left = gone

    def silent(self, worker: LiveWorker) -> None:
        """A cut ends the connection; a pause does not."""
        if worker is self._client and worker.cut_off:
            self._open = self._asked = False

    def heard(self, worker: LiveWorker) -> None:
        """After a cut the client connects again."""
        if worker is self._client and not self._open:
            self.world.call_in(self.terms.retry_s, self._reconnect, self.connection)

    def _record(self, step: str, event: int, number: int) -> None:
        self.world.record(self.world.now, self._codes[step], event, number)
