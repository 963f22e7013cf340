"""A key goes where Kafka would send it."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evsim.keys import KEPT, Partitioner, murmur2, partition_of, partitions_of

STEMS = st.text(st.characters(codec="utf-8"), max_size=12)
COUNTS = st.integers(1, 100)


@pytest.mark.parametrize(
    ("data", "hashed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_the_hash_is_the_one_in_kafkas_own_tests(data, hashed):
    assert murmur2(data) == hashed


@pytest.fixture(scope="module")
def theirs():
    reason = "kafka-python, another writing of Kafka's hash, is not installed; evsim does not need it"
    return pytest.importorskip("kafka.partitioner.default", reason=reason).murmur2


@given(data=st.binary(max_size=40))
def test_the_hash_is_the_one_of_the_kafka_client(theirs, data):
    assert murmur2(data) & 0xFFFFFFFF == theirs(data) & 0xFFFFFFFF


@given(STEMS, st.sampled_from([0, 5, 95, 990, 9_999, 99_995, 10**9 - 2, 10**18 - 2, 2**63 - 2]), COUNTS)
def test_many_keys_at_once_go_where_each_alone_would(stem, start, partitions):
    numbers = range(start, start + 12)
    alone = [partition_of(f"{stem}-{n}", partitions) for n in numbers]
    assert partitions_of(stem, numbers.start, numbers.stop, partitions) == alone


def test_no_keys_have_no_partitions():
    assert partitions_of("order", 5, 5, 3) == []


@given(STEMS, st.lists(st.integers(-3, 3000) | st.integers(0, 10**12), max_size=30), COUNTS)
def test_a_remembered_partition_is_the_partition_of_the_key(stem, numbers, partitions):
    remembered = Partitioner(partitions)
    for n in numbers + numbers:
        assert remembered.of(stem, n) == partition_of(f"{stem}-{n}" if n >= 0 else stem, partitions)


def test_numbers_in_a_row_are_found_in_the_list():
    remembered = Partitioner(7)
    assert [remembered.of("order", n) for n in range(5000)] == partitions_of("order", 0, 5000, 7)
    assert remembered._single == {}


def test_a_far_number_takes_no_room():
    remembered = Partitioner(7)
    remembered.of("order", 3)
    remembered.of("order", 10**9)
    assert sum(map(sys.getsizeof, remembered._numbered.values())) < 10_000


def test_what_is_remembered_stays_bounded():
    remembered = Partitioner(7)
    for n in range(2 * KEPT + 10):
        remembered.of(f"stem {n}", -1)
        remembered.of(f"stem {n}", 0)
    assert len(remembered._single) <= KEPT
    assert len(remembered._numbered) <= KEPT


def test_keys_are_spread_evenly():
    partitions = partitions_of("order", 0, 100_000, 10)
    assert all(abs(partitions.count(p) - 10_000) < 5 * 10_000**0.5 for p in range(10))
