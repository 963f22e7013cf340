"""Order processing as a saga: reserve, charge, book, ship, tell; in both styles, and with the usual mistakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from evsim.lab.order_steps import BOOK, CHARGE, DOERS, PLAN, RESERVE, SERVICES, SHIP, TELL
from evsim.lab.scenario import Scenario
from evsim.laws import Constant, Duration, Exponential, Uniform
from evsim.patterns.participant import choreographed, participant
from evsim.patterns.saga import Plan, Step, answer_type
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.network import Link
from evsim.sim.publisher import Publisher
from evsim.sim.saga import Saga
from evsim.view.stories import AllOrNothing, all_or_nothing

__all__ = [
    "BOOK", "CHARGE", "NAIVE", "NO_PAID_UNSHIPPED", "ORDER_PROCESSING", "PLAN", "RESERVE", "RIGHT", "SHIP", "TELL",
    "order_processing",
]  # fmt: skip

NO_PAID_UNSHIPPED: AllOrNothing = all_or_nothing(
    ("card.charged", "order.shipped"), undo={"card.charged": "card.refunded"}
)
"""Who has paid gets a parcel or the money back, and nobody gets a parcel for nothing."""


_SERVICE, _AT_ONCE = Exponential(0.05), Constant(0.0)


def order_processing(
    plan: Plan = PLAN,
    *,
    style: Literal["orchestrated", "choreographed"] = "orchestrated",
    rate: float = 2.0,
    count: int | None = None,
    service_s: Duration = _SERVICE,
    hop_s: Duration = _AT_ONCE,
    saga: Mapping[str, Any] | None = None,
    handlers: Mapping[str, Mapping[str, Callable[..., Any]]] | None = None,
    **how: Mapping[str, Any],
) -> Scenario:
    """The shop of a plan: ``order_processing(payment={"refuses": 0.1}, style="choreographed")``.

    Each service's setting says what goes wrong there (see ``participant``), and ``handlers`` replaces those of a
    command; ``saga`` holds settings of the orchestrator, and ``hop_s`` is the way to the bus or from it. The customers
    are the same in both styles.
    """
    services = [_service(plan, step, style, service_s, how, handlers or {}) for step in plan.flat]
    begun = plan.starts_on
    conductor = Saga("ordering", of="bus", starts_on=begun, steps=plan.steps, **{"manual": "humans", **(saga or {})})
    middle = [Log("humans"), conductor] if style == "orchestrated" else []
    shop = Publisher("shop", to="bus", rate=rate, count=count, type=begun, data={"luck": Uniform(0, 1)})
    far = [] if hop_s == _AT_ONCE else [shop, *middle[1:], *services]
    links = [Link(part.name, "bus", delay_s=hop_s) for part in far]
    return Scenario(shop, *links, Log("bus"), *middle, *services, name=f"order-processing-{style}")


def _service(
    plan: Plan, step: Step, style: str, service_s: Duration, how: Mapping[str, Any], handlers: Mapping[str, Any]
) -> Consumer:
    name = SERVICES.get(step.do, step.do.replace(".", "-"))
    on = handlers.get(step.do) or participant(step, **how.get(name, {}))
    if style == "choreographed":
        on = choreographed(plan, step, on)
    return Consumer(name, of="bus", on=on, inbox=True, outbox=True, service_s=service_s)


ORDER_PROCESSING = order_processing(handlers=DOERS).called("order-processing")


# -------------------------------------------------------------------- mistakes


def _forgetful(step: Step) -> dict[str, Callable[..., Any]]:
    """Planted: whoever is asked twice does it twice."""

    def do(event: Any, ctx: Any) -> None:
        ctx.emit(step.done_type, event.data)

    def undo(event: Any, ctx: Any) -> None:
        ctx.emit(step.undone_type, event.data)

    return {step.do: do} | ({step.undo: undo} if step.undo else {})


def _deaf(step: Step) -> dict[str, Callable[..., Any]]:
    """Planted: it says that it has given the money back, and does nothing."""

    def undo(event: Any, ctx: Any) -> None:
        ctx.emit(answer_type(str(step.undo), "answered"), {**event.data, "answer": "done"})

    return participant(step) | {str(step.undo): undo}


def _planted(name: str, *steps: Any, handlers: Any = None) -> Scenario:
    trouble: dict[str, Any] = {"courier": {"refuses": 0.2}, "payment": {"refuses": 0.1}}
    plan = Plan("order.placed", steps or PLAN.steps)
    return order_processing(plan, handlers=handlers, count=12, service_s=Constant(0.05), **trouble).called(name)


RIGHT = _planted("ordering-right")
"""The right one, among the same customers as those with a mistake."""

NAIVE: tuple[Scenario, ...] = (
    _planted("ordering-without-undo", RESERVE, CHARGE.but(undo=None), BOOK, SHIP, TELL),
    _planted("ordering-ships-first", RESERVE, SHIP.but(pivot=False), CHARGE, BOOK, TELL),
    _planted("ordering-takes-silence-for-no", RESERVE, CHARGE.but(silence="failed", retries=0), BOOK, SHIP, TELL),
    _planted("ordering-waits-for-ever", *(step.but(timeout_s=None) for step in PLAN.flat)),
    _planted("ordering-without-pivot", RESERVE, CHARGE, BOOK, SHIP.but(pivot=False), TELL),
    _planted("ordering-charges-again", handlers={"charge.card": _forgetful(CHARGE)}),
    _planted("ordering-refunds-nothing", handlers={"charge.card": _deaf(CHARGE)}),
)
"""One mistake each; a search finds every one by the promise ``NO_PAID_UNSHIPPED``."""
