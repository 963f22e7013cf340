"""Whether each event has changed a read model once: not twice, and not never."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evsim.history import History, part_of
from evsim.view.ledger import Whole
from evsim.view.staleness import sides, view_of
from evsim.view.verdict import Verdict


@dataclass(frozen=True)
class AppliedOnce:
    """Every event that a projection is done with was applied exactly once."""

    view: str | None = None

    def judge(self, history: History) -> Verdict:
        """VIOLATED with the first event that was applied again, or passed without being applied; unknown for none."""
        name = "each event is applied to the read model once"
        if self.view is None and not any("projection" in part for part in history.parts.values()):
            return Verdict("unknown", name, ("there is no projection in this run",))
        view = view_of(history, self.view)
        if not sides(history, view).written.any():
            return Verdict("unknown", name, ("nothing was written that it could show",))
        applied = _rows(history, "saved", view)
        times = np.bincount(history.event[applied], minlength=history.event_count)
        if (times > 1).any():
            return _violated(history, view, name, int(np.flatnonzero(times > 1)[0]), applied, "applied it again")
        passed = np.concatenate([_rows(history, step, view) for step in ("acked", "skipped")])
        types = set(history.parts[view].get("on") or history.parts[view].get("types") or ())
        for event in np.unique(history.event[passed[history.event[passed] >= 0]]).tolist():
            if not times[event] and (not types or history.type_of(event) in types):
                return _violated(history, view, name, event, passed, "passed it and has never applied it")
        return Verdict("ok", name)


def _rows(history: History, step: str, view: str) -> Whole:
    codes = [
        code for code, what in enumerate(history.whats) if what.step == step and view in {what.node, part_of(what.node)}
    ]
    return np.flatnonzero(np.isin(history.what, codes))


def _violated(history: History, view: str, name: str, event: int, rows: Whole, what: str) -> Verdict:
    times = tuple(float(history.time[row]) for row in rows if history.event[row] == event)
    moments = " and ".join(f"{time:.3f} s" for time in times)
    line = f"{history.id_of(event)}: {view} {what}, at {moments}"
    return Verdict("VIOLATED", name, (line,), history.key_of(event), (history.id_of(event),), times)


def applied_once(view: str | None = None) -> AppliedOnce:
    """The promise that each event changes a read model once."""
    return AppliedOnce(view)
