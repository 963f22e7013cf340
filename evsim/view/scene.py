"""What there is to see of a few events in a window of time: who, where, when; read once, drawn elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from evsim.history import part_of

if TYPE_CHECKING:
    from evsim.history import History, Record

LANES_MAX = 14
OTHERS_MAX = 400
STEPS_MAX = 6
_WORK_ENDS = {"handled", "failed"}


class Hop(NamedTuple):
    """An event on its way from one lane to another; ``end`` is where it was lost when there is no ``to``."""

    event: int
    start_s: float
    start: str
    end_s: float
    end: str
    kind: str
    """first, again, or lost."""


class Bar(NamedTuple):
    """A stretch of time on a lane: work done, work cut off, work again, waiting, down, paused, owning."""

    event: int
    lane: str
    start_s: float
    end_s: float
    kind: str
    label: str = ""


class Step(NamedTuple):
    """A numbered moment of the story."""

    time: float
    lane: str
    text: str


class Scene:
    """All that the space-time diagram of these events shows."""

    def __init__(self, history: History, focus: np.ndarray, window: tuple[float, float] | None = None) -> None:
        self.history, self.focus = history, set(focus.tolist())
        self.window = window or self._window()
        self.hops: list[Hop] = []
        self.bars: list[Bar] = []
        self.ticks: list[tuple[float, str]] = []
        self.crosses: list[tuple[float, str]] = []
        self.returns: list[tuple[float, str]] = []
        self.steps: list[Step] = []
        self.others = 0
        self._read()
        self.groups = self._lanes()

    # ---------------------------------------------------------------- reading

    def _window(self) -> tuple[float, float]:
        times = self.history.time[np.isin(self.history.event, list(self.focus))]
        low, high = (float(times[0]), float(times[-1])) if len(times) else (0.0, 1.0)
        length = max(high - low, 0.02)
        return max(0.0, low - 0.12 * length), high + 0.18 * length

    def _records(self) -> Iterator[tuple[int, Record]]:
        """The rows that matter: all of the focus, and those of others in the window when they are few enough."""
        history, (low, high) = self.history, self.window
        inside = (history.time >= low) & (history.time <= high)
        focused = np.isin(history.event, list(self.focus))
        touching = np.isin(history.event, np.unique(history.event[inside & (history.event >= 0)]))
        self.others = int(len(np.unique(history.event[touching & ~focused & (history.event >= 0)])))
        chosen = focused | (history.event < 0)
        if self.others <= OTHERS_MAX:
            chosen |= touching
        for row in np.flatnonzero(chosen).tolist():
            yield int(history.event[row]), history.record_at(row)

    def _read(self) -> None:
        memory: dict[str, Any] = {"sent": {}, "stored": {}, "work": {}, "count": {}, "down": {}, "owns": {}}
        for event, record in self._records():
            reader = getattr(self, f"_on_{record.step}", None)
            if reader is not None:
                reader(event, record, memory)
        end = self.window[1]
        for (lane, kind), start in memory["down"].items():
            self.bars.append(Bar(-1, lane, start, end, kind))
        for event, lane, start, again in memory["work"].values():
            self.bars.append(Bar(event, lane, start, end, "again" if again else "done"))
        for lane, (start, places) in memory["owns"].items():
            self.bars.append(Bar(-1, lane, start, end, "owns", " + ".join(places)))
        self._tell()

    def _on_published(self, event: int, record: Record, memory: Any) -> None:
        memory["sent"][event] = (record.time, record.node)

    def _on_stored(self, event: int, record: Record, memory: Any) -> None:
        start, lane = memory["sent"].get(event, (record.time, record.place))
        again = event in memory["stored"]
        memory["stored"][event] = (record.time, record.place)
        self.hops.append(Hop(event, start, lane, record.time, record.place, "again" if again else "first"))

    def _on_dropped(self, event: int, record: Record, memory: Any) -> None:
        if event in memory["sent"]:
            start, lane = memory["sent"][event]
            self.hops.append(Hop(event, start, lane, start, record.node.partition(">")[2], "lost"))

    def _on_delivered(self, event: int, record: Record, memory: Any) -> None:
        group = part_of(record.node)
        tries = memory["count"][event, group] = memory["count"].get((event, group), 0) + 1
        if event in memory["stored"]:
            since, place = memory["stored"][event]
            self.bars.append(Bar(event, place, since, record.time, "wait"))
            self.hops.append(Hop(event, record.time, place, record.time, record.node, "again" if tries > 1 else "first"))
        memory["work"][record.node] = (event, record.node, record.time, tries > 1)

    def _on_handled(self, event: int, record: Record, memory: Any) -> None:
        started = memory["work"].pop(record.node, None)
        if started is not None:
            self.bars.append(Bar(event, record.node, started[2], record.time, "again" if started[3] else "done"))

    _on_failed = _on_handled

    def _on_acked(self, event: int, record: Record, memory: Any) -> None:
        self.ticks.append((record.time, record.node))

    def _on_crashed(self, event: int, record: Record, memory: Any) -> None:
        started = memory["work"].pop(record.node, None)
        if started is not None:
            self.bars.append(Bar(started[0], record.node, started[2], record.time, "cut"))
        memory["down"][record.node, "down"] = record.time
        self.crosses.append((record.time, record.node))

    def _on_restarted(self, event: int, record: Record, memory: Any) -> None:
        start = memory["down"].pop((record.node, "down"), record.time)
        self.bars.append(Bar(-1, record.node, start, record.time, "down"))
        self.returns.append((record.time, record.node))

    def _on_paused(self, event: int, record: Record, memory: Any) -> None:
        memory["down"][record.node, "paused"] = record.time

    def _on_resumed(self, event: int, record: Record, memory: Any) -> None:
        start = memory["down"].pop((record.node, "paused"), record.time)
        self.bars.append(Bar(-1, record.node, start, record.time, "paused"))

    def _on_assigned(self, event: int, record: Record, memory: Any) -> None:
        start, places = memory["owns"].get(record.node, (record.time, []))
        memory["owns"][record.node] = (start, [*places, record.place])

    def _on_revoked(self, event: int, record: Record, memory: Any) -> None:
        start, places = memory["owns"].pop(record.node, (record.time, []))
        if places:
            self.bars.append(Bar(-1, record.node, start, record.time, "owns", " + ".join(places)))

    _on_expelled = _on_revoked

    # ---------------------------------------------------------------- lanes and story

    def _lanes(self) -> list[tuple[str, list[str]]]:
        """Publishers, the partitions of each log, the members of each group: those of the focus, then others."""
        low, high = self.window
        near = [hop for hop in self.hops if hop.event in self.focus or (hop.end_s >= low and hop.start_s <= high)]
        near.sort(key=lambda hop: hop.event not in self.focus)
        lanes = list(dict.fromkeys(lane for hop in near for lane in (hop.start, hop.end)))
        for lane in [bar.lane for bar in self.bars if bar.event in self.focus]:
            if lane not in lanes:
                lanes.append(lane)
        shown = lanes[:LANES_MAX]
        starts = {hop.start for hop in self.hops}
        places = {hop.start for hop in self.hops if "/" in hop.start} | {hop.end for hop in self.hops if "/" in hop.end}
        groups: dict[str, list[str]] = {}
        for lane in sorted(shown, key=_natural):
            if lane in places:
                name = lane.rpartition("/")[0]
            elif self.history.parts.get(lane, {}).get("kind") == "publisher" or (lane in starts and lane not in self._members()):
                name = "publishers"
            else:
                name = part_of(lane) if lane not in self.history.parts else lane
            groups.setdefault(name, []).append(lane)
        ranks = {name: (0 if name == "publishers" else 1 if lanes[0] in places else 2) for name, lanes in groups.items()}
        return sorted(groups.items(), key=lambda group: ranks[group[0]])

    def _members(self) -> set[str]:
        return {bar.lane for bar in self.bars if bar.kind in {"done", "again", "cut", "owns", "down", "paused"}}

    def _tell(self) -> None:
        """At most six moments of the story of the focus."""
        rows = np.flatnonzero(np.isin(self.history.event, list(self.focus)))
        records = [self.history.record_at(row) for row in rows.tolist()]
        nodes = {record.node for record in records}
        low, high = self.window
        crashes = [r for r in self.history.of(("crashed", "paused", "resumed", "restarted"), from_s=low, to_s=high) if r.node in nodes]
        seen: dict[tuple[str | None, str], int] = {}
        steps = []
        for record in sorted([*records, *crashes], key=lambda record: record.time):
            count = seen[record.event_id, record.step] = seen.get((record.event_id, record.step), 0) + 1
            told = _sentence(record, count)
            if told:
                lane = record.place if record.step == "stored" else record.node
                steps.append((told[0], Step(record.time, lane, told[1])))
        while len(steps) > STEPS_MAX:
            steps.remove(max(steps, key=lambda step: step[0]))
        self.steps = [step for _, step in steps]


def _natural(name: str) -> tuple[str, int]:
    stem = name.rstrip("0123456789")
    return stem, int(name[len(stem) :] or 0)


def _sentence(record: Record, count: int) -> tuple[int, str] | None:
    """How important a record is (0 most) and what it says; None for what a picture shows well enough."""
    about, where = record.event_id, record.place
    match record.step:
        case "published":
            return 1, f"{record.node} publishes {about}"
        case "stored":
            return 3 if count == 1 else 0, f"{where} stores it{' again' if count > 1 else ''}, offset {record.number}"
        case "delivered":
            return 2 if count == 1 else 0, f"{record.node} receives {about}{' again' if count > 1 else ''}"
        case "handled":
            return 2 if count == 1 else 1, f"{record.node} has handled {about}"
        case "acked":
            return 4, f"{record.node} acknowledges {about}"
        case "dropped":
            return 0, f"{about} is lost on {record.node}"
        case "crashed":
            return 0, f"{record.node} crashes"
        case "restarted":
            return 3, f"{record.node} is back"
        case "paused":
            return 1, f"{record.node} freezes"
        case "resumed":
            return 3, f"{record.node} goes on"
        case "skipped":
            return 2, f"{record.node} skips {about}"
    return None
