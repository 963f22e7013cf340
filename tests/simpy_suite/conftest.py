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
