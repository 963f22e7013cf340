"""One event's or one order's life, told in plain sentences from the history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from evsim.names import part_of

if TYPE_CHECKING:
    from evsim.history import History, Record

LINES_MAX = 200
_SENTENCES = {
    "published": "{node} published {type} {id}{key} to {place}",
    "stored": "{log} stored {id} in {place} at offset {number}",
    "delivered": "{node} received {id} from {place}{again}",
    "handled": "{node} handled {id}{took}",
    "saved": "{node} saved its state after {id}",
    "sent": "{node} sent what followed from {id}",
    "acked": "{node} acknowledged {id}: the group now stands at offset {next} of {place}",
    "skipped": "{node} skipped {id}: nothing to do for it",
    "failed": "{node} failed on {id}",
    "dead_lettered": "{node} put {id} aside in {place}",
    "parked": "{node} gave {id} up{why}",
    "retried": "{node} tried {id} again",
    "timed_out": "{node} no longer waited for {place} about {id}",
    "corrupted": "{id} was damaged on the way, {node}",
    "pushed": "{node} was sent {id} from {place}",
    "requeued": "{id} went back into {place}",
    "rejected": "{place} let {id} go: it was rejected",
    "exhausted": "{place} gives {id} out no more: it had been delivered too often",
    "overflowed": "{place} let {id} go: it was full",
    "lost": "{id} was lost from {place}",
    "confirmed": "{place} confirmed {id} to {node}",
    "given_up": "{node} gave {id} up: {place} had not confirmed it in time",
    "shed": "{node} did not send {id}: too much was waiting",
    "unroutable": "{node} had nowhere to send {id}",
    "missed": "{node} missed {id}: it was not listening",
    "deduplicated": "{place} knew {id} already",
    "dropped": "{id} was lost on the way, {node}",
    "duplicated": "{id} was doubled on the way, {node}",
    "delayed": "{id} was held up on the way, {node}",
    "expired": "{log} deleted {id} before {node} had read it: retention had passed",
    "compacted": "{log} let go of {id} before {node} had read it: a later event has the same key",
    "fenced": "{node} was refused: its acknowledgement of {place} came from an old generation",
    "called": "{node} was called by {place} for {id}",
    "answered": "{node} answered {place} about {id}",
    "conflicted": "{node} told {place} that it met a conflict: the stream had moved on since {id} was decided",
    "refused": "{node} could not answer {place} about {id}: not available",
    "hit": "{node} knew the answer about {id}",
    "miss": "{node} did not know the answer about {id}",
    "stale": "{node} did not know that its answer about {id} was outdated",
    "loaded": "{node} heard the answer about {id} from {place}",
    "invalidated": "{node} forgot what {id} had changed",
    "asked": "{node} asked {place} about {id}",
    "read": "{node} was answered by {place}, and looked for {id}",
    "crashed": "{node} crashed",
    "restarted": "{node} came back",
    "paused": "{node} froze",
    "filled": "the disk of {node} was full",
    "skewed": "the clock of {node} went wrong",
    "misversioned": "{node} began to claim another version of its schema",
    "resumed": "{node} went on",
    "cut": "the link {node} was cut",
    "healed": "the link {node} was whole again",
    "revoked": "{node} gave up {place}",
    "assigned": "{place} was given to {node}",
    "expelled": "{node} was taken for dead and put out of its group",
}
_ASKED = {
    "published": "{node} has a request: {type} {id}{key}",
    "delivered": "{node} asks {place} about {id}, and waits",
    "handled": "{node} has the answer about {id}{took}",
    "failed": "{node} gets no answer about {id}",
}
"""How the same steps read for one who asks a service and waits."""
_COPIES = {
    "stored": "{log} stored {id}",
    "acked": "{place} knows that {node} is done with {id}",
}
"""How the same steps read where each message is acknowledged by itself, and there is no offset."""
_STREAMS = {
    "stored": "{node} stored {id} in {stream} as version {number}",
    "lost": "{node} lost {id}, version {number} of {stream}",
    "deduplicated": "{node} knew {id} already, and stored it once",
    "called": "{node} began to work for {place} on {id}",
}
"""How the same steps read where events lie in streams."""
_AROUND = ("crashed", "restarted", "paused", "resumed", "expelled", "assigned")

_LEAST_FIRST = ("stored", "pushed", "saved", "sent", "resumed", "skipped", "assigned", "handled", "acked", "restarted")
"""What a short story leaves out first."""


def tell(history: History, name: str) -> str:
    """The life of the event, order or flow called ``name``, a sentence a line, in order of time."""
    ids = history.about(name)
    mask = np.isin(history.event, ids)
    rows = np.flatnonzero(mask)
    if len(rows):
        rows = np.union1d(rows, _around(history, rows))
    teller = _Teller(history)
    lines = [teller.line(row) for row in rows.tolist()[:LINES_MAX]]
    if len(rows) > LINES_MAX:
        lines.append(f"… and {len(rows) - LINES_MAX} more records")
    return "\n".join(line for line in lines if line) or f"nothing was recorded about {name}"


def brief(history: History, names: list[str], most: int) -> str:
    """The same for several names, in at most ``most`` lines: what tells most is kept."""
    mask = np.isin(history.event, [index for name in names for index in history.about(name)])
    rows = np.flatnonzero(mask)
    if not len(rows):
        return ""
    rows = np.union1d(rows, _around(history, rows))
    teller = _Teller(history)
    told = [(row, teller.line(row), history.whats[int(history.what[row])].step) for row in rows.tolist()]
    for step in _LEAST_FIRST:
        if len(told) <= most:
            break
        told = [each for each in told if each[2] != step]
    lines = [line for _, line, _ in told]
    if len(lines) <= most:
        return "\n".join(lines)
    half = most // 2
    left_out = len(lines) - most + 1
    return "\n".join([*lines[: most - half - 1], f"… {left_out} more lines …", *lines[-half:]])


def _around(history: History, rows: np.ndarray) -> np.ndarray:
    """What befell the nodes of this story while it went on: crashes, pauses, changes of ownership."""
    touched = [history.whats[code] for code in np.unique(history.what[rows]).tolist()]
    nodes, places = {what.node for what in touched}, {what.place for what in touched}
    codes = [
        code
        for code, what in enumerate(history.whats)
        if what.step in _AROUND and (what.node in nodes if what.step != "assigned" else what.place in places)
    ]
    first, last = rows[0], rows[-1]
    between = np.arange(first, last + 1)
    return between[np.isin(history.what[first : last + 1], codes)]


class _Teller:
    """Keeps in mind what it has told, to say *again* and *took*."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.deliveries: dict[tuple[int, str], int] = {}
        self.began: dict[tuple[int, str], float] = {}

    def line(self, row: int) -> str:
        record = self.history.record_at(row)
        event = int(self.history.event[row])
        broker = self.history.parts.get(record.place.partition("/")[0], {}).get("kind", "log")
        kind = self.history.parts.get(record.place, {}).get("kind")
        asked = kind in {"service", "cache"}
        alone = broker != "log" or self._shares(record)
        stream = self.history.parts.get(record.node, {}).get("kind") == "event_store"
        told = _ASKED.get(record.step) if asked else _COPIES.get(record.step) if alone else None
        told = _STREAMS.get(record.step, told) if stream else told
        sentence = self.effect(record) if record.step == "effect" else told or _SENTENCES.get(record.step)
        if record.step == "shed" and self._is_consumer(record):
            sentence = "{node} did not handle {id}: it had waited too long"
        if record.step == "retried" and kind and not asked and self._reads_elsewhere(record):
            sentence = "{node} put {id} into {place}, to be tried again later"
        if record.step == "healed" and ">" not in record.node:
            sentence = "{node} was well again"
        if sentence is None:
            sentence = "{node}: {step} {id}"
        key = self.history.key_of(event) if event >= 0 else None
        words = {
            "node": record.node,
            "place": record.place,
            "step": record.step,
            "log": record.place.rpartition("/")[0] or record.node,
            "stream": record.place.partition(":")[2],
            "number": record.number,
            "next": record.number + 1,
            "id": record.event_id or "",
            "type": self.history.type_of(event) if event >= 0 else "",
            "key": f" (key {key})" if key else "",
            "again": self.again(record, event),
            "took": self.took(record, event),
            "why": self.why(record),
        }
        return f"{record.time:10.3f} s  {sentence.format(**words)}"

    def _shares(self, record: Record) -> bool:
        """Whether this is a member of a share group, which acknowledges one by one."""
        part = self.history.parts.get(record.node) or self.history.parts.get(part_of(record.node), {})
        return record.step == "acked" and bool(part.get("share"))

    def _reads_elsewhere(self, record: Record) -> bool:
        """Whether this is a consumer, and of another place."""
        return self._is_consumer(record) and self._part(record).get("of") != record.place

    def _is_consumer(self, record: Record) -> bool:
        return bool(self._part(record).get("kind") == "consumer")

    def _part(self, record: Record) -> Mapping[str, Any]:
        parts: Mapping[str, Mapping[str, Any]] = self.history.parts
        return parts.get(record.node) or parts.get(part_of(record.node), {})

    def why(self, record: Record) -> str:
        note = self.history.notes[record.number] if record.step == "parked" and record.number >= 0 else {}
        return f" after {_times(note['attempts'])}: {note['reason']}" if note else ""

    def effect(self, record: Record) -> str:
        note = self.history.notes[record.number] if record.number >= 0 else {}
        facts = ", ".join(f"{name} {value}" for name, value in note.items())
        text = f"{record.place}{f' ({facts})' if facts else ''}".replace("{", "{{").replace("}", "}}")
        return f"{{node}} did it in the outside world: «{text}», for {{id}}"

    def again(self, record: Record, event: int) -> str:
        if record.step != "delivered":
            return ""
        group = record.node.rpartition("-")[0] or record.node
        count = self.deliveries[event, group] = self.deliveries.get((event, group), 0) + 1
        self.began[event, record.node] = record.time
        return f" again: delivery {count}" if count > 1 else ""

    def took(self, record: Record, event: int) -> str:
        began = self.began.get((event, record.node))
        if record.step != "handled" or began is None:
            return ""
        return f" in {1000 * (record.time - began):.3g} ms"


def _times(attempts: int) -> str:
    return "one attempt" if attempts == 1 else f"{attempts} attempts"
