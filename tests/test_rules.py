"""The three kinds and their rules, before the run where that is possible, else when the handler emits."""

from __future__ import annotations

import pytest
from shops import run

from evsim.errors import HandlerFailed
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.publisher import Publisher


def problems(*parts):
    named = {part.name: part for part in parts}
    return [sentence for part in parts for sentence in part.check(named)]


def take(event, ctx):
    pass


DESK = Publisher("desk", to="bus", rate=1, type="take.payment")
BUS = Log("bus")


@pytest.mark.parametrize(
    ("consumers", "expected"),
    [
        ([], "nobody handles it"),
        ([Consumer("a", of="bus", on={"take.payment": take}), Consumer("b", of="bus")], "a, b all handle it"),
        ([Consumer("a", of="bus", on={"order.placed": take})], "nobody handles it"),
    ],
)
def test_a_command_without_exactly_one_handler_is_refused_before_the_run(consumers, expected):
    [sentence] = problems(DESK, BUS, *consumers)
    assert expected in sentence


def test_a_command_with_one_handler_is_fine():
    assert not problems(DESK, BUS, Consumer("a", of="bus", on={"take.payment": take}))


def test_a_domain_event_does_not_cross_a_boundary_and_an_integration_event_does():
    finance = Consumer("ledger", of="bus", context="finance")
    inside = Publisher("shop", to="bus", rate=1, type="order.placed", context="sales")
    across = inside.but(type="sales.order.placed")
    [sentence] = problems(inside, BUS, finance)
    assert "domain event of the context 'sales'" in sentence
    assert "'sales.order.placed'" in sentence
    assert not problems(across, BUS, finance)
    assert not problems(inside, BUS, Consumer("ledger", of="bus", context="sales"))


def test_a_handler_that_leaks_a_domain_event_is_stopped():
    def pay(event, ctx):
        ctx.emit("order.paid")

    with pytest.raises(HandlerFailed, match="domain event of the context 'sales'"):
        run(
            Publisher("shop", to="bus", rate=1, context="sales"),
            BUS,
            Consumer("payment", of="bus", on={"order.placed": pay}, context="sales"),
            Consumer("ledger", of="bus", types=("order.paid",), context="finance"),
            until_s=10,
        )
