"""A store's events as files: one JSON object a line, or a batch of CloudEvents; both can be read again.

A line of JSON Lines is ``{"stream": "order-17", "version": 0, "event": {…}}``. A batch is a JSON array of CloudEvents
in structured mode (``application/cloudevents-batch+json``). Files come from strangers: every line and event is checked
before the first is appended, and sizes are limited.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby, islice
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TextIO

from pydantic_core import to_json

from evsim.errors import BadEvent, BadFile, shown
from evsim.event import Event, read_json
from evsim.store.body import EVENT_MAX, body_of
from evsim.store.recorder import Recorded, Store, named

LINE_MAX, BATCH_MAX = EVENT_MAX + 4096, 64 << 20
"""Bytes of a line, and of a whole batch."""
PIECE = 500
"""So many events are appended at a time."""
_FIELDS = {"stream", "version", "event"}


def write_jsonlines(store: Store, path: str | Path, stream: str | None = None) -> int:
    """Write the events of a stream, or of all streams by position, one a line; how many there were.

    An old file there is replaced only when the new one is whole.
    """
    count, chosen = 0, _chosen(store, stream)
    with _written(path) as file:
        for each in chosen:
            count += 1
            line = {"stream": each.stream, "version": each.version, "event": each.event.to_dict()}
            file.write(to_json(line).decode() + "\n")  # as a store writes it, so what fits there fits into a line
    return count


def read_jsonlines(store: Store, path: str | Path) -> int:
    """Append what stands in a file to the streams that it names; how many events the file holds, new or not.

    Raises BadFile with the line that is wrong; nothing is appended then. A file that was read before is taken once,
    and one that has grown since gives only what is new.
    """
    return take(store, lambda: _lines(path))


def write_cloudevents(store: Store, path: str | Path, stream: str | None = None) -> int:
    """Write the events of a stream, or of all by position, as a batch of CloudEvents; how many there were.

    An old file there is replaced only when the new one is whole.
    """
    count, chosen = 0, _chosen(store, stream)
    with _written(path) as file:
        file.write("[")
        for each in chosen:
            count += 1
            text = json.dumps(each.event.to_cloudevent(), ensure_ascii=False, allow_nan=False)
            file.write(("\n" if count == 1 else ",\n") + text)
        file.write("\n]\n")
    return count


def read_cloudevents(store: Store, path: str | Path, stream: str) -> int:
    """Append a batch of CloudEvents to a stream, behind what stands there; how many events the batch holds, new or not.

    Raises BadFile with the event that is wrong; nothing is appended then. A batch that was read before is taken once,
    and one that has grown since gives only what is new.
    """
    batch = list(_batch(path, named(stream)))
    return take(store, lambda: batch)


# -------------------------------------------------------------------- what every import does


class Found(NamedTuple):
    """An event of a file: where it stands there, and the stream to which it goes."""

    where: str
    stream: str
    event: Event


def take(store: Store, read: Callable[[], Iterable[Found]]) -> int:
    """Append what a file holds and the store does not, piece by piece; how many events the file holds.

    The file is read twice: what is wrong with it is known, as a BadFile, before the first event is appended.
    """
    first = _First(store)
    for found in read():
        first.look(found)
    new = (found for found in read() if found.event.id not in first.known)
    for stream, some in groupby(new, key=attrgetter("stream")):
        while piece := [found.event for found in islice(some, PIECE)]:
            store.append(stream, piece)
    return len(first.ids)


class _First:
    """The first reading of a file: its ids, and which of them the store knows; no event is kept."""

    def __init__(self, store: Store) -> None:
        self.ids: set[str] = set()
        self.known: set[str] = set()
        self._store = store
        self._reached: dict[str, float] = {}  # the version in the store of a stream's last known event

    def look(self, found: Found) -> None:
        """Remember this event, or raise BadFile when it could not be appended."""
        try:
            self._look(named(found.stream), found.event, body_of(found.event))
        except BadEvent as problem:
            raise BadFile(f"{found.where}: {problem}") from None

    def _look(self, stream: str, event: Event, body: str) -> None:
        if event.id in self.ids:
            raise BadEvent(f"event id {event.id!r} stands twice in the file; give every event an id of its own")
        self.ids.add(event.id)
        there = self._store.find(event.id)
        if there is None:
            self._reached[stream] = math.inf
            return
        if there.stream != stream or body_of(there.event) != body:
            raise BadEvent(
                f"event id {event.id!r} is taken by another event, or by the same one elsewhere, at version "
                f"{there.version} of stream {there.stream!r}; give every event an id of its own"
            )
        if there.version <= self._reached.get(stream, -1):
            raise BadEvent(
                f"event {event.id!r} is in stream {stream!r} already, but not behind the events that come before it "
                "in the file; put the file in the order of the stream, or read it into another store"
            )
        self.known.add(event.id)
        self._reached[stream] = there.version


# -------------------------------------------------------------------- the files


def _lines(path: str | Path) -> Iterator[Found]:
    """The event in each line, or BadFile."""
    versions: dict[str, int] = {}
    with _opened(path) as file:
        number = 0
        while raw := file.readline(LINE_MAX + 1):
            number += 1
            where = f"{path}, line {number}"
            if len(raw) > LINE_MAX:
                raise BadFile(f"{where}: longer than {LINE_MAX:,} bytes; one event fits into a line")
            if raw.strip():
                yield _line(where, raw, versions)


def _line(where: str, raw: bytes, versions: dict[str, int]) -> Found:
    try:
        given: Any = read_json(raw, "line", LINE_MAX)
        if not isinstance(given, dict) or set(given) != _FIELDS:
            raise BadEvent('expected {"stream": …, "version": …, "event": {…}}')
        stream = named(given["stream"])
        versions[stream] = _next(stream, given["version"], versions.get(stream))
        return Found(where, stream, Event.from_dict(given["event"]))
    except ValueError as problem:
        raise BadFile(f"{where}: {problem}") from None


def _next(stream: str, version: Any, before: int | None) -> int:
    """The version, if it may follow the one before; a stream that was truncated begins above 0."""
    if type(version) is not int or version < 0:
        raise BadEvent(f"version {shown(version)} is no version of a stream; expected a whole number from 0")
    if before is not None and version != before + 1:
        raise BadEvent(
            f"version {shown(version)} of stream {stream!r} comes after version {before}, and expected was "
            f"{before + 1}; lines are missing or in another order, so write the file again"
        )
    return version


def _batch(path: str | Path, stream: str) -> Iterator[Found]:
    """The events of a batch, or BadFile."""
    with _opened(path) as file:
        text = file.read(BATCH_MAX + 1)
    if len(text) > BATCH_MAX:
        raise BadFile(f"{path} has more than {BATCH_MAX:,} bytes; split the batch")
    where = str(path)
    try:
        batch: Any = read_json(text, "batch", BATCH_MAX)
        if not isinstance(batch, list):
            raise BadEvent(f"{shown(batch)} is no batch; expected a JSON array of CloudEvents")
        for number, document in enumerate(batch, start=1):
            where = f"{path}, event {number}"
            yield Found(where, stream, Event.from_cloudevent(document))
    except ValueError as problem:
        raise BadFile(f"{where}: {problem}") from None


def _chosen(store: Store, stream: str | None) -> Iterator[Recorded]:
    return store.read_all() if stream is None else store.read(named(stream))


def _opened(path: str | Path) -> BinaryIO:
    """A regular file to read, or BadFile: a pipe cannot be read twice, and a device may never end."""
    try:
        if Path(path).is_file():
            return Path(path).open("rb")
        reason = "there is no regular file"
    except OSError as problem:
        reason = str(problem.strerror)
    raise BadFile(f"{path} cannot be read ({reason}); give the path of a file of events, and no directory or pipe")


@contextmanager
def _written(path: str | Path) -> Iterator[TextIO]:
    """A file to write, which takes the place of an old one when it is whole; a pipe or a device is written as it is."""
    if Path(path).exists() and not Path(path).is_file():
        with Path(path).open("w", encoding="utf-8", newline="\n") as file:
            yield file
        return
    target = Path(path).resolve()  # behind a link
    partial = target.with_name(target.name + ".partial")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            yield file
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
