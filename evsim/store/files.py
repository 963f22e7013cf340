"""A store's events as files: one JSON object a line, or a batch of CloudEvents; both can be read again.

A line of JSON Lines is ``{"stream": "order-17", "version": 0, "event": {…}}``. A batch is a JSON array of CloudEvents
in structured mode (``application/cloudevents-batch+json``). Files come from strangers: every line and event is checked
before the first is appended, and sizes are limited.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from evsim.errors import BadEvent, BadFile
from evsim.event import Event, read_json
from evsim.store.body import EVENT_MAX
from evsim.store.recorder import NONE, Recorded, Store, named

LINE_MAX, BATCH_MAX = EVENT_MAX + 4096, 64 << 20
"""Bytes of a line, and of a whole batch."""
PIECE = 500
"""So many events are appended at a time."""
_FIELDS = {"stream", "version", "event"}


def write_jsonlines(store: Store, path: str | Path, stream: str | None = None) -> int:
    """Write the events of a stream, or of all streams by position, one a line; how many there were."""
    count = 0
    with Path(path).open("w", encoding="utf-8", newline="\n") as file:
        for each in _chosen(store, stream):
            count += 1
            line = {"stream": each.stream, "version": each.version, "event": each.event.to_dict()}
            file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
    return count


def read_jsonlines(store: Store, path: str | Path) -> int:
    """Append what stands in a file to the streams that it names; how many events there were.

    Raises BadFile with the line that is wrong; nothing is appended then. A file that was read before is taken once.
    """
    for _ in _lines(path):
        pass
    count = 0
    for stream, lines in groupby(_lines(path), key=lambda line: line[0]):
        events = [event for _, event in lines]
        for start in range(0, len(events), PIECE):
            store.append(stream, events[start : start + PIECE])
        count += len(events)
    return count


def _lines(path: str | Path) -> Iterator[tuple[str, Event]]:
    """Each line's stream and event, or BadFile."""
    with Path(path).open("rb") as file:
        number = 0
        while raw := file.readline(LINE_MAX + 1):
            number += 1
            if len(raw) > LINE_MAX:
                raise BadFile(f"{path}, line {number}: longer than {LINE_MAX:,} bytes; one event fits into a line")
            if raw.strip():
                yield _line(path, number, raw)


def _line(path: str | Path, number: int, raw: bytes) -> tuple[str, Event]:
    try:
        given: Any = read_json(raw, "line")
        if not isinstance(given, dict) or set(given) != _FIELDS:
            raise BadEvent('expected {"stream": …, "version": …, "event": {…}}')
        return named(given["stream"]), Event.from_dict(given["event"])
    except ValueError as problem:
        raise BadFile(f"{path}, line {number}: {problem}") from None


def write_cloudevents(store: Store, path: str | Path, stream: str | None = None) -> int:
    """Write the events of a stream, or of all by position, as a batch of CloudEvents; how many there were."""
    count = 0
    with Path(path).open("w", encoding="utf-8", newline="\n") as file:
        file.write("[")
        for each in _chosen(store, stream):
            count += 1
            text = json.dumps(each.event.to_cloudevent(), ensure_ascii=False, allow_nan=False)
            file.write(("\n" if count == 1 else ",\n") + text)
        file.write("\n]\n")
    return count


def read_cloudevents(store: Store, path: str | Path, stream: str) -> int:
    """Append a batch of CloudEvents to a new stream, all or none; how many there were. Raises BadFile."""
    if Path(path).stat().st_size > BATCH_MAX:
        raise BadFile(f"{path} has more than {BATCH_MAX:,} bytes; split the batch")
    try:
        batch: Any = json.loads(Path(path).read_bytes())
    except ValueError as problem:
        raise BadFile(f"{path} is no JSON: {problem}") from None
    if not isinstance(batch, list):
        raise BadFile(f"{path} is no batch; expected a JSON array of CloudEvents")
    events = []
    for number, document in enumerate(batch, start=1):
        try:
            events.append(Event.from_cloudevent(document))
        except ValueError as problem:
            raise BadFile(f"{path}, event {number}: {problem}") from None
    if events:
        store.append(stream, events, NONE)
    return len(events)


def _chosen(store: Store, stream: str | None) -> Iterator[Recorded]:
    return store.read_all() if stream is None else store.read(stream)
