"""Exercises of notebook 18: reading one's own writes, a table of one's own, and the life of a cached answer."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from evsim.classroom.exercise import Exercise, Outcome, broken, held
from evsim.errors import EvsimError
from evsim.event import Event
from evsim.lab.reading import READ_MODEL
from evsim.store.readmodel import SQLReadModel, Table
from evsim.view.caching import ttl_hit_ratio, ttl_stale_share
from evsim.view.staleness import reads
from evsim.view.words import share, si

STALE_MOST, SOURCE_MOST, SEEN_MOST_S = 0.001, 0.25, 0.85
SEEDS = range(21, 31)
"""Ten runs that lie half a hundredth below the formula: whoever is right by it passes, and luck gives no more."""
READS, CHANGES, HITS_LEAST, OLD_MOST = 2.0, 0.02, 0.9, 0.05


# -------------------------------------------------------------------- 18.1: one in a thousand


def _clients(given: Any) -> Outcome:
    if not isinstance(given, Mapping) or not set(given) <= {"cure", "read_after_s"}:
        return broken(f"my_clients = {given!r}", ask='what does {"cure": "wait", "read_after_s": 0.1} say?')
    try:
        runs = [READ_MODEL.replace("customers", **given).run(until_s=600, seed=n, progress=False) for n in SEEDS]
    except EvsimError as problem:
        return broken(str(problem), ask="which cures are there, and how long may one wait?")
    found = [reads(run.history) for run in runs]
    answers = sum(len(each.event) for each in found)
    stale = sum(int(each.stale.sum()) for each in found) / answers
    source = sum(int(each.at_source.sum()) for each in found) / answers
    after_s = READ_MODEL.replace("customers", **given).parts[0].read_after_s.mean
    took_s = sorted(took for each in found for took in each.took_s.tolist())
    seen_s = round(after_s + took_s[int(0.99 * answers)], 6)
    again = f'shop.replace("customers", **my_clients).run(until_s=600, seed={SEEDS[0]})'
    met = f"staleness.met({again}.history)"
    if stale > STALE_MOST:
        return broken(
            f"{share(stale)} of {answers} answers miss the own write",
            f"{again}.check(ev.read_your_writes())",
            "what does a view say when it is asked for something that it does not know yet?",
        )
    if source > SOURCE_MOST:
        saw = f"{share(source)} of the answers come from the write side, and may be {share(SOURCE_MOST)}"
        if given.get("cure") != "token":
            return broken(saw, met, "whom is a customer sent to whose order is in the read model already?")
        look = f"staleness.hidden_law(rate=8, service_rate=10, after_s={after_s:g})"
        return broken(saw, look, "after how many seconds can three of four orders be seen?")
    if seen_s > SEEN_MOST_S:
        return broken(
            f"99 % see their order within {si(seen_s, 's')} of writing it, and should within {SEEN_MOST_S:g} s",
            met,
            "who waits longest: those who look late, or those who are made to wait?",
        )
    return held(f"for {answers} answers that you have not seen", "Who pays for it? Write one sentence below.")


# -------------------------------------------------------------------- 18.2: who owes us

_TABLES = {"open": Table({"customer": "text", "orders": "integer", "amount": "integer"}, key="customer")}


def _facts(seed: int) -> list[tuple[int, Event]]:
    """Orders of four customers, most of them paid later."""
    luck = random.Random(seed)
    moments = []
    for n in range(1, 25):
        customer, amount = luck.choice(["ada", "bob", "eve", "tim"]), luck.randint(1, 50)
        placed_s = luck.uniform(0, 100)
        moments.append((placed_s, "order.placed", n, customer, amount))
        if luck.random() < 0.8:
            moments.append((placed_s + luck.uniform(1, 40), "order.paid", n, customer, amount))
    return [
        (position, Event(f"shop.{position}", kind, time, "shop", {"customer": customer, "amount": amount}))
        for position, (time, kind, _, customer, amount) in enumerate(sorted(moments), start=1)
    ]


def _owed(facts: list[tuple[int, Event]]) -> dict[str, tuple[int, int]]:
    owed: dict[str, tuple[int, int]] = {}
    for _, event in facts:
        sign = 1 if event.type == "order.placed" else -1
        orders, amount = owed.get(event.data["customer"], (0, 0))
        owed[event.data["customer"]] = (orders + sign, amount + sign * event.data["amount"])
    return {customer: each for customer, each in owed.items() if each[0]}


def _table(apply: Callable[..., Any]) -> SQLReadModel:
    return SQLReadModel(None, "open", tables=_TABLES, on=dict.fromkeys(("order.placed", "order.paid"), apply))


def _owing(apply: Callable[..., Any]) -> Outcome:
    for seed in range(8):
        facts = _facts(seed)
        model = _table(apply)
        for upto in range(1, len(facts) + 1):
            try:
                model.take(facts[:upto])  # all but the last of them come again
                rows = model.query('select customer, orders, amount from "open"')
            except EvsimError as problem:
                return broken(str(problem), ask="which columns does the table have, and which one is its key?")
            found = {row["customer"]: (row["orders"], row["amount"]) for row in rows}
            wanted = _owed(facts[:upto])
            if found != wanted:
                return _wrong([event for _, event in facts[:upto]], found, wanted)
        model.close()
    return held("for 8 histories, with events that came again")


def owed_after(owing: Callable[..., Any], *facts: tuple[str, str, int]) -> list[dict[str, Any]]:
    """What ``owing`` has in its table after facts such as ``("order.placed", "ada", 30)``."""
    model = _table(owing)
    model.take(
        (position, Event(f"shop.{position}", kind, float(position), "shop", {"customer": customer, "amount": amount}))
        for position, (kind, customer, amount) in enumerate(facts, start=1)
    )
    return model.query('select * from "open"')


def _wrong(events: list[Event], found: dict[str, Any], wanted: dict[str, Any]) -> Outcome:
    last, who = events[-1], min(set(found.items()) ^ set(wanted.items()))[0]
    told = [(each.type, each.data["customer"], each.data["amount"]) for each in events]
    own = [each for each in told if each[1] == last.data["customer"]]
    return broken(
        f"event {len(events)} is {last.type} of {last.data['customer']}; then {who} has {found.get(who, 'no row')}, "
        f"and should have {wanted.get(who, 'no row')}",
        f"owed({', '.join(map(str, own))})",
        "what does a payment change, and what is left when the last order is paid?",
    )


# -------------------------------------------------------------------- 18.3: how long may a price live


def _ttl(ttl_s: Any) -> Outcome:
    if isinstance(ttl_s, bool) or not isinstance(ttl_s, int | float) or not ttl_s > 0:
        return broken(f"my_ttl_s = {ttl_s!r}", ask="for how many seconds may the cache keep a price?")
    hits, old = ttl_hit_ratio(READS, ttl_s), ttl_stale_share(CHANGES, ttl_s)
    if hits < HITS_LEAST:
        return broken(
            f"only {share(hits)} of the answers come from the cache",
            f"caching.ttl_hit_ratio(rate=2, ttl_s={ttl_s:g})",
            "how many readers come while a price lives?",
        )
    if old > OLD_MOST:
        return broken(
            f"{share(old)} of the hits tell an old price",
            f"caching.ttl_stale_share(change_rate=0.02, ttl_s={ttl_s:g})",
            "how old is an answer on average when it is given?",
        )
    return held(f"{share(hits)} from the cache, {share(old)} of those old", "What if prices change twice as often?")


EXERCISES = (
    Exercise(
        "18.1",
        "One in a thousand",
        "at most 0.1 % with the own write missing, a quarter from the write side, 99 % within 0.85 s",
        "my_clients",
        _clients,
    ),
    Exercise("18.2", "Who owes us?", "the table holds what is ordered and not paid", "owing(rows, event)", _owing),
    Exercise(
        "18.3",
        "How long may a price live?",
        "at least 90 % from the cache, at most 5 % of those old",
        "my_ttl_s",
        _ttl,
    ),
)
