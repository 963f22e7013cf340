"""The log on several machines: what Kafka promises of acks, in-sync replicas, elections, retention and transactions."""

from __future__ import annotations

from typing import Any

from evsim.lab.conformance.case import Seen, Table, listed, messages, rows, scene, times
from evsim.lab.conformance.log import KAFKA, OFFSETS, group, twenty
from evsim.laws import Constant
from evsim.sim.broker.log import Log
from evsim.sim.faults import Crash, Pause

ACKS = f"Kafka, acks — {KAFKA}#producerconfigs_acks"
INSYNC = f"Kafka, min.insync.replicas — {KAFKA}#topicconfigs_min.insync.replicas"
UNCLEAN = f"Kafka, Unclean leader election — {KAFKA}#design_uncleanleader"
REPLICATION = f"Kafka, Replication — {KAFKA}#replication"
RETENTION = f"Kafka, retention.ms — {KAFKA}#topicconfigs_retention.ms"

CASES = Table("log")


def asking(acks: str, count: int = 20, **settings: Any) -> Any:
    """A shop that asks for an answer to each event."""
    usual: dict[str, Any] = {"acks": acks, "batch_events": 1, "request_timeout_s": 1, "delivery_timeout_s": 60}
    return twenty(count).but(**(usual | settings))


@CASES.case(
    "log-05",
    "two replicas, acks leader, the leader dies before the follower has fetched",
    "the acknowledged write is lost after failover",
    ACKS,
    fault="crash",
)
def acks_leader_can_lose() -> Seen:
    """Confirmed by one machine, and that is gone."""
    log = Log("orders", replicas=2, replication_s=Constant(0.05), failover_s=2)
    history = scene(asking("leader"), log, Crash("orders-1", at_s=1.02, down_s=10), until_s=60)
    confirmed, lost = messages(history, "confirmed"), messages(history, "lost")
    return Seen(
        f"lost {listed(lost)}, {len(set(lost) & set(confirmed))} of them confirmed", bool(set(lost) & set(confirmed))
    )


@CASES.case(
    "log-25",
    "as log-05, with acks all and min in-sync 2 of 3 replicas",
    "no confirmed write is lost",
    REPLICATION,
    fault="crash",
)
def acks_all_does_not_lose() -> Seen:
    """Committed: on every in-sync replica."""
    log = Log("orders", replicas=3, min_insync_replicas=2, replication_s=Constant(0.05), failover_s=2)
    history = scene(asking("all"), log, group("billing"), Crash("orders-1", at_s=1.02, down_s=10), until_s=60)
    confirmed = set(messages(history, "confirmed"))
    gone = confirmed - set(messages(history, "handled"))
    return Seen(f"{len(confirmed)} confirmed, {len(gone)} of them lost", len(confirmed) == 20 and not gone)


@CASES.case(
    "log-06",
    "two replicas, acks all, min in-sync 2, one of them down",
    "the write is refused: not enough replicas",
    INSYNC,
    fault="crash",
)
def too_few_in_sync_replicas_refuse() -> Seen:
    """NotEnoughReplicas."""
    log = Log("orders", replicas=2, min_insync_replicas=2, failover_s=1)
    shop = asking("all", 40, retries=0, idempotent=False)
    history = scene(shop, log, Crash("orders-2", at_s=0.05, down_s=None), until_s=30)
    refused = times(history, "refused")
    stored = [at for at in times(history, "stored") if at > 1.2]
    return Seen(f"{len(refused)} refused, {len(stored)} stored", len(refused) > 20 and not stored)


@CASES.case(
    "log-26",
    "unclean leader election allowed: the only in-sync replica dies, one that lags behind leads",
    "available again, and confirmed writes are lost",
    UNCLEAN,
    fault="crash",
)
def unclean_election_loses() -> Seen:
    """Availability instead of durability."""
    stored, lost = _out_of_sync(allowed=True)
    return Seen(f"{stored} stored after the failover, {lost} lost", stored > 0 and lost > 0)


