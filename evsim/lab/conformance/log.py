"""The log: what the documentation of Kafka promises of offsets, commits, groups and retention."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from evsim.keys import partition_of
from evsim.lab.conformance.case import Seen, Table, listed, messages, rows, scene, times
from evsim.laws import Constant, Zipf
from evsim.sim.broker.log import Log
from evsim.sim.consumer import Consumer, Timed
from evsim.sim.faults import Crash, Drop, Join, Leave, Partition, Pause
from evsim.sim.network import Link
from evsim.sim.publisher import Publisher
from evsim.sim.world import World

KAFKA = "https://kafka.apache.org/documentation/"
OFFSETS = f"Kafka, Consumer position — {KAFKA}#design_consumerposition"
GROUPS = f"Kafka, group.id and session.timeout.ms — {KAFKA}#consumerconfigs"
SEMANTICS = f"Kafka, Message delivery semantics — {KAFKA}#semantics"
KEYS = f"Kafka, Topics and partitions — {KAFKA}#intro_concepts_and_terms"
MEMBERSHIP = f"Kafka, Static membership — {KAFKA}#static_membership"

CASES = Table("log")


def twenty(count: int = 20) -> Publisher:
    """Twenty orders, ten a second."""
    return Publisher("shop", to="orders", gap_s=Constant(0.1), count=count)


def group(name: str, **settings: Any) -> Consumer:
    """A group that reads the orders."""
    return Consumer(name, of="orders", **settings)


@CASES.case(
    "log-01",
    "one group; member 1 reads 20 of 20 and commits, leaves; member 2 joins",
    "member 2 reads nothing again",
    OFFSETS,
)
def committed_offsets_belong_to_the_group() -> Seen:
    """A newcomer goes on where the group has come to."""
    billing = group("billing", members=1, service_s=0.01)
    history = scene(twenty(), Log("orders"), billing, Join("billing", at_s=5), Leave("billing", at_s=4), until_s=10)
    again = messages(history, "delivered", "billing-2")
    owned = [record.node for record in rows(history, "assigned", "billing-2")]
    read = messages(history, "delivered")
    return Seen(f"member 2 owns {len(owned)} partition and reads {listed(again)}", bool(owned) and read == [*range(20)])


@CASES.case(
    "log-02",
    "two members; the owner reads 20, has committed 10, is killed for good; session timeout 6 s",
    "10 are read again, in order, not before 6 s after the crash",
    f"{GROUPS}; measured",
    fault="crash",
)
def what_was_not_committed_is_read_again() -> Seen:
    """The next owner begins at the committed offset."""
    billing = group("billing", members=2, commit=Timed(every_s=1.05), session_timeout_s=6)
    crash = Crash("billing-1", at_s=2.05, down_s=None)
    history = scene(twenty(), Log("orders"), billing, crash, until_s=20)
    committed = len(set(messages(history, "acked", "billing-1")))
    again = messages(history, "delivered", "billing-2")
    first = min(times(history, "delivered", "billing-2"), default=0.0)
    right = again == [*range(10, 20)] and committed == 10 and 8.05 <= first < 9
    return Seen(f"{committed} committed; {listed(again)} again, from {first - 2.05:.3g} s after the crash", right)


@CASES.case(
    "log-03",
    "member 1 paused past the session timeout while it handles; member 2 takes over; 1 wakes and commits",
    "the commit of member 1 is refused: another generation",
    GROUPS,
    fault="pause",
)
def a_zombie_is_fenced() -> Seen:
    """A commit of an old generation moves nothing."""
    billing = group("billing", members=2, service_s=0.05, session_timeout_s=3)
    history = scene(twenty(), Log("orders"), billing, Pause("billing-1", at_s=1.02, for_s=8), until_s=20)
    refused = rows(history, "fenced", "billing-1")
    late = [record for record in rows(history, "acked", "billing-1") if record.time > 4.02]
    return Seen(f"{len(refused)} commits refused, {len(late)} accepted", len(refused) == 1 and not late)


@CASES.case(
    "log-04",
    "commit before handling, crash in the handler",
    "the event is not handled again: lost",
    SEMANTICS,
    fault="crash",
)
def commit_before_is_at_most_once() -> Seen:
    """What was committed and not handled is gone for this group."""
    billing = group("billing", commit="before", service_s=0.05, session_timeout_s=3)
    history = scene(twenty(), Log("orders"), billing, Crash("billing", after="delivered", nth=5, down_s=1), until_s=20)
    missing = sorted(set(range(20)) - set(messages(history, "handled")))
    return Seen(f"never handled: {listed(missing)}", missing == [4])


@CASES.case(
    "log-11",
    "commit after handling, crash when handled and not yet committed",
    "the event is handled a second time, none is lost",
    SEMANTICS,
    fault="crash",
)
def commit_after_is_at_least_once() -> Seen:
    """What was handled and not committed is handled again."""
    billing = group("billing", service_s=0.05, session_timeout_s=3)
    history = scene(twenty(), Log("orders"), billing, Crash("billing", after="handled", nth=5, down_s=1), until_s=20)
    often = Counter(messages(history, "handled"))
    twice = [number for number, times_ in sorted(often.items()) if times_ == 2]
    return Seen(f"{len(often)} of 20 handled, twice: {listed(twice)}", len(often) == 20 and twice == [4])


@CASES.case("log-12", "seven partitions, thirty keys", "a key is always in the partition murmur2(key) mod 7", KEYS)
def a_key_stays_in_its_partition() -> Seen:
    """Kafka's default partitioner."""
    history = scene(Publisher("shop", to="orders", rate=50, key=Zipf(30, 1.0)), Log("orders", partitions=7), until_s=10)
    wrong = [
        record
        for record in rows(history, "stored")
        if record.place != f"orders/{partition_of(history.key_of(history.index(str(record.event_id))) or '', 7)}"
    ]
    return Seen(f"{len(wrong)} of {len(rows(history, 'stored'))} elsewhere", not wrong)


