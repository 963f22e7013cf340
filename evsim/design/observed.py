"""A run beside its design: what was designed and never seen, seen and never designed, and where a story has gaps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evsim.design.rules_states import BIRTH
from evsim.errors import BadEvent

if TYPE_CHECKING:
    from evsim.design.catalogue import EventCatalogue
    from evsim.history import History

Edge = tuple[str, str]
OUTSIDE = "outside"
"""The cause of what has no cause in the history."""


@dataclass(frozen=True)
class Jump:
    """An event that came where it cannot come: something before it was never told, or it was told twice."""

    entity: str
    key: str
    state: str
    event: str
    type: str
    again: bool = False
    """Whether the thing was already where this event leads to."""

    def __str__(self) -> str:
        if self.again:
            return f"{self.key}: {self.type} ({self.event}) said again what was known"
        return f"{self.key}: {self.type} ({self.event}) came when it was {self.state or 'not born'}"


@dataclass(frozen=True, repr=False)
class Comparison:
    """A design and a run. Edges lead from cause to effect; from an actor, the run knows only that it was outside."""

    name: str
    seen: Mapping[str, int]
    """How often each type was seen."""
    edges: Mapping[Edge, int]
    """How often each cause led to each effect."""
    never_seen: tuple[str, ...]
    never_designed: tuple[str, ...]
    edges_never_seen: tuple[Edge, ...]
    edges_never_designed: tuple[Edge, ...]
    misfits: Mapping[str, tuple[int, str]]
    """Types whose payload was not as designed: how often, and the first reason."""
    jumps: tuple[Jump, ...]
    states: Mapping[str, Mapping[str, int]]
    """Of each thing, how many were in each state at the end, as the events tell it."""

    @property
    def ok(self) -> bool:
        """Whether the run did nothing but what was designed; what was not seen may come another day."""
        return not (self.never_designed or self.edges_never_designed or self.misfits or self.jumps)

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        events = sum(self.seen.values())
        lines = [f"{self.name}: {len(self.seen)} types in {events} events, {'as' if self.ok else 'not as'} designed"]
        lines += [f"  ✗ never designed  {name}, seen {_times(self.seen[name])}" for name in self.never_designed]
        new = [edge for edge in self.edges_never_designed if not {*edge} & {*self.never_designed}]
        lines += [f"  ✗ never designed  {start} → {end}, seen {_times(self.edges[start, end])}" for start, end in new]
        lines += [f"  ✗ payload         {name}, {_times(times)}: {why}" for name, (times, why) in self.misfits.items()]
        kinds = Counter((jump.again, jump.entity, jump.state, jump.type) for jump in self.jumps)
        lines += [
            f"  ✗ {'told again' if again else 'gap':<14}  {entity} {state or 'not born'}, then {name}, {_times(times)}"
            for (again, entity, state, name), times in kinds.items()
        ]
        lines += [f"  · never seen      {name}" for name in self.never_seen]
        silent = [edge for edge in self.edges_never_seen if not {*edge} & {*self.never_seen}]
        lines += [f"  · never seen      {start} → {end}" for start, end in silent]
        lines += [
            f"  {entity} at the end: {', '.join(f'{number} {state}' for state, number in counts.items())}"
            for entity, counts in self.states.items()
        ]
        return "\n".join(lines)


def compare(catalogue: EventCatalogue, history: History) -> Comparison:
    """Set what was designed beside what was seen."""
    seen, edges = observed(history)
    designed = {
        (cause if cause in catalogue or "." in cause else OUTSIDE, entry.type): None
        for entry in catalogue.types
        for cause in entry.caused_by
    }
    jumps, states = _followed(catalogue, history)
    return Comparison(
        catalogue.name,
        seen,
        edges,
        tuple(name for name in catalogue.names if name not in seen),
        tuple(name for name in seen if name not in catalogue),
        tuple(edge for edge in designed if edge not in edges),
        tuple(edge for edge in edges if edge not in designed),
        _misfits(catalogue, history),
        jumps,
        states,
    )


def observed(history: History) -> tuple[dict[str, int], dict[Edge, int]]:
    """How often each type was seen, and how often each type led to each other, in order of first sight."""
    names = [template.type for template in history.templates]
    own = history.table["template"].astype(np.int64)
    causation = history.table["causation"].astype(np.int64)
    before = np.where(causation >= 0, own[np.maximum(causation, 0)], -1) if len(own) else own
    foreign, place = np.unique(causation, return_inverse=True)
    if len(foreign) and foreign[0] < -1:  # causes that were known by their names only, when their effects were written
        indexes = {history.id_of(index): index for index in range(len(own))}
        named = [indexes.get(history._reference_of(code) or "", -1) if code < -1 else -1 for code in foreign.tolist()]
        index = np.array(named)[place]
        before = np.where(index >= 0, own[np.maximum(index, 0)], before)
    seen: Counter[str] = Counter()
    for template, times in _counted(own):
        seen[names[template]] += times
    edges: Counter[Edge] = Counter()
    for pair, times in _counted((before + 1) * (len(names) + 1) + own):
        cause, effect = divmod(pair, len(names) + 1)
        edges[names[cause - 1] if cause else OUTSIDE, names[effect]] += times
    return dict(seen), dict(edges)


def _counted(values: np.ndarray) -> list[tuple[int, int]]:
    found, first, times = np.unique(values, return_index=True, return_counts=True)
    order = np.argsort(first)
    return list(zip(found[order].tolist(), times[order].tolist(), strict=True))


def _misfits(catalogue: EventCatalogue, history: History) -> dict[str, tuple[int, str]]:
    registry = catalogue.registry()
    known = set(registry.types)
    found: dict[str, tuple[int, str]] = {}
    for event in history.events:
        if event.type not in known:
            continue
        try:
            registry.read(event)
        except BadEvent as problem:
            times, why = found.get(event.type, (0, str(problem).partition(": ")[2].partition(";")[0]))
            found[event.type] = (times + 1, why)
    return found


def _followed(catalogue: EventCatalogue, history: History) -> tuple[tuple[Jump, ...], dict[str, dict[str, int]]]:
    """Follow every thing through its states, event by event, as somebody would who rebuilds it.

    In the order in which the history came to know them: timestamps are somebody's clock.
    """
    moving = {
        entry.type: (entity.name, entry)
        for entry in catalogue.types
        if entry.moves and (entity := catalogue.entity_of(entry)) is not None
    }
    at: dict[tuple[str, str], str] = {}
    jumps: list[Jump] = []
    for index in range(history.event_count):
        name, entry = moving.get(history.type_of(index), ("", None))
        if entry is None:
            continue
        key = history.key_of(index) or history._reference_of(history.root_of(index)) or ""
        here = at.get((name, key), BIRTH)
        if here not in (entry.before or (BIRTH,)):
            jumps.append(Jump(name, key, here, history.id_of(index), entry.type, here == entry.after))
        at[name, key] = entry.after
    counts = {
        name: Counter(state for (entity, _), state in at.items() if entity == name) for name in catalogue.entities
    }
    return tuple(jumps), {
        name: {state: counts[name][state] for state in entity.states if counts[name][state]}
        for name, entity in catalogue.entities.items()
    }


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")
