"""Events out of the order of their key: counted as by hand, whatever was handled when; and the figure."""

from __future__ import annotations

import pytest
from histories import script
from hypothesis import given, settings
from hypothesis import strategies as st
from shops import run

import evsim as ev
from evsim.view.checks import judge
from evsim.view.inversions import inversions
from evsim.view.plots import order


def written(keys, handled):
    """A history in which event i has this key, and the events are handled in this order."""
    lines = [f"{n / 100} published shop orders shop.{n}" for n in range(1, len(keys) + 1)]
    lines += [f"{1 + place / 100} handled billing orders/0 shop.{n}" for place, n in enumerate(handled, start=1)]
    events = {f"shop.{n}": {"key": f"k-{key}"} for n, key in enumerate(keys, start=1)}
    return script("\n".join(lines), events=events)


@settings(max_examples=80, deadline=None)
@given(st.data(), st.lists(st.integers(1, 3), min_size=1, max_size=12))
def test_late_is_by_how_much_the_youngest_before_was_ahead(data, keys):
    handled = data.draw(
        st.permutations(range(1, len(keys) + 1)).map(lambda all_of_them: all_of_them[: len(keys) // 2 + 1])
    )
    history = written(keys, handled)
    found = inversions(history)
    numbers = [keys[:n].count(keys[n - 1]) for n in handled]
    assert found.numbers.tolist() == numbers
    for place, n in enumerate(handled):
        before = [numbers[p] for p in range(place) if keys[handled[p] - 1] == keys[n - 1]]
        assert found.late[place] == max(0, max(before, default=0) - numbers[place])
    assert found.comparable == len(handled) - len({keys[n - 1] for n in handled})
    state = judge(ev.in_order_by_key(), history).state
    assert state == ("VIOLATED" if found.out_of_order.any() else "ok" if found.comparable else "unknown")


def test_competing_consumers_mix_keys_up_and_a_partition_does_not():
    shop = ev.Publisher("shop", to="orders", rate=50, key=ev.Zipf(5, 1.0), count=500)
    queue = run(
        shop, ev.Queue("orders"), ev.Consumer("billing", of="orders", members=4, service_s=ev.Exponential(0.06))
    )
    log = run(shop, ev.Log("orders", partitions=4), ev.Consumer("billing", of="orders", members=4))
    assert inversions(queue).share > 0.1
    assert inversions(log).share == 0
    assert "after a younger one of their key" in repr(order(queue))
    assert "handled every key in order" in repr(order(log))
    assert order(queue).png("dark") != order(queue).png("light")


def test_a_group_that_is_not_there_is_named_with_what_is():
    history = run(ev.Publisher("shop", to="orders", rate=5), ev.Log("orders"), ev.Consumer("billing", of="orders"))
    with pytest.raises(ev.UnknownName, match="did you mean 'billing'"):
        order(history, "biling")
    assert "no order to keep" in repr(order(history))
