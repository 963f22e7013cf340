"""SimPy's own tests, played in our World: whoever asks for a simpy.Environment gets one of ours."""

import pytest
import simpy

from evsim.sim.world import World


@pytest.fixture(autouse=True)
def _every_environment_is_a_world(monkeypatch):
    monkeypatch.setattr(simpy, "Environment", World)
    monkeypatch.setattr(simpy.core, "Environment", World)


@pytest.fixture
def env():
    return World()


@pytest.fixture
def log():
    return []


def pytest_collection_modifyitems(items):
    for item in items:
        if item.name == "test_exception_chaining":
            reason = "compares file names of a traceback; see test_in_simpys_place.py"
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
