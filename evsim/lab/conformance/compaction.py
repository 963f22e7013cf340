"""Compacted topics: what Kafka promises of keys, offsets and tombstones."""

from __future__ import annotations

from typing import Any

from evsim.history import History
from evsim.lab.conformance.case import Seen, Table, listed, messages, rows, scene
from evsim.lab.conformance.log import KAFKA, group
from evsim.laws import Constant, Zipf
from evsim.sim.broker.log import Log
from evsim.sim.faults import Pause
from evsim.sim.publisher import Publisher

COMPACTION = f"Kafka, Log compaction — {KAFKA}#compaction"
TOMBSTONES = f"Kafka, delete.retention.ms — {KAFKA}#topicconfigs_delete.retention.ms"
LAG = f"Kafka, min.compaction.lag.ms — {KAFKA}#topicconfigs_min.compaction.lag.ms"

CASES = Table("log")


def users(**settings: Any) -> Publisher:
    """A hundred changes of five customers, fifty a second."""
    usual: dict[str, Any] = {"gap_s": Constant(0.02), "count": 100, "key": Zipf(5, 0.0)}
    return Publisher("app", to="orders", **usual | settings)


def compacted(**settings: Any) -> Log:
    """A topic that is cleaned every second."""
    usual: dict[str, Any] = {"compaction": True, "clean_every_s": 1}
    return Log("orders", **usual | settings)


def late(*parts: Any, wakes_s: float = 10) -> History:
    """What a group does that is paused from the start, and then reads from the first offset."""
    reader = group("billing", auto_offset_reset="earliest")
    return scene(*parts, reader, Pause("billing", at_s=0.0, for_s=wakes_s), until_s=60)


def _keys(history: History, step: str) -> dict[str | None, int]:
    """The offset of the last event of each key."""
    return {history.key_of(history.index(str(row.event_id))): row.number for row in rows(history, step)}


@CASES.case(
    "log-40",
    "cleanup.policy=compact, 100 records of 5 keys, then a reader from the start",
    "it gets at least the last record of each key",
    COMPACTION,
)
def the_last_record_of_each_key_stays() -> Seen:
    """The log retains at least the last known value for each key."""
    history = late(users(), compacted())
    read, last = messages(history, "handled"), _keys(history, "stored")
    return Seen(f"read {len(read)} of 100", _keys(history, "handled") == last and len(read) < 50)


@CASES.case("log-41", "as log-40", "offsets never change, and the order stays", COMPACTION)
def compaction_keeps_offsets_and_order() -> Seen:
    """The offset is the permanent identifier for a position in the log."""
    history = late(users(), compacted())
    read = [(row.number, row.event_id) for row in rows(history, "handled")]
    stored = {row.number: row.event_id for row in rows(history, "stored")}
    same = all(stored[number] == event for number, event in read)
    return Seen(f"read offsets {listed(number for number, _ in read)}", same and read == sorted(read) and bool(read))


@CASES.case("log-42", "as log-40, a reader at the head of the log", "it sees every record", COMPACTION)
def who_stays_at_the_head_sees_everything() -> Seen:
    """Any consumer that stays caught-up to within the head of the log will see every message."""
    history = scene(users(), compacted(min_compaction_lag_s=0.5), group("billing"), until_s=60)
    read = messages(history, "handled")
    return Seen(f"read {len(read)} of 100", read == [*range(100)])


def deleted(wakes_s: float) -> Seen:
    """A key is changed and deleted, and another one is written; delete.retention.ms is 20 s."""
    account = Publisher("app", to="orders", gap_s=Constant(0.2), count=3, key="ann", type="user.changed")
    goodbye = Publisher("exit", to="orders", gap_s=Constant(1.0), count=1, key="ann", type="user.deleted")
    topic = compacted(tombstones=("user.deleted",), delete_retention_s=20)
    history = late(account, goodbye, topic, wakes_s=wakes_s)
    read = [history.type_of(history.index(str(row.event_id))) for row in rows(history, "handled")]
    return Seen(f"read {', '.join(read) or 'nothing'}", read == (["user.deleted"] if wakes_s < 20 else []))


@CASES.case("log-43", "a tombstone, a reader within delete.retention.ms", "it sees the tombstone", TOMBSTONES)
def tombstones_stay_for_a_while() -> Seen:
    """A bound on the time in which a consumer must complete a read."""
    return deleted(10)


@CASES.case("log-44", "a tombstone, a reader after delete.retention.ms", "nothing is left of the key", TOMBSTONES)
def tombstones_go_in_the_end() -> Seen:
    """The delete markers will themselves be cleaned out of the log after a period of time."""
    return deleted(40)


@CASES.case("log-45", "cleanup.policy=compact, records without a key", "the broker refuses them", COMPACTION)
def a_compacted_topic_wants_keys() -> Seen:
    """InvalidRecordException: compacted topic cannot accept message without key."""
    history = late(users(key=None, acks="leader", count=5), compacted())
    stored, refused = rows(history, "stored"), rows(history, "refused")
    return Seen(f"{len(stored)} stored, {len(refused)} refused", not stored and len(refused) == 5)


@CASES.case("log-46", "min.compaction.lag.ms above the age of all records", "nothing is compacted", LAG)
def what_is_young_stays() -> Seen:
    """The minimum time a message will remain uncompacted in the log."""
    history = late(users(), compacted(min_compaction_lag_s=100))
    read = messages(history, "handled")
    return Seen(f"read {len(read)} of 100", len(read) == 100)
