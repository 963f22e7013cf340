"""Our World in SimPy's place: SimPy's example programs print in it what they print in SimPy."""

import runpy
import traceback
from pathlib import Path

import pytest
import simpy

from evsim.sim.world import World

EXAMPLES = sorted((Path(__file__).parent / "tests" / "examples").glob("*.py"))


def test_the_suite_plays_in_our_world(env):
    assert isinstance(env, World)
    assert isinstance(simpy.Environment(), World)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_program_prints_what_simpy_says_it_prints(example, capsys):
    runpy.run_path(str(example), run_name="__main__")
    assert capsys.readouterr().out == example.with_suffix(".out").read_text()


def test_a_failure_arrives_with_the_chain_of_its_causes(env):
    def child():
        yield env.timeout(1)
        raise RuntimeError("foo")

    def parent():
        yield env.process(child())

    env.process(parent())
    with pytest.raises(RuntimeError, match="foo") as caught:
        env.run()
    assert [told(cause) for cause in causes(caught.value)] == ["run", "parent", "child"]


def causes(problem):
    while problem is not None:
        yield problem
        problem = problem.__cause__


def told(problem):
    """The function of the traceback that speaks to the reader: the first that is not this test."""
    frames = [frame.name for frame in traceback.extract_tb(problem.__traceback__)]
    return next(name for name in frames if not name.startswith("test_"))
