"""Two stores that should be the same: where they differ, found by comparing hashes, and the changes that mend it.

The keys are dealt into buckets, and of each bucket a hash is compared; only buckets that differ are looked into (a
Merkle tree of one level: R. Merkle, 1987; Dynamo and Cassandra compare their replicas so). What is compared is small,
whatever the size of the stores, as long as they differ little.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from evsim.errors import BadScenario
from evsim.keys import murmur2
from evsim.patterns.replica import Change, Rows, living


class Difference(NamedTuple):
    """A key about which two stores do not say the same."""

    key: str
    what: Literal["missing", "extra", "different"]


def digests(rows: Mapping[str, Any], buckets: int = 64) -> list[str]:
    """A hash for each bucket of keys; equal hashes mean equal rows (deleted ones do not count)."""
    if buckets < 1:
        raise BadScenario(f"buckets={buckets} is refused; expected a number from 1")
    dealt: list[list[Any]] = [[] for _ in range(buckets)]
    for key, row in living(rows).items():
        dealt[_bucket(key, buckets)].append([key, row])
    return [hashlib.sha256(json.dumps(sorted(each, key=_first), sort_keys=True).encode()).hexdigest() for each in dealt]


def _first(pair: list[Any]) -> str:
    return str(pair[0])


def _bucket(key: str, buckets: int) -> int:
    return (murmur2(key.encode()) & 0x7FFFFFFF) % buckets


def differences(source: Mapping[str, Any], copy: Mapping[str, Any], buckets: int = 64) -> list[Difference]:
    """Where a copy does not say what its source says, by key; only buckets with different hashes are looked into."""
    theirs, ours = digests(source, buckets), digests(copy, buckets)
    suspects = {number for number in range(buckets) if theirs[number] != ours[number]}
    right, wrong = (_within(living(rows), suspects, buckets) for rows in (source, copy))
    found = [Difference(key, "missing") for key in right if key not in wrong]
    found += [Difference(key, "extra") for key in wrong if key not in right]
    found += [Difference(key, "different") for key in right if key in wrong and right[key] != wrong[key]]
    return sorted(found)


def _within(rows: Mapping[str, Any], suspects: Iterable[int], buckets: int) -> dict[str, Any]:
    chosen = set(suspects)
    return {key: row for key, row in rows.items() if _bucket(key, buckets) in chosen}


def repairs(source: Mapping[str, Any], copy: Mapping[str, Any], buckets: int = 64) -> list[Change]:
    """One change for each difference; applied to the copy, it says what the source says. None are needed twice."""
    mended = []
    for key, what in differences(source, copy, buckets):
        row = source.get(key)
        if what == "extra":
            after = max(copy[key]["version"], row["version"] if row is not None else 0)
            mended.append(Change(key, after + (row is None), None, copy[key]["at_s"]))
        elif row is not None:
            mended.append(Change(key, row["version"], row["value"], row["at_s"]))
    return mended


def mend(copy: Rows, changes: Iterable[Change]) -> None:
    """Apply repairs: the source is right, whatever the copy believes."""
    for change in changes:
        copy[change.key] = change.row
