"""Handlers and the five steps: effect, state, emit, and waiting on simulated time."""

from __future__ import annotations

from collections import Counter

import pytest
from shops import ids, run

from evsim.errors import HandlerFailed
from evsim.laws import Constant
from evsim.patterns.handler import Unavailable
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash, Pause
from evsim.sim.publisher import Publisher
from evsim.sim.service import Service
from evsim.sim.world import World


def charge(event, ctx):
    ctx.effect("card charged", amount=10)
    ctx.state["charged"] = ctx.state.get("charged", 0) + 1
    ctx.emit("order.paid", {"charged": ctx.state["charged"]})


def shop(*more, on=None, **settings):
    """Orders that are paid on one bus."""
    return (
        Publisher("shop", to="bus", gap_s=1.0),
        Log("bus"),
        Consumer("payment", of="bus", on=on or {"order.placed": charge}, **settings),
        *more,
    )


def effects(history):
    return Counter(history.key_of(history.index(r.event_id)) for r in history.of("effect"))


def test_a_delivery_passes_the_five_steps_and_its_acts_happen_in_theirs():
    history = run(*shop(), until_s=1.5)
    steps = [r.step for r in history.of(event="shop.1")]
    assert steps == ["published", "stored", "delivered", "effect", "handled", "saved", "sent", "acked"]
    assert history.event_at(history.index("payment.1")).causation_id == "shop.1"
    assert history.event_at(history.index("payment.1")).key == "order-1"


def test_what_is_emitted_carries_its_cause_its_flow_and_its_key():
    def ship(event, ctx):
        ctx.emit("parcel.sent", key="parcel-1")

    history = run(
        *shop(on={"order.placed": charge, "order.paid": ship}),
        until_s=1.5,
    )
    parcel = history.event_at(history.index("payment.2"))
    assert (parcel.type, parcel.key, parcel.causation_id, parcel.correlation_id) == (
        "parcel.sent",
        "parcel-1",
        "payment.1",
        "shop.1",
    )
    assert history.flow("shop.1") == ["shop.1", "payment.1", "payment.2"]
    assert history.flow("order-1") == ["shop.1", "payment.1", "payment.2"]


OUTCOMES = {
    # (inbox, outbox): charged per crash step, order.paid events per crash step
    (False, False): (
        {"delivered": 1, "handled": 2, "saved": 2, "sent": 2, "acked": 1},
        {"delivered": 1, "handled": 1, "saved": 1, "sent": 2, "acked": 1},
    ),
    (True, False): (
        {"delivered": 1, "handled": 2, "saved": 1, "sent": 1, "acked": 1},
        {"delivered": 1, "handled": 1, "saved": 0, "sent": 1, "acked": 1},
    ),
    (False, True): (
        {"delivered": 1, "handled": 2, "saved": 2, "sent": 2, "acked": 1},
        {"delivered": 1, "handled": 1, "saved": 2, "sent": 2, "acked": 1},
    ),
    (True, True): (
        {"delivered": 1, "handled": 2, "saved": 1, "sent": 1, "acked": 1},
        {"delivered": 1, "handled": 1, "saved": 1, "sent": 1, "acked": 1},
    ),
}


@pytest.mark.parametrize("step", ["delivered", "handled", "saved", "sent", "acked"])
@pytest.mark.parametrize(("inbox", "outbox"), list(OUTCOMES))
def test_one_crash_after_each_step_by_each_remedy(inbox, outbox, step):
    parts = shop(Crash("payment", after=step, type="order.placed", nth=2, down_s=0.3), inbox=inbox, outbox=outbox)
    history = run(*parts, until_s=4.5)
    charged, paid = OUTCOMES[inbox, outbox]
    assert effects(history)["order-2"] == charged[step]
    emitted = Counter(e.key for e in history.events if e.type == "order.paid")
    sent = set(ids(history, "published", "payment"))
    paid_2 = [e.id for e in history.events if e.type == "order.paid" and e.key == "order-2" and e.id in sent]
    assert len(paid_2) == paid[step]
    assert effects(history)["order-1"] == effects(history)["order-3"] == emitted["order-3"] == 1


def test_state_that_was_not_saved_is_lost_with_the_memory_and_saved_state_is_not():
    history = run(*shop(Crash("payment", after="handled", nth=2, down_s=0.3)), until_s=4.5)
    counts = [e.data["charged"] for e in history.events if e.type == "order.paid"]
    assert counts == [1, 2, 3, 4]


