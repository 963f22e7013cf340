"""Several runs in one picture: what it says follows from their numbers."""

from __future__ import annotations

import pytest

from evsim.errors import BadScenario
from evsim.history import History
from evsim.lab.scenario import Scenario
from evsim.laws import Constant
from evsim.patterns.retry import Backoff, Retry
from evsim.sim.broker.log import Log
from evsim.sim.broker.queue import Queue
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash
from evsim.sim.gray import Poison
from evsim.sim.publisher import Publisher
from evsim.view.plots import side_by_side

STUBBORN = Retry(1000, Backoff(1, 1, 1, "none"))


def _run(broker, *faults):
    return Scenario(
        Publisher("shop", to="orders", gap_s=Constant(1.0), count=40),
        broker,
        Consumer("billing", of="orders", members=2, service_s=Constant(0.1), retry=STUBBORN),
        Poison("billing", nth=10),
        *faults,
    ).run(40, seed=1)


def test_a_poison_blocks_a_log_and_not_a_queue():
    figure = side_by_side({"log": _run(Log("orders")), "queue": _run(Queue("orders"))}, "backlog", claim="So it is.")
    assert figure.facts["log"].startswith("30 at most")
    assert figure.facts["queue"].startswith("2 at most")
    assert figure.facts["faults"] == "none"


def test_attempts_are_first_ones_and_retries():
    figure = side_by_side({"log": _run(Log("orders"))}, "attempts", claim=lambda facts: facts["log"], bins=40)
    published, retried = 39, 27
    assert figure.claim.startswith(f"{published + retried} in all, 2/s at most")


def test_what_cannot_be_shown_is_refused():
    with pytest.raises(BadScenario, match="did you mean 'backlog'"):
        side_by_side({}, "backlogs", claim="")
    with pytest.raises(BadScenario, match="at most 4"):
        side_by_side({str(n): History() for n in range(5)}, claim="")


def test_an_empty_history_says_so():
    assert side_by_side({"a": History()}, claim="").claim == "Nothing was measured"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_can_be_drawn(theme):
    runs = {"log": _run(Log("orders"), Crash("billing-1", at_s=5)), "queue": _run(Queue("orders"))}
    figure = side_by_side(runs, "lag", claim="Both are old.", theory={"one a second": [(10, 0), (40, 30)]})
    assert figure.png(theme)[:4] == b"\x89PNG"
