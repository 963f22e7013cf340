"""Exercises of notebook 19: orchestrated sagas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from evsim.classroom.exercise import Exercise, Outcome, broken, held
from evsim.lab.ordering import NO_PAID_UNSHIPPED
from evsim.lab.scenario import Scenario
from evsim.lab.search import Found
from evsim.laws import Constant, Uniform
from evsim.patterns.participant import participant
from evsim.patterns.saga import Step
from evsim.patterns.saga_odds import success, with_retries
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.publisher import Publisher

STEPS = {
    "stock": Step("reserve.stock", undo="release.stock"),
    "payment": Step("charge.card", undo="refund.card"),
    "shipping": Step("ship.order"),
}
HEARS = (
    "order.placed", "stock.reserved", "card.charged", "order.shipped", "card.refunded", "stock.released",
    "reserve-stock.refused", "charge-card.refused", "ship-order.refused",
)  # fmt: skip
FAILS, LEAST, ORDERS = 0.1, 0.99, 12


def _retries(retries: Any) -> Outcome:
    if not isinstance(retries, int) or isinstance(retries, bool) or retries < 0:
        return broken(f"my_retries = {retries!r}", ask="is it a whole number, 0 or more?")
    got = success([with_retries(FAILS, retries)] * 4)
    if got < LEAST:
        return broken(
            f"with {retries} retries {got:.4f} of the sagas succeed",
            f"ev.saga_odds.success([ev.saga_odds.with_retries(0.1, {retries})] * 4)",
            "how often must a step fail in a row before it fails for good?",
        )
    if retries and success([with_retries(FAILS, retries - 1)] * 4) >= LEAST:
        return broken(f"{retries} retries are enough, and {retries - 1} are too", ask="what does each retry cost?")
    return held("for four steps that fail by accident", "What if the failures are not accidents?")


def shop_of(saga: Callable[[Any, Any], None], **refuses: float) -> Scenario:
    """A shop with this handler as its orchestrator."""
    services = [
        Consumer(name, of="bus", inbox=True, outbox=True, service_s=Constant(0.05),
                 on=participant(step, refuses=refuses.get(name, 0.0)))
        for name, step in STEPS.items()
    ]  # fmt: skip
    return Scenario(
        Publisher("shop", to="bus", gap_s=Constant(0.5), count=ORDERS, data={"luck": Uniform(0, 1)}),
        Log("bus"),
        Consumer("ordering", of="bus", on=dict.fromkeys(HEARS, saga), inbox=True, outbox=True),
        *services,
    )


def _saga(saga: Callable[[Any, Any], None]) -> Outcome:
    for place in ("nobody", *STEPS):
        run = shop_of(saga, **{place: 1.0} if place in STEPS else {}).run(until_s=30, seed=7, progress=False)
        types = [run.history.type_of(n) for n in range(run.history.event_count)]
        ended = types.count("order.completed"), types.count("order.cancelled")
        expected = (ORDERS, 0) if place == "nobody" else (0, ORDERS)
        case = "when all say yes" if place == "nobody" else f"when {place} says no to everybody"
        verdict = run.check(NO_PAID_UNSHIPPED)[0]
        if verdict.state == "VIOLATED" or types.count("stock.reserved") - types.count("stock.released") != types.count(
            "order.shipped"
        ):
            what = verdict.lines[0] if verdict.state == "VIOLATED" else "goods that were put aside are never released"
            return broken(f"{case}: {what}", ask="which steps were done by then, and who undoes them?")
        if ended != expected:
            told = f"{ended[0]} orders were completed and {ended[1]} cancelled, of {ORDERS}"
            return broken(f"{case}: {told}", ask="which event is the last that your saga hears of such an order?")
    shop = shop_of(saga, shipping=0.3, payment=0.2)
    found = shop.search(NO_PAID_UNSHIPPED, budget=80, until_s=60, faults=("crash",), progress=False)
    if isinstance(found, Found):
        return broken(found.verdict.lines[0], str(found.token), "does your saga keep anything in its memory only?")
    return held("for every refusal, and for 80 schedules with crashes")


EXERCISES = (
    Exercise("19.1", "Patience", "99 of 100 sagas succeed, with no retry too many", "my_retries", _retries),
    Exercise(
        "19.2", "A saga of your own", "every order ends, and nobody pays for nothing", "my_saga(event, ctx)", _saga
    ),
)  # fmt: skip
