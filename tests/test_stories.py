"""All or nothing: kept, broken, and not to be judged; and what holds for every promise there is."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from pkgutil import iter_modules

import pytest

import evsim.view
from evsim.errors import BadScenario
from evsim.history import History
from evsim.lab.scenario import Scenario
from evsim.laws import Constant
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.publisher import Publisher
from evsim.view.checks import judge
from evsim.view.stories import all_or_nothing
from evsim.view.verdict import Verdict

_ANYTHING = {"str": "order.placed", "float": 1.0, "tuple[str, ...]": ("order.placed", "order.paid")}


def promises():
    """Every promise of every room, with some settings."""
    for room in iter_modules(evsim.view.__path__):
        module = import_module(f"evsim.view.{room.name}")
        for kind in vars(module).values():
            own = isinstance(kind, type) and kind.__module__ == module.__name__
            if own and is_dataclass(kind) and hasattr(kind, "judge"):
                needed = [each for each in fields(kind) if each.default is each.default_factory is MISSING]
                yield kind(**{each.name: _ANYTHING[each.type] for each in needed})


ALL = list(promises())


@pytest.mark.parametrize("promise", ALL, ids=lambda promise: type(promise).__name__)
def test_no_promise_at_all_passes_on_an_empty_history(promise):
    verdict = judge(promise, History())
    assert verdict.state == "unknown"
    assert verdict.lines


def test_all_promises_were_found():
    assert len(ALL) >= 14


def shop(**handlers):
    parts = [Consumer(who, of="bus", on={"order.placed": handler}) for who, handler in handlers.items()]
    return Scenario(Publisher("shop", to="bus", gap_s=Constant(1), count=5), Log("bus"), *parts)


@pytest.mark.parametrize(
    ("effects", "state"),
    [
        (("paid", "reserved"), "ok"),
        (("paid", "refunded"), "ok"),
        (("paid",), "VIOLATED"),
        (("paid", "refunded", "refunded"), "VIOLATED"),
        (("paid", "reserved", "refunded"), "VIOLATED"),
        ((), "unknown"),
    ],
)
def test_a_story_is_all_done_or_all_undone(effects, state):
    def handler(event, ctx):
        for effect in effects:
            ctx.effect(effect)

    promise = all_or_nothing(("paid", "reserved"), undo={"paid": "refunded"})
    verdict = shop(office=handler).run(20, seed=1).check(promise)[0]
    assert verdict.state == state
    assert verdict.key == ("order-1" if state == "VIOLATED" else None)


def test_a_story_under_way_is_not_accused():
    def pay(event, ctx):
        ctx.effect("paid")
        ctx.emit("order.paid")

    def reserve(event, ctx):
        ctx.effect("reserved")

    slow = shop(office=pay).plus(Consumer("stock", of="bus", on={"order.paid": reserve}, service_s=8.0))
    verdict = slow.run(20, seed=1).check(all_or_nothing(("paid", "reserved")))[0]
    assert verdict.state == "ok"
    assert "still under way" in str(verdict)


def test_a_check_of_your_own_is_one_function():
    def all_is_done_by_ten(history):
        late = history.of("handled").time[-1] > 10
        return Verdict("VIOLATED", "all is done by ten", ("it was not",)) if late else True

    def pay(event, ctx):
        ctx.effect("paid")

    assert shop(office=pay).run(20, seed=1).check(all_is_done_by_ten)[0].state == "ok"
    late = shop(office=pay).replace("shop", gap_s=3.0).run(20, seed=1).check(all_is_done_by_ten)[0]
    assert (late.state, late.lines) == ("VIOLATED", ("it was not",))


@pytest.mark.parametrize(
    "wrong", [lambda: all_or_nothing("paid"), lambda: all_or_nothing(("a",), {"b": "c"}), lambda: all_or_nothing([""])]
)
def test_a_wrong_promise_gets_a_sentence(wrong):
    with pytest.raises(BadScenario, match="expected"):
        wrong()
