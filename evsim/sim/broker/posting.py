"""How a webhook delivers to one endpoint: attempts on a schedule, answers, timeouts, and when to stop."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from evsim.chance import on_grid
from evsim.event import EPOCH
from evsim.patterns.webhooks import headers_of
from evsim.sim.broker.base import Delivery, Subscription
from evsim.sim.broker.endpoint import Endpoint
from evsim.sim.envelopes import clock

if TYPE_CHECKING:
    from evsim.sim.consumer import Consumer
    from evsim.sim.handling import Handling
    from evsim.sim.worker import LiveWorker
    from evsim.sim.world import World

_STEPS = ("requeued", "rejected", "exhausted", "refused")
EPOCH_S = EPOCH.timestamp()
"""Requests carry Unix time."""


class Copy:
    """An event on its way to an endpoint: how often it has been tried, and when first."""

    __slots__ = ("attempts", "event", "number")

    def __init__(self, event: int, number: int) -> None:
        self.event, self.number, self.attempts = event, number, 0


class Post:
    """A signed request; ``copy`` is what it is about as long as somebody waits for the answer."""

    __slots__ = ("copy", "headers", "payload")

    def __init__(self, copy: Copy | None, headers: Mapping[str, str], payload: str) -> None:
        self.copy, self.headers, self.payload = copy, headers, payload


class Posting(Subscription):
    """The deliveries to one endpoint. Its members are servers behind one address, which take turns."""

    def __init__(self, world: World, value: Consumer, broker: Any) -> None:
        super().__init__(world, value, broker)
        self.terms = broker.value
        self.disabled = False
        self._failures = 0
        self._codes = {step: world.history.code(step, value.name, broker.name) for step in _STEPS}
        self._draw = world.chance.uniforms(f"{broker.name} jitter for {value.name}") if self.terms.jitter else None
        self._here: deque[LiveWorker] = deque()
        self._flying: dict[Delivery, None] = {}
        self._late: list[Copy] = []
        self._unheard: list[Copy] = []
        self._parked: list[Copy] = []
        self._first: dict[int, tuple[int, float]] = {}

    def member(self, name: str, number: int, handling: Handling | None) -> LiveWorker:
        """A new server."""
        worker = Endpoint(self.world, name, number, self, handling)
        self.workers.append(worker)
        return worker

    # ---------------------------------------------------------------- attempts

    def post(self, event: int, number: int) -> None:
        """Deliver this event."""
        self._plan(Copy(event, number))

    def _plan(self, copy: Copy) -> None:
        """Wait for the next attempt, as the schedule says."""
        wait_s = self.terms.schedule_s[copy.attempts]
        if self._draw is not None:
            wait_s = on_grid(wait_s * (1.0 + self.terms.jitter * self._draw()))
        if wait_s:
            self.world.plan_in(wait_s, self._due, copy)
        else:
            self._due(copy)

    def _due(self, copy: Copy) -> None:
        if not self.broker.up:
            self._late.append(copy)
        elif self.disabled:
            self._parked.append(copy)
        else:
            self._attempt(copy)

    def _attempt(self, copy: Copy) -> None:
        """Send a request; where no server is up, the connection is refused."""
        copy.attempts += 1
        self._first.setdefault(copy.number, (copy.event, self.world.now))
        worker = self._turn()
        if worker is None:
            self._record("refused", copy, copy.attempts)
            self._failed(copy, out=False)
            return
        delivery = self._request(copy, copy.attempts, worker, self.world.now)
        self._flying[delivery] = None
        self.world.plan_in(self.terms.timeout_s, self._timed_out, delivery)
        worker.push(delivery)

    def _turn(self) -> LiveWorker | None:
        """The server whose turn it is, of those whose process runs."""
        if not self._here:
            return None
        self._here.rotate(-1)
        return self._here[-1]

    def _request(self, copy: Copy, attempt: int, worker: LiveWorker, sent_s: float) -> Delivery:
        """A request, signed with all secrets: the same id each time, the time of this attempt."""
        event = self.world.history.event_at(copy.event)
        payload = event.to_json()
        off_s = clock(self.world, self.broker.name) - self.world.now
        headers = headers_of(self.terms.secrets, event.id, EPOCH_S + sent_s + off_s, payload)
        return Delivery(copy.event, self.broker.name, copy.number, attempt, worker, Post(copy, headers, payload))

    # ---------------------------------------------------------------- answers

    def ack(self, delivery: Delivery) -> None:
        """The endpoint has answered 2xx."""
        copy = self._answered(self.ack, delivery)
        if copy is not None:
            self._failures = 0
            code = delivery.worker.codes(delivery.place).acked
            self.world.record(self.world.now, code, copy.event, copy.number)

    def nack(self, delivery: Delivery, requeue: bool) -> None:
        """The endpoint has thrown the event away, or answered that it failed (4xx or 5xx)."""
        copy = self._answered(self.failed if requeue else self.thrown_away, delivery)
        if copy is not None:
            self._failed(copy) if requeue else self._record("rejected", copy, copy.number)

    def failed(self, delivery: Delivery) -> None:
        """The endpoint has answered that it failed."""
        self.nack(delivery, requeue=True)

    def thrown_away(self, delivery: Delivery) -> None:
        """The endpoint has taken the event and thrown it away."""
        self.nack(delivery, requeue=False)

    def gone_for_good(self, delivery: Delivery) -> None:
        """The endpoint has answered 410: it wants no more."""
        copy = self._answered(self.gone_for_good, delivery)
        if copy is not None:
            self._disable()
            self._failed(copy)

    def _answered(self, again: Any, delivery: Delivery) -> Copy | None:
        """What the answer is about, if anybody still waits for it."""
        if self.broker.frozen:
            self.broker.hold(again, delivery)
            return None
        return self._land(delivery) if self.broker.up else None

    def _land(self, delivery: Delivery) -> Copy | None:
        copy, delivery.entry.copy = delivery.entry.copy, None
        self._flying.pop(delivery, None)
        found: Copy | None = copy
        return found

    def _timed_out(self, delivery: Delivery) -> None:
        """Nobody waits for the answer any more; a request that has not arrived by now never does."""
        if self.broker.frozen:
            self.broker.hold(self._timed_out, delivery)
            return
        copy = self._land(delivery) if self.broker.up else None
        if copy is None:
            return
        worker = delivery.worker
        code = self.world.history.code("timed_out", self.broker.name, worker.name)
        self.world.record(self.world.now, code, copy.event, copy.attempts)
        if getattr(worker, "cut_off", False):
            delivery.epoch = -1
        self._failed(copy)

    def _failed(self, copy: Copy, out: bool = True) -> None:
        """An attempt was in vain, whether it had got ``out`` or not: plan the next, unless it was the last."""
        self._failures += 1
        if self._failures == self.terms.disable_after:
            self._disable()
        if copy.attempts >= len(self.terms.schedule_s):
            self._record("exhausted", copy, copy.number)
            return
        if out:
            self._record("requeued", copy, copy.number)
        self._plan(copy)

    def _record(self, step: str, copy: Copy, number: int) -> None:
        self.world.record(self.world.now, self._codes[step], copy.event, number)

    # ---------------------------------------------------------------- disabled

    def _disable(self) -> None:
        """Send nothing more, until somebody enables the endpoint again."""
        if self.disabled:
            return
        self.disabled = True
        self.broker.note("disabled", self.value.name)
        if self.terms.disabled_for_s is not None:
            self.world.plan_in(self.terms.disabled_for_s, self.enable)

    def enable(self, _: Any = None) -> None:
        """Send again, first what has waited."""
        self.disabled, self._failures = False, 0
        self.broker.note("enabled", self.value.name)
        parked, self._parked = self._parked, []
        for copy in parked:
            self._due(copy)

    # ---------------------------------------------------------------- servers come and go

    def attach(self, worker: LiveWorker) -> None:
        """A server listens."""
        if worker not in self._here:
            self._here.append(worker)

    def gone(self, worker: LiveWorker) -> None:
        """A server has died: its connections are reset, which the sender notices at once."""
        if worker in self._here:
            self._here.remove(worker)
        for delivery in [each for each in self._flying if each.worker is worker]:
            copy = self._land(delivery)
            if copy is not None:
                self._failed(copy)

    left = gone

    # ---------------------------------------------------------------- the webhook itself comes and goes

    def forget(self) -> None:
        """The sender has crashed: it will not hear the answers to the requests under way."""
        for delivery in [*self._flying]:
            copy = self._land(delivery)
            if copy is not None:
                self._unheard.append(copy)

    def revive(self) -> None:
        """Requests whose answer nobody has heard have failed; what was due meanwhile is due now."""
        unheard, self._unheard = self._unheard, []
        for copy in unheard:
            self._failed(copy)
        late, self._late = self._late, []
        for copy in late:
            self._due(copy)

    # ---------------------------------------------------------------- an attacker

    def replay(self, nth: int, forged: bool) -> None:
        """Somebody sends a request once more that he has seen; with a forged payload, if he has changed it."""
        worker, (event, sent_s) = self._turn(), self._first.get(nth, (-1, 0.0))
        if worker is None or event < 0:
            return
        delivery = self._request(Copy(event, nth), 1, worker, sent_s)
        delivery.entry.copy = None
        if forged:
            delivery.entry.payload = delivery.entry.payload.replace("{", '{"forged": true, ', 1)
        self.world.link(self.broker.name, worker.name).note("duplicated", event)
        assert isinstance(worker, Endpoint)
        worker.attacked(delivery)
