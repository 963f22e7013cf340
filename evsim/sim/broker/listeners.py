"""Listening on subjects, at most once: who is there when an event comes gets it, and who is not has missed it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evsim.patterns.matching import subject_matcher
from evsim.sim.broker.base import Delivery, Subscription

if TYPE_CHECKING:
    from evsim.sim.consumer import Consumer
    from evsim.sim.worker import LiveWorker
    from evsim.sim.world import World


class Listeners(Subscription):
    """The members of one consumer that listen: each event goes to one of them, by chance (a NATS queue group).

    Nothing is acknowledged: the server is done with an event when it has sent it, and what the member had in hand when
    it crashed is lost. There is no limit to what it is sent (``prefetch`` has no meaning here).
    """

    def __init__(self, world: World, value: Consumer, broker: Any) -> None:
        super().__init__(world, value, broker)
        self._matchers = [subject_matcher(pattern) for pattern in value.subjects or (">",)]
        self._connection_s: float = broker.value.connection_s
        self._missed = world.history.code("missed", value.name, broker.name)
        self._draw = world.chance.uniforms(f"{value.name} share of {broker.name}")
        self._here: list[LiveWorker] = []

    def wants(self, subject: str) -> bool:
        """Whether this consumer listens on this subject."""
        return any(matches(subject) for matches in self._matchers)

    def hand(self, event: int, number: int) -> None:
        """Send an event to one of those who listen; if nobody does, it is missed."""
        here = self._here
        if not here:
            self.world.record(self.world.now, self._missed, event, number)
            return
        worker = here[int(self._draw() * len(here))] if len(here) > 1 else here[0]
        delivery = Delivery(event, self.broker.name, number, 1, worker, None)
        worker.push(delivery)
        self.world.record(self.world.now, worker.codes(delivery.place).acked, event, number)

    # ---------------------------------------------------------------- who listens

    def attach(self, worker: LiveWorker) -> None:
        """A member listens from now on."""
        if worker not in self._here:
            self._here.append(worker)

    def gone(self, worker: LiveWorker) -> None:
        """The connection was reset: it does not listen any more."""
        if worker in self._here:
            self._here.remove(worker)

    left = gone

    def silent(self, worker: LiveWorker) -> None:
        """The connection is kept for a while, then closed."""
        if self._connection_s:
            self.world.call_in(self._connection_s, self._close, (worker, worker.silences))
        else:
            self.gone(worker)

    def _close(self, told: tuple[LiveWorker, int]) -> None:
        worker, silences = told
        if worker.silences == silences:
            self.gone(worker)

    def heard(self, worker: LiveWorker) -> None:
        """It listens again."""
        self.attach(worker)

    # ---------------------------------------------------------------- what is not asked for

    def ack(self, delivery: Delivery) -> None:
        """Nobody waits for it."""

    def nack(self, delivery: Delivery, requeue: bool) -> None:
        """Nobody waits for it: the event will not come again."""
