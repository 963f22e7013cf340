"""Known-bad versions of retries, redrives, limits and parallel members: a stock check catches each of them."""

from __future__ import annotations

import pytest
from shops import run
from test_checks_catch import Case, name

from evsim.laws import Constant, Exponential, Zipf
from evsim.patterns.breaker import RateLimit
from evsim.patterns.handler import Reject
from evsim.patterns.retry import Retry
from evsim.sim.broker.log import Log
from evsim.sim.broker.queue import Queue
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash, Drop
from evsim.sim.handling import Handling
from evsim.sim.member import LiveMember
from evsim.sim.parallel import ParallelMember, WideCursor
from evsim.sim.publisher import Publisher
from evsim.sim.redrive import LiveRedrive, Redrive
from evsim.sim.returning import _Returning
from evsim.view.checks import every, in_order_by_key, judge, nothing_lost
from evsim.view.promises import nothing_stuck

UNTIL_S = 100.0


# ---------------------------------------------------------------- what is broken, one thing each


def commits_past_the_unfinished(patch):
    """The committed offset is that of the last event that was finished."""

    def broken(self, offset):
        self.position = max(self.position, offset + 1)
        return True

    patch.setattr(WideCursor, "finish", broken)


def handles_keys_side_by_side(patch):
    """Every event has a line of its own."""
    patch.setattr(ParallelMember, "_key_of", lambda self, event: object())


def clears_its_hands_too_late(patch):
    """What a member holds is dropped after it has said so, when new partitions may have come."""

    def broken(self):
        LiveMember._release(self)
        self._clear()

    patch.setattr(ParallelMember, "_release", broken)


def forgets_who_is_away(patch):
    """Events do not follow their key into the retry topic."""
    patch.setattr(Handling, "_follows", lambda self, member, event: False)


def sends_nothing_to_the_retry_topic(patch):
    """The row is written, the event is not."""

    def broken(self, member, index, step, place):
        self.world.record(
            self.world.now, self.world.history.code(step, member.name, place), index, member.cursor.position
        )

    patch.setattr(Handling, "_forward", broken)


def moves_on_before_the_target_has_it(patch):
    """A redrive does not wait for the confirmation."""
    original = LiveRedrive._send

    def broken(self, found):
        original(self, found)
        self._confirmed(self._ticket, found, _YES)

    patch.setattr(LiveRedrive, "_send", broken)


def acknowledges_before_the_target_has_it(patch):
    """A redrive from a queue does not wait for the confirmation."""

    def broken(self, member, index):
        self._way.send(lambda _: None, None, index)
        self._ticket += 1
        member.finish()

    patch.setattr(_Returning, "_send", broken)


def drops_what_is_over_the_limit(patch):
    """A rate limiter that says no, and nobody comes back."""

    def broken(self, member, event):
        return self._limit is not None and self._limit.wait_s(self.world.now) > 0

    patch.setattr(Handling, "dismisses", broken)


def waits_for_its_turn_again_and_again(patch):
    """Who has waited for its turn is sent to the end of the line."""

    def broken(self, member, event):
        self._turns.clear()
        return self._limit.wait_s(self.world.now) if self._limit is not None else 0.0

    patch.setattr(Handling, "early_s", broken)


class _Yes:
    ok = True


_YES = _Yes()


# ---------------------------------------------------------------- where it shows


def _fails_until(until_s, problem=RuntimeError):
    def handler(event, ctx):
        if int(event.id.split(".")[1]) % 7 == 0 and ctx.now < until_s:
            raise problem("not now")
        ctx.effect("card charged")

    return {"order.placed": handler}


SHOP = Publisher("shop", to="orders", gap_s=Constant(0.05), count=400, key=Zipf(20, 0))
ORDERS = Log("orders", partitions=3)
PARALLEL = Consumer("billing", of="orders", members=2, parallel=4, prefetch=20, service_s=Exponential(0.2))
CRASH = Crash("billing", at_s=5, down_s=60)
EXPELLED = Crash("billing", at_s=7, down_s=5)
RETRIED = (
    SHOP,
    Log("orders"),
    Log("later"),
    Log("aside"),
    Consumer("billing", of="orders", on=_fails_until(10), retry=Retry(1, through="later", keep_order=True)),
    Consumer("again", of="later", group="billing", delay_s=12, on=_fails_until(10), dead_letter="aside"),
)
REDRIVEN = (
    SHOP,
    Log("orders"),
    Log("aside"),
    Consumer("billing", of="orders", on=_fails_until(30), dead_letter="aside"),
    Redrive("redrive", of="aside", to="orders", at_s=40, rate=5),
    Drop("redrive", "orders", share=0.3, at_s=40, for_s=20),
)
RETURNED = (
    SHOP,
    Queue("orders", dead_letter="aside"),
    Queue("aside"),
    Consumer("billing", of="orders", on=_fails_until(30, Reject)),
    Redrive("redrive", of="aside", to="orders", at_s=40, rate=5),
    Drop("redrive", "orders", share=0.3, at_s=40, for_s=20),
)
LIMITED = (SHOP, Log("orders"), Consumer("billing", of="orders", rate_limit=RateLimit(15, burst=3)))
BUSY = PARALLEL.but(session_timeout_s=3)

CASES = [
    Case(commits_past_the_unfinished, (SHOP, ORDERS, PARALLEL, Crash("billing", at_s=5, down_s=1)), nothing_lost()),
    Case(handles_keys_side_by_side, (SHOP, ORDERS, PARALLEL), in_order_by_key()),
    Case(clears_its_hands_too_late, (SHOP, ORDERS, BUSY, EXPELLED), nothing_stuck(30)),
    Case(forgets_who_is_away, RETRIED, in_order_by_key()),
    Case(sends_nothing_to_the_retry_topic, RETRIED, nothing_stuck(30)),
    Case(moves_on_before_the_target_has_it, REDRIVEN, every("order.placed").ends),
    Case(acknowledges_before_the_target_has_it, RETURNED, every("order.placed").ends),
    Case(drops_what_is_over_the_limit, LIMITED, nothing_stuck(30)),
    Case(waits_for_its_turn_again_and_again, LIMITED, nothing_stuck(30)),
]


@pytest.mark.parametrize("case", CASES, ids=name)
def test_the_promise_holds_in_our_own_code(case):
    verdict = judge(case.promise, run(*case.parts, until_s=UNTIL_S, seed=3))
    assert verdict.state == "ok", str(verdict)


@pytest.mark.parametrize("case", CASES, ids=name)
def test_the_check_catches_the_mutant(case, monkeypatch):
    case.mutant(monkeypatch)
    verdict = judge(case.promise, run(*case.parts, until_s=UNTIL_S, seed=3))
    assert verdict.state == "VIOLATED", str(verdict)
    assert verdict.lines
