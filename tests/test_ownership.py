"""Who owned which partition, and when nobody did: from rows written by hand, and from runs."""

from __future__ import annotations

import pytest
from histories import script
from shops import run

from evsim.history import History
from evsim.laws import Constant
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash, Join, Leave
from evsim.sim.publisher import Publisher
from evsim.view.owners import ownings, rebalances, untended
from evsim.view.plots import ownership

TWO = {"orders": {"kind": "log"}, "billing": {"kind": "consumer", "of": "orders", "members": 2}}


def history_of(text):
    history = script(text, until_s=20)
    history.parts.update(TWO)
    return history


def test_a_member_owns_what_it_was_given_until_it_gives_it_up():
    history = history_of("""
        0  assigned billing-1 orders/0
        0  assigned billing-2 orders/1
        10 revoked  billing-1 orders/0
        12 assigned billing-2 orders/0
    """)
    assert ownings(history, "billing", 20) == [
        ("billing-1", "orders/0", 0, 10),
        ("billing-2", "orders/1", 0, 20),
        ("billing-2", "orders/0", 12, 20),
    ]
    assert untended(history, "billing", 20) == [("orders/0", 10, 12)]
    assert rebalances(history, "billing") == [(10, 12)]


@pytest.mark.parametrize("step", ["left", "expelled"])
def test_who_goes_or_is_sent_away_owns_nothing_more(step):
    history = history_of(f"""
        0  assigned billing-1 orders/0
        0  assigned billing-1 orders/1
        5  {step}   billing-1
        8  assigned billing-2 orders/0
    """)
    assert untended(history, "billing", 20) == [("orders/0", 5, 8), ("orders/1", 5, 20)]


def test_who_is_down_owns_its_partitions_and_does_not_tend_them():
    history = history_of("""
        0  assigned  billing-1 orders/0
        5  crashed   billing-1
        9  restarted billing-1
        9  revoked   billing-1 orders/0
        10 assigned  billing-2 orders/0
    """)
    assert untended(history, "billing", 20) == [("orders/0", 5, 10)], "one gap, not two that meet"


def rollout(protocol, partitions, members=3, rebalance_s=2.0):
    parts = [
        Publisher("shop", to="orders", rate=20),
        Log("orders", partitions=partitions),
        Consumer(
            "billing",
            of="orders",
            members=members,
            service_s=Constant(0.005),
            rebalance_s=rebalance_s,
            protocol=protocol,
        ),
    ]
    for number in range(1, members + 1):
        parts += [Leave(f"billing-{number}", at_s=20 * number), Join("billing", at_s=20 * number + 10)]
    return run(*parts, until_s=20 * members + 30)


@pytest.mark.parametrize(("partitions", "members"), [(6, 3), (12, 3), (12, 4)])
def test_an_eager_rollout_stops_everything_at_each_change_and_a_cooperative_one_what_moves(partitions, members):
    def idle_s(protocol):
        end_s = 20 * members + 30
        return sum(end - start for _, start, end in untended(rollout(protocol, partitions, members), "billing", end_s))

    eager, cooperative = idle_s("eager"), idle_s("cooperative")
    assert eager == pytest.approx(2 * members * partitions * 2.0, rel=0.03)
    assert cooperative == pytest.approx(2 * partitions * 2.0, rel=0.1)


def test_the_figure_says_what_the_rows_say():
    history = rollout("eager", 6)
    figure = ownership(history)
    assert figure.facts["members"] == "6"
    assert figure.facts["nobody at work"] == "72 partition-seconds"
    assert figure.facts["rebalances"] == "6, 2 s at most"
    assert "on 6 of 6 partitions" in figure.claim
    for theme in ("light", "dark"):
        assert figure.png(theme)[:4] == b"\x89PNG"


def test_the_figure_marks_the_fault_and_finds_the_longest_gap():
    shop = Publisher("shop", to="orders", rate=20)
    group = Consumer("billing", of="orders", members=2, service_s=Constant(0.01), session_timeout_s=6)
    history = run(shop, Log("orders", partitions=4), group, Crash("billing-2", at_s=10, down_s=None), until_s=40)
    figure = ownership(history)
    assert figure.facts["longest gap"].startswith("6 s, orders/2 from 10 s")
    assert "billing-2" in figure.facts["faults"]


def test_many_partitions_are_cut_to_those_with_the_longest_gaps():
    assert "the 24 with the longest gaps of 30" in ownership(rollout("cooperative", 30)).subtitle


def test_nothing_owned_is_said_in_words():
    assert "Nobody owned a partition" in ownership(History()).claim
