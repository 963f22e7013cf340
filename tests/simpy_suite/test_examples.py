"""SimPy's own example programs print in our World what they print in SimPy."""

import runpy
from pathlib import Path

import pytest
import simpy

from evsim.sim.world import World

EXAMPLES = sorted((Path(__file__).parent / "suite" / "examples").glob("*.py"))


def test_the_suite_plays_in_our_world(env):
    assert isinstance(env, World)
    assert isinstance(simpy.Environment(), World)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_program_prints_what_simpy_says_it_prints(example, capsys):
    runpy.run_path(str(example), run_name="__main__")
    assert capsys.readouterr().out == example.with_suffix(".out").read_text()
