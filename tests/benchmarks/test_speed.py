"""How fast is the simulator, as a ratio against idiomatic SimPy in the same process: ``make bench`` prints it.

Runs of the two are interleaved and timed by the processor's clock, so that a machine that is shared or drifts is fair
to both; the median ratio counts. evsim keeps its full history of every step, the SimPy model keeps latencies and
counts only.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import numpy as np
import pytest
from idiomatic import LINK_S, Shop

from evsim.history import History
from evsim.laws import Exponential
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer, Timed
from evsim.sim.faults import Crash
from evsim.sim.network import Link
from evsim.sim.publisher import Publisher
from evsim.sim.world import World

pytestmark = pytest.mark.benchmark

ROUNDS = 9
UNTIL_S = 25.0
RATE = 500.0
SERVICE_S = 0.002
COMMIT_S = 0.1
DOWN_S = 0.5
CRASHES = {number: [5.03 + number, 14.07 + number] for number in range(8)}


def idiomatic(seed: int) -> tuple[float, int, float]:
    shop = Shop(seed, RATE, SERVICE_S, COMMIT_S, CRASHES, DOWN_S)
    began = time.process_time()
    shop.env.run(until=UNTIL_S)
    took = time.process_time() - began
    return shop.published / took, shop.duplicates, statistics.fmean(shop.latencies)


def parts() -> list:
    publishers = [Publisher(f"shop{n}", to="orders", rate=RATE, key=None) for n in "abcd"]
    links = [Link(publisher.name, "orders", delay_s=Exponential(LINK_S)) for publisher in publishers]
    return [
        *publishers,
        *links,
        Link("orders", "billing", delay_s=Exponential(LINK_S)),
        Log("orders", partitions=8),
        Consumer("billing", of="orders", members=8, service_s=Exponential(SERVICE_S), commit=Timed(COMMIT_S)),
        *(
            Crash(f"billing-{number + 1}", at_s=at_s, down_s=DOWN_S)
            for number, times in CRASHES.items()
            for at_s in times
        ),
    ]


def ours(seed: int) -> tuple[float, int, float, History]:
    world = World(seed=seed)
    world.build(parts())
    began = time.process_time()
    world.run(until=UNTIL_S)
    took = time.process_time() - began
    history = world.history
    published, handled = history.of("published"), history.of("handled")
    first = np.full(history.event_count, -1.0)
    first[handled.event[::-1]] = handled.time[::-1]
    sent = np.zeros(history.event_count)
    sent[published.event] = published.time
    done = first >= 0
    return len(published) / took, len(handled) - int(done.sum()), float((first - sent)[done].mean()), history


def test_the_order_shop_runs_at_least_two_and_a_half_times_as_fast_as_idiomatic_simpy(capsys):
    ratios, speeds, repeats, means = [], [], [], []
    for seed in range(ROUNDS):
        theirs, again, mean = idiomatic(seed)
        speed, our_again, our_mean, history = ours(seed)
        ratios.append(speed / theirs)
        speeds.append((theirs, speed))
        repeats.append((again, our_again))
        means.append((mean, our_mean))
    theirs, ours_s = (statistics.median(column) for column in zip(*speeds, strict=True))
    their_mean, our_mean = (1000 * np.mean(column) for column in zip(*means, strict=True))
    their_again, our_again = (np.mean(column) for column in zip(*repeats, strict=True))
    with capsys.disabled():
        print(f"\n  the order shop with crashes, {ROUNDS} interleaved rounds of {history.event_count} messages")
        print(f"  idiomatic SimPy, latencies only  {theirs:>10,.0f} messages/s")
        print(f"  evsim, full history              {ours_s:>10,.0f} messages/s")
        print(f"  ratio  median {statistics.median(ratios):.2f}  (from {min(ratios):.2f} to {max(ratios):.2f})")
        print(f"  mean latency  {their_mean:.2f} ms and {our_mean:.2f} ms")
        print(f"  handled again after crashes  {their_again:.0f} and {our_again:.0f} a run")
    assert our_mean == pytest.approx(their_mean, rel=0.05)
    assert statistics.median(ratios) >= 2.5


def test_import_takes_less_than_point_six_seconds(capsys):
    code = "import time; t = time.perf_counter(); import evsim; print(time.perf_counter() - t)"
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(5)
    ]
    with capsys.disabled():
        print(f"\n  import evsim  median {statistics.median(times):.3f} s of {len(times)} fresh processes")
    assert statistics.median(times) < 0.6


def test_a_message_that_passes_all_steps_takes_at_most_250_bytes(capsys):
    def act(event, ctx):
        ctx.state["seen"] = event.id

    world = World(seed=1)
    world.build(
        [
            Publisher("shop", to="orders", rate=1000),
            Log("orders", partitions=4),
            Consumer("billing", of="orders", members=4, on={"order.placed": act}),
        ]
    )
    world.run(until=20)
    history = world.history
    each = history.nbytes / history.event_count
    with capsys.disabled():
        print(f"\n  history  {each:.0f} bytes and {len(history) / history.event_count:.2f} records a message")
    assert len(history) / history.event_count > 6.99
    assert each <= 250
