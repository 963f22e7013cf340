"""What sagas do to each other between their steps, and which cure helps against what."""

from __future__ import annotations

from functools import cache

import pytest

from evsim.lab.isolation import CURES, Anomalies, anomalies, buyers
from evsim.view.sagas import saga_numbers

SEEDS = range(5)


@cache
def total(cure):
    runs = [buyers(cure).run(60, seed=seed) for seed in SEEDS]
    for run in runs:
        numbers = saga_numbers(run.history)
        assert numbers.completed + numbers.compensated == numbers.begun == 40, "every saga is correct by itself"
    found = [anomalies(run.history) for run in runs]
    return Anomalies(*map(sum, zip(*found, strict=True))), sum(saga_numbers(r.history).latency_s for r in runs)


def test_without_isolation_a_correct_saga_oversells():
    found, _ = total("none")
    assert found.oversold > 0
    assert found.wrong_price > 0


@pytest.mark.parametrize("cure", ["commutative update", "version check", "reread", "semantic lock"])
def test_lost_updates_are_cured(cure):
    assert total(cure)[0].oversold == 0


@pytest.mark.parametrize("cure", ["version check", "reread", "semantic lock"])
def test_fuzzy_reads_are_cured_by_whoever_looks_twice_or_holds_on(cure):
    assert total(cure)[0].wrong_price == 0
    assert total("commutative update")[0].wrong_price > 0


def test_only_a_semantic_lock_cures_dirty_reads_and_it_costs_time():
    assert total("semantic lock")[0].turned_away == 0
    assert total("commutative update")[0].turned_away > 0
    assert total("semantic lock")[1] > 5 * total("commutative update")[1]


def test_by_value_protects_the_dear_ones():
    assert total("by value")[0].dear_wrong_price == 0
    assert total("none")[0].dear_wrong_price > 0


def test_every_cure_sells_what_there_is():
    for cure in CURES:
        assert total(cure)[0].sold >= 0.95 * 20 * len(SEEDS)