@CASES.case(
    "log-13", "four partitions, keys, one publisher, three members", "within a partition the order of publishing", KEYS
)
def order_within_a_partition() -> Seen:
    """A partition is read in the order in which it was written."""
    billing = group("billing", members=3, service_s=0.02)
    shop = Publisher("shop", to="orders", rate=50, key=Zipf(30, 1.0), count=300)
    history = scene(shop, Log("orders", partitions=4), billing)
    spots = [[r.number for r in rows(history, "handled", place=f"orders/{p}")] for p in range(4)]
    inverted = sum(a >= b for spot in spots for a, b in pairwise(spot))
    return Seen(f"{inverted} inversions among {sum(map(len, spots))}", inverted == 0 and sum(map(len, spots)) == 300)


@CASES.case(
    "log-14",
    "two groups on one log, the second ten times as slow",
    "each group reads every event, at its own pace",
    OFFSETS,
)
def every_group_reads_everything() -> Seen:
    """Groups know nothing of each other."""
    fast = group("billing", service_s=0.01)
    slow = group("mail", service_s=0.3)
    history = scene(twenty(), Log("orders"), fast, slow)
    read = {group: messages(history, "handled", group) for group in ("billing", "mail")}
    seen = ", ".join(f"{group} {len(numbers)}" for group, numbers in read.items())
    return Seen(seen, all(numbers == [*range(20)] for numbers in read.values()))


@CASES.case("log-15", "three partitions, five members", "each partition has one owner, two members have none", GROUPS)
def a_partition_has_one_owner() -> Seen:
    """More members than partitions: some wait."""
    billing = group("billing", members=5)
    history = scene(twenty(), Log("orders", partitions=3), billing, until_s=3)
    owners = Counter(record.place for record in rows(history, "assigned"))
    idle = 5 - len({record.node for record in rows(history, "assigned")})
    return Seen(f"owners {listed(owners.values())}; {idle} members idle", [*owners.values()] == [1, 1, 1] and idle == 2)


