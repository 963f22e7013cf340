"""Numbers of histories that were written by hand, and so are known."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from histories import queue, rewritten, rows_of, script
from hypothesis import given, settings
from hypothesis import strategies as st

from evsim.errors import BadScenario, UnknownName
from evsim.history import History
from evsim.view import measures
from evsim.view.intervals import student_quantile, student_share

ONE = """
1.0 published shop orders shop.1
1.5 stored orders orders/0 shop.1 0
2.0 delivered billing orders/0 shop.1 0
4.0 handled billing orders/0 shop.1 0
4.5 acked billing orders/0 shop.1 0
"""
NAMES = [
    "published", "acked", "throughput", "latency_mean_s", "latency_p50_s", "latency_p95_s", "latency_p99_s",
    "backlog_max", "lag_max_s", "utilisation", "redelivered", "duplicates", "lost", "dead_lettered", "expired",
    "littles_law",
]  # fmt: skip


def test_the_life_of_one_event_is_measured_exactly():
    history = script(ONE)
    assert measures.latencies(history).tolist() == [3.0]
    assert measures.waits(history).tolist() == [1.0]
    assert measures.service_times(history).tolist() == [2.0]
    assert measures.throughput(history) == measures.arrival_rate(history) == 0.1
    assert measures.utilisation(history) == 0.2
    assert measures.backlog_most(history) == 1
    assert measures.lag_most(history) == 3.0
    assert measures.summary(history)["littles_law"] is True


def test_a_summary_always_has_the_same_names_in_the_same_order_and_plain_values():
    for history in (History(), script(""), script(ONE), queue(n=100)):
        summary = measures.summary(history)
        assert list(summary) == NAMES
        assert all(value is None or type(value) in {int, float, bool} for value in summary.values())


def test_nothing_to_measure_is_none_and_nothing_to_count_is_zero():
    for history in (History(), script("")):
        summary = measures.summary(history)
        counts = {"published", "acked", "redelivered", "duplicates", "lost", "dead_lettered", "expired"}
        assert {name for name, value in summary.items() if value == 0 and value is not None} >= counts
        assert all(summary[name] is None for name in NAMES if name not in counts | {"throughput"})
        assert len(measures.rate_series(history, "handled", 10).values) == 10
        assert not measures.lag_series(history).values.any()
        assert not measures.backlog_series(history).values.any()


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), st.floats(0, 1))
def test_a_percentile_is_a_value_that_a_share_q_does_not_exceed_and_no_smaller_one_is(values, q):
    found = measures.percentile(values, q)
    assert found in values
    assert found == np.quantile(values, q, method="inverted_cdf")
    assert sum(value <= found for value in values) >= q * len(values) - 1e-9
    assert sum(value < found for value in values) <= q * len(values) + 1e-9


def test_a_percentile_is_a_share_not_a_percentage():
    with pytest.raises(BadScenario, match=r"percentile 99 is refused; expected a share between 0 and 1, like 0\.99"):
        measures.percentile([1.0], 99)
    assert measures.percentile([], 0.5) is None


def test_an_unknown_group_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'billing'"):
        measures.summary(script(ONE), group="biling")


TWO_GROUPS = """
0.0 published shop orders shop.1
0.0 stored orders orders/0 shop.1 0
0.0 delivered billing orders/0 shop.1 0
1.0 handled billing orders/0 shop.1 0
1.0 acked billing orders/0 shop.1 0
2.0 delivered shipping-1 orders/0 shop.1 0
3.0 handled shipping-1 orders/0 shop.1 0
3.0 crashed shipping-1
4.0 delivered shipping-2 orders/0 shop.1 0
6.0 handled shipping-2 orders/0 shop.1 0
6.0 acked shipping-2 orders/0 shop.1 0
"""


def test_an_event_counts_once_for_each_group_and_a_repetition_is_told_apart():
    history = script(TWO_GROUPS)
    assert measures.latencies(history).tolist() == [1.0, 3.0]
    assert measures.latencies(history, "shipping").tolist() == [3.0]
    assert measures.latencies(history, node="shipping-2").tolist() == []
    assert measures.service_times(history, node="shipping-2").tolist() == [2.0]
    whole, shipping = measures.summary(history), measures.summary(history, group="shipping")
    assert (whole["published"], whole["acked"], whole["redelivered"], whole["duplicates"]) == (1, 2, 1, 1)
    assert (shipping["acked"], shipping["redelivered"], shipping["lost"]) == (1, 1, 0)
    assert measures.utilisations(history) == {"billing": 0.1, "shipping-1": 0.1, "shipping-2": 0.2}
    assert whole["littles_law"] is True


def test_a_crash_and_a_pause_are_not_work():
    history = script("""
        0.0 joined billing orders - 0
        0.0 published shop orders shop.1
        0.0 stored orders orders/0 shop.1 0
        1.0 delivered billing orders/0 shop.1 0
        2.0 paused billing
        4.0 resumed billing
        5.0 crashed billing
        6.0 restarted billing
        8.0 delivered billing orders/0 shop.1 0
    """)
    assert measures.utilisation(history) == pytest.approx((1 + 1 + 2) / 10)
    assert measures.utilisation(history, from_s=4.0, to_s=6.0) == pytest.approx(0.5)


def test_a_member_is_judged_by_its_time_in_the_group():
    history = script("""
        0.0 joined billing-1 orders - 0
        6.0 joined billing-2 orders - 1
        6.0 published shop orders shop.1
        6.0 stored orders orders/0 shop.1 0
        6.0 delivered billing-2 orders/0 shop.1 0
        7.0 handled billing-2 orders/0 shop.1 0
        8.0 left billing-2 orders - 2
    """)
    assert measures.utilisations(history) == {"billing-1": 0.0, "billing-2": 0.5}


def test_backlog_and_lag_are_exact_step_functions_and_teeth():
    history = script("""
        1.0 published shop orders shop.1
        1.0 stored orders orders/0 shop.1 0
        2.0 published shop orders shop.2
        2.0 stored orders orders/0 shop.2 1
        3.0 published shop orders shop.3
        3.0 stored orders orders/1 shop.3 0
        4.0 acked billing orders/0 shop.1 0
        4.0 acked billing orders/0 shop.2 1
        9.0 acked billing orders/1 shop.3 0
    """)
    exact = measures.backlog(history, "billing")
    assert exact.values.tolist() == [0, 1, 2, 3, 2, 1, 0]
    assert measures.backlog_series(history, bins=5).values.tolist() == [1, 3, 2, 1, 1]
    assert measures.lag_series(history, bins=5).values.tolist() == [1, 3, 3, 5, 6]
    assert measures.lags(history) == {
        "billing orders/0": {"messages": 2, "seconds": 3.0},
        "billing orders/1": {"messages": 1, "seconds": 6.0},
    }
    assert (measures.backlog_most(history), measures.lag_most(history)) == (3, 6.0)


def test_what_nobody_has_acknowledged_grows_older_until_the_end():
    history = script("2.0 stored orders orders/0 shop.1 0\n3.0 delivered billing orders/0 shop.1 0")
    assert measures.lag_most(history) == 8.0


LOSSES = {
    "dropped on the way": ("1.0 published shop orders shop.1\n1.0 dropped shop>orders - shop.1", 1),
    "one copy of two dropped": (
        """
        1.0 published shop orders shop.1
        1.0 published shop orders shop.1
        1.0 dropped shop>orders - shop.1
        """,
        0,
    ),
    "still on its way": ("1.0 published shop orders shop.1", 0),
    "waiting": ("1.0 published shop orders shop.1\n1.0 stored orders orders/0 shop.1 0", 0),
    "expired": (
        """
        1.0 published shop orders shop.1
        1.0 stored orders orders/0 shop.1 0
        2.0 expired billing orders/0 shop.1 0
        """,
        1,
    ),
    "in hand, acknowledged before": (
        """
        1.0 published shop orders shop.1
        1.0 stored orders orders/0 shop.1 0
        2.0 acked billing orders/0 shop.1 0
        2.0 delivered billing orders/0 shop.1 0
        """,
        0,
    ),
    "acknowledged before, then a crash": (
        """
        1.0 published shop orders shop.1
        1.0 published shop orders shop.2
        1.0 stored orders orders/0 shop.1 0
        1.0 stored orders orders/0 shop.2 1
        2.0 acked billing orders/0 shop.1 0
        2.0 acked billing orders/0 shop.2 1
        2.0 delivered billing orders/0 shop.1 0
        3.0 handled billing orders/0 shop.1 0
        3.0 crashed billing
        """,
        1,
    ),
    "jumped over": (
        """
        1.0 published shop orders shop.1
        1.0 published shop orders shop.2
        1.0 published shop orders shop.3
        1.0 stored orders orders/0 shop.1 0
        1.0 stored orders orders/0 shop.2 1
        1.0 stored orders orders/0 shop.3 2
        2.0 delivered billing orders/0 shop.1 0
        2.5 handled billing orders/0 shop.1 0
        3.0 delivered billing orders/0 shop.3 2
        3.5 handled billing orders/0 shop.3 2
        """,
        1,
    ),
    "put aside": (
        """
        1.0 published shop orders shop.1
        1.0 stored orders orders/0 shop.1 0
        2.0 delivered billing orders/0 shop.1 0
        2.0 failed billing orders/0 shop.1 0
        2.0 dead_lettered billing graveyard shop.1 0
        2.0 acked billing orders/0 shop.1 0
        """,
        0,
    ),
}


@pytest.mark.parametrize("case", LOSSES)
def test_lost_is_what_can_never_be_handled_and_nothing_else(case):
    text, lost = LOSSES[case]
    history = script(text)
    assert measures.summary(history)["lost"] == lost
    assert len(measures.lost(history)) == lost
    assert measures.little(history).holds is not False


def test_an_event_that_two_groups_miss_is_lost_twice_but_once_when_no_log_has_it():
    everywhere = """
        1.0 published shop orders shop.1
        1.0 dropped shop>orders - shop.1
        1.0 published shop orders shop.2
        1.0 stored orders orders/0 shop.2 0
        2.0 expired billing orders/0 shop.2 0
        2.0 expired shipping orders/0 shop.2 0
    """
    assert measures.lost(script(everywhere)) == ["shop.1", "shop.2", "shop.2"]
    assert measures.lost(script(everywhere), "billing") == ["shop.1", "shop.2"]


def test_events_stored_twice_are_counted():
    history = script(
        "1 stored orders orders/0 shop.1 0\n1 stored orders orders/0 shop.1 1\n1 stored mail mail/0 shop.1 0"
    )
    assert measures.stored_twice(history) == 1


# -------------------------------------------------------------------- Little's law


@pytest.mark.parametrize("cut", [1.0, 0.7, 0.3])
def test_littles_law_holds_on_every_run_wherever_it_is_cut_off(cut):
    found = measures.little(queue(n=500, cut=cut))
    assert found.holds
    assert found.in_system == pytest.approx(found.rate * found.stay_s, rel=1e-12)


CORRUPTIONS = {
    "a published row is missing": lambda rows, step: [r for n, r in enumerate(rows) if n != step("published", 20)],
    "a delivered row is missing": lambda rows, step: [r for n, r in enumerate(rows) if n != step("delivered", 20)],
    "a handled row is missing": lambda rows, step: [r for n, r in enumerate(rows) if n != step("handled", 20)],
    "two rows have changed places": lambda rows, step: _swapped(rows, step("published", 20), step("handled", 20)),
    "an event is handled before it is published": lambda rows, step: _swapped_events(rows, step("handled", 3), 40),
    "a time is wrong": lambda rows, step: _at(rows, step("delivered", 20), 0.0),
}


def _swapped(rows, one, other):
    rows[one], rows[other] = rows[other], rows[one]
    return rows


def _swapped_events(rows, row, event):
    rows[row] = (*rows[row][:2], event, rows[row][3])
    return rows


def _at(rows, row, time):
    rows[row] = (time, *rows[row][1:])
    return rows


@pytest.mark.parametrize("case", CORRUPTIONS)
def test_littles_law_is_broken_by(case):
    history = queue(n=100)
    rows = rows_of(history)

    def step(name, event):
        return next(n for n, row in enumerate(rows) if history.whats[row[1]].step == name and row[2] == event)

    found = measures.little(rewritten(history, CORRUPTIONS[case](rows, step)))
    assert found.holds is False
    assert found.reason
    assert measures.summary(history)["littles_law"] is True


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.data())
def test_a_row_that_is_lost_from_the_middle_never_goes_unnoticed(seed, data):
    """Unless it is the last of its event's, or tells nothing of who is inside."""
    history = queue(n=30, seed=seed)
    rows = rows_of(history)
    telling = [
        n
        for n, row in enumerate(rows)
        if history.whats[row[1]].step in {"published", "delivered", "handled"} and row[2] < 28
    ]
    gone = data.draw(st.sampled_from(telling))
    assert measures.little(rewritten(history, rows[:gone] + rows[gone + 1 :])).holds is False


