"""A search finds every planted bug of the saga and of the transfer, makes it small, and can prove it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from evsim.lab.planted import PLANTED, SAGA, TRANSFER
from evsim.lab.token import parse
from evsim.view.stories import all_or_nothing

PROMISES = {
    "saga": all_or_nothing(("payment.taken", "stock.reserved"), undo={"payment.taken": "payment.refunded"}),
    "transfer": all_or_nothing(("money.debited", "money.credited")),
}
FAULTS = ("crash", "pause", "duplicate")


def hunt(scenario, budget=2000):
    promise = PROMISES[scenario.name.partition("-")[0]]
    return scenario.search(promise, budget=budget, until_s=30, faults=FAULTS, progress=False)


@pytest.mark.parametrize("scenario", PLANTED, ids=lambda scenario: scenario.name)
def test_it_is_found_and_made_small(scenario):
    found = hunt(scenario)
    assert found.found
    assert len(found.case.faults) <= 2
    assert {"payment", "stock"} <= set(found.scenario.named) or {"debits", "credits"} <= set(found.scenario.named)
    published = [t for t in found.run.history.events if t.source in {"shop", "bank"}]
    assert len(published) <= 3
    assert len(str(found.story).splitlines()) <= 12


@pytest.mark.parametrize("name", ["saga-refunds-unsent", "transfer-credits-too-early"])
def test_its_token_gives_the_same_digest_in_a_fresh_process(name):
    found = hunt(next(scenario for scenario in PLANTED if scenario.name == name))
    words = [sys.executable, "-m", "evsim", "replay", found.token]
    again = subprocess.run(words, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert parse(found.token).digest in again.stdout
    assert "the same run" in again.stdout


@pytest.mark.parametrize("scenario", [SAGA, TRANSFER], ids=["saga", "transfer"])
def test_the_right_ones_are_not_accused(scenario):
    found = hunt(scenario, budget=120)
    assert not found.found, str(found)
    assert found.unknown < 6


@pytest.mark.slow
@pytest.mark.parametrize("scenario", [SAGA, TRANSFER], ids=["saga", "transfer"])
def test_nor_in_two_thousand_schedules(scenario):
    found = hunt(scenario)
    assert not found.found, str(found)
