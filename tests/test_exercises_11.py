"""The judges of notebook 11 let good answers pass and say what is wrong with others."""

from __future__ import annotations

import pytest

from evsim import classroom
from evsim.patterns.retry import Backoff, Retry


@pytest.mark.parametrize(
    ("policy", "state", "saw"),
    [
        (Retry(2, Backoff(0.5), through="later"), "held", ""),
        (Retry(8, Backoff(0.5, cap_s=8, jitter="none")), "held", ""),
        (Retry(3, Backoff(0.1, jitter="none")), "broken", "good orders were given up"),
        (Retry(1000, Backoff(0.5, cap_s=2, jitter="none")), "broken", "were not handled in 180 s"),
        (Retry(14, Backoff(0.5, cap_s=8, jitter="none")), "broken", "and may be 40"),
        (Retry(2, through="latr"), "broken", "did you mean 'later'"),
        (3, "broken", "my_retry = 3"),
    ],
    ids=["a line of its own", "just long enough", "too hasty", "for ever", "too patient", "misspelt", "no policy"],
)
def test_a_policy_is_judged_by_what_it_gives_up_and_who_waits(policy, state, saw):
    outcome = classroom.check("11.1", policy)
    assert (outcome.state, saw in outcome.saw) == (state, True), outcome


@pytest.mark.parametrize(
    ("wait_s", "state"),
    [
        (lambda failures, draw: draw() * min(10.0, 0.5 * 2 ** min(failures - 1, 10)), "held"),
        (lambda failures, draw: draw() * min(10.0, 0.5 * 2 ** (failures - 1)), "broken"),
        (lambda failures, draw: min(10.0, 0.5 * 2 ** min(failures - 1, 10)), "broken"),
        (lambda failures, draw: draw() * min(10.0, 0.5 * 2 ** min(failures, 10)), "broken"),
    ],
    ids=["full jitter", "overflows", "no jitter", "one too far"],
)
def test_a_wait_is_judged_by_its_ceiling(wait_s, state):
    assert classroom.check("11.2", wait_s).state == state
