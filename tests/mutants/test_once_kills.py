"""Broken inboxes, outboxes, relays and keys: for each a promise of the shop is broken, which otherwise is kept."""

from __future__ import annotations

import pytest
from test_once import AT_MOST, REPAIRED, SHIPPED

import evsim as ev
from evsim.patterns import bloom
from evsim.patterns.inbox import Inbox, Memory
from evsim.sim.database import Database
from evsim.sim.handling import Handling
from evsim.sim.relay import Relay
from evsim.sim.router import _Forwarder
from evsim.sim.service import LiveService
from evsim.store import Desk


def writes_no_inbox(patch):
    patch.setattr(Handling, "_writes_inbox", lambda self, when: False)


def ignores_the_unique_key(patch):
    patch.setattr(Handling, "_was_done_meanwhile", lambda self, member, index: False)


def knows_the_type_only(patch):
    patch.setattr(Inbox, "key_of", lambda self, event: event.type)


def forgets_at_once(patch):
    patch.setattr(Memory, "__contains__", lambda self, key: False)


def marks_rows_before_sending(patch):
    patch.setattr(Relay, "consumer", lambda self: _Forwarder.consumer(self).but(commit="before"))


def writes_the_outbox_later(patch):
    """Not in the act that saves the state, but a moment after it: by a process that may be dead by then."""
    original = Database.enter

    def broken(self, member, events):
        epoch = member.epoch
        self._world.call_in(0.01, lambda _: original(self, member, events) if member.epoch == epoch else None)

    patch.setattr(Database, "enter", broken)


def sends_nothing_after_a_restart(patch):
    patch.setattr(Handling, "restarted", lambda self, member: None)


def remembers_keys_of_the_answered_only(patch):
    """A key counts from the moment in which the answer was heard: a lost reply is asked, and done, again."""
    original = LiveService._act

    def broken(self, question):
        original(self, question._replace(data={}))

    patch.setattr(LiveService, "_act", broken)


SHOP = ev.Scenario(*(part for part in REPAIRED.parts if part.name not in {"rows", "relay"})).replace(
    "payment", outbox=True
)
DOUBLED = ev.Duplicate("shop", "orders", share=0.5)


def _note(event, ctx):
    ctx.emit("order.paid")


AT_ONCE = (
    REPAIRED.replace("payment", of="jobs", members=4, service_s=ev.Constant(0.3), on={"order.placed": _note})
    .replace("shop", to="jobs")
    .plus(ev.Queue("jobs"), ev.Duplicate("shop", "jobs", share=1))
)
BUSINESS = REPAIRED.replace("payment", inbox=Inbox(key="business")).plus(DOUBLED)


def one_order_one_event(history):
    """Each order is told as paid by one event, however often it is sent."""
    told = [history.key_of(history.index(one)) for one in {r.event_id for r in history.of("stored", node="paid")}]
    return len(told) == len(set(told))


def all_shipped(history):
    """What waits in an outbox may still be sent, so that a promise does not judge it; but not for ever."""
    return len(history.of("effect", place="parcel sent")) == 5


CASES = [
    (writes_no_inbox, REPAIRED.plus(DOUBLED), one_order_one_event),
    (ignores_the_unique_key, AT_ONCE, one_order_one_event),
    (knows_the_type_only, BUSINESS, SHIPPED),
    (forgets_at_once, BUSINESS, one_order_one_event),
    (marks_rows_before_sending, REPAIRED.plus(ev.Crash("relay", after="delivered", nth=2, down_s=1)), SHIPPED),
    (writes_the_outbox_later, REPAIRED.plus(ev.Crash("payment", after="saved", nth=2, down_s=1)), all_shipped),
    (sends_nothing_after_a_restart, SHOP.plus(ev.Crash("payment", after="saved", nth=5, down_s=1)), all_shipped),
    (remembers_keys_of_the_answered_only, REPAIRED.plus(ev.Drop("psp", "payment", share=0.5)), AT_MOST[0]),
]


@pytest.mark.parametrize(("mutant", "shop", "promise"), CASES, ids=lambda each: getattr(each, "__name__", None))
def test_the_mutant_is_noticed_and_our_own_code_is_not(mutant, shop, promise, monkeypatch):
    assert {shop.run(until_s=90, seed=seed).check(promise)[0].state for seed in (1, 2, 3)} == {"ok"}
    mutant(monkeypatch)
    assert "VIOLATED" in {shop.run(until_s=90, seed=seed).check(promise)[0].state for seed in (1, 2, 3)}


def test_a_filter_that_looks_at_one_bit_errs_too_often(monkeypatch):
    spots = bloom.Bloom._spots
    monkeypatch.setattr(bloom.Bloom, "_spots", lambda self, key: spots(self, key)[:1])
    small = bloom.Bloom(500, 0.01)
    for n in range(500):
        small.add(f"known {n}")
    assert sum(f"new {n}" in small for n in range(5000)) / 5000 > 0.05


def test_a_desk_without_a_transaction_is_noticed(monkeypatch):
    """The state is committed before the inbox is: who dies in between does it again."""
    from test_desk import PLACED, PowerCut, desk

    def dying(self, inbox, event):
        self._db.execute("commit")
        monkeypatch.undo()
        raise PowerCut

    one = desk()
    monkeypatch.setattr(Desk, "_remember", dying)
    with pytest.raises(PowerCut):
        one.handle(PLACED[0])
    one.handle(PLACED[0])
    assert one.state["order-1"] == 2
