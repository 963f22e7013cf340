"""Completeness against delay: the figure counts what windows would count, whatever came when and from whom."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shops import run

import evsim as ev
from evsim import catalog
from evsim.event import Event
from evsim.history import History
from evsim.patterns.window import Tumbling, Windows, late_share
from evsim.view.completeness import completeness
from evsim.view.plots import completeness as drawn

coming = st.lists(st.tuples(st.integers(0, 60).map(lambda n: n / 2), st.sampled_from(["web", "till"])), min_size=1)


def stored(events, lost=()):
    """A history of events (timestamp, source), stored one by one; some are published only."""
    history = History()
    for n, (at_s, source) in enumerate(events, start=1):
        index = history.add(Event(f"{source}.{n}", "order.placed", at_s, source, {}, key=f"order-{n}"))
        history.record(100.0 + n, history.code("published", source, "orders"), index, 0)
        if n not in lost:
            history.record(100.0 + n, history.code("stored", "orders", "orders/0"), index, n)
    return history


@settings(max_examples=150, deadline=None)
@given(coming, st.sampled_from([0.5, 2.0, 5.0]), st.sampled_from([0.0, 0.5, 1.0, 4.0, 10.0]))
def test_counted_are_those_that_windows_count(events, size_s, bound_s):
    windows, state, late = Windows(Tumbling(size_s), bound_s=bound_s, late="side"), {}, set()
    for n, (at_s, source) in enumerate(events):
        late |= {n for said in windows.add(state, at_s, "all", 1, source) if said.what == "late"}
    final_s = min(state["watermarks"].values())
    found = completeness(stored(events), size_s, reach_s=10.0)
    judged = [n for n, (at_s, _) in enumerate(events) if Tumbling(size_s).spans(at_s)[0].end_s + 10.0 <= final_s]
    assert len(found.needed_s) == len(judged)
    if judged:
        assert found.share(bound_s) == pytest.approx(1 - len(late & set(judged)) / len(judged))
        needed_s = found.bound_s(0.9)
        assert needed_s is None or found.share(np.nextafter(needed_s, 99)) >= 0.9


def test_what_never_came_is_missing_and_what_is_under_way_is_not_judged():
    events = [(float(n), "web") for n in range(40)]
    found = completeness(stored(events, lost={3, 6, 39}), 1.0, reach_s=10.0)
    assert len(found.needed_s) == 29
    assert found.share(9.9) == pytest.approx(27 / 29)
    assert found.bound_s(0.99) is None


@pytest.mark.parametrize(("mean_s", "size_s", "rate"), [(2.0, 0.5, 100), (0.5, 1.0, 20), (1.0, 0.2, 5)])
def test_the_curve_is_that_of_the_formula(mean_s, size_s, rate):
    """S5 for any bound: e^(−L/m), with what the window and the watermark's own lag add; over seeds."""
    found = []
    for seed in range(6):
        shop = ev.Publisher("shop", to="orders", rate=rate, count=12_000)
        way = ev.Link("shop", "orders", delay_s=ev.Exponential(mean_s), ordered=False)
        found.append(completeness(run(shop, way, ev.Log("orders"), until_s=12_000 / rate + 60, seed=seed), size_s))
    for bound_s in (0.0, mean_s, 2 * mean_s):
        missing = float(np.mean([1 - each.share(bound_s) for each in found]))
        assert missing == pytest.approx(late_share(bound_s, mean_s, size_s, rate), rel=0.03)


def test_a_replay_gives_the_same_curve_at_any_speed():
    flights = catalog.get("analytics")
    one = completeness(flights.run(until_s=300, seed=1).history, 3600.0, "board")
    other = completeness(flights.replace("airports", speed=36_000.0).run(until_s=30, seed=2).history, 3600.0, "board")
    assert one.needed_s.tolist() == other.needed_s.tolist()
    assert one.bound_s(0.99) > 1800


def test_the_figure_says_how_long_to_wait():
    way = ev.Link("shop", "orders", delay_s=ev.Exponential(2.0), ordered=False)
    parts = (ev.Publisher("shop", to="orders", rate=100, count=6000), way, ev.Log("orders"))
    figure = ev.Scenario(*parts).run(until_s=120, seed=3).completeness(0.5, mean_s=2.0)
    wanted_s = 2.0 * math.log(late_share(0, 2.0, 0.5, 100) / 0.01)
    assert figure.claim == f"To count 99 % of the events, wait for {figure.facts['99 %'].removeprefix('after ')}"
    assert float(figure.facts["99 %"].split()[1]) == pytest.approx(wanted_s, rel=0.1)
    assert figure.facts["never came"] == "none"
    assert figure.png("dark") != figure.png("light")


def test_where_there_is_no_delay_or_nothing_to_judge_the_figure_says_so():
    hello = catalog.get("hello").run(until_s=40, seed=1)
    assert hello.completeness(1.0).claim == "Every event is counted without any wait"
    assert hello.completeness(1.0).png()
    assert drawn(History(), 1.0).claim == drawn(hello.history, 1000.0).claim == "No window is old enough to be judged"


@pytest.mark.parametrize(
    "wrong",
    [{"size_s": 0}, {"size_s": "x"}, {"size_s": 1, "where": "ordrs"}, {"size_s": 1, "reach_s": -1},
     {"size_s": 1, "reach_s": math.nan}, {"size_s": 1, "mean_s": 0}],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_a_sentence(wrong):
    run = catalog.get("hello").run(until_s=20, seed=1)
    with pytest.raises(ev.EvsimError, match=r"expected|did you mean"):
        run.completeness(**wrong)
