"""The judges of notebook 16 let good answers pass and say what is wrong with others."""

from __future__ import annotations

import pytest

from evsim import classroom
from evsim.patterns.retry import Backoff, Retry


@pytest.mark.parametrize(
    ("every", "state", "saw"),
    [
        (11, "held", ""),
        (8, "held", ""),
        (16, "held", ""),
        (1, "broken", "for writing"),
        (100, "broken", "for loading"),
        (0, "broken", "my_interval = 0"),
        (9.5, "broken", "my_interval = 9.5"),
    ],
)
def test_an_interval_is_judged_by_its_cost(every, state, saw):
    outcome = classroom.check("16.1", every)
    assert (outcome.state, saw in outcome.saw) == (state, True), outcome


@pytest.mark.parametrize(
    ("retry", "state", "saw"),
    [
        (Retry(100, Backoff(0.5, 1, 1.0)), "held", ""),
        (Retry(1000, Backoff(0.2, 2, 1.0)), "held", ""),
        (Retry(1000, Backoff(0.0, 1, 0.0, "none")), "broken", "210 attempts"),
        (Retry(1000, Backoff(0.05, 2, 1.0)), "broken", "attempts on average"),
        (Retry(1000, Backoff(4.0, 1, 4.0)), "broken", "the last machine was done after"),
        (Retry(1000, Backoff(0.05, 2, 1.0, "none")), "broken", "the last machine was done after"),
        (Retry(2, Backoff(0.5, 1, 1.0)), "broken", "of 20 withdrawals were stored"),
        (0.5, "broken", "my_retry = 0.5"),
    ],
    ids=["spread", "doubling with jitter", "at once", "too narrow", "too wide", "no jitter", "too few", "no policy"],
)
def test_a_retry_is_judged_by_its_attempts_and_its_time(retry, state, saw):
    outcome = classroom.check("16.2", retry)
    assert (outcome.state, saw in outcome.saw) == (state, True), outcome


CODE, START, FEE = 2, 1000, 1


def _replayed(balance, events):
    return balance - sum(event.data["amount"] + FEE for event in events)


def right(read, snapshot):
    if snapshot is None or snapshot["code"] != CODE:
        return _replayed(START, read(0))
    return _replayed(snapshot["balance"], read(snapshot["upto"] + 1))


def credulous(read, snapshot):
    return _replayed(START, read(0)) if snapshot is None else _replayed(snapshot["balance"], read(snapshot["upto"] + 1))


@pytest.mark.parametrize(
    ("load", "state", "saw"),
    [
        (right, "held", ""),
        (credulous, "broken", "'code': 1"),
        (lambda read, snapshot: _replayed(START, read(0)), "broken", "are enough"),
        (lambda read, snapshot: _replayed(snapshot["balance"], read(snapshot["upto"])) if snapshot else
            _replayed(START, read(0)), "broken", "the balance is"),
    ],
    ids=["right", "believes old snapshots", "reads everything", "counts one twice"],
)  # fmt: skip
def test_a_load_is_judged_by_its_balance_and_by_what_it_reads(load, state, saw):
    outcome = classroom.check("16.3", load)
    assert (outcome.state, saw in outcome.saw) == (state, True), outcome
