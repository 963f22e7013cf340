"""The append-only record of a run: columns, not objects; everything we measure, check or draw is read from here.

A row says *when*, *what*, *about which event*, and one *number*. The *what* is a small code for three words: the step,
the node that took it, and the place where (a partition, a link, the name of an effect). A row takes 20 bytes, an event
28 more, so that a message which passes all steps costs less than 250.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from evsim import archive, story
from evsim.errors import UnknownName, did_you_mean
from evsim.event import Event, thaw
from evsim.names import part_of, split_id, split_key
from evsim.records import SHOWN, Record, Records

__all__ = ["EMPTY", "EVENT", "ROW", "STEPS", "History", "Record", "Records", "Template", "What", "part_of", "split_key"]

STEPS = ("published", "stored", "delivered", "handled", "saved", "sent", "acked")
"""The life of a message, in order; the last five are the steps of a delivery."""

ROW = np.dtype([("time", "<f8"), ("what", "<i4"), ("event", "<i4"), ("number", "<i4")])
EVENT = np.dtype(
    [
        ("timestamp", "<f8"),
        ("template", "<i4"),
        ("n", "<i4"),
        ("key", "<i4"),
        ("causation", "<i4"),
        ("correlation", "<i4"),
    ]
)
_pack_row, _unpack_row = struct.Struct("<diii").pack, struct.Struct("<diii").unpack_from
_pack_event, _unpack_event = struct.Struct("<diiiii").pack, struct.Struct("<diiiii").unpack_from


class What(NamedTuple):
    """What happened: the step, the node that took it, and the place where."""

    step: str
    node: str
    place: str


class Template(NamedTuple):
    """What many events have in common; the rest of an event is a few numbers."""

    stem: str
    source: str
    type: str
    version: int
    key_stem: str | None


class History:
    """The only record of a run.

    Parts write with ``code`` once and ``record`` often; readers use the columns ``time``, ``what``, ``event``,
    ``number`` (read-only numpy arrays of equal length), ``of`` to select, ``event_at`` to get an event back.
    """

    def __init__(self) -> None:
        self._rows = io.BytesIO()
        self._table = io.BytesIO()
        self.whats: list[What] = []
        self.templates: list[Template] = []
        self.texts: list[str] = []
        self.data: dict[int, Mapping[str, Any]] = {}
        self.notes: list[dict[str, Any]] = []
        self.parts: dict[str, dict[str, Any]] = {}
        self.meta: dict[str, Any] = {}
        self._codes: dict[tuple[str, str, str], int] = {}
        self._template_codes: dict[tuple[Any, ...], int] = {}
        self._text_codes: dict[str, int] = {}
        self._cache: dict[str, tuple[int, Any]] = {}
        self.record = self._recorder()
        self.new_event = self._eventer(0)

    # ---------------------------------------------------------------- writing

    def _recorder(self) -> Callable[..., None]:
        """The one function that records: ``record(time, code, event=-1, number=0)``; a row is whole or absent."""
        write, pack = self._rows.write, _pack_row

        def record(time: float, code: int, event: int = -1, number: int = 0) -> None:
            write(pack(time, code, event, number))

        return record

    def record_run(self, time: float, code: int, events: list[int], number: int) -> None:
        """Record the same of many events at once, with numbers that count up from ``number``."""
        pack = _pack_row
        self._rows.write(b"".join([pack(time, code, event, n) for n, event in enumerate(events, number)]))

    def code(self, step: str, node: str, place: str = "") -> int:
        """The code of (step, node, place), made on first use."""
        key = (step, node, place)
        code = self._codes.get(key)
        if code is None:
            code = self._codes[key] = len(self.whats)
            self.whats.append(What(*key))
        return code

    def template(self, stem: str, source: str, type: str, version: int = 1, key_stem: str | None = None) -> int:  # noqa: A002
        """The code of what many events have in common, made on first use."""
        key = (stem, source, type, version, key_stem)
        code = self._template_codes.get(key)
        if code is None:
            code = self._template_codes[key] = len(self.templates)
            self.templates.append(Template(*key))
        return code

    def _eventer(self, count: int) -> Callable[..., int]:
        """``new_event(timestamp, template, n, key=-1, causation=-1, correlation=-1, data=None)``: its index.

        Adds an event by its numbers, as the simulator does: its id is ``stem.n``, its key ``key_stem-key``.
        """
        write, pack, payloads = self._table.write, _pack_event, self.data

        def new_event(
            timestamp: float,
            template: int,
            n: int,
            key: int = -1,
            causation: int = -1,
            correlation: int = -1,
            data: Mapping[str, Any] | None = None,
        ) -> int:
            nonlocal count
            write(pack(timestamp, template, n, key, causation, correlation))
            index = count
            count = index + 1
            if data:
                payloads[index] = data
            return index

        return new_event

    def add(self, event: Event) -> int:
        """Add any valid event and return its index."""
        stem, n = split_id(event.id)
        key_stem, key = split_key(event.key)
        template = self.template(stem or "", event.source, event.type, event.version, key_stem)
        return self.new_event(
            event.timestamp,
            template,
            n,
            key,
            self.reference(event.causation_id),
            self.reference(event.correlation_id),
            event.data,
        )

    def reference(self, text: str | None) -> int:
        """How a cause that is known by name only is written: -1 for none, -2 and below for a text."""
        if text is None:
            return -1
        code = self._text_codes.get(text)
        if code is None:
            code = self._text_codes[text] = len(self.texts)
            self.texts.append(text)
        return -2 - code

    def note(self, **facts: Any) -> int:
        """Keep a small mapping of facts and return its number, for a row to point at."""
        self.notes.append(facts)
        return len(self.notes) - 1

    # ---------------------------------------------------------------- columns

    def _cached(self, name: str, version: int, make: Any) -> Any:
        held = self._cache.get(name)
        if held is None or held[0] != version:
            held = self._cache[name] = (version, make())
        return held[1]

    @property
    def rows(self) -> np.ndarray:
        """All rows as one structured array of dtype ``ROW``."""
        return self._cached("rows", self._rows.tell(), lambda: np.frombuffer(self._rows.getvalue(), dtype=ROW))

    @property
    def table(self) -> np.ndarray:
        """All events as one structured array of dtype ``EVENT``."""
        return self._cached("table", self._table.tell(), lambda: np.frombuffer(self._table.getvalue(), dtype=EVENT))

    def _column(self, name: str) -> np.ndarray:
        def make() -> np.ndarray:
            column = np.ascontiguousarray(self.rows[name])
            column.flags.writeable = False
            return column

        return self._cached(name, self._rows.tell(), make)

    @property
    def time(self) -> np.ndarray:
        """When each row was written, in seconds of simulated time."""
        return self._column("time")

    @property
    def what(self) -> np.ndarray:
        """The code of each row; ``whats[code]`` gives its words."""
        return self._column("what")

    @property
    def event(self) -> np.ndarray:
        """The index of the event that each row is about, or -1."""
        return self._column("event")

    @property
    def number(self) -> np.ndarray:
        """The number of each row: an offset, a generation, the index of a note."""
        return self._column("number")

    def __len__(self) -> int:
        return self._rows.tell() // ROW.itemsize

    @property
    def event_count(self) -> int:
        """How many events the run has made."""
        return self._table.tell() // EVENT.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes held by the rows and the events, payloads not counted."""
        return self._rows.tell() + self._table.tell()

    # ---------------------------------------------------------------- reading

    def of(
        self,
        step: str | Iterable[str] | None = None,
        node: str | None = None,
        event: str | None = None,
        key: str | None = None,
        place: str | None = None,
        from_s: float | None = None,
        to_s: float | None = None,
    ) -> Records:
        """The rows that match all that is given; ``node="billing"`` includes its members ``billing-1``, ``billing-2``.

        Times are half open: ``from_s <= time < to_s``. An unknown step, node, place, event or key is answered with
        UnknownName and the nearest known one.
        """
        mask = np.ones(len(self), dtype=bool)
        if step is not None or node is not None or place is not None:
            mask &= self._wanted(step, node, place)[self.what]
        if event is not None:
            mask &= np.isin(self.event, self.indexes(event))
        if key is not None:
            mask &= np.isin(self.event, self.with_key(key))
        if from_s is not None:
            mask &= self.time >= from_s
        if to_s is not None:
            mask &= self.time < to_s
        return Records(self, np.flatnonzero(mask))

    def _wanted(self, step: str | Iterable[str] | None, node: str | None, place: str | None) -> np.ndarray:
        steps = None if step is None else {step} if isinstance(step, str) else set(step)
        for given in steps or ():
            self._known("step", given, {what.step for what in self.whats} | set(STEPS) | _OTHER_STEPS)
        if node is not None and node not in self.parts:
            self._known("node", node, {what.node for what in self.whats} | {part_of(what.node) for what in self.whats})
        if place is not None:
            self._known("place", place, {what.place for what in self.whats} | set(self.parts))
        return np.array(
            [
                (steps is None or what.step in steps)
                and (node is None or what.node == node or part_of(what.node) == node)
                and (place is None or what.place == place)
                for what in self.whats
            ],
            dtype=bool,
        )

    @staticmethod
    def _known(kind: str, given: str, known: Iterable[str]) -> None:
        known = {name for name in known if name}
        if given not in known:
            raise UnknownName(f"no {kind} called {given!r} in this history{did_you_mean(given, known)}")

    def codes(self, *steps: str) -> np.ndarray:
        """The codes of the rows of these steps, whatever the node and place."""
        return np.array([code for code, what in enumerate(self.whats) if what.step in steps], dtype=np.int32)

    def record_at(self, row: int) -> Record:
        """One row in words."""
        time, what, event, number = _unpack_row(self._rows.getbuffer(), row * ROW.itemsize)
        step, node, place = self.whats[what]
        return Record(time, step, node, place, self.id_of(event) if event >= 0 else None, number)

    # ---------------------------------------------------------------- events

    def _event_row(self, index: int) -> tuple[float, int, int, int, int, int]:
        """One row of the event table, read in place: also while the run goes on."""
        return _unpack_event(self._table.getbuffer(), index * EVENT.itemsize)

    def id_of(self, index: int) -> str:
        """The id of the event with this index."""
        _, template, n, *_ = self._event_row(index)
        stem = self.templates[template].stem
        return stem if n < 0 else f"{stem}.{n}"

    def key_parts(self, index: int) -> tuple[str | None, int]:
        """The key of an event as stem and number (-1: the key is the stem alone)."""
        _, template, _, key, *_ = self._event_row(index)
        return self.templates[template].key_stem, key

    def root_of(self, index: int) -> int:
        """The reference of the flow that an event belongs to: its own correlation, else the event itself."""
        correlation = self._event_row(index)[5]
        return index if correlation == -1 else correlation

    def key_of(self, index: int) -> str | None:
        """The key of the event with this index."""
        stem, number = self.key_parts(index)
        return stem if stem is None or number < 0 else f"{stem}-{number}"

    def type_of(self, index: int) -> str:
        """The type of the event with this index."""
        return self.templates[self._event_row(index)[1]].type

    def _reference_of(self, reference: int) -> str | None:
        if reference == -1:
            return None
        return self.id_of(reference) if reference >= 0 else self.texts[-2 - reference]

    def event_at(self, index: int) -> Event:
        """The event with this index, whole."""
        timestamp, template, n, key, causation, correlation = self._event_row(index)
        common = self.templates[template]
        return Event.trusted(
            common.stem if n < 0 else f"{common.stem}.{n}",
            common.type,
            timestamp,
            common.source,
            self.data.get(index, EMPTY),
            common.version,
            common.key_stem if common.key_stem is None or key < 0 else f"{common.key_stem}-{key}",
            self._reference_of(correlation),
            self._reference_of(causation),
        )

    @property
    def events(self) -> Iterator[Event]:
        """Every event of the run, in the order in which they were made."""
        return (self.event_at(index) for index in range(self.event_count))

    def _matching(self, text: str, field: str, split: Any, number: str) -> np.ndarray:
        """Indexes of events whose id or key is this text: compare the stem, then the number."""
        stem, n = split
        stems = np.array([getattr(template, field) == stem for template in self.templates], dtype=bool)
        whole = np.array([getattr(template, field) == text for template in self.templates], dtype=bool)
        if not len(self.templates):
            return np.empty(0, dtype=np.int64)
        templates, numbers = self.table["template"], self.table[number]
        match = whole[templates] & (numbers < 0)
        if n >= 0:
            match |= stems[templates] & (numbers == n)
        return np.flatnonzero(match)

    def indexes(self, event_id: str) -> np.ndarray:
        """The indexes of the events with this id (one, unless a dataset says otherwise)."""
        found = self._matching(event_id, "stem", split_id(event_id), "n")
        if not len(found):
            raise UnknownName(f"no event with the id {event_id!r} in this history{self._some_ids()}")
        return found

    def with_key(self, key: str) -> np.ndarray:
        """The indexes of the events with this key."""
        found = self._matching(key, "key_stem", split_key(key), "key")
        if not len(found):
            raise UnknownName(f"no event with the key {key!r} in this history{self._some_ids()}")
        return found

    def index(self, event_id: str) -> int:
        """The index of the event with this id."""
        return int(self.indexes(event_id)[0])

    def _some_ids(self) -> str:
        if not self.event_count:
            return ", which has no events at all"
        shown = min(self.event_count, SHOWN)
        ids = ", ".join(f"{self.id_of(i)} (key {self.key_of(i)})" for i in range(shown))
        return f"; it begins with {ids}"

    def about(self, name: str) -> np.ndarray:
        """The indexes of the events that this name is about: an event's id, a key, or a correlation id."""
        by_key = self._matching(name, "key_stem", split_key(name), "key")
        by_id = self._matching(name, "stem", split_id(name), "n")
        correlation = self.table["correlation"]
        followers = np.isin(correlation, by_id) if len(by_id) else np.zeros(len(correlation), dtype=bool)
        if name in self._text_codes:
            followers |= correlation == -2 - self._text_codes[name]
        found = np.unique(np.concatenate([by_key, by_id, np.flatnonzero(followers)])).astype(np.int64)
        if not len(found):
            raise UnknownName(f"no event, order or flow called {name!r} in this history{self._some_ids()}")
        return found

    def flow(self, name: str) -> list[str]:
        """The ids of all that belongs to one event or order and all that it caused, causes before effects."""
        members = set(self.about(name).tolist())
        for index, cause in enumerate(self.table["causation"].tolist()):
            if cause in members:
                members.add(index)
        return [self.id_of(index) for index in sorted(members)]

    def story(self, name: str) -> str:
        """One event's or one order's life in plain sentences."""
        return story.tell(self, name)

    # ---------------------------------------------------------------- identity and keeping

    def tables(self) -> dict[str, Any]:
        """What the codes mean, as JSON: the part of a history that is not columns."""
        return {
            "whats": [list(what) for what in self.whats],
            "templates": [list(template) for template in self.templates],
            "texts": self.texts,
            "data": [[index, thaw(data)] for index, data in self.data.items()],
            "notes": thaw(self.notes),
        }

    def digest(self) -> str:
        """64 hexadecimal digits: equal for two histories if and only if they say the same."""
        tables = json.dumps(self.tables(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        digest = hashlib.sha256(self._rows.getvalue())
        digest.update(self._table.getvalue())
        digest.update(tables.encode())
        return digest.hexdigest()

    def save(self, path: str | Path) -> Path:
        """Keep the history in one file; the format is told in ``evsim.archive``."""
        return archive.save(self, path)

    @classmethod
    def load(cls, path: str | Path) -> History:
        """Read a history that was kept; a truncated or foreign file is refused with BadFile and one sentence."""
        return archive.load(path, cls())

    def refill(self, rows: bytes, table: bytes, tables: Mapping[str, Any]) -> History:
        """Fill an empty history from its kept parts (see ``evsim.archive``, which has checked them)."""
        self._rows.write(rows)
        self._table.write(table)
        self.new_event = self._eventer(self.event_count)
        for words in tables["whats"]:
            self.code(*words)
        for words in tables["templates"]:
            self.template(*words)
        for text in tables["texts"]:
            self.reference(text)
        self.data.update(dict(tables["data"]))
        self.notes.extend(tables["notes"])
        return self

    def __repr__(self) -> str:
        return f"History({len(self)} records of {self.event_count} events, digest {self.digest()[:12]})"


EMPTY: Mapping[str, Any] = MappingProxyType({})
_OTHER_STEPS = {
    "skipped", "failed", "dead_lettered", "effect", "dropped", "duplicated", "delayed", "expired", "joined", "left",
    "expelled", "assigned", "revoked", "fenced", "crashed", "restarted", "paused", "resumed", "cut", "healed", "called",
    "answered", "refused", "started", "stopped", "pushed", "requeued", "overflowed", "rejected", "exhausted", "lost",
    "unroutable", "returned", "deduplicated", "missed", "confirmed", "retried", "given_up", "shed", "aborted",
    "committed", "elected", "shrunk", "expanded", "disabled", "enabled", "hit", "miss",
    "loaded", "invalidated", "stale", "conflicted", "asked", "read",
    "compacted", "filled", "skewed", "misversioned", "slowed", "corrupted", "timed_out", "parked", "redriven",
}  # fmt: skip
