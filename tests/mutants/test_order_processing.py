"""Order processing with one mistake each: a search finds every one, and nothing in the right version."""

from __future__ import annotations

import pytest

from evsim.lab.ordering import (
    BOOK,
    CHARGE,
    NAIVE,
    NO_PAID_UNSHIPPED,
    RESERVE,
    RIGHT,
    SHIP,
    TELL,
    order_processing,
)
from evsim.laws import Constant
from evsim.patterns.saga import Plan
from evsim.view.sagas import no_stuck_sagas


def hunt(shop, budget):
    return shop.search(NO_PAID_UNSHIPPED, budget=budget, until_s=60, progress=False)


def test_the_right_one_survives():
    found = hunt(RIGHT, 120)
    assert not found.found, str(found)


@pytest.mark.slow
def test_the_right_one_survives_two_thousand_schedules():
    found = hunt(RIGHT, 2000)
    assert not found.found, str(found)


def shared():
    """Two steps at once, three partitions, and members who share them."""
    plan = Plan("order.placed", (RESERVE, (CHARGE, BOOK), SHIP, TELL))
    trouble = {"courier": {"refuses": 0.2}, "payment": {"refuses": 0.1, "fails": 0.2}}
    shop = order_processing(plan, count=12, service_s=Constant(0.05), saga={"members": 2}, **trouble)
    return shop.replace("bus", partitions=3).replace("payment", members=2)


def test_steps_at_once_and_members_who_share_survive_as_well():
    found = hunt(shared(), 120)
    assert not found.found, str(found)


@pytest.mark.slow
def test_they_survive_two_thousand_schedules_too():
    found = hunt(shared(), 2000)
    assert not found.found, str(found)


@pytest.mark.slow
def test_in_two_thousand_schedules_no_saga_gets_stuck():
    found = RIGHT.search(no_stuck_sagas(75), budget=2000, until_s=200, progress=False)
    assert not found.found, str(found)


@pytest.mark.parametrize("shop", NAIVE, ids=lambda shop: shop.name)
def test_every_mistake_is_found(shop):
    found = hunt(shop, 2000)
    assert found.found, str(found)
    assert found.verdict.lines
