"""How often a cache knew the answer, and how often an outdated one: measured in a history, and by formula."""

from __future__ import annotations

import math

import numpy as np

from evsim.errors import BadScenario
from evsim.history import History


def looked_up(history: History, cache: str, *, from_s: float = 0.0, to_s: float = math.inf) -> dict[str, int]:
    """How many rows of each kind a cache has left: hit, miss, loaded, invalidated, stale."""
    steps = ("hit", "miss", "loaded", "invalidated", "stale")
    within = (history.time >= from_s) & (history.time < to_s)
    counts = np.bincount(history.what[within], minlength=len(history.whats)) if len(history) else np.zeros(0, int)
    found = dict.fromkeys(steps, 0)
    for code, what in enumerate(history.whats):
        if what.node == cache and what.step in found:
            found[what.step] += int(counts[code])
    return found


def hit_ratio(history: History, cache: str, *, from_s: float = 0.0, to_s: float = math.inf) -> float:
    """The share of questions that the cache answered from memory; nan when there were none."""
    rows = looked_up(history, cache, from_s=from_s, to_s=to_s)
    asked = rows["hit"] + rows["miss"]
    return rows["hit"] / asked if asked else math.nan


def stale_share(history: History, cache: str, *, from_s: float = 0.0, to_s: float = math.inf) -> float:
    """The share of hits whose answer had changed meanwhile at the origin; nan when there were no hits."""
    rows = looked_up(history, cache, from_s=from_s, to_s=to_s)
    return rows["stale"] / rows["hit"] if rows["hit"] else math.nan


def ttl_hit_ratio(rate: float, ttl_s: float, load_s: float = 0.0) -> float:
    """The hit ratio of one key that Poisson readers ask for ``rate`` times a second: λT / (1 + λ(T + D)).

    Each cycle is one miss, the misses of those who wait for the loading (single flight, ``load_s`` = D seconds), and
    hits for ``ttl_s`` = T seconds; the next reader begins the next cycle.

    >>> round(ttl_hit_ratio(rate=2, ttl_s=4.5), 3)
    0.9
    """
    if rate < 0 or ttl_s < 0 or load_s < 0:
        raise BadScenario(f"a rate and times cannot be negative, but got rate={rate}, ttl_s={ttl_s}, load_s={load_s}")
    return rate * ttl_s / (1 + rate * (ttl_s + load_s))


def ttl_stale_share(change_rate: float, ttl_s: float) -> float:
    """The share of hits that are stale when only time makes the cache forget: 1 - (1 - exp(-μT)) / (μT).

    An entry's age at a hit is uniform on (0, T); it is stale when one of the Poisson changes, ``change_rate`` = μ a
    second, fell into this age.
    """
    if change_rate < 0 or ttl_s < 0:
        raise BadScenario(f"a rate and a time cannot be negative, but got {change_rate} and {ttl_s}")
    changes = change_rate * ttl_s
    return 1 + math.expm1(-changes) / changes if changes else 0.0
