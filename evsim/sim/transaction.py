"""Transactions at the producer: so many events each, all visible to those who read committed, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from evsim.sim.broker.base import Answer, Request

if TYPE_CHECKING:
    from evsim.sim.batch import Batch
    from evsim.sim.publisher import Publisher
    from evsim.sim.sender import Sender
    from evsim.sim.world import World

Marker = Literal["commit", "abort"]


class Transactions:
    """One transaction after the other, numbered from 0, as Kafka's ``beginTransaction`` … ``commitTransaction``.

    When the last event of a transaction has been published, what waits is flushed; when all is confirmed, the end is
    asked for. A transaction is aborted by chance (``abort_share``), when any of its events was given up or shed, and
    when the publisher has crashed meanwhile. Events published before the end is confirmed belong to the next one, which
    is not sent until then.
    """

    def __init__(self, world: World, producer: Sender, broker: Any, value: Publisher) -> None:
        self._world, self._producer, self._broker, self._value = world, producer, broker, value
        self._link, self._back = world.link(producer.name, broker.name), world.link(broker.name, producer.name)
        self._lot = world.chance.uniforms(f"{producer.name} aborts") if value.abort_share else None
        self.current = self._filling = 0
        self._clear()

    def _clear(self) -> None:
        self._open: dict[int, int] = {}
        self._doomed: set[int] = set()
        self._filled = 0
        self._ending = False

    # ---------------------------------------------------------------- events in, events out

    def enter(self) -> int:
        """One more event belongs to the transaction that is being filled: its number."""
        self._filled += 1
        self._open[self._filling] = self._open.get(self._filling, 0) + 1
        return self._filling

    def entered(self) -> None:
        """The event is in the buffer; the transaction may be full."""
        if self._filled >= (self._value.transaction_events or 1):
            self.seal()

    def seal(self) -> None:
        """No more events for the transaction that is being filled: send what waits."""
        if not self._filled:
            return
        sealed, self._filled = self._filling, 0
        self._filling += 1
        self._producer.flush(sealed)
        self._end_when_done()

    def finished(self, batch: Batch, ok: bool) -> None:
        """A batch was confirmed or given up."""
        self._open[batch.transaction] -= len(batch.events)
        if not ok:
            self._doomed.add(batch.transaction)
        self._end_when_done()

    def shed(self, batch: Batch) -> None:
        """An event of this batch was thrown away."""
        self._open[batch.transaction] -= 1
        self._doomed.add(batch.transaction)

    # ---------------------------------------------------------------- the end

    def _end_when_done(self) -> None:
        if self._ending or self.current == self._filling or self._open.get(self.current):
            return
        self._ending = True
        unlucky = self._lot is not None and self._lot() < self._value.abort_share
        self._ask("abort" if unlucky or self.current in self._doomed else "commit")

    def _ask(self, marker: Marker) -> None:
        """Ask the broker to end the transaction; again after the request timeout, for as long as it takes."""
        number, life, producer = self.current, self._producer.node.epoch, self._producer
        asked = [True]

        def answered(answer: Answer) -> None:
            if life != producer.node.epoch or not asked[0]:
                return
            if producer.node.frozen:
                producer.node.hold(answered, answer)
                return
            asked[0] = False
            if answer.ok or answer.reason == "fenced":
                self._ended(marker, number, answer.ok)
            else:
                self._world.call_in(self._value.retry_backoff_s, again, None)

        def again(_: Any) -> None:
            if life != producer.node.epoch:
                return
            if producer.node.frozen:
                producer.node.hold(again, None)
                return
            self._ask(marker)

        def overdue(_: Any) -> None:
            if asked[0]:
                asked[0] = False
                again(None)

        request = Request(
            [],
            lambda answer: self._back.send(answered, answer),
            acks="all",
            producer=producer.name,
            epoch=producer.epoch,
            transaction=number,
            marker=marker,
        )
        self._world.plan_in(self._value.request_timeout_s, overdue, None)
        self._link.send(self._broker.take, request)

    def _ended(self, marker: Marker, number: int, ok: bool) -> None:
        if ok:
            self._producer.node.note("committed" if marker == "commit" else "aborted", self._broker.name, number)
        self._open.pop(number, None)
        self._doomed.discard(number)
        self._ending = False
        self.current = number + 1
        self._producer.drain()
        self._end_when_done()

    # ---------------------------------------------------------------- what befalls the publisher

    def crashed(self) -> None:
        """The memory is gone; what was open stays open at the broker until we are back."""
        self._clear()
        self._filling = self.current

    def restarted(self) -> None:
        """A new process with the same name first ends what the old one had left open (``initTransactions``)."""
        self._ending = True
        self._filling = self.current + 1
        self._ask("abort")
