"""The judges of notebook 19 let good answers pass and say what is wrong with others."""

from __future__ import annotations

import pytest

from evsim import classroom

FOLLOWS = {
    "order.placed": "reserve.stock", "stock.reserved": "charge.card", "card.charged": "ship.order",
    "order.shipped": "order.completed", "ship-order.refused": "refund.card", "card.refunded": "release.stock",
    "charge-card.refused": "release.stock", "reserve-stock.refused": "order.cancelled",
    "stock.released": "order.cancelled",
}  # fmt: skip


def saga(**changes):
    follows = {**FOLLOWS, **{name.replace("__", "-").replace("_", "."): to for name, to in changes.items()}}

    def my_saga(event, ctx):
        if follows[event.type]:
            ctx.emit(follows[event.type], event.data)

    return my_saga


@pytest.mark.parametrize(("retries", "state"), [(2, "held"), (1, "broken"), (3, "broken"), (True, "broken")])
def test_patience_is_judged_by_what_is_enough_and_no_more(retries, state):
    assert classroom.check("19.1", retries).state == state


@pytest.mark.parametrize(
    ("answer", "saw"),
    [
        (saga(), ""),
        (saga(ship__order_refused="release.stock"), "when shipping says no to everybody: order-1: «card.charged» 1 ×"),
        (saga(charge__card_refused="order.cancelled"), "goods that were put aside are never released"),
        (saga(order_shipped=None), "0 orders were completed and 0 cancelled, of 12"),
    ],
    ids=["right", "forgets the refund", "forgets the goods", "tells nobody"],
)
def test_a_saga_is_judged_by_its_ends(answer, saw):
    outcome = classroom.check("19.2", answer)
    assert outcome.state == ("broken" if saw else "held"), outcome
    assert saw in outcome.saw
