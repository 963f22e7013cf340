"""Exercises of notebook 03: the structure of an event."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

from evsim.classroom.exercise import Exercise, Outcome, broken, held, unproved
from evsim.lab import data

FUZZED = 500
_GOOD = {
    "id": "shop.1",
    "type": "order.placed",
    "timestamp": "2026-01-01T00:00:00.412Z",
    "source": "shop",
    "data": {"amount": 12.5},
}
_BAD_VALUES: dict[str, tuple[Any, ...]] = {
    "id": (None, "", "   ", 7, ["shop.1"], True),
    "type": (None, "", "order", "Order Placed", 3, "order..placed", {"name": "order.placed"}),
    "timestamp": (None, "yesterday", "2026-13-01T00:00:00Z", "", [], True, "2026-01-01"),
    "source": (None, "", 4.5, [], False, "  "),
    "data": (None, "amount=3", 12, [1, 2], True),
}


def _bad_events(count: int) -> Iterable[tuple[dict[str, Any], str]]:
    """Events that are wrong in one field each, and what is wrong."""
    chance = random.Random("bad events")
    for _ in range(count):
        field = chance.choice(list(_GOOD))
        document: dict[str, Any] = dict(_GOOD)
        if chance.random() < 0.25:
            del document[field]
            yield document, f"{field} is missing"
        else:
            document[field] = chance.choice(_BAD_VALUES[field])
            yield document, f"{field} is {document[field]!r}"


def _dedup(choose: Callable[..., Any]) -> Outcome:
    """The student's identity of an event must tell duplicates from different events in the whole dataset."""
    seen: set[Any] = set()
    missed = thrown = found = 0
    for arrival in data.load("orders").arrivals:
        identity = choose(arrival.event)
        known = identity in seen
        duplicate = "duplicate" in arrival.labels
        missed += duplicate and not known
        thrown += known and not duplicate
        found += duplicate and known
        seen.add(identity)
    if missed or thrown:
        return broken(
            f"{missed} duplicates went unnoticed, and {thrown} events that came once were thrown away",
            "repeated[:4]",
            "which field is made to be different for every event, and the same when the same event comes again?",
        )
    return held(f"for {found} duplicates among 26 100 arrivals") if found else unproved("there was no duplicate")


def _envelope(make: Callable[..., Any]) -> Outcome:
    try:
        event = make(dict(_GOOD))
    except ValueError as problem:
        return broken(f"a good event was refused: {problem}", "my_envelope(good)", "which of your rules is too strict?")
    if event is None:
        return unproved("my_envelope gave nothing back", "return the event that you have checked")
    let_in = []
    for document, wrong in _bad_events(FUZZED):
        try:
            make(document)
        except ValueError:
            continue
        let_in.append(wrong)
    if let_in:
        return broken(
            f"{len(let_in)} of {FUZZED} bad events came in; in the first, {let_in[0]}",
            "my_envelope(good | {'timestamp': 'yesterday'})",
            "must each rule be your own, or does the library hold a model of an event already?",
        )
    return held(f"for {FUZZED} bad events and a good one")


EXERCISES = (
    Exercise(
        "03.1",
        "What makes two arrivals the same event?",
        "every duplicate is noticed and no other event is thrown away",
        "my_identity(event)",
        _dedup,
    ),
    Exercise(
        "03.2",
        "The envelope",
        "a good event comes in, and each bad one is refused with a ValueError",
        "my_envelope(document)",
        _envelope,
        may_raise=True,
    ),
)
