"""Share groups: what Kafka promises of records that are given out one by one."""

from __future__ import annotations

from typing import Any

from evsim.lab.conformance.case import Seen, Table, listed, messages, rows, scene
from evsim.lab.conformance.log import KAFKA, group, twenty
from evsim.laws import Constant
from evsim.patterns.handler import Reject, Requeue
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer, Share
from evsim.sim.faults import Crash, Leave

KIP = "Kafka, KIP-932: Queues for Kafka — https://cwiki.apache.org/confluence/display/KAFKA/KIP-932"
LIMIT = f"Kafka, group.share.delivery.count.limit — {KAFKA}#brokerconfigs_group.share.delivery.count.limit"
LOCK = f"Kafka, share.record.lock.duration.ms — {KAFKA}#groupconfigs_share.record.lock.duration.ms"

CASES = Table("log")


def sharing(lock_s: float = 30.0, **settings: Any) -> Consumer:
    """A share group."""
    return group("billing", share=Share(lock_s=lock_s), **settings)


def release(_event: Any, _ctx: Any) -> None:
    """Never ready for it."""
    raise Requeue


def reject(_event: Any, _ctx: Any) -> None:
    """Never wants it."""
    raise Reject


@CASES.case("log-50", "one partition, a share group of three", "all three get records of it", KIP)
def members_outnumber_partitions() -> Seen:
    """The number of consumers in a share group can exceed the number of partitions."""
    history = scene(twenty(), Log("orders"), sharing(members=3, service_s=Constant(0.25)))
    who = sorted({row.node for row in rows(history, "handled")})
    done = sorted(messages(history, "acked"))
    return Seen(f"{', '.join(who)}; {len(done)} of 20 accepted", len(who) == 3 and done == [*range(20)])


@CASES.case("log-51", "a record that is released each time", "delivered five times, then archived", LIMIT)
def five_deliveries_and_no_more() -> Seen:
    """group.share.delivery.count.limit is 5."""
    history = scene(twenty(1), Log("orders"), sharing(on={"order.placed": release}))
    tried, gone = rows(history, "delivered"), rows(history, "exhausted")
    return Seen(f"{len(tried)} deliveries, {len(gone)} archived", len(tried) == 5 and len(gone) == 1)


@CASES.case("log-52", "a record that is rejected", "it is archived at once, the others go on", KIP)
def a_rejected_record_is_archived() -> Seen:
    """REJECT: do not process, and do not deliver again."""
    history = scene(twenty(5), Log("orders"), sharing(on={"order.placed": reject}))
    return Seen(f"{len(rows(history, 'delivered'))} deliveries of 5", messages(history, "delivered") == [*range(5)])


@CASES.case(
    "log-53",
    "two members, one is killed with a record in hand; the lock lasts 6 s",
    "the other gets the record not before the lock has run out",
    LOCK,
    fault="crash",
)
def locks_outlive_their_holders() -> Seen:
    """The record is automatically released when the lock duration elapses."""
    billing = sharing(lock_s=6, members=2, service_s=Constant(0.15))
    dead = Crash("billing-1", after="delivered", nth=3, down_s=100)
    history = scene(twenty(), Log("orders"), billing, dead, until_s=30)
    back = rows(history, "requeued")
    begun = {row.number: row.time for row in reversed(rows(history, "pushed"))}
    waits = [row.time - begun[row.number] for row in back]
    done = sorted(messages(history, "acked"))
    ok = bool(back) and all(abs(wait - 6) < 0.01 for wait in waits) and done == [*range(20)]
    return Seen(f"back after {listed(round(wait, 2) for wait in waits)} s, {len(done)} of 20 accepted", ok)


@CASES.case(
    "log-54", "a handler that takes longer than the lock", "its acceptance is refused, and the record comes again", LOCK
)
def an_acceptance_that_comes_too_late() -> Seen:
    """InvalidRecordStateException."""
    history = scene(twenty(1), Log("orders"), sharing(lock_s=1, service_s=Constant(1.5)))
    late, accepted = rows(history, "fenced"), rows(history, "acked")
    return Seen(f"{len(late)} refused, {len(accepted)} accepted", len(late) >= 1 and not accepted)


@CASES.case(
    "log-55", "a member closes its session with records in hand", "they are released at once", KIP, fault="leave"
)
def who_closes_releases() -> Seen:
    """When a share session is closed, its acquired records are released."""
    billing = sharing(members=2, prefetch=4, service_s=Constant(0.3))
    history = scene(twenty(), Log("orders"), billing, Leave("billing-1", at_s=1.0), until_s=30)
    gone = rows(history, "left")[0].time
    back = [row.time - gone for row in rows(history, "requeued")]
    done = sorted(messages(history, "acked"))
    return Seen(
        f"{len(back)} released {listed(round(wait, 3) for wait in back)} s later",
        bool(back) and max(back) < 0.01 and done == [*range(20)],
    )


@CASES.case("log-56", "a share group and a group of partitions on one topic", "each gets every record", KIP)
def share_groups_and_others_do_not_disturb_each_other() -> Seen:
    """Each group has its own view of the topic."""
    history = scene(twenty(), Log("orders"), sharing(members=2), group("mailing"))
    each = {name: sorted(messages(history, "acked", name)) for name in ("billing", "mailing")}
    return Seen(
        ", ".join(f"{name} {len(done)}" for name, done in each.items()),
        all(done == [*range(20)] for done in each.values()),
    )