def test_a_waiting_handler_is_stepped_on_simulated_time():
    async def slow(event, ctx):
        await ctx.sleep(0.25)
        answer = await ctx.call("bank")
        ctx.effect("paid", answer=answer, at=ctx.now)

    history = run(*shop(Service("bank", service_s=0.1), on={"order.placed": slow}), until_s=3)
    assert [n["at"] for n in history.notes] == [pytest.approx(1.35), pytest.approx(2.35)]


def test_a_service_that_is_not_there_is_an_exception_the_handler_can_catch():
    async def careful(event, ctx):
        try:
            await ctx.call("bank")
        except Unavailable:
            ctx.effect("put off")

    history = run(*shop(Service("bank", availability=0.0), on={"order.placed": careful}), until_s=3.5)
    assert [r.place for r in history.of("effect")] == ["put off"] * 3


def test_a_crash_ends_a_waiting_handler_and_a_pause_only_delays_it():
    async def slow(event, ctx):
        await ctx.sleep(0.4)
        ctx.effect("done", at=ctx.now)

    crashed = run(*shop(Crash("payment", at_s=1.2, down_s=0.1), on={"order.placed": slow}), until_s=1.95)
    assert [n["at"] for n in crashed.notes] == [pytest.approx(1.7)]
    paused = run(*shop(Pause("payment", at_s=1.2, for_s=0.1), on={"order.placed": slow}), until_s=1.95)
    assert [n["at"] for n in paused.notes] == [pytest.approx(1.4)]
    late = run(*shop(Pause("payment", at_s=1.2, for_s=0.5), on={"order.placed": slow}), until_s=1.95)
    assert [n["at"] for n in late.notes] == [pytest.approx(1.7)]


def test_a_handler_that_raises_stops_the_run_with_one_sentence_that_says_where():
    def wrong(event, ctx):
        return event.data["amount"]

    with pytest.raises(HandlerFailed) as caught:
        run(*shop(on={"order.placed": wrong}), until_s=3)
    sentence = str(caught.value)
    assert all(
        part in sentence for part in ("'payment'", "shop.1", "order.placed", "KeyError", "event.data", "dead_letter")
    )
    assert "\n" not in sentence


def test_what_a_handler_fails_on_is_put_aside_when_there_is_a_place():
    def picky(event, ctx):
        if event.id == "shop.2":
            raise ValueError("poison")
        ctx.effect("done")

    history = run(*shop(Log("aside"), on={"order.placed": picky}, dead_letter="aside"), until_s=4.5)
    assert ids(history, "dead_lettered") == ["shop.2"]
    assert ids(history, "stored", "aside") == ["shop.2"]
    assert ids(history, "acked") == ["shop.1", "shop.2", "shop.3", "shop.4"]


def test_other_types_are_skipped_and_acknowledged():
    history = run(*shop(), until_s=2.5)
    assert ids(history, "skipped") == ["payment.1", "payment.2"]
    assert set(ids(history, "acked")) == {"shop.1", "shop.2", "payment.1", "payment.2"}


def test_a_command_that_nobody_handles_is_an_error_of_the_handler():
    def order(event, ctx):
        ctx.emit("take.payment")

    with pytest.raises(HandlerFailed, match="exactly one handler"):
        run(*shop(on={"order.placed": order}), until_s=2)


def test_a_generator_function_of_world_is_a_part():
    def auditor(world):
        yield world.timeout(2.5)
        world.history.note(seen=len(world.history))

    world = World(seed=1)
    world.build([*shop(), auditor])
    world.run(until=3)
    assert any("seen" in note for note in world.history.notes)


def test_the_synchronous_chain_fails_when_one_service_does():
    chain = [
        Publisher("shop", to="a", gap_s=0.1),
        Service("a", service_s=0.01, calls=("b",)),
        Service("b", service_s=0.02, calls=("c",), availability=0.5),
        Service("c", service_s=Constant(0.03)),
    ]
    history = run(*chain, until_s=100)
    handled, failed = len(ids(history, "handled", "shop")), len(ids(history, "failed", "shop"))
    assert handled + failed >= 998
    assert 0.44 < handled / (handled + failed) < 0.56
    first = history.index(ids(history, "handled", "shop")[0])
    life = [r.time for r in history.of(event=history.id_of(first))]
    assert life[-1] - life[0] == pytest.approx(0.06)


def test_closed_loop_clients_wait_for_their_answer():
    parts = [
        Publisher("desk", to="orders", clients=3, think_s=1.0, awaits="billing"),
        Log("orders"),
        Consumer("billing", of="orders", service_s=2.0),
    ]
    history = run(*parts, until_s=100)
    in_system = len(ids(history, "published")) - len(ids(history, "handled"))
    assert 0 <= in_system <= 3
    assert len(ids(history, "handled")) in {48, 49, 50}
