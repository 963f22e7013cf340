"""Events out of the order of their key: counted as by hand, whatever was handled when; and the figure."""

from __future__ import annotations

import pytest
from histories import script
from hypothesis import given, settings
from hypothesis import strategies as st
from shops import run

import evsim as ev
from evsim.patterns.ordering import Resequencer
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


@settings(max_examples=80, deadline=None)
@given(st.permutations(range(1, 13)), st.lists(st.integers(1, 2), min_size=12, max_size=12), st.integers(1, 6))
def test_what_is_left_when_some_are_held_back_is_what_a_resequencer_of_that_capacity_lets_by(handled, keys, held_back):
    """The curve of the figure is a promise about a part: so many events of a key as ``Resequencer(capacity=…)``."""
    found = inversions(written(keys, handled))
    sorter, late = Resequencer(capacity=held_back), 0
    for now, n in enumerate(handled):
        late += sorter.take(keys[n - 1], keys[:n].count(keys[n - 1]), n, now).fate == "late"
    assert found.left(held_back) * found.comparable == pytest.approx(late)
    assert found.left(found.mended_by()) <= 0.001
    assert found.mended_by() == 0 or found.left(found.mended_by() - 1) > 0.001


def test_the_figure_says_when_what_and_what_would_mend_it():
    shop = ev.Publisher("shop", to="orders", rate=50, key="account-1", count=1500)
    way = ev.Link("shop", "orders", delay_s=ev.Exponential(0.01), ordered=False)
    trouble = ev.Delay("shop", "orders", extra_s=ev.Exponential(0.3), share=0.4, at_s=9, for_s=6)
    history = run(shop, way, ev.Log("orders"), ev.Consumer("billing", of="orders"), trouble, until_s=60, seed=3)
    facts = order(history).facts
    assert "held up" in facts["faults"]
    found = inversions(history)
    assert facts["hold back"].startswith(f"{found.mended_by()} events of a key")
    assert found.times[int(found.late.argmax())] > 9
    sorter = ev.Resequencer("sorter", of="orders", to="sorted", by="n", capacity=found.mended_by() + 1)
    mended = run(shop.but(sequence="n"), way, ev.Log("orders"), sorter, ev.Log("sorted"),
                 ev.Consumer("billing", of="sorted"), trouble, until_s=60, seed=3)  # fmt: skip
    assert inversions(mended, "billing").share <= 0.001


def test_a_history_of_very_many_events_is_drawn_from_the_latest_of_each_moment():
    shop = ev.Publisher("shop", to="orders", rate=2000, key=ev.Zipf(20, 0.5), count=20_000)
    history = run(shop, ev.Queue("orders"), ev.Consumer("billing", of="orders", members=8,
                  service_s=ev.Exponential(0.004)), until_s=60)  # fmt: skip
    assert len(order(history).png()) < 150_000


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