@CASES.case(
    "log-16",
    "static member down for 2 s, session timeout 6 s",
    "no new assignment; it goes on with its partition",
    MEMBERSHIP,
    fault="crash",
)
def a_static_member_keeps_its_partitions() -> Seen:
    """A quick restart of a member with a group.instance.id is no rebalance."""
    billing = group("billing", members=2, session_timeout_s=6)
    crash = Crash("billing-1", at_s=1, down_s=2)
    history = scene(twenty(40), Log("orders", partitions=2), billing, crash)
    after = [record for record in rows(history, "assigned") if record.time > 0]
    lost = set(range(40)) - set(messages(history, "handled"))
    return Seen(f"{len(after)} assignments after the start, {len(lost)} lost", not after and not lost)


@CASES.case(
    "log-17",
    "the whole group paused for 8 s while 20 are published; session timeout 45 s",
    "all 20 are read once, nothing is dropped",
    OFFSETS,
    fault="pause",
)
def a_pause_drops_nothing() -> Seen:
    """A log keeps what nobody has read yet."""
    history = scene(twenty(), Log("orders"), group("billing"), Pause("billing", at_s=0.05, for_s=8))
    read = messages(history, "handled")
    return Seen(f"handled {listed(read)}", read == [*range(20)])


@CASES.case(
    "log-18",
    "the log itself crashes for 3 s after 20 were stored; the group has read and committed half of them",
    "committed offsets are there again: at most the one in hand is read a second time",
    OFFSETS,
    fault="crash",
)
def commits_survive_the_broker() -> Seen:
    """Offsets are stored like messages."""
    billing = group("billing", service_s=0.2)
    history = scene(twenty(), Log("orders"), billing, Crash("orders", at_s=2.32, down_s=3))
    often = Counter(messages(history, "handled"))
    twice = [number for number, count in often.items() if count > 1]
    return Seen(f"{len(often)} handled, {len(twice)} twice", len(often) == 20 and len(twice) <= 1)


@CASES.case(
    "log-19",
    "a group that starts without a commit, auto.offset.reset latest (the default)",
    "what was stored before is not read",
    f"Kafka, auto.offset.reset — {KAFKA}#consumerconfigs_auto.offset.reset",
)
def a_new_group_starts_at_the_end() -> Seen:
    """Latest: only what comes after the start."""

    def late(world: World) -> Iterator[Any]:
        yield world.timeout(1.05)
        group("billing").build(world).start()

    history = scene(twenty(), Log("orders"), late)
    read = messages(history, "handled")
    return Seen(f"read {listed(read)}", read == [*range(10, 20)])


@CASES.case(
    "log-20",
    "member cut off from the log for 10 s, session timeout 3 s, a second member stands by",
    "the second takes over after 3 s; nothing is lost",
    GROUPS,
    fault="partition",
)
def a_member_behind_a_cut_is_expelled() -> Seen:
    """The coordinator knows only that no heartbeat comes."""
    billing = group("billing", members=2, service_s=0.02, session_timeout_s=3)
    cut = Partition("orders", "billing-1", at_s=1.05, for_s=10)
    history = scene(twenty(), Log("orders"), billing, cut)
    out = times(history, "expelled")
    lost = set(range(20)) - set(messages(history, "handled"))
    right = len(out) == 1 and abs(out[0] - 4.05) < 0.01 and not lost
    return Seen(f"expelled after {listed(round(t - 1.05, 3) for t in out)} s, {len(lost)} lost", right)


@CASES.case(
    "log-21",
    "acks none, half of what the publisher sends is dropped on the way",
    "what was dropped is lost, and the publisher is not told",
    f"Kafka, acks=0 — {KAFKA}#producerconfigs_acks",
    fault="drop",
)
def fire_and_forget_loses_in_silence() -> Seen:
    """The producer does not wait for any acknowledgement."""
    history = scene(twenty(100), Log("orders"), Drop("shop", "orders", share=0.5))
    stored, dropped = rows(history, "stored"), rows(history, "dropped")
    told = rows(history, "refused") + rows(history, "retried")
    right = len(stored) + len(dropped) == 100 and bool(dropped) and not told
    return Seen(f"{len(stored)} stored, {len(dropped)} dropped, {len(told)} answers", right)