def test_the_measured_queue_agrees_with_its_formula():
    means = measures.batch_means(measures.latencies(queue(n=60_000, rate=5.0)))
    _, low, high = measures.interval(means)
    assert low < 0.2 < high
    assert high - low < 0.02


# -------------------------------------------------------------------- how sure a mean is


@pytest.mark.parametrize(
    ("freedom", "share", "value"),
    [(1, 0.975, 12.7062047), (2, 0.975, 4.3026527), (5, 0.95, 2.0150484), (9, 0.975, 2.2621572), (19, 0.975, 2.0930241),
     (30, 0.995, 2.7499957), (120, 0.975, 1.9799304), (1000, 0.975, 1.9623391), (1_000_000, 0.975, 1.9599664)],
)  # fmt: skip
def test_students_quantiles_are_those_of_the_tables(freedom, share, value):
    assert student_quantile(share, freedom) == pytest.approx(value, abs=1e-7)
    assert student_quantile(1 - share, freedom) == pytest.approx(-value, abs=1e-7)


@given(st.floats(0.001, 0.999), st.integers(1, 500))
def test_students_quantile_turns_the_share_round(share, freedom):
    assert student_share(student_quantile(share, freedom), freedom) == pytest.approx(share, abs=1e-9)


def test_an_interval_is_students():
    mean, low, high = measures.interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert mean == 3.0
    assert high - mean == pytest.approx(2.7764451 * math.sqrt(2.5 / 5), rel=1e-6)
    assert mean - low == pytest.approx(high - mean)
    assert measures.interval([2.0]) == (2.0, -math.inf, math.inf)
    with pytest.raises(BadScenario, match="no values were given"):
        measures.interval([])


