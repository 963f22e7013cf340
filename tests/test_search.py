"""Find the bug, shrink it, and replay what was found."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pytest

from evsim.chance import Chance
from evsim.errors import BadScenario, UnknownName
from evsim.lab.catalog import CHAIN, INCIDENT, ORDER_SHOP, PAYMENT
from evsim.lab.scenario import Scenario
from evsim.lab.schedules import Lottery, crash_points
from evsim.lab.search import LINES_MAX, search
from evsim.lab.token import parse
from evsim.laws import Exponential
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash
from evsim.sim.network import Link
from evsim.sim.publisher import Publisher
from evsim.sim.relay import Relay
from evsim.sim.router import Router
from evsim.view.checks import at_most_once, every, in_order_by_key, nothing_lost

BUSY = Scenario(
    Publisher("app", to="orders", rate=3, type="order.viewed"),
    Publisher("shop", to="orders", rate=5),
    Link("shop", "orders", delay_s=Exponential(0.01)),
    Log("orders", partitions=4),
    Consumer("billing", of="orders", members=3, service_s=Exponential(0.05), commit="before", prefetch=5),
    Consumer("audit", of="orders", members=2, service_s=Exponential(0.02)),
    name="busy",
)


def test_it_finds_the_double_charge_and_makes_it_small():
    found = PAYMENT.search(at_most_once("card charged"), budget=200, until_s=30)
    assert found.found
    assert len(found.case.faults) == 1
    assert found.run.history.event_count <= 3
    assert len(str(found.story).splitlines()) <= LINES_MAX
    assert found.verdict.state == "VIOLATED"


def test_a_loss_among_much_else_shrinks_to_one_event_and_one_fault():
    found = BUSY.search(nothing_lost(), budget=300, until_s=30)
    assert found.found
    assert found.run.history.event_count <= 3
    assert len(found.case.faults) == 1
    assert found.scenario["orders"].partitions == 1
    assert len(str(found.story).splitlines()) <= LINES_MAX


def test_what_the_user_planted_stays():
    own = Crash("billing", at_s=5, down_s=5)
    found = BUSY.plus(own).search(nothing_lost(), budget=100, until_s=30)
    assert found.found
    assert own in found.scenario.parts


def test_a_shop_that_keeps_its_promise_is_not_accused():
    repaired = PAYMENT.replace("payment", inbox=True, outbox=True).replace("shipping", inbox=True, outbox=True)
    found = repaired.search(every("order.placed").ends, budget=120, until_s=30, faults=("crash", "pause"))
    assert not found.found
    assert found.tried == 120
    assert "not broken" in str(found)
    assert sum(found.faults.values()) > 100


def test_equal_searches_find_the_same_with_an_executor_too():
    one = BUSY.search(in_order_by_key(), nothing_lost(), budget=60, until_s=20, seed=5)
    with ThreadPoolExecutor(2) as executor:
        other = BUSY.search(in_order_by_key(), nothing_lost(), budget=60, until_s=20, seed=5, executor=executor)
    assert one.found
    assert one.token == other.token
    assert one.tried == other.tried


def test_the_token_gives_the_same_run_in_a_fresh_process():
    found = PAYMENT.search(at_most_once("card charged"), budget=50, until_s=20)
    again = subprocess.run(
        [sys.executable, "-m", "evsim", "replay", found.token], capture_output=True, text=True, check=False
    )
    assert again.returncode == 0, again.stderr
    assert parse(found.token).digest in again.stdout
    assert "the same run" in again.stdout


def test_the_command_line_finds_it_too():
    words = [sys.executable, "-m", "evsim", "search", "payment", "--promise", "at_most_once:card charged"]
    done = subprocess.run([*words, "--budget", "40", "--until", "20"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "VIOLATED" in done.stdout
    assert "evsim replay" in done.stdout


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (PAYMENT.search, "no promise"),
        (lambda: PAYMENT.search(nothing_lost(), budget=0), "budget=0"),
        (lambda: CHAIN.search(nothing_lost()), "no consumer"),
    ],
)
def test_a_wrong_question_gets_a_sentence(wrong, sentence):
    with pytest.raises(BadScenario, match=sentence):
        wrong()


def test_an_unknown_fault_is_named():
    with pytest.raises(UnknownName, match="did you mean 'crash'"):
        search(ORDER_SHOP, [nothing_lost()], faults=("crahs",))


def test_a_run_full_of_faults_shrinks_to_one_event_and_the_one_that_matters():
    run = INCIDENT.run(120, seed=11)
    assert run.check(at_most_once("card charged"))[0].state == "VIOLATED"
    small = run.shrink(at_most_once("card charged"))
    assert [type(fault) for fault in small.case.faults] == [Crash]
    assert small.run.history.event_count <= 3
    assert small.scenario.replay(small.token).same


def test_there_is_nothing_to_shrink_in_a_run_that_keeps_its_promises():
    with pytest.raises(BadScenario, match="breaks none"):
        ORDER_SHOP.run(10, seed=1).shrink(nothing_lost())


@pytest.mark.parametrize(
    "between", [Router("way", of="in", routes={"orders": {}}), Relay("way", of="in", to="orders", mark="before")]
)
def test_who_forwards_is_struck_too(between):
    shop = Scenario(
        Publisher("shop", to="in", rate=2, count=5), Log("in"), between, Log("orders"), Consumer("payment", of="orders")
    )
    drawn = [case.faults[0].part for case in islice(Lottery(shop, 60, ("crash",), 1, Chance(1)).cases(1), 200)]
    assert set(drawn) == {"way", "payment"}
    assert {point.part for point in crash_points(shop, 1)} == {"way", "payment"}
    assert not shop.plus(*crash_points(shop, 1)).problems()
