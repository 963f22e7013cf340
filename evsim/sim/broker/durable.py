"""A subscription that a stream remembers: what is not acknowledged in time is given again, so often and no more.

Semantics and defaults follow the consumers of NATS JetStream (https://docs.nats.io/nats-concepts/jetstream/consumers)
and what was measured with NATS 2.15: what a dead member had in hand comes back when its ack wait is over, not before,
and then before anything new; what is refused (nak) comes after the message that was on its way already.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING, Any

from evsim.patterns.matching import subject_matcher
from evsim.sim.broker.base import Delivery, Subscription
from evsim.sim.consumer import Durable

if TYPE_CHECKING:
    from evsim.sim.consumer import Consumer
    from evsim.sim.worker import LiveWorker
    from evsim.sim.world import World

_STEPS = ("requeued", "rejected", "exhausted", "expired")


class Pending:
    """A message that was delivered and is not acknowledged: how often it was, and whether it waits to be once more."""

    __slots__ = ("count", "event", "waits")

    def __init__(self, event: int) -> None:
        self.event, self.count, self.waits = event, 0, False


class DurableSubscription(Subscription):
    """What a stream remembers of one consumer; its members share the messages, whoever is free takes the next.

    A consumer without ``durable`` has a subscription with JetStream's defaults. An exhausted message stays in the
    stream: there is no dead letter queue, only a row (NATS: an advisory) says so. A stream that is down hears no
    acknowledgement, and remembers those that it has heard.
    """

    def __init__(self, world: World, value: Consumer, broker: Any) -> None:
        super().__init__(world, value, broker)
        self.terms = value.durable or Durable()
        self.kept = broker.kept
        self._matchers = [subject_matcher(pattern) for pattern in value.subjects or (">",)]
        self._codes = {step: world.history.code(step, value.name, broker.name) for step in _STEPS}
        self._automatic = value.commit == "before"
        self._here: deque[LiveWorker] = deque()
        self._pending: dict[int, Pending] = {}
        self._again: deque[int] = deque()
        self._chosen: deque[int] = deque()
        self._next = 0
        self._deadlines: list[tuple[float, int, int]] = []
        self._alarm_at = inf

    def wants(self, subject: str) -> bool:
        """Whether messages of this subject are for this consumer."""
        return any(matches(subject) for matches in self._matchers)

    # ---------------------------------------------------------------- where it begins

    def attach(self, worker: LiveWorker) -> None:
        """A member is ready for messages; the first one makes the subscription."""
        if not self._next:
            self._begin()
        worker.unacked = 0
        if worker not in self._here:
            self._here.append(worker)
        self.pump()

    def _begin(self) -> None:
        """Begin where the deliver policy says."""
        kept, deliver = self.kept, self.terms.deliver
        if self.terms.start_s is not None or deliver == "by_start_time":
            self._next = kept.since(self.terms.start_s or 0.0)
        elif deliver == "all":
            self._next = kept.first
        else:
            self._next = kept.end
            if deliver == "last_per_subject":
                self._chosen.extend(kept.lasts(self.wants))
            elif deliver == "last":
                wanted = (n for n in range(kept.end - 1, kept.first - 1, -1) if self.wants(kept.subject(n)))
                self._chosen.extend([n for n in [next(wanted, None)] if n is not None])

    # ---------------------------------------------------------------- what comes next, and who gets it

    def pump(self) -> None:
        """Give out what there is to those who are free."""
        if not self.broker.up or not self._here:
            return
        self.kept.expire(self.broker.durables)
        while (worker := self._free()) is not None and (sequence := self._take()) is not None:
            self._give(worker, sequence)

    def _free(self) -> LiveWorker | None:
        """The member that has waited longest of those who have a free hand."""
        for worker in self._here:
            room = worker.prefetch is None or self._automatic or worker.unacked < worker.prefetch
            if room and not worker.is_silent:
                return worker
        return None

    def _take(self) -> int | None:
        """The sequence number of the next message: what is given again first, then what is new."""
        kept = self.kept
        while self._again:
            sequence = self._again.popleft()
            pending = self._pending.get(sequence)
            if pending is not None and pending.waits:
                if sequence >= kept.first:
                    return sequence
                self._end("expired", sequence)
        if len(self._pending) >= self.terms.max_ack_pending:
            return None
        if self._chosen:
            return self._chosen.popleft()
        self._next = max(self._next, kept.first)
        while self._next < kept.end:
            self._next += 1
            if self.wants(kept.subject(self._next - 1)):
                return self._next - 1
        return None

    def _give(self, worker: LiveWorker, sequence: int) -> None:
        """Hand a message to a member, and expect its acknowledgement within the ack wait."""
        self._here.remove(worker)
        self._here.append(worker)
        event, place, now = self.kept.event(sequence), self.broker.name, self.world.now
        pending = self._pending.setdefault(sequence, Pending(event))
        pending.count, pending.waits = pending.count + 1, False
        delivery = Delivery(event, place, sequence, pending.count, worker, True)
        if self._automatic:
            del self._pending[sequence]
            worker.push(delivery)
            self.world.record(now, worker.codes(place).acked, event, sequence)
            return
        worker.unacked += 1
        heappush(self._deadlines, (now + self._wait_s(pending.count), sequence, pending.count))
        self._arm()
        worker.push(delivery)

    def _wait_s(self, count: int) -> float:
        """How long to wait for the acknowledgement of this delivery; a backoff takes the place of the ack wait."""
        backoff_s = self.terms.backoff_s
        return backoff_s[min(count, len(backoff_s)) - 1] if backoff_s else self.terms.ack_wait_s

    # ---------------------------------------------------------------- answers

    def ack(self, delivery: Delivery) -> None:
        """This message is dealt with, whichever of its deliveries it is that was acknowledged."""
        broker = self.broker
        if broker.frozen:
            broker.hold(self.ack, delivery)
            return
        self._let_go(delivery)
        if broker.up and self._pending.pop(delivery.number, None) is not None:
            code = delivery.worker.codes(delivery.place).acked
            self.world.record(self.world.now, code, delivery.event, delivery.number)
        self.pump()

    def nack(self, delivery: Delivery, requeue: bool) -> None:
        """Give it again (nak), after what is on its way already; or never again (term)."""
        if self.broker.frozen:
            self.broker.hold(lambda told: self.nack(*told), (delivery, requeue))
            return
        self._let_go(delivery)
        pending = self._pending.get(delivery.number)
        if pending is None or not self.broker.up or pending.count != delivery.attempt or pending.waits:
            self.pump()
        elif not requeue:
            self._end("rejected", delivery.number)
            self.pump()
        else:
            self._fail(delivery.number, at_once=False)

    def _let_go(self, delivery: Delivery) -> None:
        """The member has a hand free again."""
        worker = delivery.worker
        if delivery.entry and delivery.epoch == worker.epoch:
            worker.unacked -= 1
        delivery.entry = False

    def _fail(self, sequence: int, at_once: bool = True) -> None:
        """A delivery was in vain: the message will be given again, unless it has been often enough."""
        pending, most = self._pending[sequence], self.terms.max_deliver
        if most is not None and pending.count >= most:
            self._end("exhausted", sequence)
            self.pump()
            return
        pending.waits = True
        self.world.record(self.world.now, self._codes["requeued"], pending.event, sequence)
        if not at_once:
            self.pump()
        self._again.append(sequence)
        self.pump()

    def _end(self, step: str, sequence: int) -> None:
        """This message will not be given again."""
        pending = self._pending.pop(sequence)
        self.world.record(self.world.now, self._codes[step], pending.event, sequence)

    # ---------------------------------------------------------------- time

    def _arm(self) -> None:
        """Be woken at the next deadline."""
        if self._deadlines and self._deadlines[0][0] < self._alarm_at:
            self._alarm_at = self._deadlines[0][0]
            self.world.plan_at(self._alarm_at, self._ring, self._alarm_at)

    def _ring(self, alarm_at: float) -> None:
        if alarm_at == self._alarm_at:
            self._alarm_at = inf
            if self.broker.up:
                self.revive()

    def revive(self) -> None:
        """Look for deliveries that nobody has acknowledged in time, and go on."""
        now, deadlines = self.world.now, self._deadlines
        while deadlines and deadlines[0][0] <= now:
            _, sequence, count = heappop(deadlines)
            pending = self._pending.get(sequence)
            if pending is not None and pending.count == count and not pending.waits:
                self._fail(sequence)
        while deadlines and deadlines[0][1] not in self._pending:
            heappop(deadlines)
        self._arm()
        self.pump()

    def miss(self, first: int) -> None:
        """Retention is about to delete what comes before this sequence number; what waits there is gone."""
        for sequence in [*(n for n in self._chosen if n < first), *range(max(self._next, 1), first)]:
            if sequence >= self.kept.first and self._next and self.wants(self.kept.subject(sequence)):
                code, event = self._codes["expired"], self.kept.event(sequence)
                self.world.record(self.world.now, code, event, sequence)
        self._chosen = deque(n for n in self._chosen if n >= first)
        self._next = max(self._next, first) if self._next else 0

    # ---------------------------------------------------------------- members come and go

    def gone(self, worker: LiveWorker) -> None:
        """A member has died. What it had in hand comes back when its ack wait is over, not before."""
        if worker in self._here:
            self._here.remove(worker)
        worker.unacked = 0

    left = gone

    def heard(self, worker: LiveWorker) -> None:
        """A member asks for messages again."""
        self.pump()
