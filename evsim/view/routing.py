"""Who got what: how many events of each publisher came to each place, and how many found no way at all."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from evsim.history import History
from evsim.names import part_of

NOWHERE = "unroutable"


class Routing(NamedTuple):
    """Counts by publisher (rows) and by where its events came to (columns); ``published`` is how many there were."""

    sources: list[str]
    places: list[str]
    counts: np.ndarray
    published: np.ndarray

    @property
    def unroutable(self) -> int:
        """How often an event found no way."""
        return int(self.counts[:, self.places.index(NOWHERE)].sum()) if NOWHERE in self.places else 0


def routing(history: History) -> Routing:
    """Where the events of each publisher came to: the places that stored them, else those whom they were handed to."""
    sources, source_of = _sources(history)
    columns: dict[str, int] = {}
    column_of = np.full(len(history.whats), -1)
    for code, what in enumerate(history.whats):
        place = _place(history, what.step, what.node, what.place)
        if place is not None:
            column_of[code] = columns.setdefault(place, len(columns))
    counts = np.zeros((len(sources), len(columns)), dtype=np.int64)
    published = np.zeros(len(sources), dtype=np.int64)
    if history.event_count:
        of_event = source_of[history.table["template"]]
        rows = (
            np.flatnonzero((column_of[history.what] >= 0) & (history.event >= 0)) if len(history) else np.zeros(0, int)
        )
        np.add.at(counts, (of_event[history.event[rows]], column_of[history.what[rows]]), 1)
        np.add.at(published, of_event, 1)
    if NOWHERE in columns and not counts[:, columns[NOWHERE]].any():
        del columns[NOWHERE]
    order = sorted(columns, key=lambda name: (name == NOWHERE, [*history.parts, name].index(name)))
    return Routing(sources, order, counts[:, [columns[name] for name in order]], published)


def _sources(history: History) -> tuple[list[str], np.ndarray]:
    """A name for each publisher, or for each type where it publishes several; and which one a template belongs to."""
    templates = history.templates
    types: dict[str, set[str]] = {}
    for template in templates:
        types.setdefault(template.source, set()).add(template.type)
    names = [each.source if len(types[each.source]) == 1 else f"{each.source} {each.type}" for each in templates]
    known = list(dict.fromkeys(names))
    return known, np.array([known.index(name) for name in names], dtype=np.int64)


def _place(history: History, step: str, node: str, place: str) -> str | None:
    if step == NOWHERE:
        return NOWHERE
    if step == "stored":
        return place.rpartition("/")[0] or place
    kept = history.parts.get(place, {})
    if step == "pushed" and kept.get("kind") == "pubsub" and not kept.get("stream"):
        return part_of(node)
    return None
