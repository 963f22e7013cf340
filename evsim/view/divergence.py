"""How far copies are from their source: about how many rows they differ, at each moment, from the history."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evsim.errors import UnknownName, did_you_mean
from evsim.history import History
from evsim.view.ledger import Floats, Whole

_NONE = object()


class Divergence(NamedTuple):
    """How many keys differ, from each of these times on, for one copy."""

    copy: str
    time: Floats
    rows: Whole

    @property
    def most(self) -> int:
        """The most keys that ever differed."""
        return int(self.rows.max(initial=0))

    @property
    def left(self) -> int:
        """How many differ in the end."""
        return int(self.rows[-1]) if len(self.rows) else 0

    def total(self, end_s: float) -> float:
        """Row-seconds apart, up to this moment: how wrong for how long."""
        times = np.append(self.time, end_s)
        return float(np.sum(np.diff(times) * self.rows)) if len(self.rows) else 0.0


def divergence(history: History, source: str, copy: str, field: str = "version") -> Divergence:
    """Between two effects whose notes say, row by row, what each side has (``key``, and ``field``: None if deleted)."""
    places = {what.place for what in history.whats if what.step == "effect"}
    for effect in (source, copy):
        if effect not in places:
            raise UnknownName(f"no effect called {effect!r} in this run{did_you_mean(effect, sorted(places))}")
    has: dict[str, dict[str, object]] = {source: {}, copy: {}}
    differ: set[str] = set()
    times, counts = [0.0], [0]
    for time, place, note in _effects(history, source, copy):
        key, value = str(note["key"]), note.get(field)
        has[place][key] = _NONE if value is None else value
        apart = has[source].get(key, _NONE) != has[copy].get(key, _NONE)
        (differ.add if apart else differ.discard)(key)
        if counts[-1] != len(differ):
            if times[-1] == time:
                counts[-1] = len(differ)
            else:
                times.append(time)
                counts.append(len(differ))
    return Divergence(copy, np.array(times), np.array(counts, dtype=np.int64))


def _effects(history: History, *places: str) -> list[tuple[float, str, dict[str, object]]]:
    """Time, effect and note of all rows of these effects, in order."""
    wanted = {
        code: what.place for code, what in enumerate(history.whats) if what.step == "effect" and what.place in places
    }
    rows = np.flatnonzero(np.isin(history.what, list(wanted)))
    return [
        (float(history.time[row]), wanted[int(history.what[row])], history.notes[int(history.number[row])])
        for row in rows.tolist()
    ]
