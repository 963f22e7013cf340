"""How fast is publishing that waits for confirmations, as a ratio against idiomatic SimPy in the same process."""

from __future__ import annotations

import statistics
import time

import numpy as np
import pytest
from idiomatic import LINK_S
from idiomatic_confirms import Confirms

from evsim.history import History
from evsim.laws import Exponential
from evsim.sim.broker.log import Log
from evsim.sim.network import Link
from evsim.sim.publisher import Publisher
from evsim.sim.world import World

pytestmark = pytest.mark.benchmark

ROUNDS = 9
UNTIL_S = 20.0
RATE = 500.0


def idiomatic(seed: int) -> tuple[float, float]:
    model = Confirms(seed, RATE)
    began = time.process_time()
    model.env.run(until=UNTIL_S)
    took = time.process_time() - began
    return len(model.latencies) / took, statistics.fmean(model.latencies)


def ours(seed: int) -> tuple[float, float, History]:
    publishers = [Publisher(f"shop{n}", to="orders", rate=RATE, acks="all", max_in_flight=5) for n in "abcd"]
    links = [Link(publisher.name, "orders", delay_s=Exponential(LINK_S)) for publisher in publishers]
    world = World(seed=seed)
    world.build([*publishers, *links, Log("orders", partitions=8)])
    began = time.process_time()
    world.run(until=UNTIL_S)
    took = time.process_time() - began
    history = world.history
    published, confirmed = history.of("published"), history.of("confirmed")
    sent = np.zeros(history.event_count)
    sent[published.event] = published.time
    return len(confirmed) / took, float((confirmed.time - sent[confirmed.event]).mean()), history


def test_publish_to_confirm_is_at_least_two_and_a_half_times_as_fast_as_idiomatic_simpy(capsys):
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
        print(f"\n  publish to confirm, acks=all, {ROUNDS} interleaved rounds of {history.event_count} messages")
        print(f"  idiomatic SimPy, latencies only  {theirs:>10,.0f} messages/s")
        print(f"  evsim, full history              {ours_s:>10,.0f} messages/s")
        print(f"  ratio  median {statistics.median(ratios):.2f}  (from {min(ratios):.2f} to {max(ratios):.2f})")
        print(f"  mean latency  {their_mean:.2f} ms and {our_mean:.2f} ms")
    assert our_mean == pytest.approx(their_mean, rel=0.05)
    assert statistics.median(ratios) >= 2.5
