"""Exercises of notebook 26: debugging techniques."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from evsim.classroom.exercise import Exercise, Outcome, broken, held
from evsim.lab.catalog import PAYMENT
from evsim.lab.run import Run
from evsim.lab.scenario import Scenario
from evsim.sim.faults import Crash
from evsim.view.checks import every

Handler = Callable[[Any, Any], None]


# ---------------------------------------------------------------- 26.1


def _cause(cause: Any) -> Outcome:
    if not isinstance(cause, tuple) or len(cause) != 2:
        return broken(f"my_cause = {cause!r}", ask='is it a pair such as ("shipping", "acked")?')
    part, step = cause
    hasty = PAYMENT.replace("payment", commit="before")
    try:
        shop = hasty.plus(Crash(part, after=step, type="order.placed", nth=2, down_s=5)).check()
    except Exception as problem:  # noqa: BLE001 - whatever the student names
        return broken(f"{cause!r} is no crash: {problem}", ask="which parts and which five steps are there?")
    if shop.run(20, seed=1, progress=False).check(every("order.placed").ends)[0].state != "VIOLATED":
        return broken(
            f"a crash of {part} after {step} breaks nothing: every order ends",
            'hasty.search(ev.every("order.placed").ends, budget=100, until_s=20)',
            "when has the bookmark moved, if the policy is to acknowledge before the work?",
        )
    return held("an order is lost when it crashes there")


# ---------------------------------------------------------------- 26.2


def _charge(event: Any, ctx: Any) -> None:
    ctx.effect("card charged")
    ctx.emit("order.paid")


def _ship(event: Any, ctx: Any) -> None:
    ctx.effect("parcel sent")
    ctx.emit("parcel.sent")


def _number(event: Any) -> int:
    return int(event.key.rpartition("-")[2])


def _charges_twice_now_and_then(event: Any, ctx: Any) -> None:
    _charge(event, ctx)
    if _number(event) % 7 == 0:
        ctx.effect("card charged")


def _forgets_to_charge(event: Any, ctx: Any) -> None:
    if _number(event) % 6:
        ctx.effect("card charged")
    ctx.emit("order.paid")


def _tells_nobody(event: Any, ctx: Any) -> None:
    ctx.effect("card charged")
    if _number(event) % 5:
        ctx.emit("order.paid")


def _tells_twice(event: Any, ctx: Any) -> None:
    _charge(event, ctx)
    if _number(event) % 8 == 0:
        ctx.emit("order.paid")


def _charges_a_neighbour(event: Any, ctx: Any) -> None:
    wrong = _number(event) == 9
    ctx.effect("card charged", key="order-10" if wrong else event.key)
    ctx.emit("order.paid")


def _forgets_a_parcel(event: Any, ctx: Any) -> None:
    if _number(event) % 9:
        _ship(event, ctx)


def _sends_two_parcels(event: Any, ctx: Any) -> None:
    _ship(event, ctx)
    if _number(event) == 11:
        ctx.effect("parcel sent")


def _sends_to_a_neighbour(event: Any, ctx: Any) -> None:
    ctx.effect("parcel sent", key="order-4" if _number(event) == 5 else event.key)


_CRASH = Crash("payment", after="saved", type="order.placed", nth=3, down_s=5)
_SHOP = (
    PAYMENT.replace("shop", count=20)
    .replace("payment", inbox=True, outbox=True, on={"order.placed": _charge})
    .replace("shipping", inbox=True, outbox=True, on={"order.paid": _ship})
    .plus(_CRASH)
)


def _mutants() -> Iterator[tuple[str, Scenario]]:
    """Ten shops with one bug each, and a hint that does not give it away."""
    for handler in (
        _charges_twice_now_and_then,
        _forgets_to_charge,
        _tells_nobody,
        _tells_twice,
        _charges_a_neighbour,
    ):
        yield (
            "how often does each order pay, and how often does it get a parcel?",
            _SHOP.replace("payment", on={"order.placed": handler}, inbox=handler is not _tells_twice).replace(
                "shipping", inbox=False
            ),
        )
    for handler in (_forgets_a_parcel, _sends_two_parcels, _sends_to_a_neighbour):
        yield "does every order get its own parcel?", _SHOP.replace("shipping", on={"order.paid": handler})
    bare = _SHOP.replace("payment", inbox=False, outbox=False)
    yield "what does a crash do to this shop?", bare
    early = bare.replace("payment", commit="before").without(_CRASH)
    yield "is every order there at the end?", early.plus(Crash("payment", after="delivered", nth=3, down_s=5))


def _test(test: Callable[[Run], Any]) -> Outcome:
    good = _SHOP.run(60, seed=3, progress=False)
    if not test(good):
        return broken(
            "it accuses a shop in which every order was charged once and got one parcel",
            ask="does it ask for more than that?",
        )
    mutants = list(_mutants())
    missed = [hint for hint, shop in mutants if test(shop.run(60, seed=3, progress=False))]
    if missed:
        caught = len(mutants) - len(missed)
        return broken(f"it catches {caught} of {len(mutants)} bugs", ask=missed[0])
    return held(f"for {len(mutants)} shops with a bug each, and the one without")


EXERCISES = (
    Exercise("26.1", "The root cause", "this crash loses an order", "my_cause", _cause),
    Exercise("26.2", "A test that catches them all", "your test tells right from wrong", "my_test(run)", _test),
)
