"""An outage: what piles up, and how long it takes until it is worked off."""

from __future__ import annotations

from statistics import fmean

import pytest
from shops import run

from evsim.laws import Exponential
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Pause
from evsim.sim.publisher import Publisher
from evsim.view import measures
from evsim.view.theory import outage_backlog, outage_drain_s


@pytest.mark.parametrize(("rate", "speed", "down_s"), [(80, 100, 60), (40, 100, 90), (60, 80, 40)])
def test_a_backlog_grows_with_the_rate_and_drains_with_what_is_left_of_the_speed(rate, speed, down_s):
    """Peak λD, drained in λD/(μ-λ): 4 800 events and 240 s for a minute at 80 of 100 a second."""
    peaks, drains = [], []
    for seed in range(6):
        history = run(
            Publisher("shop", to="orders", rate=rate),
            Log("orders"),
            Consumer("billing", of="orders", service_s=Exponential(1 / speed), session_timeout_s=1000),
            Pause("billing", at_s=50, for_s=down_s),
            until_s=60 + 1.4 * (down_s + outage_drain_s(rate, speed, down_s)),
            seed=seed,
        )
        series = measures.backlog(history, "billing")
        peaks.append(float(series.values.max()))
        back_s = 50 + down_s
        usual = rate / (speed - rate)  # the mean number in M/M/1
        after = (series.edges[:-1] >= back_s) & (series.values <= usual)
        drains.append(float(series.edges[:-1][after][0]) - back_s)
    assert fmean(peaks) == pytest.approx(outage_backlog(rate, down_s), rel=0.03)
    assert fmean(drains) == pytest.approx(outage_drain_s(rate, speed, down_s), rel=0.08)
