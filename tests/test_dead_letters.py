"""Dead letters by reason: what is counted, what is said, and that it can be drawn."""

from __future__ import annotations

import pytest
from histories import script

from evsim.history import History
from evsim.lab.scenario import Scenario
from evsim.laws import Constant
from evsim.patterns.retry import Backoff, Retry
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.publisher import Publisher
from evsim.sim.redrive import Redrive
from evsim.view.parked import reasons
from evsim.view.plots import dead_letters


def _bill(event, ctx):
    n = int(event.id.split(".")[1])
    if n % 5 == 0 and ctx.now < 40:
        raise ValueError("unknown currency")
    if n % 7 == 0:
        raise RuntimeError("insufficient stock")


SHOP = Scenario(
    Publisher("shop", to="orders", gap_s=Constant(0.5), count=34),
    Log("orders"),
    Log("aside"),
    Consumer("billing", of="orders", on={"order.placed": _bill}, retry=Retry(3, Backoff(0.05)), dead_letter="aside"),
    Redrive("again", of="aside", to="orders", at_s=60, rate=5),
)


def test_reasons_are_counted_with_their_tries_and_what_a_redrive_mended():
    found = reasons(SHOP.run(120, seed=1).history)
    assert [(each.why, len(each.events), each.mended) for each in found] == [
        ("ValueError: unknown currency", 6, 6),
        ("RuntimeError: insufficient stock", 4, 0),
    ]
    assert [set(each.attempts) for each in found] == [{3}, {3, 6}], "three more after the redrive"


def test_the_caption_says_the_numbers():
    figure = SHOP.run(120, seed=1).dead_letters()
    assert figure.claim == "60 % of 10 dead letters were handled in the end"
    assert figure.facts["handled in the end"] == "6 of 10"


def test_the_reasons_of_a_queue_are_the_ending_before_the_dead_letter():
    history = script(
        """
        1.0 published shop tasks shop.1
        1.0 stored tasks tasks shop.1 0
        2.0 expired tasks tasks shop.1 0
        2.0 dead_lettered tasks dlq shop.1 0
        """
    )
    assert [(each.why, each.who) for each in reasons(history)] == [("expired before anybody took it", "tasks")]


def test_an_empty_history_says_so():
    assert "Nothing was parked" in dead_letters(History()).claim


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_can_be_drawn(theme):
    assert SHOP.run(120, seed=1).dead_letters().png(theme)[:4] == b"\x89PNG"
