"""Which partition a key belongs to: the answer that Kafka's default partitioner gives for the same bytes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_SEED = 0x9747B28C
_FACTOR = 0x5BD1E995
_WORD = 0xFFFFFFFF
_POSITIVE = 0x7FFFFFFF
_SIGN = 0x80000000

FIRST_BLOCK = 64
"""So many numbers of a new stem are worked out at once; later blocks double."""
KEPT = 4096
"""So many stems, and as many single keys, are remembered at a time."""


def murmur2(data: bytes) -> int:
    """The signed 32-bit hash of Kafka's ``Utils.murmur2``.

    >>> murmur2(b"foobar")
    -790332482
    """
    mixed = _finish(_tail(_words(_SEED ^ len(data), data), data[len(data) & ~3 :]))
    return mixed - (1 << 32) if mixed & _SIGN else mixed


def partition_of(key: str, partitions: int) -> int:
    """The partition, of so many, to which Kafka's default partitioner sends this key."""
    return (murmur2(key.encode()) & _POSITIVE) % partitions


def partitions_of(stem: str, start: int, stop: int, partitions: int) -> list[int]:
    """The partitions of the keys ``f"{stem}-{n}"`` for n from ``start`` to just before ``stop``."""
    assert start >= 0, "keys are numbered from zero"
    found: list[int] = []
    while start < stop:
        digits = len(str(start))
        end = min(stop, 10**digits)
        found += _same_length(f"{stem}-".encode(), start, end, digits, partitions)
        start = end
    return found


class Partitioner:
    """The partitions of keys, remembered: ``of("order", 3)`` for ``order-3``, ``of("all", -1)`` for ``all`` itself."""

    __slots__ = ("_numbered", "_single", "partitions")

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self._numbered: dict[str, list[int]] = {}
        self._single: dict[str, int] = {}

    def grow(self, partitions: int) -> None:
        """From now on there are so many partitions: most keys move to another one."""
        self.partitions = partitions
        self._numbered.clear()
        self._single.clear()

    def of(self, stem: str, number: int) -> int:
        """The partition of the key with this stem and number; a negative number: the stem is the key."""
        if number >= 0:
            known = self._numbered.get(stem)
            if known is not None and number < len(known):
                return known[number]
            return self._extended(stem, number)
        return self._one(stem)

    def _extended(self, stem: str, number: int) -> int:
        """Remember a block more while the numbers are dense; a far number is worked out alone."""
        known = self._numbered.get(stem, [])
        end = 2 * len(known) or FIRST_BLOCK
        if number >= 2 * end:
            return self._one(f"{stem}-{number}")
        end = max(end, number + 1)
        if not known:
            _make_room(self._numbered)
            self._numbered[stem] = known
        known += partitions_of(stem, len(known), end, self.partitions)
        return known[number]

    def _one(self, key: str) -> int:
        partition = self._single.get(key)
        if partition is None:
            _make_room(self._single)
            partition = self._single[key] = partition_of(key, self.partitions)
        return partition


def _make_room(remembered: dict[str, list[int]] | dict[str, int]) -> None:
    if len(remembered) >= KEPT:
        remembered.clear()


# ---------------------------------------------------------------- one key


def _words(mixed: int, data: bytes) -> int:
    """Mix in the whole words of four bytes."""
    for place in range(0, len(data) & ~3, 4):
        word = int.from_bytes(data[place : place + 4], "little") * _FACTOR & _WORD
        word = (word ^ word >> 24) * _FACTOR & _WORD
        mixed = mixed * _FACTOR & _WORD ^ word
    return mixed


def _tail(mixed: int, rest: bytes) -> int:
    """Mix in the last one to three bytes."""
    return (mixed ^ int.from_bytes(rest, "little")) * _FACTOR & _WORD if rest else mixed


def _finish(mixed: int) -> int:
    mixed = (mixed ^ mixed >> 13) * _FACTOR & _WORD
    return mixed ^ mixed >> 15


# ---------------------------------------------------------------- many keys of one length


def _same_length(prefix: bytes, start: int, stop: int, digits: int, partitions: int) -> list[int]:
    """As ``partition_of``, for numbers of so many digits: the words of the prefix are mixed once for all.

    Arrays of uint32 overflow silently, as the hash wants it.
    """
    factor = np.uint32(_FACTOR)
    shared = _words(_SEED ^ (len(prefix) + digits), prefix)
    mixed = np.full(stop - start, shared, dtype=np.uint32)
    rest = _columns(prefix[len(prefix) & ~3 :], start, stop, digits)
    for place in range(0, len(rest) & ~3, 4):
        word = _little_endian(rest[place : place + 4]) * factor
        mixed = mixed * factor ^ (word ^ word >> np.uint32(24)) * factor
    if len(rest) & 3:
        mixed = (mixed ^ _little_endian(rest[len(rest) & ~3 :])) * factor
    mixed = (mixed ^ mixed >> np.uint32(13)) * factor
    mixed ^= mixed >> np.uint32(15)
    found: list[int] = ((mixed & np.uint32(_POSITIVE)) % np.uint32(partitions)).tolist()
    return found


def _columns(before: bytes, start: int, stop: int, digits: int) -> list[npt.NDArray[np.uint32]]:
    """The bytes of the keys, one array for each place: what is left of the prefix, then the digits."""
    numbers = np.arange(stop - start, dtype=np.uint64) + np.uint64(start)
    columns = [np.full(len(numbers), byte, dtype=np.uint32) for byte in before]
    for power in range(digits - 1, -1, -1):
        digit = numbers // np.uint64(10**power) % np.uint64(10)
        columns.append((digit + np.uint64(ord("0"))).astype(np.uint32))
    return columns


def _little_endian(columns: list[npt.NDArray[np.uint32]]) -> npt.NDArray[np.uint32]:
    word = columns[0].copy()
    for place, column in enumerate(columns[1:], 1):
        word |= column << np.uint32(8 * place)
    return word
