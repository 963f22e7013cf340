"""Known-bad versions of the event store in the simulator: a promise catches each of them, and ours keeps it."""

from __future__ import annotations

import pytest
from shops import run
from test_checks_catch import Case

from evsim.lab import catalog
from evsim.lab.accounts import never_overdrawn
from evsim.laws import Constant
from evsim.patterns.retry import Backoff, Retry
from evsim.sim.broker.queue import Queue
from evsim.sim.calling import Calling
from evsim.sim.consumer import Consumer
from evsim.sim.event_store import LiveEventStore, Seen
from evsim.sim.faults import Crash, Drop, Pause
from evsim.sim.handling import Handling
from evsim.sim.publisher import Publisher
from evsim.store import ANY, MemoryStore
from evsim.view.anomalies import no_lost_writes
from evsim.view.checks import judge, nothing_lost
from evsim.view.promises import nothing_stuck
from evsim.view.verdict import Verdict

UNTIL_S = 60.0


# ---------------------------------------------------------------- what is broken, one thing each


def believes_the_disk(patch):
    """What was synced is not counted as safe: an fsync that lies."""
    original = LiveEventStore._show

    def broken(self, cause=-1):
        safe = self.safe
        original(self, cause)
        self.safe = safe

    patch.setattr(LiveEventStore, "_show", broken)


def forgets_with_its_process(patch):
    """A crash of the process takes what the operating system has."""
    original = LiveEventStore.crashed

    def broken(self):
        original(self)
        self._lose()

    patch.setattr(LiveEventStore, "crashed", broken)


def appends_whatever_is_expected(patch):
    """The expected version is not looked at."""
    original = MemoryStore._append

    def broken(self, stream, events, bodies, expected):
        return original(self, stream, events, bodies, ANY)

    patch.setattr(MemoryStore, "_append", broken)


def knows_no_retry(patch):
    """An append that comes again is a new one."""
    patch.setattr(MemoryStore, "_again", lambda self, stream, events, bodies: None)


def names_events_anew(patch):
    """An event that is decided again gets a new id."""
    original = Handling.draft

    def broken(self, context, place, given):
        self.drafted = getattr(self, "drafted", 0) + 1
        return original(self, context, self.drafted, given)

    patch.setattr(Handling, "draft", broken)


def tells_nobody_that_it_crashed(patch):
    """Who waits for an answer waits for ever."""
    original = LiveEventStore.crashed

    def broken(self):
        self._open.clear()
        self._line.clear()
        original(self)

    patch.setattr(LiveEventStore, "crashed", broken)


def stays_busy_after_a_crash(patch):
    """The writer of before the crash is still thought to be at work."""
    original = LiveEventStore.crashed

    def broken(self):
        writing = self._writing
        original(self)
        self._writing = writing

    patch.setattr(LiveEventStore, "crashed", broken)


def hides_the_newest(patch):
    """A reader gets all events but the last, and the version of all."""
    original = LiveEventStore._seen

    def broken(self, wish):
        seen = original(self, wish)
        return Seen.of(iter(seen[:-1]), len(seen) - 1)

    patch.setattr(LiveEventStore, "_seen", broken)


def drops_what_came_while_it_was_frozen(patch):
    """A pause loses what arrives."""
    original = LiveEventStore._arrived
    patch.setattr(LiveEventStore, "_arrived", lambda self, question: None if self.frozen else original(self, question))


# ---------------------------------------------------------------- where it shows


def stored_once(history):
    """Each command leads to one event."""
    causes = [history.event_at(history.index(r.event_id)).causation_id for r in history.of("stored", node="store")]
    twice = sorted({cause for cause in causes if causes.count(cause) > 1})
    return Verdict("VIOLATED" if twice else "ok", "each command is done once", tuple(twice))


async def _note(event, ctx):
    await ctx.append("store", "account-7", ("money.withdrawn", {"amount": 1}))


SHOP = catalog.get("withdrawals")
CRASH = Crash("store", at_s=2.0, down_s=1)
POWER = Crash("store", at_s=2.0, down_s=1, power=True)
FLUSHED = SHOP.replace("store", durability="flush", sync_s=Constant(0.0))
UNHEARD = Drop("store", "machines", share=0.5, at_s=0, for_s=5)
NOTED = SHOP.replace("machines", on={"withdraw.money": _note})
DONE = nothing_stuck(30)
RUSH = SHOP.replace("customers", rate=50).replace("machines", members=8)
BUSY = (
    Publisher("customers", to="commands", rate=20, count=200, type="withdraw.money"),
    Queue("commands"),
    Consumer("machines", of="commands", members=3, on={"withdraw.money": _note}, retry=Retry(100, Backoff(0.1, 1))),
    FLUSHED.named["store"].but(append_s=Constant(0.03)),
)
ASKING = Calling(timeout_s=0.3, retry=Retry(3, Backoff(0.1)))

CASES = [
    Case(believes_the_disk, (*SHOP.parts, POWER), nothing_lost()),
    Case(believes_the_disk, (*SHOP.parts, POWER), no_lost_writes()),
    Case(forgets_with_its_process, (*FLUSHED.parts, CRASH), nothing_lost()),
    Case(appends_whatever_is_expected, (*RUSH.parts,), never_overdrawn),
    Case(knows_no_retry, (*NOTED.replace("machines", calling=ASKING).parts, UNHEARD), stored_once),
    Case(names_events_anew, (*NOTED.parts, Crash("machines", after="handled", nth=5, down_s=1)), stored_once),
    Case(tells_nobody_that_it_crashed, (*BUSY, CRASH), DONE),
    Case(stays_busy_after_a_crash, (*BUSY, CRASH), DONE),
    Case(hides_the_newest, (*SHOP.parts,), never_overdrawn),
    Case(drops_what_came_while_it_was_frozen, (*BUSY, Pause("store", at_s=2, for_s=3)), DONE),
]


def name(case):
    return f"{case.mutant.__name__}-{getattr(case.promise, '__name__', type(case.promise).__name__)}"


@pytest.mark.parametrize("case", CASES, ids=name)
def test_the_promise_holds_in_our_own_code(case):
    verdict = judge(case.promise, run(*case.parts, until_s=UNTIL_S, seed=3))
    assert verdict.state == "ok", str(verdict)


@pytest.mark.parametrize("case", CASES, ids=name)
def test_the_check_catches_the_mutant(case, monkeypatch):
    case.mutant(monkeypatch)
    verdict = judge(case.promise, run(*case.parts, until_s=UNTIL_S, seed=3))
    assert verdict.state == "VIOLATED", str(verdict)
