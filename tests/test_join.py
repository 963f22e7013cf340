"""A stream that looks things up in a table of events: the newest row that has come, key by key, after any crash."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evsim as ev
from evsim import catalog
from evsim.lab.analytics import stale_share
from evsim.lab.analytics_steps import enrich
from evsim.patterns.join import joining


class Desk:
    """What a handler sees, and all that it was told."""

    def __init__(self):
        self.state, self.told = {}, []

    def tell(self, event, ctx, row):
        self.told.append((event.id, None if row is None else row["price"]))


def change(n, key, version, price=0.0):
    return ev.Event(f"prices.{n}", "price.changed", float(n), "prices", {"version": version, "price": price}, key=key)


def order(n, key):
    return ev.Event(f"shop.{n}", "order.placed", float(n), "shop", {"product": key})


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 9)), max_size=20), st.integers(0, 20))
def test_whatever_order_the_changes_come_in_the_newest_of_the_key_is_found(changes, asks_after):
    desk = Desk()
    join = joining("price.changed", desk.tell, key=lambda event: event.data["product"])
    for n, (key, version) in enumerate(changes[:asks_after]):
        join(change(n, key, version, float(version)), desk)
    join(order(1, "a"), desk)
    wanted = max((version for key, version in changes[:asks_after] if key == "a"), default=None)
    assert desk.told == [("shop.1", wanted)]


def test_without_a_version_the_last_that_comes_wins():
    desk = Desk()
    join = joining("price.changed", desk.tell, key=lambda event: event.data["product"], version=None)
    for n, price in enumerate((3.0, 2.0)):
        join(change(n, "a", 5 - n, price), desk)
    join(order(1, "a"), desk)
    assert desk.told == [("shop.1", 2.0)]


@pytest.mark.parametrize("version", [None, "7", {}])
def test_a_change_that_does_not_say_how_new_it_is_is_refused(version):
    desk = Desk()
    join = joining("price.changed", desk.tell, key=lambda event: event.data["product"])
    with pytest.raises(ev.BadEvent, match=r"version=.*expected a number"):
        join(change(1, "a", version), desk)
    assert desk.state == {}


def test_a_row_may_hold_anything_that_an_event_may():
    rows = []

    def tell(event, ctx, row):
        rows.append(row)

    join = joining("price.changed", tell, key=lambda event: "price", row_key=lambda event: "price")
    history = ev.Scenario(
        ev.Publisher("prices", to="bus", gap_s=ev.Constant(1.0), count=1, type="price.changed", sequence="version",
                     data={"by_size": {"small": [1, 2], "large": [3]}}),
        ev.Publisher("shop", to="bus", gap_s=ev.Constant(2.0), count=2), ev.Log("bus"),
        ev.Consumer("till", of="bus", on={"price.changed": join, "order.placed": join}),
    ).run(until_s=9, seed=1).history  # fmt: skip
    assert len(history.of("saved")) == 3
    assert [row["by_size"]["small"] for row in rows] == [[1, 2], [1, 2]]


def many_products(rate, mean_s, products, s):
    """Prices of several products, each changed as often as the law says; orders of all of them alike."""
    names = tuple(f"price-{n}" for n in range(products))
    return ev.Scenario(
        ev.Publisher("prices", to="bus", type="price.changed", rate=rate, key=ev.Zipf(products, s), sequence="version"),
        ev.Link("prices", "bus", delay_s=ev.Exponential(mean_s), ordered=False),
        ev.Publisher("shop", to="bus", rate=40, data={"product": ev.Choice(names)}),
        ev.Log("bus"),
        ev.Consumer("till", of="bus", on={"price.changed": enrich, "order.placed": enrich}),
    )


@pytest.mark.parametrize(("rate", "mean_s", "products", "s"), [(4.0, 0.25, 4, 1.0), (6.0, 0.5, 3, 0.0)])
def test_with_many_keys_each_is_as_old_as_its_own_rate_says(rate, mean_s, products, s):
    """λk m / (1 + λk m) for the rate λk of the key, over the keys that orders ask for."""
    weights = np.arange(1, products + 1) ** -s
    each = rate * weights / weights.sum() * mean_s
    scenario = many_products(rate, mean_s, products, s)
    found = [stale_share(scenario.run(until_s=250, seed=seed).history) for seed in range(1, 11)]
    assert np.mean(found) == pytest.approx(float((each / (1 + each)).mean()), rel=0.03)


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from(["delivered", "handled", "saved", "sent", "acked"]), st.integers(1, 150), st.floats(0.1, 3),
    st.integers(0, 50),
)  # fmt: skip
def test_a_crash_forgets_no_price(step, nth, down_s, seed):
    """With everything on its way at once, only what was published meanwhile may be newer than what was found."""
    calm = many_products(4.0, 0.001, 3, 0.5)
    for name in ("prices", "shop"):
        calm = calm.replace(name, count=100)
    crashed = calm.plus(ev.Crash("till", after=step, nth=nth, down_s=down_s)).run(until_s=60, seed=seed)
    last = {}
    for record in crashed.history.of("effect"):
        note = crashed.history.notes[record.number]
        assert note["version"] >= last.get(note["row"], 0)
        last[note["row"]] = note["version"]
    assert last


def test_where_nothing_was_joined_nothing_is_stale():
    assert stale_share(catalog.get("hello").run(until_s=5, seed=1).history) == 0.0
    assert not math.isnan(stale_share(catalog.get("payment").run(until_s=5, seed=1).history))
