"""The order shop as one would write it with SimPy alone: the model that evsim is measured against.

Four publishers, a log of eight partitions, exponential links of 1 ms that keep order, eight members with one partition
each, crashes and restarts, offsets committed on a timer, duplicates after a crash. A process for each message on its
way, a ``Store`` for each partition's waiting events, ``interrupt`` for a crash: as SimPy's own examples do it. It keeps
latencies and counts only; evsim keeps its whole history.
"""

from __future__ import annotations

import random

import simpy

LINK_S = 0.001


class Way:
    """A link that delays each message and keeps order."""

    def __init__(self, env: simpy.Environment, seed: str) -> None:
        self.env, self.random, self.last = env, random.Random(seed), 0.0

    def delay(self) -> float:
        """How long the next message takes."""
        self.last = max(self.last, self.env.now + self.random.expovariate(1 / LINK_S))
        return self.last - self.env.now


class Shop:
    """The whole model; run it with ``shop.env.run(until=...)``."""

    def __init__(
        self, seed: int, rate: float, service_s: float, commit_s: float, crashes: dict[int, list[float]], down_s: float
    ) -> None:
        self.env = simpy.Environment()
        self.seed, self.rate, self.service_s, self.commit_s = seed, rate, service_s, commit_s
        self.partitions: list[list[float]] = [[] for _ in range(8)]
        self.waiting = [simpy.Store(self.env) for _ in range(8)]
        self.committed = [0] * 8
        self.latencies: list[float] = []
        self.seen: set[tuple[int, int]] = set()
        self.duplicates = 0
        self.published = 0
        for number in range(4):
            self.env.process(self.publisher(number))
        for number in range(8):
            member = self.env.process(self.member(number))
            self.env.process(self.failures(number, member, crashes.get(number, []), down_s))

    def publisher(self, number: int):
        chance = random.Random(f"{self.seed} publisher {number}")
        way = Way(self.env, f"{self.seed} way {number}")
        while True:
            yield self.env.timeout(chance.expovariate(self.rate))
            self.published += 1
            self.env.process(self.travel(way, chance.randrange(8), self.env.now))

    def travel(self, way: Way, partition: int, published_at: float):
        yield self.env.timeout(way.delay())
        self.partitions[partition].append(published_at)
        yield self.waiting[partition].put(published_at)

    def member(self, number: int):
        chance = random.Random(f"{self.seed} member {number}")
        way = Way(self.env, f"{self.seed} fetch {number}")
        log, store, taken = self.partitions[number], self.waiting[number], 0
        while True:
            reached = [self.committed[number]]
            committer = self.env.process(self.committer(number, reached))
            try:
                while True:
                    position = reached[0]
                    if position < taken:
                        published_at = log[position]  # again, after a crash
                    else:
                        request = store.get()
                        try:
                            published_at = yield request
                        finally:
                            taken += request.triggered
                            request.cancel()
                    yield self.env.timeout(way.delay())
                    yield self.env.timeout(chance.expovariate(1 / self.service_s))
                    if (number, position) in self.seen:
                        self.duplicates += 1
                    else:
                        self.seen.add((number, position))
                        self.latencies.append(self.env.now - published_at)
                    reached[0] += 1
            except simpy.Interrupt as crash:
                if committer.is_alive:
                    committer.interrupt()
                yield self.env.timeout(crash.cause)

    def committer(self, number: int, reached: list[int]):
        try:
            while True:
                yield self.env.timeout(self.commit_s)
                self.committed[number] = reached[0]
        except simpy.Interrupt:
            return

    def failures(self, number: int, member: simpy.Process, times: list[float], down_s: float):
        for at_s in times:
            yield self.env.timeout(at_s - self.env.now)
            member.interrupt(down_s)
