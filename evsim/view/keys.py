"""What an event is about, for promises *per key*: its key, else the flow it belongs to, else itself.

Labels are whole numbers, so that a million events are compared at once; ``text`` gives the words back.
"""

from __future__ import annotations

import numpy as np

from evsim.history import History, split_key
from evsim.view.ledger import Whole

_TEXT = -(1 << 40)
_SHIFT = 33


class Keys:
    """The label of every event of a history, and of keys that notes name."""

    def __init__(self, history: History) -> None:
        self.history = history
        self._stems: dict[str, int] = {}
        self._indexes = _indexes_of_texts(history)
        table = history.table
        stems = np.array(
            [0 if t.key_stem is None else self._stem(t.key_stem) for t in history.templates], dtype=np.int64
        )
        stem = stems[table["template"]]
        self.causes = self._resolved(table["causation"])
        roots = self._resolved(table["correlation"])
        roots = np.where(roots == -1, np.arange(len(table)), roots)
        flow = np.where(roots >= 0, -1 - roots, _TEXT + roots)
        self.keyed = stem > 0
        self.labels: Whole = np.where(self.keyed, (stem << _SHIFT) + table["key"] + 1, flow)
        self.causes[self.causes < -1] = -1

    def _stem(self, stem: str) -> int:
        return self._stems.setdefault(stem, len(self._stems) + 1)

    def _resolved(self, references: Whole) -> Whole:
        """Causes that are known by name only, as indexes where the history has the event."""
        found = references.astype(np.int64)
        named = np.flatnonzero(found <= -2)
        if len(named):
            index = self._indexes[-2 - found[named]]
            found[named] = np.where(index >= 0, index, found[named])
        return found

    def label_of(self, key: str) -> int:
        """The label of a key."""
        stem, number = split_key(key)
        return (self._stem(stem or "") << _SHIFT) + number + 1

    def text(self, label: int) -> str:
        """The key, or the id of the event or flow, that a label stands for."""
        if label <= _TEXT:
            return self.history.texts[_TEXT - 2 - label]
        if label < 0:
            return self.history.id_of(-1 - label)
        stem, number = list(self._stems)[(label >> _SHIFT) - 1], (label & ((1 << _SHIFT) - 1)) - 1
        return stem if number < 0 else f"{stem}-{number}"

    def noun(self, labels: Whole) -> str:
        """What these labels are called: ``order`` when all keys are like ``order-3``, else ``key``."""
        stems = np.unique(labels[labels >= 0] >> _SHIFT).tolist()
        if not stems or bool((labels < 0).any()):
            return "message" if not stems else "key"
        return list(self._stems)[stems[0] - 1] if len(stems) == 1 else "key"


def _indexes_of_texts(history: History) -> Whole:
    """For each cause that is known by name the index of the event with this id, or -1."""
    found = np.full(len(history.texts), -1, dtype=np.int64)
    if history.texts:
        codes = {text: code for code, text in enumerate(history.texts)}
        for index in range(history.event_count - 1, -1, -1):
            code = codes.get(history.id_of(index))
            if code is not None:
                found[code] = index
    return found
