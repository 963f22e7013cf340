"""A saga at work: commands over brokers, answers back, timers, and a state that outlives a crash at any step."""

from __future__ import annotations

import pytest

from evsim.errors import UnknownName
from evsim.history import History
from evsim.lab import plain, schema
from evsim.lab.scenario import Scenario
from evsim.laws import Constant, Exponential, Uniform
from evsim.patterns.participant import choreographed, participant
from evsim.patterns.saga import Plan, Step
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash, Drop, Pause
from evsim.sim.publisher import Publisher
from evsim.sim.saga import Saga
from evsim.view.sagas import no_stuck_sagas, stuck_sagas, tracks
from evsim.view.stories import all_or_nothing

RESERVE = Step("reserve.stock", undo="release.stock", timeout_s=2, retries=2)
CHARGE = Step("charge.card", undo="refund.card", timeout_s=2, retries=2)
SHIP = Step("ship.order", timeout_s=2, pivot=True)
PLAN = Plan("order.placed", (RESERVE, CHARGE, SHIP))
WHOLE = all_or_nothing(
    ("stock.reserved", "card.charged", "order.shipped"),
    undo={"stock.reserved": "stock.released", "card.charged": "card.refunded"},
)
CAREFUL = {"of": "bus", "inbox": True, "outbox": True}


def shop(*more, count=6, saga=(), **how):
    return Scenario(
        Publisher("shop", to="bus", gap_s=1.0, count=count, data={"luck": Uniform(0, 1)}),
        Log("bus"),
        Log("humans"),
        Saga("ordering", of="bus", starts_on="order.placed", **{"steps": PLAN.steps, "manual": "humans"} | dict(saga)),
        *(
            Consumer(name, on=participant(step, **how.get(name, {})), service_s=Constant(0.05), **CAREFUL)
            for name, step in (("stock", RESERVE), ("payment", CHARGE), ("shipping", SHIP))
        ),
        *more,
    )


def count(run, *types):
    return [sum(run.history.type_of(n) == each for n in range(run.history.event_count)) for each in types]


def test_a_saga_goes_from_step_to_step():
    run = shop().run(until_s=30, seed=1)
    assert count(run, "stock.reserved", "card.charged", "order.shipped", "order.completed") == [6, 6, 6, 6]
    assert str(run.check(WHOLE)[0]).startswith("ok")


def test_a_refusal_is_compensated():
    run = shop(shipping={"refuses": 1}).run(until_s=30, seed=1)
    assert count(run, "card.refunded", "stock.released", "order.cancelled") == [6, 6, 6]
    assert str(run.check(WHOLE)[0]).startswith("ok")


@pytest.mark.parametrize("step", ["delivered", "handled", "saved", "sent", "acked"])
@pytest.mark.parametrize("nth", [1, 2, 3, 9])
def test_the_orchestrator_goes_on_after_a_crash_at_any_step(step, nth):
    for refuses in (0, 1):
        run = shop(Crash("ordering", after=step, nth=nth, down_s=3), shipping={"refuses": refuses}).run(60, seed=1)
        assert count(run, "order.completed", "order.cancelled") == ([0, 6] if refuses else [6, 0])
        assert str(run.check(WHOLE)[0]).startswith("ok")


@pytest.mark.parametrize("part", ["stock", "payment", "shipping"])
@pytest.mark.parametrize("step", ["delivered", "handled", "saved", "sent", "acked"])
def test_so_do_its_participants(part, step):
    run = shop(Crash(part, after=step, nth=2, down_s=30)).run(until_s=120, seed=1)
    assert sum(count(run, "order.completed", "order.cancelled")) == 6
    assert str(run.check(WHOLE)[0]).startswith("ok")


def test_what_is_lost_on_the_way_is_asked_again():
    for start, end in (("ordering", "bus"), ("payment", "bus")):
        run = shop(Drop(start, end, share=0.3)).run(until_s=300, seed=3)
        assert sum(count(run, "order.completed", "order.cancelled")) >= 5
        assert str(run.check(WHOLE)[0]).startswith("ok")


def test_a_crash_forgets_alarms_and_the_disk_remembers_them():
    """Payment is away for longer than the saga waits; the saga crashes while it waits."""
    run = shop(Crash("payment", at_s=0.1, down_s=4), Crash("ordering", at_s=1.3, down_s=0.4), count=1).run(30, seed=1)
    assert count(run, "charge-card.expired")[0] > 0
    assert count(run, "order.completed") == [1]


def test_a_paused_saga_goes_on_where_it_was():
    run = shop(Pause("ordering", at_s=1.02, for_s=5), Crash("payment", at_s=0.1, down_s=3)).run(until_s=60, seed=1)
    assert sum(count(run, "order.completed", "order.cancelled")) == 6


def test_a_compensation_that_fails_for_good_lies_before_a_human():
    run = shop(shipping={"refuses": 1}, payment={"undo_fails": 1}).run(until_s=60, seed=1)
    assert count(run, "order.stuck", "refund-card.given_up", "refund-card.failed") == [6, 6, 18]
    given = run.history.of("stored", node="humans")
    assert len(given) == 6


