"""Known-bad versions of consumers, brokers, stores and sagas: a search with stock checks finds each; ours survives it.

A mutant is one thing broken. Where a fault is needed to see it, the search has to find the fault as well, within its
budget; where it shows only in a certain accident, the accident is part of the shop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from evsim.lab.scenario import Scenario
from evsim.laws import Constant
from evsim.sim.broker.base import Answer
from evsim.sim.broker.channel import Dispatcher
from evsim.sim.broker.log import LiveLog, Log
from evsim.sim.broker.queue import LiveQueue, Queue
from evsim.sim.broker.replicas import Replica, ReplicatedPartition
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash, Drop, Join, Pause
from evsim.sim.group import LiveGroup
from evsim.sim.handling import Handling
from evsim.sim.publisher import Publisher
from evsim.view.checks import at_most_once, every, nothing_lost
from evsim.view.promises import conserves, nothing_stuck, one_owner, recovers_within

# ---------------------------------------------------------------- consumers


def notes_the_event_too_early(patch):
    """The inbox is written before the work, not with it."""
    original = Handling.begin

    def broken(self, member, index):
        self.group.inbox.add(self.world.history.id_of(index))
        original(self, member, index)

    patch.setattr(Handling, "begin", broken)


def knows_deliveries_and_not_events(patch):
    """The inbox remembers which delivery it was, so that a second one is new."""
    original = Handling._handled

    def broken(self, member, index, context):
        original(self, member, index, context)
        self.group.inbox.discard(context.event.id)

    patch.setattr(Handling, "_handled", broken)


def takes_equal_times_for_equal_events(patch):
    """Duplicates are known by their timestamp."""

    def broken(self, member, event):
        member.count_attempt()
        stamp = str(round(self.world.history.event_at(event).timestamp, 3))
        known = stamp in self.group.inbox
        self.group.inbox.add(stamp)
        return known and member.attempt == 1

    patch.setattr(Handling, "skips", broken)


def sends_before_it_saves(patch):
    """What follows is sent when the handler is done, and the save comes later."""
    original = Handling._handled

    def broken(self, member, index, context):
        self._publish(member, [self._new_event(index, *emitted) for emitted in context.emitted])
        context.emitted.clear()
        original(self, member, index, context)

    patch.setattr(Handling, "_handled", broken)


def never_clears_the_outbox(patch):
    """What has been sent stays in the outbox."""

    def broken(self, member):
        self._publish(member, list(self.group.outbox))

    patch.setattr(Handling, "relay", broken)


def does_not_wait_for_the_others(patch):
    """Partitions are given to new owners before the old ones have let go."""

    def broken(self):
        if self._preparing:
            self._preparing = False
            for member in self._present:
                member.giving_up = False
            self._assign(self._assigning)

    patch.setattr(LiveGroup, "_assign_when_ready", broken)


# ---------------------------------------------------------------- brokers and their disks


def gives_nothing_back(patch):
    """What a dead worker had in hand is forgotten."""
    patch.setattr(LiveQueue, "give_back", lambda self, entry, **how: None)


def takes_a_broken_connection_for_an_answer(patch):
    """When a connection ends, all that was in hand counts as done."""
    original = Dispatcher.close

    def broken(self, channel):
        for delivery in list(channel.unacked.values()):
            if self.settle(delivery):
                self.queue.acked(delivery, delivery.worker)
        original(self, channel)

    patch.setattr(Dispatcher, "close", broken)


def drops_what_comes_in_a_pause(patch):
    """A frozen log does not take up what came meanwhile."""
    patch.setattr(LiveLog, "turn_away", lambda self, partition, event: None)


def confirms_before_the_followers_have_it(patch):
    """acks=all answers like acks=leader."""
    patch.setattr(ReplicatedPartition, "await_replicas", lambda self, request: request.reply(Answer(True)))


def lets_anybody_lead(patch):
    """A replica that is not in sync is elected, though nobody has allowed it."""

    def broken(self, dead):
        alive = [n for n in self._order() if self._machine(n).up and n != dead]
        if alive:
            self._lead(alive[-1], in_sync={alive[-1]})

    patch.setattr(ReplicatedPartition, "_elect", broken)


def says_flushed_and_does_not(patch):
    """The page cache is not written, and everybody is told that it was."""
    patch.setattr(Replica, "flushed", property(lambda self: self.base, lambda self, value: None), raising=False)


def forgets_sequence_numbers(patch):
    """A batch that comes again is stored again."""
    original = LiveLog._append

    def broken(self, request):
        request.sequence = -1
        original(self, request)

    patch.setattr(LiveLog, "_append", broken)


# ---------------------------------------------------------------- sagas: take the money, then give a parcel or it back


def saga(refunds: int = 1, parcel_first: bool = False, amount: float = 10) -> dict[str, Callable]:
    """Every third order is out of stock: its customer gets the money back."""

    def take(event, ctx):
        ctx.effect("taken", amount=10)
        ctx.emit("payment.taken")

    def reserve(event, ctx):
        refused = int(event.key.rpartition("-")[2]) % 3 == 0
        if parcel_first or not refused:
            ctx.effect("given", amount=10)
        if refused:
            ctx.emit("stock.refused")

    def refund(event, ctx):
        for _ in range(refunds):
            ctx.effect("given", amount=amount)

    return {"order.placed": take, "payment.taken": reserve, "stock.refused": refund}


def forgets_to_refund(patch):
    """The compensation is not there."""
    patch.setitem(SAGA, "settings", {"refunds": 0})


def refunds_twice(patch):
    """The compensation is done two times."""
    patch.setitem(SAGA, "settings", {"refunds": 2})


def refunds_too_little(patch):
    """A fee is kept that nobody agreed to."""
    patch.setitem(SAGA, "settings", {"amount": 9})


def sends_the_parcel_before_it_knows(patch):
    """The parcel goes out, and then the stock says no."""
    patch.setitem(SAGA, "settings", {"parcel_first": True})


SAGA: dict[str, dict[str, Any]] = {"settings": {}}


def saga_shop() -> Scenario:
    handlers = saga(**SAGA["settings"])
    return Scenario(
        Publisher("shop", to="bus", gap_s=Constant(0.5), count=9),
        Log("bus"),
        Consumer("office", of="bus", on=handlers, service_s=0.01),
    )


# ---------------------------------------------------------------- shops


def charge(event, ctx):
    ctx.effect("card charged")


def pay(event, ctx):
    ctx.emit("order.paid")


def mail(event, ctx):
    ctx.effect("mail sent")


def plain(*more, broker=None, **settings):
    def make() -> Scenario:
        shop = Publisher("shop", to="orders", gap_s=Constant(0.5), count=12)
        usual = {"service_s": Constant(0.1)} | settings
        return Scenario(shop, broker or Log("orders"), Consumer("billing", of="orders", **usual), *more)

    return make


def paid(*more, publishers=("shop",), **settings):
    """Payment with inbox and outbox; the mail is sent at most once, whatever befalls the mailer."""

    def make() -> Scenario:
        shops = [Publisher(name, to="orders", gap_s=Constant(0.5), count=8, type="order.placed") for name in publishers]
        usual = {"inbox": True, "outbox": True, "service_s": Constant(0.05)} | settings
        return Scenario(
            *shops,
            Log("orders"),
            Consumer("billing", of="orders", to="bills", on={"order.placed": pay}, **usual),
            Log("bills"),
            Consumer("mailer", of="bills", commit="before", on={"order.paid": mail}),
            *more,
        )

    return make


def replicated(*faults, acks="all", **settings):
    def make() -> Scenario:
        log = Log("orders", **({"replicas": 3, "replication_s": 0.05, "failover_s": 2} | settings))
        shop = Publisher("shop", to="orders", rate=50, count=600, acks=acks, request_timeout_s=1)
        return Scenario(shop, log, Consumer("billing", of="orders", on={"order.placed": charge}), *faults)

    return make


class Mutant(NamedTuple):
    """What is broken, where it shows, the promise that notices, and what the search may use to find it."""

    breaks: Callable
    shop: Callable[[], Scenario]
    promise: Any
    faults: tuple[str, ...] = ("crash",)
    budget: int = 60


ACCIDENT = 1
"""The accident is part of the shop: its first schedule shows it."""
LEADER = Crash("orders-1", at_s=5, down_s=20)
AWAY = (Pause("orders-2", at_s=1, for_s=15), Pause("orders-3", at_s=1, for_s=15))
DARK = Crash("orders", at_s=5, down_s=2, power=True)
LAST = Crash("orders-1", at_s=15.9, down_s=20)
ASLEEP = Pause("billing", at_s=1, for_s=25)
DEAF = Drop("orders", "shop", share=0.5, at_s=2, for_s=4)
JOINING = (Join("billing", at_s=2.03), Join("billing", at_s=4.03))

PAID = every("order.placed").ends_in("order.paid")
ONE_MAIL = at_most_once("mail sent")
BALANCE = conserves("taken", "given")
TWO_SHOPS = paid(publishers=("shop", "app"))
THREE = plain(*JOINING, broker=Log("orders", partitions=3))
JOBS = plain(broker=Queue("orders"))
UNFLUSHED = replicated(DARK, ASLEEP, replicas=1, flush_every_events=1)

MUTANTS = [
    Mutant(notes_the_event_too_early, paid(), PAID),
    Mutant(knows_deliveries_and_not_events, paid(), ONE_MAIL),
    Mutant(takes_equal_times_for_equal_events, TWO_SHOPS, PAID),
    Mutant(sends_before_it_saves, paid(), ONE_MAIL),
    Mutant(never_clears_the_outbox, paid(), ONE_MAIL),
    Mutant(does_not_wait_for_the_others, THREE, one_owner(), budget=ACCIDENT),
    Mutant(gives_nothing_back, JOBS, recovers_within(20)),
    Mutant(takes_a_broken_connection_for_an_answer, JOBS, nothing_lost()),
    Mutant(drops_what_comes_in_a_pause, plain(), nothing_stuck(50), ("pause",)),
    Mutant(confirms_before_the_followers_have_it, replicated(LEADER), nothing_lost(), budget=ACCIDENT),
    Mutant(lets_anybody_lead, replicated(*AWAY, LAST, ASLEEP), nothing_lost(), budget=ACCIDENT),
    Mutant(says_flushed_and_does_not, UNFLUSHED, nothing_lost(), budget=ACCIDENT),
    Mutant(forgets_sequence_numbers, replicated(DEAF, replicas=1), at_most_once("card charged"), budget=ACCIDENT),
    Mutant(forgets_to_refund, saga_shop, BALANCE, budget=ACCIDENT),
    Mutant(refunds_twice, saga_shop, BALANCE, budget=ACCIDENT),
    Mutant(refunds_too_little, saga_shop, BALANCE, budget=ACCIDENT),
    Mutant(sends_the_parcel_before_it_knows, saga_shop, BALANCE, budget=ACCIDENT),
]


def name(mutant: Mutant) -> str:
    return mutant.breaks.__name__


def hunt(mutant: Mutant) -> Any:
    return mutant.shop().search(mutant.promise, budget=mutant.budget, until_s=60, faults=mutant.faults, progress=False)


@pytest.mark.parametrize("mutant", MUTANTS, ids=name)
def test_ours_survives_the_search(mutant):
    found = hunt(mutant)
    assert not found.found, str(found)
    assert found.unknown < found.tried


@pytest.mark.parametrize("mutant", MUTANTS, ids=name)
def test_the_mutant_does_not(mutant, monkeypatch):
    mutant.breaks(monkeypatch)
    found = hunt(mutant)
    assert found.found, str(found)
    assert found.verdict.lines
