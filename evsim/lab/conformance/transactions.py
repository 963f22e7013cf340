"""Transactions on a log: what Kafka promises of isolation levels, commit and abort."""

from __future__ import annotations

from evsim.lab.conformance.case import Seen, Table, listed, messages, rows, scene, times
from evsim.lab.conformance.log import KAFKA, group, twenty
from evsim.sim.broker.log import Log
from evsim.sim.publisher import Publisher

ISOLATION = f"Kafka, isolation.level — {KAFKA}#consumerconfigs_isolation.level"

CASES = Table("log")


def transactional(abort_share: float = 0.0) -> Publisher:
    """Twenty orders in transactions of five."""
    return twenty().but(acks="all", transaction_events=5, abort_share=abort_share)


@CASES.case("log-10", "every transaction is aborted, a read_committed group", "aborted records are not seen", ISOLATION)
def aborted_records_are_not_seen() -> Seen:
    """They are in the log, and skipped."""
    committed = group("billing", isolation="read_committed")
    history = scene(transactional(1.0), Log("orders"), committed)
    stored, seen = messages(history, "stored"), messages(history, "handled")
    return Seen(f"{len(stored)} stored, seen {listed(seen)}", len(stored) == 20 and not seen)


@CASES.case(
    "log-31",
    "every transaction is aborted, a read_uncommitted group (the default)",
    "aborted records are seen",
    ISOLATION,
)
def uncommitted_reads_see_all() -> Seen:
    """A dirty read."""
    seen = messages(scene(transactional(1.0), Log("orders"), group("billing")), "handled")
    return Seen(f"seen {listed(seen)}", seen == [*range(20)])


@CASES.case(
    "log-32",
    "transactions of five, committed, a read_committed group",
    "each is seen when its transaction is committed, not before, in order",
    f"{ISOLATION} (up to the last stable offset)",
)
def committed_records_are_seen_after_the_commit() -> Seen:
    """The last stable offset holds readers back."""
    history = scene(transactional(), Log("orders"), group("billing", isolation="read_committed"))
    seen, when = messages(history, "handled"), times(history, "handled")
    commits = times(history, "committed")
    early = [number for number, at in zip(seen, when, strict=True) if at < commits[number // 5]]
    right = seen == [*range(20)] and len(commits) == 4 and not early
    return Seen(f"{len(seen)} seen, {len(early)} before the commit", right)


@CASES.case(
    "log-33",
    "half of the transactions aborted, a read_committed group",
    "exactly those of the committed ones are seen",
    ISOLATION,
)
def only_the_committed_are_seen() -> Seen:
    """All or nothing."""
    history = scene(transactional(0.5), Log("orders"), group("billing", isolation="read_committed"), seed=3)
    seen = messages(history, "handled")
    aborted = {record.number for record in rows(history, "aborted")}
    whole = all(set(seen) >= part or not set(seen) & part for part in ({*range(n, n + 5)} for n in range(0, 20, 5)))
    right = len(seen) == 20 - 5 * len(aborted) and whole and 0 < len(aborted) < 4
    return Seen(f"{len(aborted)} of 4 aborted, {len(seen)} seen", right)
