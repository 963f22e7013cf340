"""Group protocols: who stops when a group shares its partitions out anew, and who is waited for."""

from __future__ import annotations

from typing import Any

from evsim.history import History
from evsim.lab.conformance.case import Seen, Table, messages, rows, scene
from evsim.lab.conformance.log import KAFKA, group
from evsim.laws import Constant
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer
from evsim.sim.faults import Crash, Join, Leave
from evsim.sim.publisher import Publisher

COOPERATIVE = (
    "Kafka, KIP-429: incremental cooperative rebalancing — https://cwiki.apache.org/confluence/display/KAFKA/KIP-429"
)
STATIC = f"Kafka, Static membership — {KAFKA}#static_membership"
POLLS = f"Kafka, max.poll.interval.ms — {KAFKA}#consumerconfigs_max.poll.interval.ms"
ASSIGNORS = f"Kafka, partition.assignment.strategy — {KAFKA}#consumerconfigs_partition.assignment.strategy"

CASES = Table("log")


def busy(**settings: Any) -> tuple[Publisher, Log, Consumer]:
    """Six partitions with a hundred records a second, two members."""
    shop = Publisher("shop", to="orders", gap_s=Constant(0.01), count=1500)
    return shop, Log("orders", partitions=6), group("billing", members=2, session_timeout_s=6, **settings)


def stopped(history: History) -> set[str]:
    """The partitions that somebody had to give up."""
    return {row.place for row in rows(history, "revoked")}


def worked_on(history: History, from_s: float, to_s: float) -> set[str]:
    """The partitions of which records were delivered meanwhile."""
    return {row.place for row in rows(history, "delivered") if from_s < row.time < to_s}


@CASES.case(
    "log-60", "eager protocol, a third member joins; the rebalance takes 2 s", "all six partitions stop", ASSIGNORS
)
def eager_stops_the_world() -> Seen:
    """All partitions are revoked before a rebalance."""
    history = scene(*busy(rebalance_s=2), Join("billing", at_s=5), until_s=30)
    meanwhile = worked_on(history, 5.1, 6.9)
    return Seen(f"{len(stopped(history))} revoked, {len(meanwhile)} worked on meanwhile", not meanwhile)


@CASES.case(
    "log-61",
    "cooperative protocol, a third member joins; the rebalance takes 2 s",
    "only the two partitions that move stop; the other four are worked on",
    COOPERATIVE,
)
def cooperative_moves_what_must_move() -> Seen:
    """Only the partitions that are to be transferred are revoked."""
    history = scene(*busy(rebalance_s=2, protocol="cooperative"), Join("billing", at_s=5), until_s=30)
    moved, meanwhile = stopped(history), worked_on(history, 5.1, 6.9)
    return Seen(f"{len(moved)} revoked, {len(meanwhile)} worked on meanwhile", len(moved) == 2 and len(meanwhile) == 4)


@CASES.case("log-62", "as log-61", "every record is handled, none by two members at once", COOPERATIVE)
def cooperative_loses_nothing() -> Seen:
    """A partition is revoked before it is assigned to another member."""
    history = scene(*busy(rebalance_s=2, protocol="cooperative"), Join("billing", at_s=5), until_s=60)
    done = sorted(messages(history, "handled"))
    return Seen(f"{len(done)} handlings of 1500 records", done == [*range(1500)])


@CASES.case(
    "log-63",
    "static members, one restarts within session.timeout.ms",
    "no rebalance; it goes on with its partitions",
    STATIC,
    fault="crash",
)
def a_static_member_comes_back_to_its_partitions() -> Seen:
    """The group coordinator returns the cached assignment."""
    history = scene(*busy(), Crash("billing-1", at_s=5, down_s=3), until_s=60)
    given = len(rows(history, "assigned"))
    done = sorted(set(messages(history, "handled")))
    return Seen(f"{given} assignments of 6 partitions", given == 6 and done == [*range(1500)])


@CASES.case(
    "log-64",
    "dynamic members, one restarts after 1 s, session.timeout.ms 6 s",
    "its partitions rest until the session of its old id has ended",
    STATIC,
    fault="crash",
)
def the_old_id_of_a_dynamic_member_is_waited_for() -> Seen:
    """A new member id is handed out; the old one times out."""
    history = scene(*busy(static=False), Crash("billing-1", at_s=5, down_s=1), until_s=60)
    rest = [row.time for row in rows(history, "assigned") if row.time > 5]
    done = sorted(set(messages(history, "handled")))
    first = min(rest, default=0.0)
    return Seen(f"assigned anew at {first:.1f} s", 10.9 < first < 11.2 and done == [*range(1500)])


@CASES.case(
    "log-65", "a member handles one record for longer than max.poll.interval.ms", "it is out of the group", POLLS
)
def who_does_not_poll_is_out() -> Seen:
    """The consumer is considered failed and the group will rebalance."""
    slow = group("billing", members=2, service_s=Constant(8.0), poll_interval_s=5)
    shop = Publisher("shop", to="orders", gap_s=Constant(1.0), count=4)
    history = scene(shop, Log("orders", partitions=2), slow, until_s=60)
    out = rows(history, "expelled")
    return Seen(f"{len(out)} put out", len(out) >= 1)


@CASES.case("log-66", "a member leaves and says so", "its partitions move at once", ASSIGNORS, fault="leave")
def who_says_goodbye_is_not_waited_for() -> Seen:
    """LeaveGroup triggers the rebalance; no session has to end."""
    history = scene(*busy(), Leave("billing-1", at_s=5), until_s=60)
    again = [row.time for row in rows(history, "assigned") if row.time > 1]
    done = sorted(messages(history, "handled"))
    last = max(again, default=0.0)
    return Seen(f"assigned anew at {last:.2f} s", bool(again) and last < 5.1 and done == [*range(1500)])
