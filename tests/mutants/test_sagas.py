"""Known-bad stores and sagas: a search with the promise of a saga finds each; the right ones survive it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from evsim.lab.planted import SAGA, TRANSFER
from evsim.lab.scenario import Scenario
from evsim.lab.stories import debit, refund, reserve
from evsim.sim.handling import Handling, State
from evsim.view.stories import AllOrNothing, all_or_nothing

PAID = all_or_nothing(("payment.taken", "stock.reserved"), undo={"payment.taken": "payment.refunded"})
MOVED = all_or_nothing(("money.debited", "money.credited"))


def saves_nothing(patch):
    """What a handler keeps is gone when it is done."""
    patch.setattr(State, "save", lambda self, disk: None)


def loses_the_outbox(patch):
    """What was to be sent is gone after a crash."""
    original = Handling.crashed

    def broken(self, member):
        self.group.outbox.clear()
        original(self, member)

    patch.setattr(Handling, "crashed", broken)


def takes_a_second_try_for_a_refusal(event, ctx):
    """Who was asked before and did not answer is taken to have said no."""
    if ctx.attempt > 1:
        ctx.emit("stock.refused")
    else:
        reserve(event, ctx)


def refunds_somebody_else(event, ctx):
    """The money goes back to the wrong order."""
    ctx.emit("payment.refunded", key="order-1")


def refunds_all_that_is_refused_but_one(event, ctx):
    """A compensation that knows an exception too many."""
    if event.key != "order-6":
        refund(event, ctx)


def forgets_the_key(event, ctx):
    """One memory for all: the first transfer is taken for every other."""
    if "done" not in ctx.state:
        ctx.state["done"] = True
        ctx.emit("money.credited")


def notes_first_and_fails_later(event, ctx):
    """Every fourth transfer is debited twice over."""
    debit(event, ctx)
    if str(event.key).endswith("4"):
        ctx.emit("money.debited")


class Mutant(NamedTuple):
    """A patch, or a handler put in the place of another; the shop, and its promise."""

    breaks: Callable
    shop: Scenario
    promise: AllOrNothing
    consumer: str = ""
    type: str = ""

    @property
    def broken(self) -> Scenario:
        return self.shop.replace(self.consumer, on={self.type: self.breaks}) if self.consumer else self.shop


MUTANTS = [
    Mutant(saves_nothing, TRANSFER, MOVED),
    Mutant(loses_the_outbox, TRANSFER, MOVED),
    Mutant(takes_a_second_try_for_a_refusal, SAGA, PAID, "stock", "payment.taken"),
    Mutant(refunds_somebody_else, SAGA, PAID, "refunds", "stock.refused"),
    Mutant(refunds_all_that_is_refused_but_one, SAGA, PAID, "refunds", "stock.refused"),
    Mutant(forgets_the_key, TRANSFER, MOVED, "credits", "money.debited"),
    Mutant(notes_first_and_fails_later, TRANSFER, MOVED, "debits", "transfer.requested"),
]


def hunt(shop: Scenario, promise: AllOrNothing) -> Any:
    return shop.search(promise, budget=80, until_s=30, faults=("crash",), progress=False)


@pytest.mark.parametrize(("shop", "promise"), [(SAGA, PAID), (TRANSFER, MOVED)], ids=["saga", "transfer"])
def test_ours_survives_the_search(shop, promise):
    found = hunt(shop, promise)
    assert not found.found, str(found)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.breaks.__name__)
def test_the_mutant_does_not(mutant, monkeypatch):
    if not mutant.consumer:
        mutant.breaks(monkeypatch)
    found = hunt(mutant.broken, mutant.promise)
    assert found.found, str(found)
    assert found.verdict.lines
