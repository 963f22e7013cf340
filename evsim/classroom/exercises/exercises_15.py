"""Exercises of notebook 15: state from history, and the chain of an audit."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

from evsim.classroom.exercise import Exercise, Outcome, broken, held
from evsim.errors import shown
from evsim.event import Event
from evsim.store import MemoryStore
from evsim.store.recorder import chained

HISTORIES = 200
_TYPES = ("money.paid", "money.withdrawn", "limit.changed", "account.opened")


def _history(seed: int) -> list[Event]:
    """Events by chance; the first histories are short, so that what fails is easy to look at."""
    chance = random.Random(seed)
    kinds = [chance.choice(_TYPES) for _ in range(min(seed, 12))]
    return [
        Event(f"bank.{n}", kind, float(n), "bank", {"amount": chance.randint(1, 50)} if "money" in kind else {})
        for n, kind in enumerate(kinds, start=1)
    ]


def _state(events: Iterable[Event]) -> dict[str, int]:
    state = {"balance": 0, "lowest": 0, "withdrawals": 0}
    for event in events:
        sign = {"money.paid": 1, "money.withdrawn": -1}.get(event.type, 0)
        state["balance"] += sign * event.data.get("amount", 0)
        state["withdrawals"] += sign == -1
        state["lowest"] = min(state["lowest"], state["balance"])
    return state


def _fold(fold: Callable[..., Any]) -> Outcome:
    for seed in range(HISTORIES):
        events = _history(seed)
        wanted, found = _state(events), fold(list(events))
        wrong = _wrong(found, wanted)
        if wrong:
            told = [f"{event.type} {event.data.get('amount', '')}".strip() for event in events]
            return broken(
                f"after {', '.join(told) or 'nothing'}: {wrong}",
                ask="which events change it, and what is it before the first one?",
            )
        if fold(list(events)) != found:
            return broken("the same events give two different states", ask="what remains from one call to the next?")
    return held(f"for {HISTORIES} histories that you have not seen")


def _wrong(found: Any, wanted: dict[str, int]) -> str:
    """What is wrong with this state, or nothing."""
    if not isinstance(found, dict):
        return f"my_fold gave {shown(found)}, and should give a dict with {', '.join(wanted)}"
    for name, value in wanted.items():
        if name not in found:
            return f"there is no {name} in {shown(found)}"
        if found[name] != value:
            return f"{name} is {shown(found[name])}, and should be {value}"
    more = [name for name in found if name not in wanted]
    return f"there is {shown(more[0])} in it too, which was not asked for" if more else ""


def _chain(length: int) -> list[list[Any]]:
    store = MemoryStore()
    for n in range(length):
        store.append(f"order-{n % 3}", Event(f"shop.{n}", "order.placed", float(n), "shop", {"amount": n}))
    return [list(row) for row in store._links()]


def _detective(first_wrong: Callable[..., Any]) -> Outcome:
    crimes: list[tuple[str, list[list[Any]], int | None]] = [("nothing was changed", _chain(9), None)]
    crimes.append(("the file is empty", [], None))
    for place in (0, 4, 8):
        body = _chain(9)
        body[place][3] = body[place][3].replace("order.placed", "order.erased")
        moved = _chain(9)
        moved[place][1] = "order-9"
        crimes += [(f"a body was changed at {place + 1}", body, place + 1),
                   (f"an event was moved to another stream at {place + 1}", moved, place + 1)]  # fmt: skip
    gone = _chain(9)
    del gone[4]
    crimes.append(("event 5 was taken away", gone, 5))
    swapped = _chain(9)
    swapped[2], swapped[3] = swapped[3], swapped[2]
    crimes.append(("events 3 and 4 were swapped", swapped, 3))
    for crime, links, wanted in crimes:
        found = first_wrong([tuple(link) for link in links], chained)
        if found != wanted:
            return broken(
                f"{crime}: you said {found!r}, and it is {wanted!r}",
                ask="which link does each event follow, and which position should it have?",
            )
    return held(f"for {len(crimes)} files")


EXERCISES = (
    Exercise(
        "15.1", "A fold of your own", "your state is what has happened, for any history", "my_fold(events)", _fold
    ),
    Exercise(
        "15.2",
        "The detective",
        "the first event that was changed is found, and an honest file is left in peace",
        "my_first_wrong(links, chained)",
        _detective,
    ),
)
