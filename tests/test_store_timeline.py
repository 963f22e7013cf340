"""The picture of a stream: what its words say is what a load does."""

from __future__ import annotations

from accounts import ACCOUNT
from test_figures import assert_tidy

import evsim as ev
from evsim import Event
from evsim.store import Every, Repository


def filled(count, **how):
    shop = Repository(ev.store.open(), ACCOUNT, **how)
    for n in range(count):
        kind = "withdraw.money" if n % 3 == 2 else "pay.money"
        shop.handle("7", Event(f"till.{n}", kind, float(n), "till", {"amount": 10}))
    return shop


def test_it_tells_what_a_load_replays():
    shop = filled(23, snapshots=Every(10))
    figure = ev.store_timeline(shop, "7", lambda state: state["balance"], "balance")
    replayed = shop.load("7").replayed
    assert figure.claim == f"A load of account-7 replays {replayed} of 23 events"
    assert figure.facts["snapshot"] == f"at version {22 - replayed}"
    assert figure.facts["a load"] == f"replays versions {23 - replayed} to 22"
    assert figure.facts["without snapshot"] == "replays versions 0 to 22"
    assert figure.facts["balance"] == f"{shop.load('7').state['balance']:g} at the end"
    assert figure.png("light") != figure.png("dark")
    assert_tidy(figure, "light")


def test_without_snapshots_everything_is_replayed_and_of_many_the_last_are_drawn():
    figure = ev.store_timeline(filled(500), "7")
    assert figure.claim == "A load of account-7 replays 500 of 500 events"
    assert "the last 400 are drawn" in figure.subtitle
    assert "without snapshot" not in figure.facts
    assert len(figure.png()) > 5000
    assert ev.store_timeline(filled(20, snapshots=Every(10)), "7").facts["a load"] == "replays nothing"
    assert "has no event" in ev.store_timeline(filled(0), "7").claim
