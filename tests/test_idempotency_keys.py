"""An outside service that does something: late success, lost replies, and keys that make asking again harmless."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evsim as ev
from evsim import BadScenario
from evsim.lab.crash_table import crash_table
from evsim.sim.world import World

CHARGED = "card charged"
ONCE = ev.exactly_once(CHARGED, of="order.placed")
PATIENT = ev.Calling(timeout_s=0.5, retry=ev.Retry(50, ev.Backoff(0.2, cap_s=2)))


async def pay(event, ctx):
    await ctx.call("psp")
    ctx.emit("order.paid")


async def pay_with_key(event, ctx):
    await ctx.call("psp", {"idempotency_key": event.id})
    ctx.emit("order.paid")


def shop(handler, *faults, keys_s=86_400.0, **settings):
    how = {"inbox": True, "outbox": True, "calling": PATIENT, "retry": ev.Retry(100, ev.Backoff(0.5, cap_s=2))}
    return ev.Scenario(
        ev.Publisher("shop", to="orders", rate=2, count=12),
        ev.Log("orders"),
        ev.Service("psp", service_s=ev.Exponential(0.1), effect=CHARGED, idempotency_s=keys_s),
        ev.Consumer("payment", of="orders", to="paid", on={"order.placed": handler}, **(how | settings)),
        ev.Log("paid"),
        *faults,
    )


LOST_REPLIES = ev.Drop("psp", "payment", share=0.3)


def state(scenario, promise=ONCE, seed=3):
    return scenario.run(until_s=120, seed=seed).check(promise)[0].state


def test_a_service_acts_when_its_work_is_done_also_when_nobody_waits_any_more():
    """Timeout means unknown, not failed: the caller gives up after 0.1 s, and the card is charged after one."""
    hasty = ev.Calling(timeout_s=0.1)
    run = ev.Scenario(
        ev.Publisher("shop", to="orders", rate=1, count=1), ev.Log("orders"), ev.Log("aside"),
        ev.Service("psp", service_s=1.0, effect=CHARGED),
        ev.Consumer("payment", of="orders", on={"order.placed": pay}, calling=hasty, dead_letter="aside"),
    ).run(until_s=30, seed=1)  # fmt: skip
    [failed], [charged] = (list(run.history.of(step)) for step in ("failed", "effect"))
    assert charged.node == "psp"
    assert charged.time == pytest.approx(failed.time + 0.9)


def test_lost_replies_and_retries_charge_twice_and_a_key_prevents_it():
    assert state(shop(pay, LOST_REPLIES)) == "VIOLATED"
    assert state(shop(pay_with_key, LOST_REPLIES)) == "ok"


def test_the_gap_that_inbox_and_outbox_leave_is_closed_by_a_key():
    promises = (ev.at_most_once(CHARGED), ONCE)
    remedies = {name: {"on": {"order.placed": handler}} for name, handler in (("no key", pay), ("key", pay_with_key))}
    table = crash_table(shop(pay), "payment", promises, remedies=remedies, seeds=[1, 2, 3], until_s=120)
    assert table.rows == {"no key": ["··", "XX", "··", "··", "··"], "key": ["··"] * 5}


def test_a_key_that_is_forgotten_too_soon_protects_nobody():
    crash = ev.Crash("payment", after="handled", nth=3, down_s=20)
    assert state(shop(pay_with_key, crash, keys_s=5.0)) == "VIOLATED"
    assert state(shop(pay_with_key, crash, keys_s=60.0)) == "ok"


def test_who_asks_while_the_first_is_at_work_is_refused_and_nothing_is_done_twice():
    slow = ev.Scenario(
        ev.Publisher("shop", to="orders", rate=1, count=3), ev.Log("orders"),
        ev.Service("psp", service_s=3.0, effect=CHARGED, idempotency_s=100),
        ev.Consumer("payment", of="orders", on={"order.placed": pay_with_key}, calling=PATIENT),
    )  # fmt: skip
    run = slow.run(until_s=60, seed=1)
    assert run.check(ONCE)[0].state == "ok"
    assert len(run.history.of("refused")) > 0
    assert len(run.history.of("deduplicated")) == 3


@settings(max_examples=25, deadline=None)
@given(
    st.floats(0, 0.6), st.floats(0, 0.6), st.floats(0.5, 1), st.integers(1, 99),
    st.sampled_from(["delivered", "handled", "saved", "sent", "acked"]), st.integers(1, 12),
)  # fmt: skip
def test_with_key_inbox_and_outbox_every_order_is_paid_once_in_any_weather(there, back, availability, seed, step, nth):
    scenario = shop(
        pay_with_key, ev.Drop("payment", "psp", share=there), ev.Drop("psp", "payment", share=back),
        ev.Crash("payment", after=step, nth=nth, down_s=1), ev.Crash("psp", at_s=4, down_s=2),
    ).replace("psp", availability=availability)  # fmt: skip
    run = scenario.run(until_s=900, seed=seed)
    assert [verdict.state for verdict in run.check(ONCE, ev.every("order.placed").ends)] == ["ok", "ok"]


@pytest.mark.parametrize("asked", [1.0, 0.02], ids=["done", "at work"])
def test_a_key_that_is_used_for_something_else_is_refused_for_good(asked):
    """One key for all orders is a bug of the caller; the second order must not be told that it was paid."""

    async def same_key(event, ctx):
        await ctx.call("psp", {"idempotency_key": "monday", "order": event.key})

    run = ev.Scenario(
        ev.Publisher("shop", to="orders", gap_s=ev.Constant(asked), count=3), ev.Log("orders", partitions=3),
        ev.Log("aside"),
        ev.Service("psp", service_s=0.1, effect=CHARGED, idempotency_s=86_400.0),
        ev.Consumer("payment", of="orders", members=3, on={"order.placed": same_key}, calling=PATIENT,
                    dead_letter="aside"),
    ).run(until_s=30, seed=1)  # fmt: skip
    assert len(run.history.of("effect")) == 1
    assert len(run.history.of("dead_lettered")) == 2
    assert len(run.history.of("retried")) == 0
    assert "knows the key 'monday' from another question" in str(run.history.notes)


def test_a_service_forgets_what_its_keys_were_used_for_with_the_keys():
    async def pay_each(event, ctx):
        await ctx.call("psp", {"idempotency_key": event.id, "order": event.key})

    world = World(seed=2)
    world.build(shop(pay_each, keys_s=1.0).replace("shop", rate=100, count=1000).parts)
    world.run(until=200)
    psp = world.live["psp"]
    assert len(world.history.of("effect")) == 1000
    assert len(psp._said) <= 2 * len(psp._keys) + 64 < 200
    world.close()


def test_keys_without_an_effect_are_refused():
    with pytest.raises(BadScenario, match="give effect"):
        ev.Scenario(ev.Publisher("shop", to="psp", rate=1), ev.Service("psp", idempotency_s=5)).run(until_s=1, seed=1)
