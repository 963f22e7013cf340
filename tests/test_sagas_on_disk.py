"""Sagas whose state lies in a real event store: whoever dies at any transition goes on where the events say."""

from __future__ import annotations

import itertools

import pytest
from databases import new_schema, server
from test_saga import PLAIN

from evsim import Event, store
from evsim.patterns.saga import Plan, Step
from evsim.patterns.saga_step import answer_type
from evsim.store import Conflict, Sagas


class Died(Exception):
    """The process of the orchestrator is gone."""


class Shop:
    """An orchestrator on a file, a broker that brings unacknowledged events again, steps that know their keys."""

    def __init__(self, opener, refuses=()):
        self.opener, self.refuses = opener, refuses
        self.queue, self.done, self.sent, self.numbers = [], {}, [], itertools.count(1)
        self.acts_left = None
        self.reopen()

    def reopen(self):
        self.sagas = Sagas(self.opener(), PLAIN, "order-saga")

    def act(self):
        """One more thing is about to be done; the process may die before it."""
        if self.acts_left is not None:
            self.acts_left -= 1
            if self.acts_left < 0:
                self.acts_left = None
                raise Died

    def play(self, dies_after=None):
        self.acts_left = dies_after
        self.queue.append(Event("shop.1", "order.placed", 0.0, "shop", {"amount": 7}, key="order-1"))
        while self.queue:
            try:
                self.conduct(self.queue[0])
                self.queue.pop(0)
            except Died:
                self.sagas.store.close()
                self.reopen()
        return self

    def conduct(self, event):
        decision = self.sagas.decide("order-1", event)
        for send in decision.sends:
            self.act()
            self.sent.append(send.type)
            self.answer(send)
        self.act()
        self.sagas.keep("order-1", decision, event, 1.0)
        self.act()

    def answer(self, send):
        """A participant does each thing once, and says each time what came of it."""
        known = {s.do: s.done_type for s in PLAIN.flat} | {s.undo: s.undone_type for s in PLAIN.flat if s.undo}
        if send.type in known:
            said = answer_type(send.type, "refused") if send.type in self.refuses else known[send.type]
            self.done[send.type] = said
            self.queue.append(Event(f"part.{next(self.numbers)}", said, 0.0, "part", {}, key="order-1"))


@pytest.fixture(params=["sqlite", "postgres"])
def opener(request, tmp_path):
    names = itertools.count()

    def fresh():
        place = (
            (tmp_path / f"orders-{next(names)}.db", None)
            if request.param == "sqlite"
            else (server().get_uri(), new_schema())
        )
        return lambda: store.open(place[0], schema=place[1])

    return fresh


@pytest.mark.parametrize(("refuses", "outcome"), [((), "completed"), (("book.courier",), "compensated")])
def test_an_orchestrator_that_dies_before_any_act_comes_to_the_same_end(opener, refuses, outcome):
    whole = Shop(opener(), refuses).play()
    assert whole.sagas.state("order-1").outcome == outcome
    facts = [each.event.type for each in whole.sagas.store.read("order-saga-order-1")]
    deaths = 0
    for acts in itertools.count():
        shop = Shop(opener(), refuses).play(dies_after=acts)
        if shop.acts_left is not None:
            shop.sagas.store.close()
            break
        deaths += 1
        shop.sagas.forget()
        assert shop.sagas.state("order-1").outcome == outcome
        assert [each.event.type for each in shop.sagas.store.read("order-saga-order-1")] == facts
        assert shop.done == whole.done
        assert shop.sagas.store.verify() == len(facts)
        shop.sagas.store.close()
    assert deaths > 2 * len(facts) / 3
    whole.sagas.store.close()


@pytest.mark.parametrize("rival", ["later", "another cause"])
def test_two_orchestrators_do_not_both_decide(opener, rival):
    file = opener()
    one, other = (Sagas(file(), PLAIN, "ordering") for _ in range(2))
    placed = Event("shop.1", "order.placed", 0.0, "shop", {}, key="order-1")
    again = placed if rival == "later" else Event("shop.2", "order.placed", 0.5, "shop", {}, key="order-1")
    decided, too = one.decide("order-1", placed), other.decide("order-1", again)
    one.keep("order-1", decided, placed, 1.0)
    with pytest.raises(Conflict, match="was expected at 'none', but its last version is 1"):
        other.keep("order-1", too, again, 2.0)
    assert other.state("order-1") == one.state("order-1")
    assert other.decide("order-1", placed).facts == ()
    for each in (one, other):
        each.store.close()


def test_after_a_crash_it_says_which_timers_should_run():
    plan = Plan("order.placed", steps=(Step("charge.card", undo="refund.card", timeout_s=5),))
    sagas = Sagas(store.open(), plan, "card-saga")
    other = Sagas(sagas.store, plan, "card-other")
    for key, each in (("order-1", sagas), ("order-2", sagas), ("order-9", other)):
        placed = Event(f"shop.{key}", "order.placed", 0.0, "shop", {}, key=key)
        each.keep(key, each.decide(key, placed), placed, 3.0)
    charged = Event("bank.1", "card.charged", 0.0, "bank", {}, key="order-1")
    sagas.keep("order-1", sagas.decide("order-1", charged), charged, 4.0)
    sagas.forget()
    [(key, timer, asked)] = sagas.waiting()
    assert (key, timer.after_s, asked.timestamp, asked.causation_id) == ("order-2", 5, 3.0, "shop.order-2")
