"""A copy of somebody else's rows, kept by applying changes: three ways to do it, of which one survives disorder.

``arrival``: the last change that comes wins, and a delete forgets the row. ``timestamp``: the change with the latest
timestamp wins (last write wins, as in Cassandra), whatever clock wrote it. ``version``: the source numbers the changes
of each row, and an older one is ignored; a deleted row leaves a *tombstone* with its number, or a late update would
bring it back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, NamedTuple

Rows = MutableMapping[str, Any]
"""The copy: a row by its key, as ``{"version": …, "value": …, "at_s": …}``; its value is None when it is deleted."""


class Change(NamedTuple):
    """A change of one row at its source: its number there, the new value (None: deleted), and when it was made."""

    key: str
    version: int
    value: Any
    at_s: float = 0.0

    @property
    def row(self) -> dict[str, Any]:
        """The row as it is after the change."""
        return {"version": self.version, "value": self.value, "at_s": self.at_s}


def by_arrival(rows: Rows, change: Change) -> bool:
    """Apply a change because it has come; True when the copy has changed."""
    if change.value is None:
        return rows.pop(change.key, None) is not None
    rows[change.key] = change.row
    return True


def by_timestamp(rows: Rows, change: Change) -> bool:
    """Apply a change if it was made later than what is there, by the clocks of those who made them."""
    known = rows.get(change.key)
    if known is not None and known["at_s"] >= change.at_s:
        return False
    rows[change.key] = change.row
    return True


def by_version(rows: Rows, change: Change) -> bool:
    """Apply a change if its number is higher than that of what is there; a deleted row keeps its number."""
    known = rows.get(change.key)
    if known is not None and known["version"] >= change.version:
        return False
    rows[change.key] = change.row
    return True


APPLY: Mapping[str, Callable[[Rows, Change], bool]] = {
    "arrival": by_arrival, "timestamp": by_timestamp, "version": by_version
}  # fmt: skip


def living(rows: Mapping[str, Any]) -> dict[str, Any]:
    """The rows that are not deleted: version and value by key."""
    return {key: (row["version"], row["value"]) for key, row in rows.items() if row["value"] is not None}