def test_batches_have_equal_sizes_and_what_is_left_over_is_the_beginning():
    assert measures.batch_means([9, 1, 3, 5, 7], batches=2).tolist() == [2.0, 6.0]
    with pytest.raises(BadScenario, match="3 values do not fill 20 batches"):
        measures.batch_means([1, 2, 3])


def test_the_warm_up_is_cut_where_it_ends():
    chance = np.random.default_rng(3)
    steady = chance.normal(10, 1, 1000)
    assert measures.warmup(steady) < 100
    cold = np.concatenate([np.linspace(0, 10, 100), steady])
    assert 80 <= measures.warmup(cold) <= 200
    assert measures.warmup([1.0]) == 0


# -------------------------------------------------------------------- series and speed


def test_a_series_counts_every_row_once():
    history = queue(n=500)
    for step in ("published", "stored", "handled"):
        edges, values = measures.rate_series(history, step, 40)
        assert (values * np.diff(edges)).sum() == pytest.approx(500)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 50))
def test_the_binned_backlog_has_the_exact_maximum(seed, bins):
    history = queue(n=60, seed=seed)
    assert measures.backlog_series(history, bins=bins).values.max() == measures.backlog_most(history)
    assert measures.lag_series(history, bins=bins).values.max() == pytest.approx(measures.lag_most(history))


def test_a_hundred_thousand_events_are_measured_well_under_a_second():
    history = queue(n=100_000)
    began = time.perf_counter()
    measures.summary(history)
    assert time.perf_counter() - began < 1.0
