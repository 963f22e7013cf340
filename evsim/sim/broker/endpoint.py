"""The endpoint of a webhook: a server that believes signed requests only, and answers each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evsim.event import EPOCH
from evsim.patterns.handler import Reject, Requeue
from evsim.patterns.webhooks import BadSignature, Gone, verify
from evsim.sim.envelopes import clock
from evsim.sim.worker import LiveWorker

if TYPE_CHECKING:
    from evsim.sim.broker.base import Delivery

EPOCH_S = EPOCH.timestamp()


class Endpoint(LiveWorker):
    """One server. Requests wait in line; whether the sender still waits for the answer it does not know."""

    __slots__ = ()

    def arrive(self, delivery: Delivery) -> None:
        """A request has come: answer 401 if it cannot be believed."""
        if delivery.epoch != self.epoch or self.down:
            return
        if self.frozen:
            self.hold(self.arrive, delivery)
            return
        try:
            self._verify(delivery)
        except BadSignature:
            world = self.world
            code = world.history.code("refused", self.name, delivery.place)
            world.record(world.now, code, delivery.event, delivery.attempt)
            self._answer(self._group.failed, delivery)
            return
        if self._policy == "before":
            self._answer(self._group.ack, delivery)
        super().arrive(delivery)

    def attacked(self, delivery: Delivery) -> None:
        """Somebody else than the webhook sends this."""
        self._there.send(self.arrive, delivery, delivery.event)

    @property
    def _group(self) -> Any:
        return self.group

    def _verify(self, delivery: Delivery) -> None:
        terms, post = self.group.broker.value, delivery.entry
        secret = terms.secret if terms.endpoint_secret is None else terms.endpoint_secret
        verify(
            secret, post.headers, post.payload, EPOCH_S + clock(self.world, self.group.value.name), terms.tolerance_s
        )

    def refuse(self, problem: Exception) -> bool:
        """Answer 410 for ``Gone`` and 500 for any other problem; what is rejected is thrown away."""
        delivery, group = self.delivery, self._group
        rejects = isinstance(problem, Reject) or (
            self.group.value.nack == "reject" and not isinstance(problem, Requeue)
        )
        if delivery.epoch == self.epoch:
            gone = isinstance(problem, Gone)
            self._answer(group.gone_for_good if gone else group.thrown_away if rejects else group.failed, delivery)
        self._next()
        return True

    def _answer(self, fn: Any, delivery: Delivery) -> None:
        self._here.send(fn, delivery, delivery.event)
