"""The event store that really stores: streams of events with versions, in memory or in one SQLite file.

``store.open("shop.db")`` opens or makes a file, ``store.open()`` a store that lives as long as the process.
"""

from __future__ import annotations

from pathlib import Path

from evsim.store.memory import MemoryStore
from evsim.store.recorder import ANY, EXISTS, NONE, Appended, Conflict, Recorded, Store
from evsim.store.sqlite import Durability, SQLiteStore

__all__ = [
    "ANY", "EXISTS", "NONE", "Appended", "Conflict", "MemoryStore", "Recorded", "SQLiteStore", "Store", "open",
]  # fmt: skip


def open(path: str | Path | None = None, durability: Durability = "flush") -> Store:  # noqa: A001 - store.open reads well
    """A store in this SQLite file, or in memory without one; BadFile when the file is something else."""
    return MemoryStore() if path is None else SQLiteStore(path, durability)
