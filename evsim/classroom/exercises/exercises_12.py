"""Exercises of notebook 12: idempotent processing."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from evsim.classroom.exercise import Exercise, Outcome, broken, held
from evsim.event import Event
from evsim.patterns.inbox import Inbox

MEAN_S, MISSED, SLACK_S = 40.0, 0.001, 10.0
HISTORIES = 100


def _window(inbox: Any) -> Outcome:
    if not isinstance(inbox, Inbox) or inbox.ttl_s is None:
        return broken(f"my_inbox = {inbox!r}", ask="which setting of ev.Inbox says for how long a key is known?")
    if inbox.bloom_error is not None or inbox.capacity is not None or inbox.key != "id" or inbox.written != "with":
        return broken(f"my_inbox = {inbox!r}", ask="what has to be chosen besides the window?")
    least_s = -MEAN_S * math.log(MISSED)
    if inbox.ttl_s < least_s:
        return broken(
            f"with a window of {inbox.ttl_s:g} s, {inbox.missed(MEAN_S):.4f} of the duplicates are missed",
            f"my_inbox.missed({MEAN_S:g})",
            "how long must it be for one in a thousand?",
        )
    if inbox.ttl_s > least_s + SLACK_S:
        return broken(
            f"a window of {inbox.ttl_s:g} s is more than {SLACK_S:g} s longer than it has to be",
            f"my_inbox.missed({MEAN_S:g})",
            "how many are missed, and how many may be?",
        )
    return held("for any redelivery of that kind", "What happens to a consumer that was away for ten minutes?")


def _changed(chance: random.Random, key: str, version: int) -> Event:
    data = {"version": version, "balance": chance.randint(-50, 500)}
    return Event(f"bank-{key}.{version}", "balance.changed", float(version), "bank", data, key=key)


def _balances(handler: Callable[..., Any]) -> Outcome:
    for seed in range(HISTORIES):
        chance = random.Random(seed)
        events = [_changed(chance, key, version) for key in ("a", "b") for version in range(1, 4)]
        newest = {event.key: event.data["balance"] for event in events}
        coming = events + chance.choices(events, k=seed % 6)
        if seed:
            chance.shuffle(coming)
        state: dict[str, Any] = {}
        for event in coming:
            handler(event, SimpleNamespace(event=event, state=state))
        for key, balance in newest.items():
            kept = state.get(str(key))
            found = kept.get("balance") if isinstance(kept, dict) else kept
            if found != balance:
                order = [event.data["version"] for event in coming if event.key == key]
                return broken(
                    f"versions came as {order}, and account {key} ends with {found!r} instead of {balance}",
                    ask="which of two events of one account is the newer one, whichever comes last?",
                )
    return held(f"for {HISTORIES} orders of arrival")


EXERCISES = (
    Exercise(
        "12.1",
        "The smallest memory",
        "one duplicate in a thousand is missed, and no window is wasted",
        "my_inbox",
        _window,
    ),
    Exercise(
        "12.2",
        "Idempotent by nature",
        "the newest balance stays, whatever comes how often in which order",
        "my_balance(event, ctx)",
        _balances,
    ),
)
