"""Publishers that wait for a confirmation, as one would write them with SimPy alone: a process for each message.

Links of 1 ms that keep order, a ``Store`` and a broker process for each of eight partitions; a message's process
travels, puts itself in the store, waits until the broker has appended it, and travels back. A ``Resource`` of five
keeps no more than five of a publisher's messages on their way. It keeps latencies only.
"""

from __future__ import annotations

import random

import simpy
from idiomatic import Way


class Confirms:
    """The whole model; run it with ``confirms.env.run(until=...)``."""

    def __init__(self, seed: int, rate: float, publishers: int = 4, partitions: int = 8) -> None:
        self.env = simpy.Environment()
        self.seed, self.rate = seed, rate
        self.logs: list[list[float]] = [[] for _ in range(partitions)]
        self.inboxes = [simpy.Store(self.env) for _ in range(partitions)]
        self.latencies: list[float] = []
        for number in range(publishers):
            self.env.process(self.publisher(number))
        for number in range(partitions):
            self.env.process(self.broker(number))

    def publisher(self, number: int):
        chance = random.Random(f"{self.seed} publisher {number}")
        there, back = Way(self.env, f"{self.seed} there {number}"), Way(self.env, f"{self.seed} back {number}")
        slots = simpy.Resource(self.env, capacity=5)
        while True:
            yield self.env.timeout(chance.expovariate(self.rate))
            self.env.process(self.message(slots, there, back, chance.randrange(len(self.logs))))

    def message(self, slots: simpy.Resource, there: Way, back: Way, partition: int):
        published_at = self.env.now
        with slots.request() as slot:
            yield slot
            yield self.env.timeout(there.delay())
            stored = self.env.event()
            yield self.inboxes[partition].put(stored)
            yield stored
            yield self.env.timeout(back.delay())
        self.latencies.append(self.env.now - published_at)

    def broker(self, partition: int):
        while True:
            stored = yield self.inboxes[partition].get()
            self.logs[partition].append(self.env.now)
            stored.succeed()
