"""The retry storm as a figure: what it says follows from the numbers."""

from __future__ import annotations

import pytest

from evsim.history import History
from evsim.lab.scenario import Scenario
from evsim.laws import Exponential
from evsim.patterns.retry import Backoff, Retry
from evsim.sim.calling import Calling
from evsim.sim.profile import Spike
from evsim.sim.publisher import Publisher
from evsim.sim.service import Service
from evsim.view.plots import storm


def _run(load, attempts):
    retry = Retry(attempts, Backoff(0.0, 1, 0.0, "none"))
    return Scenario(
        Publisher(
            "shop", to="bank", rate=Spike(load, 180, at_s=20, for_s=6), calling=Calling(timeout_s=1.0, retry=retry)
        ),
        Service("bank", service_s=Exponential(0.01), workers=1),
    ).run(120, seed=3)


def test_a_storm_that_stays_is_told_with_its_numbers():
    figure = _run(80, 4).storm()
    assert "the trouble stayed" in figure.claim
    assert figure.facts["capacity"] == "100/s"
    assert float(figure.facts["attempts"].split()[0]) > 3


def test_a_storm_that_passes_is_told_too():
    figure = _run(30, 2).storm()
    assert "came and went" in figure.claim


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_can_be_drawn(theme):
    assert _run(80, 4).storm().png(theme)[:4] == b"\x89PNG"


def test_an_empty_history_says_so():
    assert "Nobody asked" in storm(History()).claim
