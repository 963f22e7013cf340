"""What partitions are worth when keys are not equal: one over the share of the fullest, whatever their number."""

from __future__ import annotations

from collections import Counter
from statistics import fmean

import numpy as np
import pytest
from shops import run

from evsim.keys import partition_of
from evsim.laws import Constant, Zipf
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.publisher import Publisher

KEYS = 10_000


def worth(partitions, s, stem="order"):
    """The effective parallelism of these keys, by the hash of each."""
    weights = 1 / np.arange(1, KEYS + 1) ** s
    places = [partition_of(f"{stem}-{number}", partitions) for number in range(KEYS)]
    return weights.sum() / np.bincount(places, weights=weights, minlength=partitions).max()


@pytest.mark.parametrize(
    ("s", "partitions", "known"), [(1.0, 6, 4.0), (1.0, 12, 5.8), (1.0, 48, 8.4), (1.2, 48, 4.5), (0.0, 48, 41)]
)
def test_skewed_keys_make_many_partitions_worth_few(s, partitions, known):
    """Thirty draws of the hash, by thirty names for the keys."""
    assert fmean(worth(partitions, s, f"key{draw}") for draw in range(30)) == pytest.approx(known, rel=0.03)


@pytest.mark.parametrize("partitions", [12, 48, 480])
def test_no_number_of_partitions_is_worth_more_than_the_heaviest_key_allows(partitions):
    ceiling = sum(1 / number for number in range(1, KEYS + 1))
    assert ceiling == pytest.approx(9.8, abs=0.02)
    assert all(worth(partitions, 1.0, f"key{draw}") <= ceiling for draw in range(5))


@pytest.mark.parametrize("s", [0.0, 0.8, 1.0, 1.2])
@pytest.mark.parametrize("partitions", [6, 24, 48])
def test_a_run_has_the_skew_of_its_keys(s, partitions):
    history = run(
        Publisher("shop", to="orders", rate=4000, key=Zipf(KEYS, s)), Log("orders", partitions=partitions), until_s=25
    )
    stored = Counter(record.place for record in history.of("stored"))
    assert stored.total() / max(stored.values()) == pytest.approx(worth(partitions, s), rel=0.03)


@pytest.mark.parametrize(("partitions", "s"), [(12, 1.0), (24, 1.2)])
def test_beyond_the_worth_of_its_partitions_a_group_falls_behind_for_ever(partitions, s):
    def behind_s(load):
        rate = load * worth(partitions, s) / 0.02
        shop = Publisher("shop", to="orders", rate=rate, key=Zipf(KEYS, s))
        group = Consumer("billing", of="orders", members=partitions, service_s=Constant(0.02))
        history = run(shop, Log("orders", partitions=partitions), group, until_s=60)
        done = [record.event_id for record in history.of("handled")]
        return 60 * (1 - len(done) / len(history.of("published")))

    assert behind_s(0.9) < 0.5
    assert behind_s(1.3) > 2
