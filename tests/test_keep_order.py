"""Retry topics that keep the order of a key: what comes after an event that waits there goes there too."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shops import ids, run

from evsim.errors import BadScenario
from evsim.lab.scenario import Scenario
from evsim.laws import Constant, Exponential, Zipf
from evsim.patterns.retry import Backoff, Retry
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash, Pause
from evsim.sim.publisher import Publisher
from evsim.view.checks import every, in_order_by_key, nothing_lost


def _shop(*more, handler, keep_order=True, group="billing", **settings):
    on = {"order.placed": handler}
    return (
        Publisher("shop", to="orders", gap_s=Constant(0.2), count=200, key=Zipf(4, 0)),
        Log("orders", partitions=2),
        Log("later", partitions=2),
        Log("aside"),
        Consumer(
            "billing",
            of="orders",
            members=2,
            on=on,
            dead_letter="aside",
            service_s=Exponential(0.02),
            retry=Retry(1, through="later", keep_order=keep_order),
            **settings,
        ),
        Consumer(
            "again",
            of="later",
            group=group,
            on=on,
            dead_letter="aside",
            delay_s=3.0,
            service_s=Exponential(0.02),
            retry=Retry(3, Backoff(1, 1, 1, "none")),
        ),
        *more,
    )


def _fails(*bad, until_s=1e9):
    def handler(event, ctx):
        if event.id in bad and ctx.now < until_s:
            raise RuntimeError("not now")

    return handler


def test_the_events_of_the_key_follow_and_the_others_go_on():
    history = run(*_shop(handler=_fails("shop.20", until_s=6)), until_s=120)
    key = history.key_of(history.index("shop.20"))
    moved = ids(history, "retried", node="billing")
    assert moved[0] == "shop.20"
    assert len(moved) > 1
    assert {history.key_of(history.index(each)) for each in moved} == {key}
    assert in_order_by_key().judge(history).state == "ok"
    assert nothing_lost().judge(history).state == "ok"
    handled = ids(history, "handled", node="billing")
    assert any(history.key_of(history.index(each)) == key for each in handled[-40:]), "and the key comes back"
    without = run(*_shop(handler=_fails("shop.20", until_s=6), keep_order=False), until_s=120)
    assert in_order_by_key().judge(without).state == "VIOLATED"


def test_what_is_given_up_holds_up_its_key_no_longer():
    history = run(*_shop(handler=_fails("shop.20")), until_s=120)
    assert ids(history, "dead_lettered") == ["shop.20"]
    assert in_order_by_key().judge(history).state == "ok"
    key = history.key_of(history.index("shop.20"))
    last = [each for each in ids(history, "published") if history.key_of(history.index(each)) == key][-1]
    assert last in ids(history, "handled", node="billing")


@settings(max_examples=30, deadline=None)
@given(
    st.sets(st.integers(1, 200), max_size=12),
    st.lists(
        st.one_of(
            st.builds(
                lambda part, at, down: Crash(part, at_s=at, down_s=down),
                st.sampled_from(["billing", "billing-1", "again"]),
                st.floats(1, 40).map(lambda x: round(x, 2)),
                st.floats(0.5, 5).map(lambda x: round(x, 2)),
            ),
            st.builds(
                lambda part, at, down: Pause(part, at_s=at, for_s=down),
                st.sampled_from(["billing-1", "again"]),
                st.floats(1, 40).map(lambda x: round(x, 2)),
                st.floats(0.5, 5).map(lambda x: round(x, 2)),
            ),
        ),
        max_size=3,
    ),
    st.sampled_from([1, 4]),
    st.integers(0, 100),
)
def test_order_is_kept_and_nothing_lost_whatever_fails(bad, faults, parallel, seed):
    handler = _fails(*(f"shop.{n}" for n in bad), until_s=30)
    history = run(*_shop(*faults, handler=handler, parallel=parallel), until_s=300, seed=seed)
    assert in_order_by_key().judge(history).state == "ok"
    assert nothing_lost().judge(history).state == "ok"
    settled = {*ids(history, "handled"), *ids(history, "dead_lettered")}
    assert settled == {f"shop.{n}" for n in range(1, 201)}


@pytest.mark.parametrize(
    ("change", "told"), [({"group": "others"}, "group='billing'"), ({"through": None}, "give through")]
)
def test_who_keeps_order_needs_a_retry_topic_and_a_reader_of_its_group(change, told):
    group = change.pop("group", "billing")
    shop = Scenario(*_shop(handler=_fails(), group=group))
    if "through" in change:
        shop = shop.replace("billing", retry=Retry(2, keep_order=True))
    with pytest.raises(BadScenario, match=told):
        shop.check()
    assert every("order.placed").ends
