"""Every promise judges a million records in less than five seconds."""

from __future__ import annotations

import time
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

import pytest

import evsim.view
from evsim.history import History
from evsim.lab.catalog import TRANSFER
from evsim.sim.faults import Crash
from evsim.view.checks import judge

ROWS, SECONDS = 1_000_000, 5.0
_SETTINGS = {
    "str": "transfer.requested",
    "float": 1.0,
    "tuple[str, ...]": ("money.debited", "money.credited"),
}


def promises():
    for room in iter_modules(evsim.view.__path__):
        module = import_module(f"evsim.view.{room.name}")
        for kind in vars(module).values():
            own = isinstance(kind, type) and kind.__module__ == module.__name__
            if own and is_dataclass(kind) and hasattr(kind, "judge"):
                needed = [each for each in fields(kind) if each.default is each.default_factory is MISSING]
                yield kind(**{each.name: _SETTINGS[each.type] for each in needed})


def credit(event, ctx):
    """An effect with the name of a type, so that one word suits every promise."""
    ctx.effect("transfer.requested", key=event.key, amount=1, value=1)
    ctx.emit("money.credited")


@cache
def million() -> History:
    """Transfers at two hundred a second, with a crash on the way."""
    quick = (
        TRANSFER.replace("bank", rate=200)
        .replace("debits", service_s=0.001)
        .replace("credits", service_s=0.001, on={"money.debited": credit})
    )
    return quick.plus(Crash("credits", at_s=60, down_s=5)).run(265, seed=1, progress=False).history


@pytest.mark.benchmark
@pytest.mark.parametrize("promise", list(promises()), ids=lambda promise: type(promise).__name__)
def test_a_million_records(promise):
    history = million()
    assert len(history) >= ROWS
    history.table  # the columns are read once  # noqa: B018
    began = time.process_time()
    verdict = judge(promise, history)
    took = time.process_time() - began
    print(f"{type(promise).__name__:<20} {took:6.2f} s  {verdict.state}")
    assert took < SECONDS
