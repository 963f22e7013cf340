"""The judges of notebook 07 let good answers pass and say what is wrong with others."""

from __future__ import annotations

import pytest

from evsim import classroom


@pytest.mark.parametrize(
    ("group", "state", "saw"),
    [
        ({"partitions": 36, "members": 8}, "held", ""),
        ({"partitions": 12, "members": 12}, "held", ""),
        ({"partitions": 48, "members": 16}, "broken", "cost 112, and you have 80"),
        ({"partitions": 6, "members": 6}, "broken", "s behind with 6 partitions"),
        ({"partitions": 48, "members": 5}, "broken", "s behind with 48 partitions and 5 members"),
        ({"partitions": 0, "members": 5}, "broken", "0 partitions"),
        ({"partitions": True, "members": 5}, "broken", "True partitions"),
        ({"partitions": 8}, "broken", "my_group = "),
    ],
    ids=["few busy members", "one each", "all one can get", "too coarse", "too few hands", "none", "yes", "half"],
)
def test_a_group_is_judged_by_how_far_it_falls_behind_and_what_it_costs(group, state, saw):
    outcome = classroom.check("07.1", group)
    assert (outcome.state, saw in outcome.saw) == (state, True), outcome


@pytest.mark.parametrize(
    ("ceiling", "state"),
    [
        (lambda counts, speed: speed * sum(counts.values()) / max(counts.values()), "held"),
        (lambda counts, speed: speed * len(counts), "broken"),
        (lambda counts, speed: 0.5 * speed * sum(counts.values()) / max(counts.values()), "broken"),
        (lambda counts, speed: None, "broken"),
    ],
    ids=["one over the share of the fullest", "as many as partitions", "too careful", "nothing"],
)
def test_a_ceiling_is_judged_by_runs_below_and_above_it(ceiling, state):
    assert classroom.check("07.2", ceiling).state == state
