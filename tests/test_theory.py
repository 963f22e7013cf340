"""Formulas: worked values from the literature, independent recursions, and which law fits which parts."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from histories import queue
from hypothesis import given, settings
from hypothesis import strategies as st

from evsim.errors import BadScenario
from evsim.history import History
from evsim.laws import Constant, Exponential, Gamma, LogNormal
from evsim.view import measures
from evsim.view.theory import (
    GG1,
    MG1,
    MM1,
    MM1K,
    MMc,
    chain_availability,
    outage_backlog,
    outage_drain_s,
    predict,
    timed_commit_duplicates,
)


def test_the_canonical_single_server():
    law = MM1(8, 10)
    assert law.utilisation == 0.8
    assert law.mean_sojourn_s == 0.5
    assert law.mean_wait_s == pytest.approx(0.4)
    assert law.mean_in_system == 4.0
    assert law.sojourn_quantile(0.5) == pytest.approx(0.3466, abs=1e-4)
    assert law.sojourn_quantile(0.99) == pytest.approx(2.3026, abs=1e-4)


def test_a_shared_queue_beats_four_of_their_own():
    law = MMc(32, 10, 4)
    assert law.waiting_share == pytest.approx(0.5964, abs=1e-4)
    assert law.mean_wait_s == pytest.approx(0.0746, abs=1e-4)
    assert law.mean_sojourn_s == pytest.approx(0.1746, abs=1e-4)
    assert MM1(8, 10).mean_sojourn_s / law.mean_sojourn_s == pytest.approx(2.86, abs=0.01)


def test_variability_costs_time():
    assert MG1(8, 0.1, 4).mean_wait_s == pytest.approx(1.0)
    assert GG1(8, 0.25, 0.1, 1).mean_wait_s == pytest.approx(0.25)
    assert MG1(8, 0.1, 0, Constant(0.1)).name == "M/D/1"
    assert MM1(8, 10).exact
    assert not GG1(8, 0.25, 0.1, 1).exact


def test_the_small_laws():
    assert outage_backlog(80, 60) == 4800
    assert outage_drain_s(80, 100, 60) == 240
    assert timed_commit_duplicates(200, 5) == 500
    assert chain_availability(0.99, 5) == pytest.approx(0.951, abs=1e-3)
    assert MM1K(9, 10, 10).loss == pytest.approx(0.0508, abs=1e-4)


@given(st.floats(0.05, 0.95), st.floats(0, 0.999))
def test_one_server_of_many_is_a_single_server(load, share):
    one, many = MM1(load, 1.0), MMc(load, 1.0, 1)
    assert many.mean_sojourn_s == pytest.approx(one.mean_sojourn_s)
    assert many.sojourn_quantile(share) == pytest.approx(one.sojourn_quantile(share), rel=1e-6, abs=1e-9)
    assert one.cdf(one.sojourn_quantile(share)) == pytest.approx(share, abs=1e-12)


@settings(deadline=None)
@given(st.floats(0.1, 3), st.integers(1, 40))
def test_a_small_room_loses_and_keeps_its_own_law_of_little(load, room):
    law = MM1K(load, 1.0, room)
    expected = 1 / (room + 1) if load == 1 else (1 - load) * load**room / (1 - load ** (room + 1))
    assert law.loss == pytest.approx(expected, rel=1e-6)
    assert law.utilisation == pytest.approx(load * (1 - law.loss))
    mean = np.trapezoid([1 - law.cdf(t) for t in np.linspace(0, 40 + 4 * room, 4001)], dx=(40 + 4 * room) / 4000)
    assert mean == pytest.approx(law.mean_sojourn_s, rel=0.02)


@given(st.integers(1, 30), st.floats(0.05, 0.95))
def test_the_distribution_of_many_servers_has_their_mean(servers, load):
    law = MMc(load * servers, 1.0, servers)
    times = np.linspace(0, law.sojourn_quantile(0.999999), 4001)
    shares = [law.cdf(t) for t in times]
    assert np.diff(shares).min() >= -1e-12
    assert np.trapezoid(1 - np.array(shares), times) == pytest.approx(law.mean_sojourn_s, rel=0.01)


@pytest.mark.parametrize(
    "service", [Constant(0.1), Exponential(0.1), Gamma(0.1, 4), Gamma(0.1, 0.3), LogNormal(0.05, 0.5)]
)
def test_the_distribution_of_any_service_has_the_mean_of_pollaczek_and_khinchine(service):
    law = MG1(0.6 / service.mean, service.mean, service.scv, service)
    times = np.linspace(0, 24 * law.mean_sojourn_s, 20_001)
    shares = np.array([law.cdf(t) for t in times])
    assert np.diff(shares).min() >= 0
    assert np.trapezoid(1 - shares, times) == pytest.approx(law.mean_sojourn_s, rel=0.01)


def test_exponential_service_is_the_case_that_is_known():
    general, known = MG1(8, 0.1, 1, Exponential(0.1)), MM1(8, 10)
    assert max(abs(general.cdf(t) - known.cdf(t)) for t in np.linspace(0, 5, 200)) < 2e-3


def test_the_distribution_is_that_of_a_long_recursion():
    chance, service = np.random.default_rng(5), Gamma(0.1, 0.5)
    arrivals = np.cumsum(chance.exponential(1 / 6, 400_000))
    done = np.cumsum(chance.gamma(2, 0.05, 400_000))
    sojourns = done + np.maximum.accumulate(arrivals - np.concatenate([[0], done[:-1]])) - arrivals
    law = MG1(6, service.mean, service.scv, service)
    for share in (0.1, 0.5, 0.9, 0.99):
        assert law.cdf(float(np.quantile(sojourns, share))) == pytest.approx(share, abs=0.01)
        assert law.sojourn_quantile(share) == pytest.approx(np.quantile(sojourns, share), rel=0.03)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: MM1(40, 33.3), r"offers 40/s to a server of 33\.3/s: no steady state"),
        (lambda: MMc(40, 10, 4), "offers 40/s to 4 servers of 10/s each: no steady state"),
        (lambda: MG1(10, 0.1, 1), "offers 10/s to a server of 10/s: no steady state"),
        (lambda: GG1(20, 1, 0.1, 1), "no steady state"),
        (lambda: MG1(1, 0.1, math.inf), "no finite variance"),
        (lambda: MM1(0, 1), "arrival_rate=0 is refused; expected a number above 0"),
        (lambda: outage_drain_s(100, 80, 60), "no steady state"),
        (lambda: MM1(1, 2).sojourn_quantile(1), "quantile 1 is refused"),
        (lambda: MG1(1, 0.1, 1).cdf(1), "give service= a law"),
    ],
)
def test_what_has_no_answer_is_refused_in_one_sentence(make, sentence):
    with pytest.raises(BadScenario, match=sentence):
        make()


# -------------------------------------------------------------------- which law fits


def parts(publisher=None, log=None, consumer=None, **more):
    """Descriptions of a plain shop, with changes."""
    exponential = {"mean": 0.03, "kind": "exponential"}
    shop = {"name": "shop", "kind": "publisher", "to": "orders", "rate": 20.0, "key": "own"} | (publisher or {})
    orders = {"name": "orders", "kind": "log", "partitions": 1} | (log or {})
    billing = {"name": "billing", "kind": "consumer", "of": "orders", "members": 1, "service_s": exponential}
    return {"shop": shop, "orders": orders, "billing": billing | (consumer or {})} | more


def test_a_poisson_publisher_and_exponential_service_are_a_single_server():
    law, reason = predict(parts())
    assert law == MM1(20, 1 / 0.03)
    assert reason == "M/M/1: 20/s, 30 ms of service"


def test_each_partition_with_a_member_of_its_own_is_one():
    law, reason = predict(parts({"rate": 80.0}, {"partitions": 4}, {"members": 4}))
    assert law == MM1(20, 1 / 0.03)
    assert "in each of 4 partitions" in reason


def test_one_key_for_all_events_leaves_one_partition_to_work():
    assert predict(parts({"key": "all"}, {"partitions": 4}, {"members": 4})).law == MM1(20, 1 / 0.03)


def test_other_service_is_the_general_law_and_other_gaps_kingmans():
    constant = {"value": 0.03, "kind": "constant"}
    assert predict(parts(consumer={"service_s": constant})).law == MG1(20, 0.03, 0, Constant(0.03))
    regular = predict(parts({"rate": None, "gap_s": {"value": 0.05, "kind": "constant"}})).law
    assert regular == GG1(20, 0, 0.03, 1, Exponential(0.03))
    assert not regular.exact


def test_poisson_publishers_add_up():
    other = {"name": "app", "kind": "publisher", "to": "orders", "rate": 5.0, "key": "own"}
    assert predict(parts(app=other)).law == MM1(25, 1 / 0.03)


LINK = {"name": "shop>orders", "kind": "link", "start": "shop", "end": "orders"}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "there is no consumer"),
        (parts({"rate": 40.0}), r"offers 40/s to a server of 33\.33/s: no steady state"),
        (parts({"rate": {"kind": "spike"}}), r"the rate of shop changes with time \(spike\)"),
        (parts({"rate": None, "clients": 5}), "closed loop"),
        (parts({"rate": None, "replay": "orders"}), "replays a dataset"),
        (parts(log={"partitions": 4}), "read 4 partitions in turn"),
        (parts({"key": {"kind": "zipf"}}, {"partitions": 2}, {"members": 2}), "keys do not spread evenly"),
        (parts(consumer={"on": {"order.placed": "charge"}}), "billing has handlers"),
        (parts(consumer={"turnaround_s": {"value": 0.1, "kind": "constant"}}), "turnaround"),
        (parts(consumer={"service_s": {"value": 0.0, "kind": "constant"}}), "takes no time"),
        (parts(consumer={"service_s": {"mean": 0.03, "alpha": 1.5, "kind": "pareto"}}), "no finite variance"),
        (parts(link=LINK | {"delay_s": {"value": 0.1, "kind": "constant"}}), "the link shop>orders takes time"),
        (parts(mail={"name": "mail", "kind": "consumer", "of": "orders"}), "name one of them with group="),
        (parts({"to": "elsewhere"}), "nobody publishes to this log"),
    ],
)
def test_where_no_law_fits_the_reason_is_a_sentence(given, reason):
    law, told = predict(given)
    assert law is None
    assert re.search(reason, told), told


def test_a_history_with_a_fault_in_it_has_no_law():
    history = History()
    history.parts.update(parts())
    assert predict(history).law == MM1(20, 1 / 0.03)
    history.record(1.0, history.code("crashed", "billing"))
    assert predict(history) == (None, "no law for this run: something was crashed, so there is no steady state")


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 1000))
def test_a_textbook_queue_does_what_its_law_says(seed):
    law, times = MM1(5, 10), measures.latencies(queue(n=40_000, rate=5.0, seed=seed))
    assert times.mean() == pytest.approx(law.mean_sojourn_s, rel=0.08)
    assert measures.percentile(times, 0.99) == pytest.approx(law.sojourn_quantile(0.99), rel=0.15)
