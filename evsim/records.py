"""Some rows of a history, as words and as columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from evsim.history import History

SHOWN = 8
"""So many rows are shown before the rest is counted."""


class Record(NamedTuple):
    """One row of a history, in words."""

    time: float
    step: str
    node: str
    place: str
    event_id: str | None
    number: int


class Records:
    """Some rows of a history, as columns of their own."""

    def __init__(self, history: History, rows: np.ndarray) -> None:
        self.history = history
        self.rows = rows

    @property
    def time(self) -> np.ndarray:
        """When, in seconds."""
        return self.history.time[self.rows]

    @property
    def what(self) -> np.ndarray:
        """The codes of step, node and place."""
        return self.history.what[self.rows]

    @property
    def event(self) -> np.ndarray:
        """The indexes of the events."""
        return self.history.event[self.rows]

    @property
    def number(self) -> np.ndarray:
        """The numbers."""
        return self.history.number[self.rows]

    def nodes(self) -> list[str]:
        """The names of the nodes, in order of first appearance."""
        return list(dict.fromkeys(self.history.whats[code].node for code in self.what.tolist()))

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Record]:
        return (self.history.record_at(row) for row in self.rows.tolist())

    def __getitem__(self, position: int) -> Record:
        return self.history.record_at(int(self.rows[position]))

    def __repr__(self) -> str:
        lines = [_line(self[position]) for position in range(min(len(self), SHOWN))]
        more = len(self) - len(lines)
        return "\n".join([*lines, *([f"… and {more} more"] if more > 0 else [])]) or "no records"


def _line(record: Record) -> str:
    place = f" at {record.place}" if record.place else ""
    about = f"  {record.event_id}" if record.event_id else ""
    return f"{record.time:12.6f} s  {record.step:<11} {record.node}{place}{about}"
