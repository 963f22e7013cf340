"""Exercises of notebook 20: choreography, stuck sagas and isolation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from evsim.classroom.exercise import Exercise, Outcome, broken, held
from evsim.history import History
from evsim.lab.isolation import anomalies, buyers
from evsim.lab.ordering import PLAN, order_processing
from evsim.laws import Exponential
from evsim.sim.faults import Drop
from evsim.view.sagas import saga_numbers, stuck_sagas

SILENT_S, ORDERS, BUYERS = 30.0, 60, 40
Heard = Mapping[str, list[tuple[float, str]]]


def heard_of(history: History, now: float) -> Heard:
    """What was published of each order before ``now``."""
    heard: dict[str, list[tuple[float, str]]] = {}
    rows = history.of("published", to_s=now)
    for time, event in zip(rows.time.tolist(), rows.event.tolist(), strict=True):
        heard.setdefault(str(history.key_of(event)), []).append((time, history.type_of(event)))
    return heard


def _detector(detector: Callable[[Heard, float, float], Any]) -> Outcome:
    total = 0
    for seed in (1, 2, 3):
        trouble = {"courier": {"refuses": 0.2}, "stock": {"refuses": 0.1}}
        shop = order_processing(style="choreographed", rate=1.0, count=ORDERS, service_s=Exponential(0.05), **trouble)  # type: ignore[arg-type]
        losses = [Drop(name, "bus", share=0.04) for name in ("stock", "payment", "courier", "shipping")]
        history = shop.plus(*losses).run(until_s=120, seed=seed, progress=False).history
        for now in (60.0, 120.0):
            wanted = {each.key for each in stuck_sagas(history, SILENT_S, at_s=now, plan=PLAN)}
            given = detector(heard_of(history, now), now, SILENT_S)
            if not isinstance(given, (list, tuple, set, frozenset)):
                return broken(f"my_detector gave {given!r}", ask="is it a list of orders, such as ['order-3']?")
            outcome = _compared(set(given), wanted, heard_of(history, now), now)
            if outcome is not None:
                return outcome
            total += len(wanted)
    return held(f"for {total} stuck sagas among {3 * ORDERS}, seen at two times", "What is a good silent_s?")


def _compared(given: set[Any], wanted: set[str], heard: Heard, now: float) -> Outcome | None:
    for missed in sorted(wanted - given):
        time, last = heard[missed][-1]
        return broken(
            f"{missed} is stuck at {now:g} s and you did not find it; its last event was {last} at {time:.3f} s",
            ask="has it ended, and for how long has it been silent?",
        )
    for wrong in sorted(map(str, given - wanted)):
        time, last = heard.get(wrong, [(0.0, "never heard of")])[-1]
        return broken(
            f"{wrong} is not stuck at {now:g} s: its last event was {last} at {time:.3f} s",
            ask="which events end a saga, and when is silence too long?",
        )
    return None


def _lock(lock: Callable[[dict[str, Any], str | None], Any]) -> Outcome:
    fresh: dict[str, Any] = {"level": 5, "version": 0, "price": 10, "lock": None}
    again = dict(fresh, lock="order-1")
    if not lock(dict(fresh), "order-1"):
        return broken("nobody deals with the item, and yet order-1 may not go on", ask="what is item['lock'] then?")
    if not lock(again, "order-1"):
        return broken("order-1 has the lock and asks again, and may not go on", ask="whose lock is it?")
    for seed in range(4):
        history = buyers(lock=lock).run(until_s=90, seed=seed, progress=False).history
        found, numbers = anomalies(history), saga_numbers(history)
        look = f"ev.isolation.anomalies(ev.isolation.buyers(lock=my_lock).run(until_s=90, seed={seed}).history)"
        if found.oversold:
            return broken(f"{found.oversold} more were sold than there were", look, "who may look while one is at it?")
        if found.turned_away or found.wrong_price:
            told = f"{found.turned_away} dirty reads and {found.wrong_price} fuzzy reads"
            return broken(told, look, "is the item marked as soon as somebody deals with it?")
        if numbers.completed + numbers.compensated < BUYERS:
            told = f"only {numbers.completed + numbers.compensated} of {BUYERS} sagas have ended"
            return broken(told, look, "may the next one go on when the lock is None?")
    return held("for 160 buyers")


EXERCISES = (
    Exercise(
        "20.1", "A detector", "it finds all stuck sagas and no other", "my_detector(heard, now, silent_s)", _detector
    ),
    Exercise("20.2", "A semantic lock", "no saga sees the middle of another", "my_lock(item, key)", _lock),
)  # fmt: skip
