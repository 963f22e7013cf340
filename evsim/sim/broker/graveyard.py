"""How a message ends that was not acknowledged: recorded, and put into a dead letter place where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evsim.sim.broker.entries import Deaths, Entry
    from evsim.sim.broker.queue import LiveQueue

REASONS = {"expired": "expired", "overflowed": "maxlen", "rejected": "rejected", "exhausted": "delivery_limit"}
"""AMQP's words for the ways to die (x-first-death-reason)."""


class Graveyard:
    """The end of the messages of one queue."""

    def __init__(self, queue: LiveQueue) -> None:
        self.queue, self.world = queue, queue.world

    def bury(self, entry: Entry, step: str) -> None:
        """Record the end, and forward to the dead letter place."""
        self._note(step, entry)
        if self.queue.value.dead_letter is not None:
            self.forward(entry, step)

    def lose(self, entry: Entry) -> None:
        """It was in memory only, and the memory is gone."""
        self._note("lost", entry)

    def _note(self, step: str, entry: Entry) -> None:
        queue = self.queue
        code = self.world.history.code(step, queue.name, queue.name)
        self.world.record(self.world.now, code, entry.event, entry.number)

    def forward(self, entry: Entry, step: str) -> None:
        """Publish it to the dead letter place, with the count of its deaths; not into a circle without a rejection.

        RabbitMQ drops a message that has come round to a queue it died in before, unless somebody rejected it on the
        way (https://www.rabbitmq.com/docs/dlx, "Automatically Dead Lettered Message Cycles").
        """
        queue, target = self.queue, self.queue.value.dead_letter
        if target is None:
            return
        deaths = dict(entry.deaths)
        spot = (queue.name, REASONS[step])
        deaths[spot] = deaths.pop(spot, 0) + 1
        if goes_round(target, deaths):
            return
        code = self.world.history.code("dead_lettered", queue.name, target)
        self.world.record(self.world.now, code, entry.event, entry.number)
        self._publish(entry, self.world.find(target), deaths)

    def _publish(self, entry: Entry, target: Any, deaths: Deaths) -> None:
        key = self.queue.value.dead_letter_routing_key
        message = entry.message.but(expiration_s=None, mandatory=False, delay_s=None)
        if key is not None:
            message = message.but(routing_key=key)
        if hasattr(target, "put"):
            target.put(entry.event, message, deaths)
        else:
            target.chooser(self.queue.name, None)(*self.world.history.key_parts(entry.event))(entry.event)


def goes_round(target: str, deaths: Deaths) -> bool:
    """Whether a message that has died so, the latest death last, is in a circle in which nobody has rejected it."""
    for queue, reason in reversed(deaths):
        if reason == "rejected":
            return False
        if queue == target:
            return True
    return False
