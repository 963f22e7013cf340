"""Events of the `eventsourcing` library (https://eventsourcing.readthedocs.io), read from its SQLite file.

The library itself is not needed. Each aggregate becomes a stream, such as ``order-f2f8…``; an event class becomes a
type: ``Order.Placed`` is ``order.placed``, ``Order.ItemAdded`` is ``item.added``. What is compressed or encrypted
cannot be read.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from evsim.errors import BadEvent, BadFile, shown
from evsim.event import DEPTH_MAX, Event, read_json
from evsim.kinds import is_participle
from evsim.store.body import EVENT_MAX
from evsim.store.files import Found, take
from evsim.store.recorder import Store

_QUERY = "select originator_id, originator_version, topic, substr(state, 1, ?) from stored_events order by rowid"
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")
_OWN = {"timestamp", "originator_topic", "originator_id", "originator_version", "class_version"}
"""What the library keeps about an event beside its data."""


def read_eventsourcing(store: Store, path: str | Path) -> int:
    """Append all events of the library's file, in its order, each aggregate to its stream; how many the file holds.

    Raises BadFile with the event that cannot be read; nothing is appended then. A file that was read before is taken
    once, and one to which the library has added events since gives only what is new.
    """
    return take(store, lambda: _events(path))


def _events(path: str | Path) -> Iterator[Found]:
    if not Path(path).is_file():
        raise BadFile(f"there is no file {path}; give the SQLite file of an application of the eventsourcing library")
    with closing(sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)) as db:
        try:
            for row in db.execute(_QUERY, (EVENT_MAX + 1,)):
                yield _event(path, *row)
        except sqlite3.Error as problem:
            raise BadFile(
                f"{path} cannot be read ({problem}); expected a SQLite file of the eventsourcing library, with a table "
                "stored_events whose rowid is the order of all events"
            ) from None


def _event(path: str | Path, originator: Any, version: Any, topic: Any, state: Any) -> Found:
    """The event in a row, or BadFile."""
    where = f"{path}: event {shown(version)} of {shown(originator)}"
    try:
        noun, kind = _named(str(topic))
        kept = read_json(state, "state")
        data = {name: _plain(value) for name, value in kept.items() if name not in _OWN}
        event = Event(
            f"{originator}.{version}", kind, _plain(kept["timestamp"]), noun, data,
            version=kept.get("class_version", 1), key=str(originator),
        )  # fmt: skip
    except (BadEvent, AttributeError, KeyError, TypeError) as problem:
        reason = "it has no timestamp" if isinstance(problem, KeyError) else str(problem)
        raise BadFile(
            f"{where} cannot be read ({reason}); expected the library's JSON, neither compressed nor encrypted"
        ) from None
    return Found(where, f"{noun}-{originator}", event)


def _named(topic: str) -> tuple[str, str]:
    """The noun and the type in ``shop.orders:Order.Placed``."""
    *_, owner, name = ["aggregate", *topic.rpartition(":")[2].split(".")]
    noun = "_".join(_WORDS.findall(owner)).lower() or "aggregate"
    words = [word.lower() for word in _WORDS.findall(name)] or ["event"]
    if not is_participle(words[-1]):
        return noun, f"{noun}.{'_'.join(words)}_recorded"
    return noun, f"{'_'.join(words[:-1]) or noun}.{words[-1]}"


def _plain(value: Any, depth: int = 1) -> Any:
    """A value as plain JSON: what the library has written of a date, a number or an id is text here."""
    if depth > DEPTH_MAX:
        raise BadEvent(f"it is nested deeper than {DEPTH_MAX} levels")
    if isinstance(value, dict):
        if value.keys() == {"_type_", "_data_"}:
            return _plain(value["_data_"], depth + 1)
        return {name: _plain(entry, depth + 1) for name, entry in value.items()}
    return [_plain(entry, depth + 1) for entry in value] if isinstance(value, list) else value
