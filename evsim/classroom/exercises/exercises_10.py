"""Exercises of notebook 10: handlers and delivery semantics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from evsim.classroom.exercise import Exercise, Outcome, broken, held
from evsim.lab.run import Run
from evsim.lab.scenario import Scenario
from evsim.laws import Constant
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash
from evsim.sim.publisher import Publisher

Step = Literal["delivered", "handled", "saved", "sent", "acked"]
STEPS: tuple[Step, ...] = ("delivered", "handled", "saved", "sent", "acked")
POLICIES: Mapping[str, Mapping[str, Any]] = {"before": {"commit": "before"}, "after": {}, "inbox": {"inbox": True}}
TRANSFERS, EACH = 4, 10


def _move(event: Any, ctx: Any) -> None:
    ctx.state["Bob"] = ctx.state.get("Bob", 0) + EACH
    ctx.emit("money.moved")


def _bank(handler: Callable[..., Any], settings: Mapping[str, Any], *faults: Any) -> Run:
    bank = Scenario(
        Publisher("shop", to="transfers", type="transfer.requested", gap_s=Constant(1.0), count=TRANSFERS),
        Log("transfers"),
        Consumer("bank", of="transfers", service_s=Constant(0.1), on={"transfer.requested": handler}, **settings),
        *faults,
    )
    return bank.run(until_s=60, seed=7, progress=False)


def _crash(step: Step, nth: int) -> Crash:
    return Crash("bank", after=step, type="transfer.requested", nth=nth, down_s=5)


def _written(policy: str, step: Step) -> int:
    """How often the money of the crashed transfer was written."""
    bob = _bank(_move, POLICIES[policy], _crash(step, 3)).state("bank").get("Bob", 0)
    return int(bob // EACH) - (TRANSFERS - 1)


def _table(table: Any) -> Outcome:
    if not isinstance(table, Mapping) or set(table) != set(POLICIES):
        return broken(f"my_table = {table!r}", ask='does it have a row for each of "before", "after" and "inbox"?')
    for policy, row in table.items():
        if not isinstance(row, (tuple, list)) or len(row) != len(STEPS):
            return broken(f"my_table[{policy!r}] = {row!r}", ask="is there one number for each of the five steps?")
        for step, said in zip(STEPS, row, strict=True):
            if said != _written(policy, step):
                return broken(
                    f"a crash after {step}, policy {policy}: you say {said!r}, the run says otherwise",
                    f'after_crash("{policy}", "{step}").timeline("transfer-3")',
                    "what was on the disk, and what did the broker know, when the process died?",
                )
    return held("for all fifteen cells, each measured in a run")


def _inbox(handler: Callable[..., Any]) -> Outcome:
    calm = _bank(handler, {}).state("bank").get("Bob", 0)
    if calm != TRANSFERS * EACH:
        return broken(
            f"without any crash Bob has {calm} after {TRANSFERS} transfers of {EACH}",
            'bank_with("after", my_move).run(until_s=30, seed=7).state("bank")',
            "does each transfer add ten to Bob?",
        )
    for step in STEPS:
        for nth in range(1, TRANSFERS + 2):
            bob = _bank(handler, {}, _crash(step, nth)).state("bank").get("Bob", 0)
            if bob != TRANSFERS * EACH:
                return broken(
                    f"crash after {step} of delivery {nth}: Bob has {bob} after {TRANSFERS} transfers of {EACH}",
                    f'bank_with("after", my_move).plus(ev.Crash("bank", after="{step}", nth={nth}, '
                    'type="transfer.requested")).run(until_s=60, seed=7).state("bank")',
                    "is the note that the transfer is done saved together with the money?",
                )
    return held(f"for a crash after each of the five steps of each of {TRANSFERS + 1} deliveries")


EXERCISES = (
    Exercise("10.1", "The table", "your table says how often the money was written", "my_table", _table),
    Exercise(
        "10.2",
        "An inbox of your own",
        "no crash makes or loses money under commit after",
        "my_move(event, ctx)",
        _inbox,
    ),
)
