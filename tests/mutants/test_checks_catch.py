"""Known-bad versions of our own code: each stock check must catch the one that breaks its promise.

Every case runs the same shop twice: as it is, where the promise holds, and with one thing broken, where the check must
say VIOLATED. A check that cannot fail proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
from shops import run

from evsim.history import History
from evsim.laws import Constant, Exponential, Zipf
from evsim.sim.broker.log import LiveLog, Log
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash, Join
from evsim.sim.group import LiveGroup
from evsim.sim.handling import Context, Handling
from evsim.sim.member import LiveMember
from evsim.sim.network import Link, LiveLink
from evsim.sim.publisher import Publisher
from evsim.view.checks import (
    at_least_once,
    at_most_once,
    every,
    exactly_once,
    in_order_by_key,
    judge,
    nothing_lost,
)

CHARGED = "card charged"


def charge(event, ctx):
    ctx.effect(CHARGED)


def paying(event, ctx):
    ctx.effect(CHARGED)
    ctx.emit("order.paid")


def shop(*more, key="own", on=None, **settings) -> tuple:
    settings = {"service_s": Constant(0.02)} | settings
    return (
        Publisher("shop", to="orders", gap_s=0.05, key=key),
        Log("orders", partitions=3),
        Consumer("billing", of="orders", members=2, on=on or {"order.placed": charge}, **settings),
        *more,
    )


CRASH = Crash("billing-1", at_s=5, down_s=1)


# ---------------------------------------------------------------- what is broken, one thing each


def forgets_offsets(patch):
    """Committed offsets are lost when a member comes back."""
    original = LiveMember._read_positions

    def broken(self, share):
        for partition in share:
            self.group.committed[partition.index] = 0
        original(self, share)

    patch.setattr(LiveMember, "_read_positions", broken)


def starts_at_the_end(patch):
    """Who comes back goes on at the end of the log."""
    original = LiveMember._read_positions

    def broken(self, share):
        for partition in share:
            self.group.committed[partition.index] = partition.end
        original(self, share)

    patch.setattr(LiveMember, "_read_positions", broken)


def commits_before_handling(patch):
    """The position is acknowledged when the events come, not when they have been handled."""
    original = LiveMember.arrive

    def broken(self, epoch):
        if epoch == self.epoch and not self.frozen:
            self.commit(self.cursor, self.cursor.position + len(self.batch))
        original(self, epoch)

    patch.setattr(LiveMember, "arrive", broken)


def scatters_keys(patch):
    """A key goes to any partition."""
    original = LiveLog.chooser

    def broken(self, node, message=None):
        chosen = original(self, node, message)
        return lambda stem, number: chosen(None, number)

    patch.setattr(LiveLog, "chooser", broken)


def overtakes_on_the_link(patch):
    """A link does not keep the order of what it carries."""
    original = LiveLink.__init__

    def broken(self, world, start, end, value):
        original(self, world, start, end, value)
        self._ordered = False

    patch.setattr(LiveLink, "__init__", broken)


def handles_backwards(patch):
    """A member works off a batch from its end."""
    original = LiveMember._begin

    def broken(self):
        self.batch = self.batch[: self.at] + self.batch[self.at :][::-1]
        original(self)

    patch.setattr(LiveMember, "_begin", broken)


def never_remembers(patch):
    """The inbox forgets what it has seen."""
    original = Handling._handled

    def broken(self, member, index, context):
        original(self, member, index, context)
        self.group.inbox.clear()

    patch.setattr(Handling, "_handled", broken)


def acknowledges_what_failed(patch):
    """An event whose handler was cut off by a crash counts as done."""
    original = LiveMember.crashed

    def broken(self):
        if self.busy and self.at >= 0:
            self.group.commit((self, self.generation, self.cursor, self.cursor.position + 1))
        original(self)

    patch.setattr(LiveMember, "crashed", broken)


def sends_nothing(patch):
    """What handlers emit is forgotten."""
    patch.setattr(Context, "emit", lambda *emitted, **how: None)


def sends_twice(patch):
    """What handlers emit is sent two times."""
    original = Handling._publish

    def broken(self, member, events):
        original(self, member, [*events, *events])

    patch.setattr(Handling, "_publish", broken)


def skips_after_a_handover(patch):
    """A new owner begins one event too late."""
    original = LiveGroup._assign

    def broken(self, assigning):
        before = self.generation
        if before:
            self.committed = [min(c + 1, p.end) for c, p in zip(self.committed, self.log.partitions, strict=True)]
        original(self, assigning)

    patch.setattr(LiveGroup, "_assign", broken)


class Case(NamedTuple):
    """What is broken, in which shop, and the promise that notices."""

    mutant: Callable
    parts: tuple
    promise: object


BUSY = Publisher("shop", to="orders", rate=40, key=Zipf(5, 1.0))
SLOW = Link("shop", "orders", delay_s=Exponential(0.05))
SHIP = Consumer("mail", of="orders", on={"order.paid": lambda event, ctx: ctx.effect("mail sent")})

CASES = [
    Case(forgets_offsets, shop(CRASH), at_most_once(CHARGED)),
    Case(forgets_offsets, shop(CRASH), exactly_once(CHARGED)),
    Case(starts_at_the_end, shop(CRASH), nothing_lost()),
    Case(starts_at_the_end, shop(CRASH), at_least_once(CHARGED, of="order.placed")),
    Case(commits_before_handling, shop(Crash("billing", after="delivered", nth=9, down_s=1)), nothing_lost()),
    Case(commits_before_handling, shop(Crash("billing", after="delivered", nth=9)), every("order.placed").ends),
    Case(acknowledges_what_failed, shop(Crash("billing-1", at_s=5.009, down_s=1)), nothing_lost()),
    Case(scatters_keys, (BUSY, *shop()[1:]), in_order_by_key()),
    Case(overtakes_on_the_link, (BUSY, SLOW, *shop()[1:]), in_order_by_key()),
    Case(handles_backwards, (BUSY, *shop(prefetch=8)[1:]), in_order_by_key()),
    Case(never_remembers, shop(Crash("billing", after="sent", nth=9, down_s=1), inbox=True), at_most_once(CHARGED)),
    Case(sends_nothing, (*shop(on={"order.placed": paying}), SHIP), every("order.placed").ends_in("order.paid")),
    Case(sends_twice, (*shop(on={"order.placed": paying}), SHIP), exactly_once("mail sent")),
    Case(skips_after_a_handover, shop(Join("billing", at_s=5), service_s=Constant(0.09)), nothing_lost()),
]


def name(case: Case) -> str:
    return f"{case.mutant.__name__}-{type(case.promise).__name__}"


def history_of(case: Case) -> History:
    return run(*case.parts, until_s=20.01, seed=3)


@pytest.mark.parametrize("case", CASES, ids=name)
def test_the_promise_holds_in_our_own_code(case):
    assert judge(case.promise, history_of(case)).state == "ok"


@pytest.mark.parametrize("case", CASES, ids=name)
def test_the_check_catches_the_mutant(case, monkeypatch):
    case.mutant(monkeypatch)
    verdict = judge(case.promise, history_of(case))
    assert verdict.state == "VIOLATED", str(verdict)
    assert verdict.lines


@pytest.mark.parametrize(
    "promise",
    [
        at_most_once("x"),
        at_least_once("x"),
        exactly_once("x"),
        nothing_lost(),
        in_order_by_key(),
        every("order.placed").ends,
    ],
    ids=lambda promise: type(promise).__name__,
)
def test_no_promise_is_kept_by_an_empty_history(promise):
    assert judge(promise, History()).state == "unknown"
