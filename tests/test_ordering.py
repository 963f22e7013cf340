"""Order processing in the catalogue, in both styles, against the formulas and against each other."""

from __future__ import annotations

import pytest

from evsim.lab import catalog
from evsim.lab.ordering import NO_PAID_UNSHIPPED, PLAN, order_processing
from evsim.lab.scenario import Scenario
from evsim.laws import Constant, Exponential
from evsim.patterns.coupling import changes, coupling, listens
from evsim.patterns.saga import Plan, Step
from evsim.patterns.saga_odds import compensations, stuck, success, with_retries
from evsim.view.sagas import saga_numbers

STYLES = ("orchestrated", "choreographed")


def numbers(run, style="orchestrated", plan=PLAN):
    return saga_numbers(run.history, plan=plan if style == "choreographed" else None)


def test_the_catalogue_has_it_and_a_file_can_hold_it():
    shop = catalog.get("order-processing")
    assert Scenario.from_yaml(shop.to_yaml()) == shop
    run = shop.run(until_s=60, seed=7)
    assert numbers(run).completed > 80
    assert str(run.check(NO_PAID_UNSHIPPED)[0]).startswith("ok")


def of(n, p, style, runs, **how):
    steps = tuple(Step(f"do.part{k}", undo=f"undo.part{k}", undone=f"part{k}.removed", **how) for k in range(n))
    plan = Plan("order.placed", steps)
    trouble = {f"do-part{k}": p for k in range(n)}
    shop = order_processing(plan, style=style, rate=200, count=runs, service_s=Constant(0.0005), **trouble)
    return numbers(shop.run(until_s=runs / 100, seed=5), style, plan)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("n", "p"), [(5, 0.02), (3, 0.1)])
def test_success_and_compensations_are_those_of_the_formula(style, n, p):
    runs = 1500
    found = of(n, {"refuses": p}, style, runs)
    assert found.completed / found.begun == pytest.approx(success([p] * n), rel=0.03)
    wide = 4 * (compensations([p] * n) * n / runs) ** 0.5
    assert found.compensations == pytest.approx(compensations([p] * n), abs=wide)


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES)
def test_success_and_compensations_within_three_per_cent(style):
    found = of(5, {"refuses": 0.02}, style, 60_000)
    assert found.completed / found.begun == pytest.approx(0.9039, rel=0.03)
    assert found.compensations == pytest.approx(0.1883, rel=0.03)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("retries", [0, 1, 2])
def test_retries_raise_the_success_to_a_power(style, retries):
    found = of(4, {"fails": 0.05}, style, 1000, retries=retries)
    assert found.completed / found.begun == pytest.approx(success([with_retries(0.05, retries)] * 4), rel=0.03)


def test_stuck_sagas_are_as_many_as_the_formula_says():
    """Compensations that fail often, so that few runs are enough; the same formula gives 3.3e-5 for c = 0.05."""
    p, c = 0.2, 0.5
    found = of(4, {"fails": p, "undo_fails": c}, "orchestrated", 1500, undo_retries=2)
    expected = stuck([p] * 4, c, 2)
    assert found.stuck / found.begun == pytest.approx(expected, abs=4 * (expected / 1500) ** 0.5)


def test_both_styles_meet_the_same_customers_and_come_to_the_same_ends():
    runs = {
        s: order_processing(style=s, payment={"refuses": 0.2}, courier={"refuses": 0.1}).run(60, seed=3) for s in STYLES
    }
    ends = {style: (n.begun, n.completed, n.compensated) for style, n in ((s, numbers(r, s)) for s, r in runs.items())}
    assert ends["orchestrated"] == ends["choreographed"]
    for run in runs.values():
        assert str(run.check(NO_PAID_UNSHIPPED)[0]).startswith("ok")


def test_an_orchestrator_costs_twice_the_messages_and_a_hop_more_a_step():
    shops = {
        s: order_processing(style=s, hop_s=Constant(0.01), service_s=Exponential(0.02)).run(60, seed=3) for s in STYLES
    }
    conducted, danced = (numbers(shops[s], s) for s in STYLES)
    assert conducted.messages == pytest.approx(2 * danced.messages, rel=0.05)
    assert conducted.latency_s > danced.latency_s + 4 * 0.01


def test_who_must_know_whom():
    assert coupling(PLAN) == 10
    assert listens(PLAN, "choreographed")["charge.card"] == {
        "stock.reserved", "book-courier.refused", "courier.cancelled", "cancel-courier.answered",
    }  # fmt: skip
    check = Step("check.fraud", undo="clear.fraud", undone="fraud.cleared")
    longer = Plan(PLAN.starts_on, (*PLAN.steps[:2], check, *PLAN.steps[2:]))
    assert changes(PLAN, longer) == ("the saga",)
    assert changes(PLAN, longer, "choreographed") == ("charge.card", "book.courier")
