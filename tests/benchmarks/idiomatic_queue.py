"""A queue with competing consumers, as one would write it with SimPy alone: a process for each message.

Links of 1 ms that keep order; the queue is a ``Store``; each consumer has a ``Resource`` of ten places (prefetch), a
feeder that takes a message as soon as a place is free, and a worker. An acknowledgement travels back and frees the
place. It keeps latencies only.
"""

from __future__ import annotations

import random

import simpy
from idiomatic import Way


class Tasks:
    """The whole model; run it with ``tasks.env.run(until=...)``."""

    def __init__(self, seed: int, rate: float, service_s: float, publishers: int = 4, consumers: int = 8) -> None:
        self.env = simpy.Environment()
        self.seed, self.rate, self.service_s = seed, rate, service_s
        self.queue = simpy.Store(self.env)
        self.published = self.acked = 0
        self.latencies: list[float] = []
        for number in range(publishers):
            self.env.process(self.publisher(number))
        for number in range(consumers):
            places, hand = simpy.Resource(self.env, capacity=10), simpy.Store(self.env)
            self.env.process(self.feeder(number, places, hand))
            self.env.process(self.worker(number, hand))

    def publisher(self, number: int):
        chance, way = random.Random(f"{self.seed} publisher {number}"), Way(self.env, f"{self.seed} there {number}")
        while True:
            yield self.env.timeout(chance.expovariate(self.rate))
            self.published += 1
            self.env.process(self.message(way, self.env.now))

    def message(self, way: Way, published_at: float):
        yield self.env.timeout(way.delay())
        yield self.queue.put(published_at)

    def feeder(self, number: int, places: simpy.Resource, hand: simpy.Store):
        way = Way(self.env, f"{self.seed} out {number}")
        while True:
            place = places.request()
            yield place
            published_at = yield self.queue.get()
            self.env.process(self.push(way, hand, (published_at, places, place)))

    def push(self, way: Way, hand: simpy.Store, delivery: tuple):
        yield self.env.timeout(way.delay())
        yield hand.put(delivery)

    def worker(self, number: int, hand: simpy.Store):
        chance, back = random.Random(f"{self.seed} worker {number}"), Way(self.env, f"{self.seed} back {number}")
        while True:
            published_at, places, place = yield hand.get()
            yield self.env.timeout(chance.expovariate(1 / self.service_s))
            self.latencies.append(self.env.now - published_at)
            self.env.process(self.ack(back, places, place))

    def ack(self, way: Way, places: simpy.Resource, place: simpy.resources.resource.Request):
        yield self.env.timeout(way.delay())
        places.release(place)
        self.acked += 1
