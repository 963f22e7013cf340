"""The hello world against the theory of queues, and the crash against its formula: over seeds, with honest margins."""

from __future__ import annotations

import math

import numpy as np
import pytest

from evsim.lab.catalog import CATALOG
from evsim.laws import Erlang, Exponential, Gamma
from evsim.view import measures

HELLO = CATALOG["hello"]
SEEDS = range(1, 21)
UNTIL_S = 3000.0
"""Long enough: 1.2 million orders over the twenty seeds, where the mean is known to about one per cent."""


@pytest.fixture(scope="module")
def sojourns():
    runs = (HELLO.run(until_s=UNTIL_S, seed=seed) for seed in SEEDS)
    return [measures.latencies(run.history) for run in runs]


def test_the_mean_sojourn_time_is_that_of_m_m_1_within_three_per_cent(sojourns):
    mean = float(np.mean([times.mean() for times in sojourns]))
    assert mean == pytest.approx(1 / (1 / 0.03 - 20), rel=0.03)


def test_the_99th_percentile_is_that_of_m_m_1_within_five_per_cent(sojourns):
    percentile = float(np.mean([measures.percentile(times, 0.99) for times in sojourns]))
    assert percentile == pytest.approx(-math.log(0.01) / (1 / 0.03 - 20), rel=0.05)


@pytest.mark.parametrize(("law", "scv"), [(Erlang(0.03, 4), 0.25), (Gamma(0.03, 2.0), 2.0), (Exponential(0.03), 1.0)])
def test_the_mean_wait_follows_pollaczek_and_khinchine(law, scv):
    shop = HELLO.replace("billing", service_s=law)
    waits = [measures.waits(shop.run(until_s=1500, seed=seed).history).mean() for seed in SEEDS]
    load = 20 * 0.03
    assert np.mean(waits) == pytest.approx(load / (1 - load) * (1 + scv) / 2 * 0.03, rel=0.04)


def test_littles_law_holds_in_every_run():
    for name, scenario in CATALOG.items():
        assert scenario.run(until_s=120, seed=11).summary()["littles_law"] in {True, None}, name
