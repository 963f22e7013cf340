"""Faults that cannot be as they are planned are refused before the run, with the fix."""

import pytest

from evsim import BadScenario, Consumer, Crash, Drop, Log, Partition, Pause, Publisher, Scenario


def shop(*faults):
    return Scenario(
        Publisher("shop", to="orders", rate=10), Log("orders"), Consumer("billing", of="orders", members=2), *faults
    )


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ([Crash("billing", at_s=5, down_s=10), Crash("billing", at_s=8)], "down until 15 s already.*strike at 15"),
        ([Crash("billing", at_s=8), Crash("billing", at_s=5, down_s=10)], "down until 15 s already.*strike at 15"),
        ([Pause("billing", at_s=5, for_s=10), Crash("billing", at_s=8)], "paused until 15 s already"),
        ([Crash("billing", at_s=5, down_s=None), Pause("billing", at_s=8, for_s=1)], "never comes back.*down_s"),
        ([Pause("orders", at_s=5, for_s=1), Pause("orders", at_s=5, for_s=2)], "paused until 6 s already"),
    ],
)
def test_what_is_down_already_cannot_be_struck(faults, said):
    with pytest.raises(BadScenario, match=said):
        shop(*faults).run(60, seed=1)


@pytest.mark.parametrize(
    "faults",
    [
        [Crash("billing", at_s=5, down_s=10), Crash("billing", at_s=15)],
        [Crash("billing-1", at_s=5, down_s=10), Crash("billing-2", at_s=8)],
        [Crash("billing", at_s=5), Crash("billing", after="handled", nth=3)],
        [Partition("orders", "billing", at_s=5, for_s=9), Partition("orders", "billing", at_s=6, for_s=1)],
    ],
)
def test_what_can_be_is_run(faults):
    assert shop(*faults).run(20, seed=1).history.of("published").rows.size


@pytest.mark.parametrize(
    "fault", [Crash("billing", at_s=61), Drop("shop", "orders", at_s=100), Pause("orders", at_s=60.5, for_s=1)]
)
def test_what_would_begin_after_the_end_is_refused(fault):
    with pytest.raises(BadScenario, match=r"the run ends at 60 s; run longer, or let it begin earlier"):
        shop(fault).run(60, seed=1)
    assert shop(fault).start(seed=1).run_until(10).finish()


def test_the_problems_of_a_file_are_told_with_the_line(tmp_path):
    scenario = shop(Crash("billing", at_s=5, down_s=10)).to_yaml()
    twice = scenario.rstrip() + "\n- kind: crash\n  part: billing\n  at_s: 7\n"
    with pytest.raises(BadScenario, match="down until 15 s already"):
        Scenario.from_yaml(twice).run(60, seed=1)
