"""Every kind of broker, with a consumer that keeps what it promises: what the contract is held against."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from evsim.laws import Constant
from evsim.sim.broker.log import Log
from evsim.sim.broker.pubsub import PubSub
from evsim.sim.broker.queue import Queue
from evsim.sim.broker.stream import Stream
from evsim.sim.broker.webhook import Webhook
from evsim.sim.consumer import Consumer, Durable, Share
from evsim.sim.publisher import Publisher


class Kind(NamedTuple):
    """A broker called tasks, the settings of who consumes from it, and what it promises."""

    name: str
    broker: Any
    settings: Mapping[str, Any] = MappingProxyType({})
    keeps: bool = True
    ordered: bool = True
    pushes: bool = True

    def parts(self, *more, count=60, gap_s=0.03, **settings):
        """A shop of so many tasks, the broker, and two workers."""
        usual = {"members": 1, "service_s": Constant(0.02)}
        shop = Publisher("shop", to="tasks", gap_s=Constant(gap_s), count=count)
        return (shop, self.broker, Consumer("worker", of="tasks", **(usual | self.settings | settings)), *more)


QUICK = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)

KINDS = [
    Kind("log", Log("tasks", partitions=2), {"session_timeout_s": 3}, pushes=False),
    Kind("share group", Log("tasks", partitions=2), {"share": Share(lock_s=2)}, ordered=False),
    Kind("classic queue", Queue("tasks")),
    Kind("quorum queue", Queue("tasks", type="quorum")),
    Kind("one active consumer", Queue("tasks", single_active_consumer=True)),
    Kind("sqs", Queue("tasks", visibility_timeout_s=2), ordered=False),
    Kind("sqs fifo", Queue("tasks", visibility_timeout_s=2, fifo=True), ordered=False),
    Kind("pubsub", PubSub("tasks"), keeps=False),
    Kind("pubsub stream", PubSub("tasks", stream=True), {"durable": Durable(ack_wait_s=2)}, ordered=False),
    Kind("webhook", Webhook("tasks", schedule_s=QUICK), ordered=False),
    Kind("stream", Stream("tasks", retry_s=0.5)),
]
KEEPING = [kind for kind in KINDS if kind.keeps]
PUSHING = [kind for kind in KINDS if kind.pushes]


def named(kind):
    """How a kind is called in a list of tests."""
    return kind.name.replace(" ", "-")
