"""What a run amounts to, in numbers: functions of a history, without a state of their own.

``group`` names a consumer (or the group it belongs to), ``node`` one of its members; where neither is given, all groups
count, and an event that two groups handle counts twice. ``from_s <= time < to_s`` limits what is looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from evsim.errors import BadScenario
from evsim.history import History
from evsim.view.backlog import backlog, backlog_most, backlog_series, lag_most, lag_series, lags
from evsim.view.fates import dead_lettered, expired, lost
from evsim.view.intervals import Interval, batch_means, interval, warmup
from evsim.view.ledger import Floats, Ledger, Series, Whole, edges_of, span, window
from evsim.view.little import Little, little
from evsim.view.work import utilisation, utilisations

__all__ = [
    "Interval", "Little", "Series", "acked", "arrival_rate", "backlog", "backlog_most", "backlog_series", "batch_means",
    "dead_lettered", "duplicates", "expired", "interval", "lag_most", "lag_series", "lags", "latencies", "little",
    "lost", "percentile", "published", "rate_series", "redelivered", "service_times", "span", "stored_twice", "summary",
    "throughput", "utilisation", "utilisations", "waits", "warmup",
]  # fmt: skip

# -------------------------------------------------------------------- how long


def latencies(
    history: History,
    group: str | None = None,
    *,
    node: str | None = None,
    from_s: float | None = None,
    to_s: float | None = None,
) -> Floats:
    """From first published to first handled, in seconds, for each event and group, in the order of handling.

    The window is over the time of publishing. For a request to a service, handled means answered.
    """
    return _between(history, "published", "handled", group, node, from_s, to_s)


def waits(
    history: History,
    group: str | None = None,
    *,
    node: str | None = None,
    from_s: float | None = None,
    to_s: float | None = None,
) -> Floats:
    """From first published to first delivered, in seconds, for each event and group, in the order of delivery."""
    return _between(history, "published", "delivered", group, node, from_s, to_s)


def _between(
    history: History,
    start: str,
    end: str,
    group: str | None,
    node: str | None,
    from_s: float | None,
    to_s: float | None,
) -> Floats:
    ledger = Ledger(history)
    began = ledger.first(ledger.rows(start))
    firsts, lasts = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for name in ledger.named(group):
        met = ledger.first(ledger.rows(end, group=name))
        both = (began >= 0) & (met >= 0)
        if node is not None:
            both &= ledger.wanted(end, node=node)[ledger.what[met]]
        firsts.append(began[both])
        lasts.append(met[both])
    first, last = np.concatenate(firsts), np.concatenate(lasts)
    order = np.argsort(last, kind="stable")
    since, until = history.time[first[order]], history.time[last[order]]
    inside = np.ones(len(since), dtype=bool)
    if from_s is not None:
        inside &= since >= from_s
    if to_s is not None:
        inside &= since < to_s
    return np.asarray((until - since)[inside], dtype=np.float64)


def service_times(
    history: History,
    group: str | None = None,
    *,
    node: str | None = None,
    from_s: float | None = None,
    to_s: float | None = None,
) -> Floats:
    """From delivered to handled, in seconds, for each delivery that was handled; the window is over its beginning."""
    ledger = Ledger(history)
    times = [np.empty(0)]
    for name in ledger.named(group):
        rows = ledger.rows("delivered", "handled", group=name, node=node)
        nodes = {node: number for number, node in enumerate(dict.fromkeys(what.node for what in history.whats))}
        node_of = np.array([nodes[what.node] for what in history.whats])[history.what[rows]]
        order = np.lexsort((rows, history.event[rows], node_of))
        rows = rows[order]
        ended = ledger.wanted("handled")[history.what[rows]]
        same = (history.event[rows[1:]] == history.event[rows[:-1]]) & (node_of[order][1:] == node_of[order][:-1])
        pair = np.flatnonzero(same & ended[1:] & ~ended[:-1])
        began, over = rows[pair], rows[pair + 1]
        since = history.time[began]
        inside = (since >= (from_s if from_s is not None else -np.inf)) & (
            since < (to_s if to_s is not None else np.inf)
        )
        order = np.argsort(over[inside], kind="stable")
        times.append((history.time[over] - since)[inside][order])
    return np.concatenate(times)


def percentile(values: npt.ArrayLike, q: float) -> float | None:
    """The smallest of the values that is not exceeded by a share ``q`` of them (the inverted empirical cdf).

    Exact: always one of the values, never between two. None when there are none.
    """
    if not 0 <= q <= 1:
        raise BadScenario(f"percentile {q:g} is refused; expected a share between 0 and 1, like 0.99")
    numbers = np.asarray(values, dtype=np.float64)
    return float(np.quantile(numbers, q, method="inverted_cdf")) if len(numbers) else None


# -------------------------------------------------------------------- how many, how often


def _count(history: History, *steps: str, group: str | None = None) -> int:
    """How many pairs of an event and a group have one of these steps."""
    ledger = Ledger(history)
    return sum(int(ledger.seen(ledger.rows(*steps, group=name)).sum()) for name in ledger.named(group))


def published(history: History, group: str | None = None) -> int:
    """How many events were published, each once; to what this group reads, if one is named."""
    ledger = Ledger(history)
    if group is None:
        return int(ledger.seen(ledger.rows("published")).sum())
    return sum(int((ledger.entered(name) >= 0).sum()) for name in ledger.named(group))


def acked(history: History, group: str | None = None) -> int:
    """How many events were acknowledged, once for each group."""
    return _count(history, "acked", group=group)


def redelivered(history: History, group: str | None = None) -> int:
    """Deliveries beyond the first of each event to each group; one that an inbox knew and skipped counts too."""
    ledger = Ledger(history)
    return sum(
        len(ledger.rows("delivered", "skipped", group=name))
        - int(ledger.seen(ledger.rows("delivered", "skipped", group=name)).sum())
        for name in ledger.each(group)
    )


def duplicates(history: History, group: str | None = None) -> int:
    """Handlings beyond the first of each event by each group."""
    ledger = Ledger(history)
    return sum(
        len(ledger.rows("handled", group=name)) - int(ledger.seen(ledger.rows("handled", group=name)).sum())
        for name in ledger.named(group)
    )


def stored_twice(history: History) -> int:
    """Events that one log has stored more than once: doubled on the way, or published again."""
    ledger = Ledger(history)
    logs = dict.fromkeys(what.node for what in history.whats if what.step == "stored")
    most = np.zeros(history.event_count, dtype=np.int64)
    for log in logs:
        rows = ledger.rows("stored", node=log)
        np.maximum(most, np.bincount(history.event[rows], minlength=len(most))[: len(most)], out=most)
    return int((most > 1).sum())


def throughput(
    history: History, group: str | None = None, *, from_s: float | None = None, to_s: float | None = None
) -> float | None:
    """Handlings per second of the run (or the window), repeated ones included."""
    return _rate(history, "handled", group, from_s, to_s)


def arrival_rate(history: History, *, from_s: float | None = None, to_s: float | None = None) -> float | None:
    """Events published per second of the run (or the window)."""
    return _rate(history, "published", None, from_s, to_s)


def _rate(history: History, step: str, group: str | None, from_s: float | None, to_s: float | None) -> float | None:
    start, end = window(history, from_s, to_s)
    if end <= start:
        return None
    times = history.time[_rows(history, step, group)]
    return int(((times >= start) & (times < end if to_s is not None else times <= end)).sum()) / (end - start)


def _rows(history: History, step: str, group: str | None, node: str | None = None) -> Whole:
    ledger = Ledger(history)
    if group is None:
        groups = [None] if step in {"published", "stored"} or not ledger.groups else list(ledger.groups)
    else:
        groups = list(ledger.named(group))
    return np.sort(np.concatenate([ledger.rows(step, group=name, node=node) for name in groups]))


def rate_series(
    history: History, step: str, bins: int = 200, group: str | None = None, *, node: str | None = None
) -> Series:
    """How many rows of this step there were per second, in each of so many equal bins of the run."""
    edges = edges_of(history, bins)
    counts, _ = np.histogram(history.time[_rows(history, step, group, node)], bins=edges)
    width = (edges[-1] - edges[0]) / (len(edges) - 1)
    return Series(edges, counts / width if width > 0 else counts.astype(np.float64))


# -------------------------------------------------------------------- all of it


def summary(history: History, group: str | None = None) -> dict[str, Any]:
    """The headline numbers, always the same and in the same order; None where there was nothing to measure.

    Over all groups, an event that two groups handled counts once for each in latency, throughput, acked, redelivered
    and duplicates; backlog and lag are those of the worst group.
    """
    times = latencies(history, group)
    return {
        "published": published(history, group),
        "acked": acked(history, group),
        "throughput": throughput(history, group),
        "latency_mean_s": float(times.mean()) if len(times) else None,
        "latency_p50_s": percentile(times, 0.5),
        "latency_p95_s": percentile(times, 0.95),
        "latency_p99_s": percentile(times, 0.99),
        "backlog_max": backlog_most(history, group),
        "lag_max_s": lag_most(history, group),
        "utilisation": utilisation(history, group),
        "redelivered": redelivered(history, group),
        "duplicates": duplicates(history, group),
        "lost": len(lost(history, group)),
        "dead_lettered": dead_lettered(history, group),
        "expired": expired(history, group),
        "littles_law": little(history, group).holds,
    }
