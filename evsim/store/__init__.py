"""The event store that really stores: streams of events with versions, in memory, in one SQLite file, in PostgreSQL.

``store.open("shop.db")`` opens or makes a file, ``store.open()`` a store that lives as long as the process, and
``store.open("postgresql://…")`` one in a database (``pip install "evsim[postgres]"``).
"""

from __future__ import annotations

from pathlib import Path

from evsim.errors import BadFile
from evsim.patterns.snapshot import Every, WhenCostly
from evsim.store.desk import Desk
from evsim.store.files import read_cloudevents, read_jsonlines, write_cloudevents, write_jsonlines
from evsim.store.foreign import read_eventsourcing
from evsim.store.guarded import Guarded
from evsim.store.memory import MemoryStore
from evsim.store.past import history_of
from evsim.store.readmodel import SQLReadModel, Table
from evsim.store.recorder import ANY, EXISTS, NONE, Appended, Conflict, Recorded, Store
from evsim.store.repository import Done, Loaded, Repository
from evsim.store.sagas import Sagas
from evsim.store.sqlite import Durability, SQLiteStore

__all__ = [
    "ANY", "EXISTS", "NONE", "Appended", "Conflict", "Desk", "Done", "Every", "Guarded", "Loaded", "MemoryStore",
    "Recorded", "Repository", "SQLReadModel", "SQLiteStore", "Sagas", "Store", "Table", "WhenCostly", "history_of",
    "open", "read_cloudevents", "read_eventsourcing",
    "read_jsonlines", "write_cloudevents", "write_jsonlines",
]  # fmt: skip


def open(  # noqa: A001 - store.open reads well
    path: str | Path | None = None, durability: Durability = "flush", *, schema: str | None = None
) -> Store:
    """A store in this SQLite file, at this ``postgresql://`` address (in this schema), or in memory without either.

    Raises BadFile when there is something else.
    """
    if isinstance(path, str) and path.startswith(("postgresql://", "postgres://")):
        from evsim.store.postgres import SCHEMA, PostgresStore

        return PostgresStore(path, durability, SCHEMA if schema is None else schema)
    if schema is not None:
        raise BadFile(
            f"schema={schema!r} belongs to a store in PostgreSQL; leave it out, or give a postgresql:// address"
        )
    return MemoryStore() if path is None else SQLiteStore(path, durability)
