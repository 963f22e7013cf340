"""Exercises of notebook 16: conflicts and snapshots."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from evsim.classroom.exercise import Exercise, Outcome, broken, held
from evsim.event import Event
from evsim.lab.run import Run
from evsim.lab.scenario import Scenario
from evsim.laws import Constant
from evsim.patterns.retry import Retry
from evsim.sim.broker.queue import Queue
from evsim.sim.consumer import Consumer
from evsim.sim.event_store import EventStore
from evsim.sim.publisher import Publisher
from evsim.store import MemoryStore
from evsim.view.conflicts import appends
from evsim.view.snapshots import Snapshots
from evsim.view.words import digits, share

PRICE = Snapshots(write_s=0.005, loads=2, event_s=40e-6)
MACHINES, ATTEMPTS_MOST, DONE_MOST_S = 20, 70, 2.5
SEEDS = (31, 32, 33, 34)


# -------------------------------------------------------------------- 16.1: how many events between two snapshots


def _interval(every: Any) -> Outcome:
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        return broken(f"my_interval = {every!r}", ask="how many events should lie between two snapshots?")
    cost, least = PRICE.cost_s(every), PRICE.cost_s(PRICE.best_every)
    if cost > 1.1 * least:
        written, loaded = PRICE.write_cost_s(every), PRICE.load_cost_s(every)
        return broken(
            f"with {every} events an event costs {share(cost, least)} of the least: "
            f"{digits(1e6 * written)} µs for writing and {digits(1e6 * loaded)} µs for loading",
            f"ev.Snapshots(write_s=0.005, loads=2, event_s=40e-6).cost_s({every})",
            "which of the two is larger, and what makes it smaller?",
        )
    return held(
        "within 10 % of the least cost", "Why is it no disaster to be a little wrong? Write one sentence below."
    )


# -------------------------------------------------------------------- 16.2: twenty machines at once


def _retry(retry: Any) -> Outcome:
    if not isinstance(retry, Retry):
        return broken(f"my_retry = {retry!r}", ask="how does ev.Retry(…, ev.Backoff(…)) say how to wait?")
    tried = []
    for seed in SEEDS:
        run = _rush(retry, seed)
        rows = run.history.of("stored", node="store")
        stored = {str(record.event_id).removeprefix("machines:"): record.time for record in rows}
        customers = [str(record.event_id) for record in run.history.of("published", node="customers")]
        missing = [customer for customer in customers if customer not in stored]
        if missing:
            return broken(
                f"with seed {seed}, {len(stored)} of {MACHINES} withdrawals were stored; that of {missing[0]} was not",
                f'rush(my_retry, seed={seed}).story("{missing[0]}")',
                "what does a machine do after its last attempt?",
            )
        last, done_s = max(stored.items(), key=lambda item: item[1])
        if done_s > 10 + DONE_MOST_S:
            return broken(
                f"with seed {seed}, the last machine was done after {done_s - 10:.2f} s, with {last}, and should be "
                f"within {DONE_MOST_S:g}",
                f'rush(my_retry, seed={seed}).story("{last}")',
                "how long does the unluckiest of them wait?",
            )
        tried.append(appends(run.history).tried)
    mean = sum(tried) / len(tried)
    if mean > ATTEMPTS_MOST:
        return broken(
            f"{mean:.0f} attempts on average for {MACHINES} withdrawals, and at most {ATTEMPTS_MOST} are wanted",
            f"[ev.appends(rush(my_retry, seed=seed).history).tried for seed in {SEEDS}]",
            "over how long a time do the machines come back, and how many fit into it?",
        )
    return held(f"for {len(SEEDS)} rushes that you have not seen")


def _rush(retry: Retry, seed: int) -> Run:
    """Twenty machines that begin to serve one account at the same moment, at 10 s: the ``rush`` of the notebook."""

    async def withdraw(event: Event, ctx: Any) -> None:
        if ctx.now < 10:
            await ctx.sleep(10 - ctx.now)
        seen = await ctx.read("store", "account-7")
        await ctx.sleep(0.02)
        await ctx.append("store", "account-7", ("money.withdrawn", {"amount": 1}), seen.version)

    return Scenario(
        Publisher("customers", to="commands", gap_s=Constant(0.1), count=MACHINES, type="withdraw.money"),
        Queue("commands"),
        Consumer(
            "machines", of="commands", on={"withdraw.money": withdraw}, members=MACHINES, retry=retry, nack="reject"
        ),
        EventStore("store", append_s=Constant(0.002), read_s=Constant(0.001)),
        name="rush",
    ).run(until_s=60, seed=seed, progress=False)


# -------------------------------------------------------------------- 16.3: a snapshot from before

_AMOUNTS = (10, 20, 30, 40, 50)
_FEE = 1
"""The new code charges a fee for each withdrawal; the snapshots of the old code know nothing of it."""


class _Counting:
    """A store that counts the events that are read."""

    def __init__(self) -> None:
        self.read_count, self.store = 0, MemoryStore()
        for n, amount in enumerate(_AMOUNTS):
            self.store.append("account-7", Event(f"bank.{n}", "money.withdrawn", n, "bank", {"amount": amount}))

    def read(self, start: int = 0) -> list[Event]:
        found = [each.event for each in self.store.read("account-7", start)]
        self.read_count += len(found)
        return found


def _balance(count: int, fee: int) -> int:
    return 1000 - sum(_AMOUNTS[:count]) - fee * count


def _load(load: Callable[..., Any]) -> Outcome:
    """Without a snapshot, with one of this code, and with an older one; each of every length."""
    whole = _balance(len(_AMOUNTS), _FEE)
    for upto in (None, *range(len(_AMOUNTS))):
        for code in (1, 2) if upto is not None else (2,):
            snapshot: Mapping[str, Any] | None = None
            if upto is not None:
                snapshot = {"upto": upto, "code": code, "balance": _balance(upto + 1, _FEE if code == 2 else 0)}
            counting = _Counting()
            answer = load(counting.read, snapshot)
            told = "without a snapshot" if snapshot is None else f"with the snapshot {dict(snapshot)}"
            look = f"my_load(read, {snapshot and dict(snapshot)})"
            if answer != whole:
                return broken(
                    f"{told} the balance is {answer!r}, and replaying everything gives {whole}",
                    look,
                    "by which code was that snapshot made, and what did it not know?" if code == 1 else
                    "which is the first event that the snapshot does not hold?",
                )  # fmt: skip
            needed = len(_AMOUNTS) if snapshot is None or code == 1 else len(_AMOUNTS) - 1 - int(upto or 0)
            if counting.read_count > needed:
                return broken(
                    f"{told} {counting.read_count} events are read, and {needed} would do",
                    look,
                    "what is the snapshot for?",
                )
    return held("without a snapshot, with fresh ones and with stale ones")


EXERCISES = (
    Exercise(
        "16.1",
        "How often to remember",
        "an event costs at most 10 % more than with the best interval",
        "my_interval",
        _interval,
    ),
    Exercise(
        "16.2",
        "A rush without a crowd",
        f"all {MACHINES} withdrawals stored within {DONE_MOST_S:g} s, with at most {ATTEMPTS_MOST} attempts on average",
        "my_retry",
        _retry,
    ),
    Exercise(
        "16.3",
        "A snapshot from before",
        "the balance is that of a whole replay, and a fresh snapshot saves its share of it",
        "my_load(read, snapshot)",
        _load,
    ),
)
