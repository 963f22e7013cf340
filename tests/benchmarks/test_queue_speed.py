"""How fast is a queue from publishing to acknowledging, as a ratio against idiomatic SimPy in the same process."""

from __future__ import annotations

import statistics
import time

import numpy as np
import pytest
from idiomatic import LINK_S
from idiomatic_queue import Tasks

from evsim.history import History
from evsim.laws import Exponential
from evsim.sim.broker.queue import Queue
from evsim.sim.consumer import Consumer
from evsim.sim.network import Link
from evsim.sim.publisher import Publisher
from evsim.sim.world import World

pytestmark = pytest.mark.benchmark

ROUNDS = 9
UNTIL_S = 20.0
RATE = 500.0
SERVICE_S = 0.0025


def idiomatic(seed: int) -> tuple[float, float]:
    model = Tasks(seed, RATE, SERVICE_S)
    began = time.process_time()
    model.env.run(until=UNTIL_S)
    took = time.process_time() - began
    return model.acked / took, statistics.fmean(model.latencies)


def ours(seed: int) -> tuple[float, float, History]:
    publishers = [Publisher(f"shop{n}", to="tasks", rate=RATE) for n in "abcd"]
    links = [Link(publisher.name, "tasks", delay_s=Exponential(LINK_S)) for publisher in publishers]
    world = World(seed=seed)
    world.build(
        [
            *publishers,
            *links,
            Link("tasks", "billing", delay_s=Exponential(LINK_S)),
            Queue("tasks"),
            Consumer("billing", of="tasks", members=8, prefetch=10, service_s=Exponential(SERVICE_S)),
        ]
    )
    began = time.process_time()
    world.run(until=UNTIL_S)
    took = time.process_time() - began
    history = world.history
    published, handled, acked = history.of("published"), history.of("handled"), history.of("acked")
    sent = np.zeros(history.event_count)
    sent[published.event] = published.time
    return len(acked) / took, float((handled.time - sent[handled.event]).mean()), history


def test_publish_to_ack_through_a_queue_is_at_least_twice_as_fast_as_idiomatic_simpy(capsys):
    ratios, speeds, means = [], [], []
    for seed in range(ROUNDS):
        theirs, their_mean = idiomatic(seed)
        speed, our_mean, history = ours(seed)
        ratios.append(speed / theirs)
        speeds.append((theirs, speed))
        means.append((their_mean, our_mean))
    theirs, ours_s = (statistics.median(column) for column in zip(*speeds, strict=True))
    their_mean, our_mean = (1000 * np.mean(column) for column in zip(*means, strict=True))
    with capsys.disabled():
        print(f"\n  a queue, publish to ack, {ROUNDS} interleaved rounds of {history.event_count} messages")
        print(f"  idiomatic SimPy, latencies only  {theirs:>10,.0f} messages/s")
        print(f"  evsim, full history              {ours_s:>10,.0f} messages/s")
        print(f"  ratio  median {statistics.median(ratios):.2f}  (from {min(ratios):.2f} to {max(ratios):.2f})")
        print(f"  mean latency  {their_mean:.2f} ms and {our_mean:.2f} ms")
    assert our_mean == pytest.approx(their_mean, rel=0.05)
    assert statistics.median(ratios) >= 2.0