@CASES.case(
    "log-07",
    "producer without idempotence, requests of one event, 5 in flight; the first is lost once",
    "order in the partition is inverted",
    f"Kafka, max.in.flight.requests.per.connection — {KAFKA}#producerconfigs_max.in.flight.requests.per.connection",
    fault="drop",
)
def retries_reorder() -> Seen:
    """A retry comes after what was sent behind the first attempt."""
    stored = _retried(idempotent=False)
    return Seen(f"stored {listed(stored)}", sorted(stored) == [*range(20)] and stored != [*range(20)])


@CASES.case(
    "log-08",
    "as log-07, with an idempotent producer",
    "order is kept, nothing is stored twice",
    f"Kafka, enable.idempotence — {KAFKA}#producerconfigs_enable.idempotence",
    fault="drop",
)
def idempotence_keeps_order() -> Seen:
    """The broker refuses a gap in the sequence."""
    stored = _retried(idempotent=True)
    return Seen(f"stored {listed(stored)}", stored == [*range(20)])


def _retried(*, idempotent: bool) -> list[int]:
    shop = twenty().but(acks="all", batch_events=1, idempotent=idempotent, request_timeout_s=0.3, delivery_timeout_s=10)
    wire = Link("shop", "orders", delay_s=Constant(0.05))
    drop = Drop("shop", "orders", share=1.0, at_s=0.05, for_s=0.1)
    return messages(scene(shop, wire, Log("orders"), drop), "stored")


@CASES.case(
    "log-22",
    "acks all with idempotence; every answer is lost for 2 s, so all requests are sent again",
    "each event is stored once",
    f"Kafka, enable.idempotence — {KAFKA}#producerconfigs_enable.idempotence",
    fault="partition",
)
def idempotence_stores_once() -> Seen:
    """A sequence number that is known is answered, not stored."""
    shop = twenty().but(acks="all", batch_events=1, request_timeout_s=0.3, delivery_timeout_s=20)
    history = scene(shop, Log("orders"), Partition("orders", "shop", at_s=0.35, for_s=2, one_way=True))
    stored = messages(history, "stored")
    return Seen(
        f"stored {listed(stored)}; {len(rows(history, 'retried'))} retries",
        stored == [*range(20)] and bool(rows(history, "retried")),
    )


@CASES.case(
    "log-23",
    "acks all without idempotence; every answer is lost for 2 s",
    "some events are stored twice",
    SEMANTICS,
    fault="partition",
)
def retries_without_idempotence_repeat() -> Seen:
    """The producer cannot know whether the first attempt was written."""
    shop = twenty().but(acks="all", batch_events=1, idempotent=False, request_timeout_s=0.3, delivery_timeout_s=20)
    history = scene(shop, Log("orders"), Partition("orders", "shop", at_s=0.35, for_s=2, one_way=True))
    often = Counter(messages(history, "stored"))
    twice = [number for number, count in sorted(often.items()) if count > 1]
    return Seen(f"{len(often)} events, stored more than once: {listed(twice)}", len(often) == 20 and bool(twice))


@CASES.case(
    "log-24",
    "acks all; the log is down for longer than delivery.timeout",
    "the producer gives up and says so; nothing is stored afterwards",
    f"Kafka, delivery.timeout.ms — {KAFKA}#producerconfigs_delivery.timeout.ms",
    fault="crash",
)
def a_producer_gives_up_in_the_end() -> Seen:
    """The upper bound on the time to report success or failure."""
    shop = twenty(1).but(acks="all", batch_events=1, request_timeout_s=1, delivery_timeout_s=3)
    history = scene(shop, Log("orders"), Crash("orders", at_s=0.05, down_s=10), until_s=30)
    given_up = times(history, "given_up")
    stored = rows(history, "stored")
    right = len(given_up) == 1 and abs(given_up[0] - 3.1) < 0.01 and not stored
    return Seen(f"given up after {listed(round(t - 0.1, 3) for t in given_up)} s, {len(stored)} stored", right)
