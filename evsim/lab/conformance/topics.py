"""What a topic keeps and how it grows: what Kafka promises of retention and of partitions that are added."""

from __future__ import annotations

from collections import defaultdict

from evsim.lab.conformance.case import Seen, Table, listed, messages, rows, scene
from evsim.lab.conformance.log import KAFKA, group, twenty
from evsim.laws import Constant, Zipf
from evsim.sim.broker.log import Log
from evsim.sim.faults import Pause
from evsim.sim.growth import AddPartitions
from evsim.sim.publisher import Publisher

GROWTH = f"Kafka, Modifying topics — {KAFKA}#basic_ops_modify_topic"

CASES = Table("log")


def growing() -> tuple[Publisher, Log, AddPartitions]:
    """Ten keys, two partitions, from 5 s on five."""
    shop = Publisher("shop", to="orders", gap_s=Constant(0.02), count=500, key=Zipf(10, 0.0))
    return shop, Log("orders", partitions=2), AddPartitions("orders", at_s=5, to=5)


@CASES.case(
    "log-34", "two partitions, five from 5 s on, ten keys", "some keys go to another partition than before", GROWTH
)
def keys_move_when_partitions_are_added() -> Seen:
    """hash(key) mod the number of partitions is another number."""
    history = scene(*growing())
    places: dict[str, set[str]] = defaultdict(set)
    for record in rows(history, "stored"):
        places[str(history.key_of(history.index(str(record.event_id))))].add(record.place)
    moved = sum(len(each) > 1 for each in places.values())
    return Seen(f"{moved} of {len(places)} keys have moved", 0 < moved < 10)


@CASES.case(
    "log-35", "as log-34, a group of two", "what was stored stays where it was, and everything is handled once", GROWTH
)
def growth_moves_no_record() -> Seen:
    """Kafka does not redistribute data; members learn of the new partitions."""
    billing = group("billing", members=2, auto_offset_reset="earliest")
    history = scene(*growing(), billing, until_s=400)
    before = [record for record in rows(history, "stored") if record.time < 5]
    stay = all(record.place in {"orders/0", "orders/1"} for record in before)
    done = sorted(messages(history, "handled"))
    return Seen(f"{len(before)} stored before, {len(set(done))} of 500 handled", stay and done == [*range(500)])


@CASES.case(
    "log-36",
    "a topic that keeps 5 events, the group paused while 20 come, auto.offset.reset earliest",
    "offsets never change: the five that are left are those of the highest offsets",
    f"Kafka, Log retention — {KAFKA}#topicconfigs_retention.bytes",
    fault="pause",
)
def offsets_never_change() -> Seen:
    """Deletion takes the oldest."""
    billing = group("billing", auto_offset_reset="earliest")
    history = scene(twenty(), Log("orders", retention_events=5), billing, Pause("billing", at_s=0.05, for_s=5))
    read = [record.number for record in rows(history, "handled")]
    return Seen(f"read offsets {listed(read)}", read == [15, 16, 17, 18, 19])


@CASES.case(
    "log-37",
    "as log-36, auto.offset.reset latest; then ten more come",
    "it goes on behind the last: the five that are still kept are left out too",
    f"Kafka, auto.offset.reset — {KAFKA}#consumerconfigs_auto.offset.reset",
    fault="pause",
)
def latest_leaves_out_what_is_still_kept() -> Seen:
    """Automatically reset the offset to the latest offset, when the consumer asks for what is gone."""
    more = Publisher("more", to="orders", gap_s=Constant(0.6), count=12)
    parts = twenty(), Log("orders", retention_events=5), group("billing"), Pause("billing", at_s=0.05, for_s=5)
    history = scene(*parts, more)
    read, missed = [record.time for record in rows(history, "handled")], rows(history, "missed")
    return Seen(f"{len(read)} read, all after 5 s; {len(missed)} left out", min(read) > 5 and len(missed) == 5)
