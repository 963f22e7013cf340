"""The idempotency ledger counts what came, what was skipped, and what took effect again."""

from __future__ import annotations

import evsim as ev
from evsim.patterns.inbox import Inbox
from evsim.view.plots.ledger import _shown, ledger_lines


def charge(event, ctx):
    ctx.effect("card charged")


def shop(*more, **settings):
    return ev.Scenario(
        ev.Publisher("shop", to="orders", rate=2, count=30),
        ev.Log("orders"),
        ev.Consumer("payment", of="orders", on={"order.placed": charge}, **settings),
        ev.Duplicate("shop", "orders", share=0.3),
        *more,
    ).run(until_s=40, seed=3)


def test_every_arrival_is_counted_and_every_effect():
    for settings in ({}, {"inbox": True}):
        run = shop(**settings)
        lines = ledger_lines(run.history, "card charged")
        doubled = len(run.history.of("duplicated"))
        assert sum(len(line.arrivals) for line in lines) == 30 + doubled
        assert sum(line.effects for line in lines) == len(run.history.of("effect"))
        kinds = [arrival.what for line in lines for arrival in line.arrivals]
        assert kinds.count("done") == 30
        assert kinds.count("skipped" if settings else "again") == doubled


def test_it_says_what_it_shows():
    twice = shop().ledger("card charged")
    assert "more than once" in twice.claim
    once = shop(inbox=Inbox()).ledger("card charged")
    assert once.claim.endswith("30 effects: each key once")
    assert once.png("light") != once.png("dark")
    assert "never happened" in shop().ledger("parcel sent").claim


def test_a_crash_before_the_effect_is_an_arrival_without_one():
    run = ev.Scenario(
        ev.Publisher("shop", to="orders", rate=2, count=5), ev.Log("orders"),
        ev.Consumer("payment", of="orders", on={"order.placed": charge}, service_s=0.1),
        ev.Crash("payment", after="delivered", nth=2, down_s=1),
    ).run(until_s=40, seed=3)  # fmt: skip
    [line] = [line for line in ledger_lines(run.history, "card charged") if len(line.arrivals) > 1]
    assert [arrival.what for arrival in line.arrivals] == ["nothing", "done"]


def test_what_happens_late_fills_the_figure():
    """The axis begins at zero, but not when everything would stand in a corner."""
    assert _shown(2.0, 40.0) == (0.0, 40.0)
    low, high = _shown(36_001.0, 36_009.0)
    assert 36_000 < low < 36_001
    assert 36_009 < high < 36_010
    assert _shown(5.0, 5.0) == (4.75, 5.25)
