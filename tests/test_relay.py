"""The transactional outbox with a relay of its own: nothing is lost, nothing is invented, and what it costs in time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evsim as ev
from evsim import BadScenario
from evsim.lab.crash_table import STEPS, crash_table


def pay(event, ctx):
    ctx.state[event.key] = "paid"
    ctx.emit("order.paid")


def ship(event, ctx):
    ctx.effect("parcel sent")


def shop(*more, outbox="rows", relay=None, **settings):
    relays = [] if outbox != "rows" else [ev.Log("rows"), relay or ev.Relay("relay", of="rows", to="paid")]
    return ev.Scenario(
        ev.Publisher("shop", to="orders", rate=4, count=20),
        ev.Log("orders"),
        ev.Consumer("payment", of="orders", to="paid", on={"order.placed": pay}, inbox=True, outbox=outbox, **settings),
        *relays,
        ev.Log("paid"),
        ev.Consumer("shipping", of="paid", on={"order.paid": ship}, inbox=True),
        *more,
        name="outbox",
    )


ONCE = ev.exactly_once("parcel sent", of="order.placed")


def test_what_is_saved_is_sent_by_the_relay_and_not_by_the_member():
    history = shop().run(until_s=30, seed=3).history
    steps = [(r.step, r.node) for r in history.of(event="payment.1")]
    assert steps[:2] == [("published", "payment"), ("stored", "rows")]
    assert ("published", "relay") in steps
    assert ("published", "payment") not in steps[1:]
    assert shop().run(until_s=30, seed=3).check(ONCE)[0].state == "ok"


@pytest.mark.parametrize("part", ["payment", "relay"])
def test_a_crash_of_either_at_any_step_loses_nothing_and_doubles_only_what_an_inbox_sees(part):
    remedies = {"relay": lambda s: s, "marks before": lambda s: s.replace("relay", mark="before")}
    table = crash_table(shop(), part, [ONCE], remedies=remedies, seeds=[1, 2, 3], until_s=60)
    assert table.rows["relay"] == ["·"] * 5
    assert table.rows["marks before"] == (["·"] * 5 if part == "payment" else ["X", "X", "X", "·", "·"])


def test_the_dual_write_loses():
    """Save, then publish, in two acts: a crash in between leaves a paid order that nobody hears of."""
    remedies = {"dual write": {}, "own outbox": {"outbox": True}}
    table = crash_table(shop(outbox=False), "payment", [ONCE], remedies=remedies, seeds=[1, 2], until_s=60)
    assert table.rows == {"dual write": ["·", "·", "X", "·", "·"], "own outbox": ["·"] * 5}


def test_a_relay_may_send_twice_and_whoever_reads_must_know():
    naive = shop(ev.Crash("relay", after="sent", nth=4, down_s=1)).replace("shipping", inbox=False)
    assert naive.run(until_s=60, seed=1).check(ONCE)[0].state == "VIOLATED"


@pytest.mark.parametrize("poll_s", [0.5, 2.0])
def test_a_row_waits_for_half_a_poll_on_average_and_for_one_at_most(poll_s):
    """S7: Δ/2 and Δ; at Δ = 0.5 s the mean is 0.25 s, and 0.495 s in one of a hundred."""
    lags = []
    for seed in range(1, 9):
        scenario = shop(relay=ev.Relay("relay", of="rows", to="paid", poll_s=poll_s)).replace(
            "shop", rate=20, count=2000
        )
        history = scenario.run(until_s=120, seed=seed).history
        written, sent = history.of("stored", node="rows"), history.of("published", node="relay")
        at = dict(zip(written.event.tolist(), written.time.tolist(), strict=True))
        lags += [time - at[event] for event, time in zip(sent.event.tolist(), sent.time.tolist(), strict=True)]
    assert np.mean(lags) == pytest.approx(poll_s / 2, rel=0.03)
    assert np.quantile(lags, 0.99) == pytest.approx(0.99 * poll_s, rel=0.03)
    assert max(lags) <= poll_s + 1e-9


def test_tailing_the_log_is_as_quick_as_its_service_and_rows_are_cleaned_away():
    tail = ev.Relay("relay", of="rows", to="paid", service_s=0.01)
    scenario = shop(relay=tail).replace("rows", retention_s=2.0)
    history = scenario.run(until_s=60, seed=1).history
    written, sent = history.of("stored", node="rows").time, history.of("published", node="relay").time
    assert np.max(sent - written) < 0.05
    assert scenario.run(until_s=60, seed=1).check(ev.nothing_lost(), ONCE)[1].state == "ok"


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["payment", "relay", "shipping"]), st.sampled_from(STEPS),
    st.integers(1, 15), st.sampled_from([None, 0.3]), st.integers(1, 99), st.floats(0.1, 5),
)  # fmt: skip
def test_whoever_crashes_whenever_every_paid_order_is_heard_of_once(part, step, nth, poll_s, seed, down_s):
    scenario = shop(
        ev.Crash(part, after=step, nth=nth, down_s=down_s), relay=ev.Relay("relay", of="rows", to="paid", poll_s=poll_s)
    ).replace("shipping", outbox=True)
    run = scenario.run(until_s=100, seed=seed)
    told = {}
    for record in run.history.of("stored", node="paid"):
        event = run.history.event_at(run.history.index(record.event_id))
        told.setdefault(event.key, set()).add(event.id)
    assert len(told) == 20
    assert all(len(ids) == 1 for ids in told.values()), "an order is told by one event, however often it is sent"
    assert run.check(ev.every("order.placed").ends)[0].state == "ok"


def test_it_is_written_down_explained_and_drawn():
    scenario = shop(relay=ev.Relay("relay", of="rows", to="paid", poll_s=0.5))
    bare = ev.Scenario(*(part for part in scenario.parts if part.name not in {"payment", "shipping"}),
                       ev.Consumer("payment", of="orders", outbox="rows"))  # fmt: skip
    assert ev.Scenario.from_yaml(bare.to_yaml()) == bare
    assert "sends rows to paid" in str(scenario.explain())
    assert "relay to paid" in repr(scenario.run(until_s=10, seed=1).topology())
    with pytest.raises(BadScenario, match="'outbox' names 'shop'"):
        shop(outbox="shop").run(until_s=1, seed=1)