@CASES.case(
    "log-27",
    "as log-26, without unclean election (the default)",
    "nothing is written before the leader is back, and nothing is lost",
    UNCLEAN,
    fault="crash",
)
def clean_election_waits() -> Seen:
    """Durability instead of availability."""
    stored, lost = _out_of_sync(allowed=False)
    return Seen(f"{stored} stored while the leader was away, {lost} lost", (stored, lost) == (0, 0))


def _out_of_sync(*, allowed: bool) -> tuple[int, int]:
    log = Log("orders", replicas=2, replica_lag_time_max_s=1, failover_s=1, unclean_leader_election=allowed)
    faults = Crash("orders-2", at_s=0.55, down_s=3.95), Crash("orders-1", at_s=4.05, down_s=6)
    history = scene(asking("leader", 100), log, *faults, until_s=60)
    return sum(6 < at < 10 for at in times(history, "stored")), len(rows(history, "lost"))


@CASES.case(
    "log-09",
    "retention 1 s, the group stopped for 5 s, auto.offset.reset earliest",
    "what was deleted is counted as missed; it goes on with the oldest that is there",
    f"{RETENTION}; {OFFSETS}",
    fault="pause",
)
def retention_passes_a_slow_group() -> Seen:
    """A log keeps for a time, whether somebody has read or not."""
    billing = group("billing", auto_offset_reset="earliest")
    history = scene(twenty(80), Log("orders", retention_s=1), billing, Pause("billing", at_s=1.02, for_s=5))
    missed, read = messages(history, "expired"), messages(history, "handled")
    right = sorted(missed + read) == [*range(80)] and 30 <= len(missed) <= 45
    return Seen(f"missed {listed(missed)}; handled {len(read)}", right)


@CASES.case(
    "log-28",
    "as log-09, auto.offset.reset latest",
    "it goes on at the end: what was there is missed as well",
    f"Kafka, auto.offset.reset — {KAFKA}#consumerconfigs_auto.offset.reset",
    fault="pause",
)
def latest_skips_what_is_there() -> Seen:
    """Out of range: reset."""
    read = {}
    for reset in ("earliest", "latest"):
        billing = group("billing", auto_offset_reset=reset)
        history = scene(twenty(80), Log("orders", retention_s=1), billing, Pause("billing", at_s=1.02, for_s=5))
        read[reset] = len(messages(history, "handled"))
    return Seen(
        f"handled {read['latest']} with latest, {read['earliest']} with earliest", read["latest"] < read["earliest"]
    )


@CASES.case(
    "log-29",
    "one replica, flushed each 5 s, the power fails at 4 s",
    "what was confirmed and not flushed is lost",
    f"Kafka, Application vs. OS flush management — {KAFKA}#appvsosflush",
    fault="power",
)
def what_was_not_flushed_is_lost() -> Seen:
    """Recovery comes from replication, not from fsync."""
    log = Log("orders", flush_every_s=5)
    history = scene(asking("leader", 30), log, Crash("orders", at_s=4, down_s=1, power=True), until_s=60)
    confirmed, lost = set(messages(history, "confirmed")), messages(history, "lost")
    return Seen(f"{len(confirmed)} confirmed, {len(lost)} lost", len(lost) == 30 and len(confirmed) == 30)


@CASES.case(
    "log-30",
    "as log-29, the process dies and the machine does not",
    "nothing is lost: the page cache is the system's",
    f"Kafka, Application vs. OS flush management — {KAFKA}#appvsosflush",
    fault="crash",
)
def a_killed_process_loses_nothing() -> Seen:
    """What was written is with the operating system."""
    log = Log("orders", flush_every_s=5)
    history = scene(asking("leader", 30), log, Crash("orders", at_s=4, down_s=1), until_s=60)
    lost = messages(history, "lost")
    return Seen(f"{len(lost)} lost", not lost)
