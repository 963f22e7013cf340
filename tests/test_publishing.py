"""How well events were published: measured from the history, and held against the formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from shops import run

from evsim.errors import BadScenario, UnknownName
from evsim.event import Event
from evsim.history import History
from evsim.laws import Constant
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash, Drop
from evsim.sim.network import Link
from evsim.sim.publisher import Publisher
from evsim.view import measures
from evsim.view.linger import Linger, best_linger_s
from evsim.view.plots import linger_curve
from evsim.view.publishing import Sendings, publishing


def lingering(rate: float, linger_s: float, seed: int, until_s: float) -> tuple[float, float]:
    """The mean batch and the mean added wait of one run, both as a share of what the formula says."""
    shop = Publisher("shop", to="orders", rate=rate, linger_s=linger_s, batch_bytes=10**9, acks="all", max_in_flight=50)
    history = run(shop, Log("orders"), until_s=until_s, seed=seed)
    sendings = Sendings(history)
    rows = sendings.ledger.first(sendings.ledger.rows("stored"))
    done = rows >= 0
    waits = history.time[rows[done]] - history.time[sendings.first[done]]
    expected = Linger(rate, linger_s)
    return float(sendings.batches().mean()) / expected.batch_mean, float(waits.mean()) / expected.wait_mean_s


@pytest.mark.parametrize(
    ("rate", "linger_s"), [(10, 0.005), (100, 0.05), (1000, 0.05), (40, 0.03), (7, 0.9), (350, 0.004)]
)
def test_batches_and_added_waits_are_what_the_formula_says_within_three_per_cent(rate, linger_s):
    found = np.array([lingering(rate, linger_s, seed, 6000 / rate) for seed in range(12)])
    for column in found.T:
        mean, low, high = measures.interval(list(column))
        assert mean == pytest.approx(1, abs=0.03), (mean, low, high)


def busy(rate: float, linger_s: float, request_s: float, record_s: float, seed: int) -> tuple[float, float]:
    """The load of the broker and the mean time to a confirmation in one run, as shares of what the formula says."""
    shop = Publisher(
        "shop", to="orders", rate=rate, linger_s=linger_s, batch_bytes=10**9, acks="leader", max_in_flight=1000
    )
    history = run(shop, Log("orders", request_s=request_s, record_s=record_s), until_s=20_000 / rate, seed=seed)
    sendings, law = Sendings(history), Linger(rate, linger_s, request_s, record_s)
    batches = sendings.batches()
    work = len(batches) * request_s + batches.sum() * record_s
    return work / (20_000 / rate) / law.load, float(sendings.confirm_times().mean()) / law.confirm_mean_s


@pytest.mark.parametrize(
    ("rate", "linger_s", "request_s", "record_s"),
    [(300, 0.0, 0.002, 0.0002), (460, 0.005, 0.002, 0.0001), (900, 0.01, 0.004, 0.0002), (120, 0.02, 0.01, 0.001)],
)
def test_the_load_of_the_broker_and_the_time_to_a_confirmation_are_within_three_per_cent(
    rate, linger_s, request_s, record_s
):
    found = np.array([busy(rate, linger_s, request_s, record_s, seed) for seed in range(8)])
    assert found.mean(axis=0) == pytest.approx([1, 1], abs=0.03)


def test_near_saturation_lingering_makes_it_faster_and_far_from_it_slower():
    def confirm_s(rate, linger_s):
        return busy(rate, linger_s, 0.002, 0.0001, 1)[1] * Linger(rate, linger_s, 0.002, 0.0001).confirm_mean_s

    assert confirm_s(460, 0.0025) < 0.5 * confirm_s(460, 0.0)
    assert confirm_s(100, 0.0025) > 1.2 * confirm_s(100, 0.0)


def test_the_formula_has_both_limits():
    assert Linger(5, 0.01).wait_mean_s == pytest.approx(0.976 * 0.01, rel=1e-3)
    assert Linger(100, 0.05).wait_mean_s == pytest.approx(0.5833 * 0.05, rel=1e-3)
    assert Linger(1000, 0.05).wait_mean_s == pytest.approx(0.5098 * 0.05, rel=1e-3)
    assert Linger(1000, 0).wait_mean_s == 0


def test_a_longer_linger_lowers_the_load_and_a_best_one_exists_near_saturation_only():
    assert Linger(900, 0.01, 0.001, 0.00005).load == pytest.approx(900 * (0.001 / 10 + 0.00005))
    assert Linger(900, 0, 0.001, 0.0002).confirm_mean_s == math.inf
    assert best_linger_s(100, 0.001, 0.00005) == 0
    assert 0 < best_linger_s(900, 0.001, 0.0002) < 0.05


def test_what_cannot_be_is_refused():
    with pytest.raises(BadScenario, match="rate=0"):
        Linger(0, 0.1)
    with pytest.raises(BadScenario, match="linger_s"):
        Linger(1, -0.1)


def test_a_run_says_how_well_it_published():
    shop = Publisher("shop", to="orders", gap_s=Constant(0.1), acks="leader", linger_s=0.25)
    found = publishing(run(shop, Log("orders"), Link("shop", "orders", delay_s=0.05), until_s=30.01))
    assert found["published"] == 300
    assert found["confirmed"] == pytest.approx(297, abs=3)
    assert found["goodput"] == pytest.approx(10, rel=0.02)
    assert found["batch_mean"] == pytest.approx(3, abs=0.05)
    assert found["confirm_mean_s"] == pytest.approx(0.15 + 0.1, abs=0.005)
    assert found["lost_after_ack"] == found["retried"] == found["given_up"] == 0


def test_what_was_repeated_by_retries_is_counted():
    shop = Publisher("shop", to="orders", rate=20, acks="all", idempotent=False, request_timeout_s=0.5)
    found = publishing(run(shop, Log("orders"), Drop("orders", "shop", share=0.2), until_s=60))
    assert found["repeated"] > 100
    assert found["retried"] >= found["repeated"]
    assert found["lost_after_ack"] == 0


def test_without_answers_what_is_lost_on_the_way_is_lost_unnoticed():
    history = run(
        Publisher("shop", to="orders", gap_s=Constant(0.1)),
        Log("orders"),
        Drop("shop", "orders", share=0.2),
        until_s=60,
    )
    found = publishing(history)
    assert found["lost_after_ack"] == len(history.of("dropped"))
    assert found["goodput"] == found["confirmed"] == 0


def test_confirmed_and_then_lost_by_the_broker_is_lost_after_the_ack():
    history = History()
    history.parts["shop"] = {"kind": "publisher", "acks": "leader"}
    for n, (confirmed, lost) in enumerate([(True, False), (True, True), (False, True)], start=1):
        event = history.add(Event(f"shop.{n}", "order.placed", 0.0, "shop", {}))
        history.record(n, history.code("published", "shop", "orders"), event)
        history.record(n, history.code("stored", "orders", "orders/0"), event, n)
        if confirmed:
            history.record(n, history.code("confirmed", "shop", "orders"), event, 1)
        if lost:
            history.record(n, history.code("lost", "orders", "orders/0"), event, n)
    assert publishing(history)["lost_after_ack"] == 1
    with pytest.raises(UnknownName, match="shop"):
        publishing(history, "shopp")


def test_the_curve_of_lingering_tells_what_was_measured_and_what_the_formula_says():
    def history(linger_s, seed):
        shop = Publisher("shop", to="orders", rate=200, acks="all", linger_s=linger_s, batch_events=10_000)
        return run(shop, Log("orders"), Link("shop", "orders", delay_s=0.001), until_s=5, seed=seed)

    figure = linger_curve({0.0: history(0.0, 1), 0.02: [history(0.02, seed) for seed in (1, 2, 3)]})
    assert figure.claim.startswith("Holding events back for 20 ms fills a request with")
    assert figure.facts["linger none"] == "confirmed after 2 ms (formula 2 ms), 1 a request (formula 1)"
    assert "(formula 14 ms)" in figure.facts["linger 20 ms"]
    assert all(figure.png(theme) == figure.png(theme) for theme in ("light", "dark"))


def test_a_curve_of_what_was_never_confirmed_is_refused():
    with pytest.raises(BadScenario, match="or 'all'"):
        linger_curve({0.0: run(Publisher("shop", to="orders", rate=20), Log("orders"), until_s=5)})
    with pytest.raises(BadScenario, match="no runs"):
        linger_curve({})


def test_what_is_dropped_and_sent_again_is_not_lost_and_what_a_crash_took_unsent_is():
    shop = Publisher("shop", to="orders", rate=20, acks="all", linger_s=1, request_timeout_s=2, batch_events=1000)
    billing = Consumer("billing", of="orders")
    dropped = run(shop, Log("orders"), billing, Drop("shop", "orders", share=1, at_s=5, for_s=1), until_s=6.5)
    assert not measures.lost(dropped)
    crashed = run(shop, Log("orders"), billing, Crash("shop", at_s=10.5, down_s=1), until_s=20)
    assert len(measures.lost(crashed)) == publishing(crashed)["lost_unsent"] > 0
