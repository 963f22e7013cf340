"""What there is to see of a few events in a window of time: who, where, when; read once, drawn elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from evsim.history import History, Record, What, part_of
from evsim.view.faults import Outage, outages
from evsim.view.ledger import PILES, Ledger, holds, is_partition, log_of, span
from evsim.view.owners import Owning, ownings, rebalances
from evsim.view.series import repeated

LANES_MAX = 12
ARROWS_MAX, OTHERS_MAX, ODD_MAX = 120, 3000, 300
"""With more other events than the first their arrows are left out; with more than the second they are only counted.
Of those that were lost or came again, the first 300 are shown one by one."""
FOCUS_MAX = 8
_OUT = ("crashed", "paused", "cut")
"""In these states a node does nothing; a slow one, or one with a wrong clock, works on."""
GAP = 0.6
"""Between groups of lanes, in lanes."""
NEAR = 4
SLANT = 0.012
"""A delivery is drawn as an arrow of this share of the window, so that it can be seen where it comes from."""


class Hop(NamedTuple):
    """An event on its way from one lane to another."""

    event: int
    start_s: float
    start: str
    end_s: float
    end: str
    kind: str
    """first, again, lost (on the way), refused (on arrival)."""


class Work(NamedTuple):
    """An event in hand, or waiting in a log.

    Its kind: done, again (done once more), cut (off by a crash), skipped (known already), ignored (nothing to do for
    it), open (asked, unanswered), wait.
    """

    event: int
    lane: str
    start_s: float
    end_s: float
    kind: str


class Moment(NamedTuple):
    """Something that takes no time."""

    event: int
    time: float
    lane: str


class Scene:
    """All that the space-time diagram of these events shows. Without ``focus`` it shows all that is in the window."""

    def __init__(self, history: History, focus: Iterable[int], window: tuple[float, float] | None = None) -> None:
        self.history, self.focus = history, set(focus)
        self._focused = np.isin(history.event, list(self.focus))
        self.window = window or self._life()
        self.hops: list[Hop] = []
        self.works: list[Work] = []
        self.commits: list[Moment] = []
        self.effects: list[Moment] = []
        self._published: dict[int, tuple[float, str]] = {}
        self._stored: dict[tuple[int, str], tuple[float, str]] = {}
        self._pushed: dict[tuple[int, str], float] = {}
        self._tries: dict[tuple[int, str], int] = {}
        self._in_hand: dict[str, Work] = {}
        self._asked: dict[tuple[int, str], float] = {}
        self.others, self.others_shown, self.arrows_shown = 0, True, True
        for event, record in self._records():
            reader = getattr(self, f"_on_{record.step}", None)
            if reader is not None:
                reader(event, record)
        self._stop()
        self.groups = self._lanes()
        self.lanes = [lane for _, lanes in self.groups for lane in lanes]

    # ---------------------------------------------------------------- what is looked at

    def _life(self) -> tuple[float, float]:
        """From just before the first to just after the last row of the focus."""
        times = self.history.time[self._focused]
        low, high = (float(times[0]), float(times[-1])) if len(times) else span(self.history)
        sent, life = self.history.of("published").time, high - low
        if len(sent):  # some others come before and after, for comparison
            place, reach = int(np.searchsorted(sent, low)), 6 * life if life else np.inf
            low = max(min(low, float(sent[max(0, place - NEAR)])), low - reach)
            high = min(max(high, float(sent[min(len(sent) - 1, place + NEAR)])), high + reach)
        length = max(high - low, 0.02)
        return max(0.0, low - 0.08 * length), high + 0.12 * length

    def _records(self) -> Iterator[tuple[int, Record]]:
        """The rows of the focus, of all nodes, and of the other events in the window when they are few enough."""
        history, (low, high) = self.history, self.window
        inside = (history.time >= low) & (history.time <= high) & (history.event >= 0)
        near = np.unique(history.event[inside & ~self._focused])
        self.others = len(near)
        self.others_shown, self.arrows_shown = len(near) <= OTHERS_MAX, len(near) <= ARROWS_MAX
        self.again = _inside(repeated(history, "delivered", "skipped"), inside)
        self.lost = _inside(np.flatnonzero(np.isin(history.what, history.codes("dropped", "refused"))), inside)
        odd = history.event[np.concatenate([self.again, self.lost])[:ODD_MAX]]
        wanted = self._focused | (history.event < 0) | np.isin(history.event, near if self.others_shown else odd)
        for row in np.flatnonzero(wanted & (history.time <= high)).tolist():
            yield int(history.event[row]), history.record_at(row)

    # ---------------------------------------------------------------- reading, step by step

    def _on_published(self, event: int, record: Record) -> None:
        self._published[event] = (record.time, record.node)
        if self.history.parts.get(record.place, {}).get("kind") == "service":
            self._asked[event, record.node] = record.time

    def _on_stored(self, event: int, record: Record) -> None:
        start_s, start = self._published.get(event, (record.time, ""))
        log = log_of(record.place)
        again = (event, log) in self._stored
        self._stored.setdefault((event, log), (record.time, record.place))
        if start:
            self.hops.append(Hop(event, start_s, start, record.time, record.place, "again" if again else "first"))

    def _on_pushed(self, event: int, record: Record) -> None:
        self._pushed[event, record.node] = record.time

    def _on_requeued(self, event: int, record: Record) -> None:
        self._stored[event, log_of(record.place)] = (record.time, record.place)

    def _on_dropped(self, event: int, record: Record) -> None:
        start, arrow, end = record.node.partition(">")
        if not arrow:
            start, end = self._published.get(event, (0.0, record.node))[1], record.node
        known = self._published.get(event)
        start_s = known[0] if known is not None and known[1] == start else record.time
        self.hops.append(Hop(event, start_s, start, record.time, end, "lost"))

    def _on_delivered(self, event: int, record: Record) -> None:
        if not holds(self.history, record.place):
            return
        tries = self._arrived(event, record)
        self._in_hand[record.node] = Work(
            event, record.node, record.time, record.time, "again" if tries > 1 else "done"
        )

    def _on_skipped(self, event: int, record: Record) -> None:
        if self._in_hand.pop(record.node, None) is None:
            self._arrived(event, record)
        known = self._tries.get((event, part_of(record.node)), 0) > 1
        self.works.append(Work(event, record.node, record.time, record.time, "skipped" if known else "ignored"))

    def _arrived(self, event: int, record: Record) -> int:
        """Draw the way from the log, and say for the how manieth time the group has this event."""
        low, high = self.window
        since, _ = self._stored.get((event, log_of(record.place)), (record.time, ""))
        tries = self._tries[event, part_of(record.node)] = self._tries.get((event, part_of(record.node)), 0) + 1
        slant_s, came_s = SLANT * (high - low), record.time
        left_s = self._pushed.pop((event, record.node), None)
        if left_s is None:
            left_s = came_s - min(came_s - since, slant_s)
        elif not self._far(record):  # what the broker has sent ahead waits in the member's hand
            came_s = min(came_s, left_s + slant_s)
            self.works.append(Work(event, record.node, came_s, record.time, "wait"))
        self.works.append(Work(event, record.place, since, left_s, "wait"))
        kind = "again" if tries > 1 else "first"
        self.hops.append(Hop(event, left_s, record.place, came_s, record.node, kind))
        return tries

    def _far(self, record: Record) -> bool:
        """Whether a link leads from the broker to this member: then nobody knows when the event came in."""
        ends = (log_of(record.place), part_of(record.node))
        links = [part for part in self.history.parts.values() if part.get("kind") == "link"]
        return any((link.get("start"), link.get("end")) == ends for link in links)

    def _on_handled(self, event: int, record: Record) -> None:
        held = self._in_hand.pop(record.node, None)
        if held is not None:
            self.works.append(held._replace(end_s=record.time))
        self._close(event, record.node, record.time, "open")

    _on_failed = _on_handled

    def _on_crashed(self, event: int, record: Record) -> None:
        held = self._in_hand.pop(record.node, None)
        if held is not None:
            self.works.append(held._replace(end_s=record.time, kind="cut"))

    def _on_acked(self, event: int, record: Record) -> None:
        self.commits.append(Moment(event, record.time, record.node))

    def _on_effect(self, event: int, record: Record) -> None:
        self.effects.append(Moment(event, record.time, record.node))

    def _on_called(self, event: int, record: Record) -> None:
        self.hops.append(Hop(event, record.time, record.place, record.time, record.node, "first"))
        self._asked[event, record.node] = record.time

    def _on_answered(self, event: int, record: Record) -> None:
        self.hops.append(Hop(event, record.time, record.node, record.time, record.place, "first"))
        self._close(event, record.node, record.time, "open")

    def _on_conflicted(self, event: int, record: Record) -> None:
        self.hops.append(Hop(event, record.time, record.node, record.time, record.place, "refused"))
        self._close(event, record.node, record.time, "open")

    def _on_refused(self, event: int, record: Record) -> None:
        self.hops.append(Hop(event, record.time, record.place, record.time, record.node, "refused"))

    def _close(self, event: int, lane: str, time: float, kind: str) -> None:
        """A question was answered, or will not be."""
        since = self._asked.pop((event, lane), None)
        if since is not None:
            self.works.append(Work(event, lane, since, time, kind))

    def _stop(self) -> None:
        """What still goes on at the end of the window."""
        end = self.window[1]
        self.works += [held._replace(end_s=end) for held in self._in_hand.values()]
        self.works += [Work(event, lane, since, end, "open") for (event, lane), since in self._asked.items()]

    # ---------------------------------------------------------------- lanes

    def _lanes(self) -> list[tuple[str, list[str]]]:
        """Publishers, the partitions of each log, the members of each group: those of the focus first."""
        groups: dict[tuple[int, str], list[str]] = {}
        for lane in self._candidates()[:LANES_MAX]:
            groups.setdefault(self._group_of(lane), []).append(lane)
        return [
            (name, sorted(lanes, key=natural)) for (_, name), lanes in sorted(groups.items(), key=lambda g: g[0][0])
        ]

    def _candidates(self) -> list[str]:
        """The lanes worth showing, the most important first."""
        low, high = self.window
        seen = [hop for hop in self.hops if hop.end_s >= low and hop.start_s <= high]
        mine = [lane for hop in seen if hop.event in self.focus for lane in (hop.start, hop.end)]
        families = {self._group_of(lane) for lane in mine} | {
            (1, f"log {hop.end}") for hop in seen if hop.event in self.focus
        }
        near = [lane for hop in seen for lane in (hop.start, hop.end)]
        kin = sorted((lane for lane in self._all_lanes() if self._group_of(lane) in families), key=is_partition)
        wanted = dict.fromkeys([*mine, *kin, *(lane for lane in near if self._group_of(lane) in families), *near])
        if not self.arrows_shown and not self.focus:
            wanted = dict.fromkeys(sorted(self._all_lanes(), key=is_partition))
        logs = {name for name, part in self.history.parts.items() if part["kind"] == "log"}
        return [lane for lane in wanted if lane and lane not in logs]

    def _all_lanes(self) -> list[str]:
        whats = self.history.whats
        return list(dict.fromkeys(w.place if is_partition(w.place) and w.step == "stored" else w.node for w in whats
                                  if w.step in {"published", "stored", "joined", "delivered"}))  # fmt: skip

    def _group_of(self, lane: str) -> tuple[int, str]:
        if is_partition(lane):
            return 1, f"log {log_of(lane)}"
        kind = self.history.parts.get(part_of(lane), self.history.parts.get(lane, {})).get("kind")
        if kind in {None, "consumer"} and lane in self._members():
            return 2, f"group {part_of(lane)}"
        if kind in {*PILES, "exchange"}:
            return 1, f"{kind} {lane}"
        if kind == "event_store":
            return 3, f"store {lane}"
        return (3, f"service {lane}") if kind == "service" else (0, "publishers")

    def _members(self) -> set[str]:
        return {what.node for what in self.history.whats if what.step in {"joined", "delivered", "assigned"}}

    @property
    def units(self) -> float:
        """The height of all lanes and the gaps between their groups, in lanes."""
        return max(1, len(self.lanes)) + GAP * max(0, len(self.groups) - 1)

    def heights(self) -> dict[str, float]:
        """Where each lane lies, in lanes from the top."""
        found, y = {}, 0.0
        for _, lanes in self.groups:
            for lane in lanes:
                found[lane] = y
                y += 1.0
            y += GAP
        return found

    def activity(self, bins: int = 176) -> dict[str, np.ndarray]:
        """For each lane how many events it published, stored or got, in equal bins of the window."""
        history, (low, high) = self.history, self.window
        inside = np.flatnonzero((history.time >= low) & (history.time <= high))
        lane_of = np.array([self._lane_number(what) for what in history.whats], dtype=np.int64)[history.what[inside]]
        cell = np.minimum(((history.time[inside] - low) * (bins / (high - low))).astype(np.int64), bins - 1)
        wanted = lane_of >= 0
        counts = np.bincount(lane_of[wanted] * bins + cell[wanted], minlength=len(self.lanes) * bins)
        return dict(zip(self.lanes, counts.reshape(-1, bins), strict=True))

    def _lane_number(self, what: What) -> int:
        lane = what.place if what.step == "stored" else what.node
        wanted = what.step in {"published", "stored", "delivered", "called"} and lane in self.lanes
        return self.lanes.index(lane) if wanted else -1

    # ---------------------------------------------------------------- what befell the lanes

    def outages(self) -> list[Outage]:
        """When a lane of the figure was down or paused."""
        low, high = self.window
        end = max(high, span(self.history)[1])
        found = [o for o in outages(self.history, end) if o.node in self.lanes and o.step in _OUT]
        return [outage for outage in found if outage.end_s >= low and outage.start_s <= high]

    def consumers(self) -> list[str]:
        """The groups whose members have a lane."""
        groups = {part_of(lane) for lane in self.lanes} | set(self.lanes)
        ledger = Ledger(self.history)
        return [name for name in ledger.each(None) if name in groups]

    def ownings(self) -> list[tuple[str, float, float, list[str]]]:
        """Member, from when, until when, and which partitions it owned."""
        low, high = self.window
        alike: dict[tuple[str, float, float], list[str]] = {}
        for group in self.consumers():
            owned: list[Owning] = ownings(self.history, group, max(high, span(self.history)[1]))
            for member, place, start, end in owned:
                if end >= low and start <= high and member in self.lanes:
                    alike.setdefault((member, start, end), []).append(place)
        return [(*key, sorted(places, key=natural)) for key, places in alike.items()]

    def rebalances(self) -> list[tuple[str, float, float]]:
        """Group, from when, until when it was sharing its partitions out anew."""
        low, high = self.window
        found = [(group, *band) for group in self.consumers() for band in rebalances(self.history, group)]
        return [(group, start, end) for group, start, end in found if end >= low and start <= high]


def _inside(rows: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    return rows[wanted[rows]]


def natural(name: str) -> tuple[str, int]:
    """Sorts ``billing-2`` before ``billing-10``."""
    stem = name.rstrip("0123456789")
    return stem, int(name[len(stem) :] or 0)
