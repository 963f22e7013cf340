"""Order processing with one mistake each: a search finds every one, and nothing in the right version."""

from __future__ import annotations

import pytest

from evsim.lab.ordering import NAIVE, NO_PAID_UNSHIPPED, RIGHT


def hunt(shop, budget):
    return shop.search(NO_PAID_UNSHIPPED, budget=budget, until_s=60, progress=False)


def test_the_right_one_survives():
    found = hunt(RIGHT, 120)
    assert not found.found, str(found)


@pytest.mark.slow
def test_the_right_one_survives_two_thousand_schedules():
    found = hunt(RIGHT, 2000)
    assert not found.found, str(found)


@pytest.mark.parametrize("shop", NAIVE, ids=lambda shop: shop.name)
def test_every_mistake_is_found(shop):
    found = hunt(shop, 2000)
    assert found.found, str(found)
    assert found.verdict.lines