def test_state_is_a_stream_of_events_that_adds_up():
    running = shop().start(1)
    running.run_until(30, progress=False)
    live = running.world.find("ordering")
    assert live.store.verify() == 6 * 8, "begun, three asked, three done, completed"
    facts = [each.event.type for each in live.store.read("ordering-order-2")]
    assert facts[0] == "saga.begun"
    assert facts[-1] == "saga.completed"


def test_a_saga_is_a_consumer_to_whoever_looks_and_a_saga_in_a_file():
    assert "ordering  conducts reserve.stock, charge.card, ship.order\n            no way back after ship.order" in (
        shop().explain()
    )
    said = shop().run(until_s=2, seed=1).history.parts["ordering"]
    assert said["kind"] == "consumer"
    assert said["saga"]["steps"][1]["undo"] == "refund.card"


def test_a_saga_can_be_written_to_a_file():
    at_once = Saga("ordering", of="bus", starts_on="order.placed", steps=(CHARGE, (RESERVE, SHIP)))
    assert plain.KINDS["saga"] is Saga
    assert Saga.model_validate(plain.plain(at_once, print)) == at_once
    jsonschema = pytest.importorskip("jsonschema")
    said = {"parts": [plain.plain(at_once, print)]}
    jsonschema.validate(said, schema.json_schema())


def test_a_command_that_nobody_takes_is_found_before_the_run():
    lonely = Scenario(Log("bus"), Saga("ordering", of="bus", starts_on="order.placed", steps=(CHARGE,)))
    assert any("nobody on 'bus' takes the command 'charge.card'" in sentence for sentence in lonely.problems())


def test_the_choreographed_twin_comes_to_the_same_ends():
    how = {"refuses": 0.3}
    conducted = shop(shipping=how, payment=how, count=30).run(until_s=120, seed=2)
    dancing = Scenario(
        Publisher("shop", to="bus", gap_s=1.0, count=30, data={"luck": Uniform(0, 1)}),
        Log("bus"),
        *(
            Consumer(
                name, on=choreographed(PLAN, step, participant(step, **kw)), service_s=Exponential(0.05), **CAREFUL
            )
            for name, step, kw in (("stock", RESERVE, {}), ("payment", CHARGE, how), ("shipping", SHIP, how))
        ),
    ).run(until_s=120, seed=2)
    facts = ("stock.reserved", "card.charged", "order.shipped", "card.refunded", "stock.released")
    assert count(conducted, *facts) == count(dancing, *facts)
    assert str(dancing.check(WHOLE)[0]).startswith("ok")


# -------------------------------------------------------------------- what one sees


def test_tracks_tell_what_the_machine_decided_also_from_a_saved_file(tmp_path):
    run = shop(shipping={"refuses": 1}).run(until_s=30, seed=1)
    track = tracks(History.load(run.save(tmp_path / "run")))[0]
    assert track.status == "cancelled"
    assert [(s.step, s.undo, s.how) for s in track.spans] == [
        (0, False, "done"), (1, False, "done"), (2, False, "refused"), (1, True, "done"), (0, True, "done"),
    ]  # fmt: skip
    (charged, refunded) = track.held(1)[0]
    assert charged < track.turned_s < refunded


def test_the_waterfall_says_what_was_done_undone_and_seen():
    figure = shop(shipping={"refuses": 1}).run(until_s=30, seed=1).saga("order-2")
    assert figure.claim == "ship.order was refused, so the saga undid two steps, newest first"
    assert figure.facts["charge.card"] == "done, undone"
    assert figure.facts["seen: card"].startswith("charged, then undone")
    assert figure.png("light") != figure.png("dark")


@pytest.mark.parametrize("fault", [None, Crash("payment", at_s=0.1, down_s=9), Crash("payment", at_s=2, down_s=None)])
def test_the_waterfall_draws_whatever_happened(fault):
    run = shop(*([fault] if fault else [])).run(until_s=30, seed=1)
    for track in tracks(run.history):
        figure = run.saga(track.key)
        assert len(figure.claim) <= 75
        assert figure.png().startswith(b"\x89PNG")
    with pytest.raises(UnknownName, match="did you mean"):
        run.saga("ordr-1")


def test_a_saga_that_gets_nowhere_is_found_and_no_other():
    run = shop(Crash("payment", at_s=2.5, down_s=None), saga={"steps": (RESERVE, Step("charge.card"), SHIP)})
    run = run.run(until_s=60, seed=1)
    found = stuck_sagas(run.history, 10)
    open_ = [track.key for track in tracks(run.history) if track.ended_s is None]
    assert [stuck.key for stuck in found] == open_ != []
    assert str(found[0]).endswith("after stock.reserved; it waits for charge.card")
    assert str(run.check(no_stuck_sagas(10))[0]).startswith("VIOLATED")
    assert stuck_sagas(run.history, 10, at_s=4.0) == []
    assert run.check(no_stuck_sagas(90))[0].state == "ok"
