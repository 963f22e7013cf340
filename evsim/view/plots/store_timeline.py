"""A stream of an event store: its events, the newest snapshot, and what must be replayed to know its state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from evsim.event import to_rfc3339
from evsim.view.figure import Figure, empty
from evsim.view.words import count, grouped

if TYPE_CHECKING:
    from evsim.store import Repository
    from evsim.view.sheet import Key, Sheet

TOP, CURVE, LANE, GAP = 104, 110, 26, 26
LEFT, RIGHT = 150, 800
SHOWN_MAX, TYPES_MAX, DOTS_MAX = 400, 8, 60
_ALWAYS: tuple[Key, ...] = (("bar", "done", "replayed"),)
_WITH_SNAPSHOT: tuple[Key, ...] = (
    ("diamond", "undo", "newest snapshot"), ("bar", "done", "replayed"), ("bar", "wash_flow", "in the snapshot"),
)  # fmt: skip


class _Way(NamedTuple):
    """A way to get the state: the first version that it replays."""

    name: str
    first: int


def store_timeline(
    repository: Repository, name: str, value: Callable[[Any], float] | None = None, called: str = "state"
) -> Figure:
    """The events of one aggregate, a lane a type, and what must be replayed with its snapshot and without.

    ``value`` takes a number out of the state, ``called`` says what it is; it is drawn above the events. Of a long life
    the last four hundred events are drawn.
    """
    stream, trail = repository.stream(name), list(repository.trail(name))
    if not trail:
        return empty(f"{stream} has no event", "There is nothing to replay.")
    kept = repository.newest_snapshot(name)
    begin, last = trail[0].version, trail[-1].version
    shown = trail[-SHOWN_MAX:]
    types = list(dict.fromkeys(line.event.type for line in shown))[:TYPES_MAX]
    numbers = [float(value(line.state)) for line in shown] if value is not None else []
    ways = [_Way("a load", max(kept + 1, begin))]
    ways += [_Way("without snapshot", begin)] if kept >= begin else []
    high = (CURVE + GAP if numbers else 0) + LANE * (len(types) + len(ways)) + GAP
    claim = f"A load of {stream} replays {grouped(last + 1 - ways[0].first)} of {count(len(trail), 'event')}"
    facts = {
        "events": f"{grouped(len(trail))}, from {to_rfc3339(round(trail[0].event.timestamp, 3))}",
        "snapshot": f"at version {kept}" if kept >= 0 else "none",
    }
    facts |= {way.name: f"replays {_versions(way.first, last)}" for way in ways}
    facts |= {kind: grouped(sum(line.event.type == kind for line in trail)) for kind in types}
    facts |= {called: f"{numbers[-1]:g} at the end"} if numbers else {}
    lanes = _Lanes(types, [(line.version, types.index(line.event.type)) for line in shown if line.event.type in types])

    def draw(sheet: Sheet) -> None:
        span = (shown[0].version - 0.5, last + 0.5)
        top = TOP
        if numbers:
            _draw_state(sheet, top, span, ([line.version for line in shown], numbers), called)
            top += CURVE + GAP
        _draw_events(sheet, top, span, lanes, kept)
        _draw_ways(sheet, top + LANE * len(types) + GAP, span, ways, last)

    drawn = "" if len(shown) == len(trail) else f"; the last {len(shown)} are drawn"
    subtitle = f"The events of {stream} by version, and which of them are replayed to know its state{drawn}."
    keys = _WITH_SNAPSHOT if kept >= begin else _ALWAYS
    return Figure(claim, subtitle, facts, draw, height=TOP + high + 52, keys=keys)


def _versions(first: int, last: int) -> str:
    return f"versions {first} to {last}" if first <= last else "nothing"


class _Lanes(NamedTuple):
    types: Sequence[str]
    places: Sequence[tuple[int, int]]


def _draw_state(
    sheet: Sheet, top: float, span: tuple[float, float], curve: tuple[Sequence[int], Sequence[float]], called: str
) -> None:
    from evsim.view.sheet import plain

    axes = sheet.axes(LEFT, top, RIGHT, top + CURVE)
    axes.step(*curve, where="post", color=sheet.colour["flow"], lw=1.6, zorder=3)
    axes.set_xlim(*span)
    axes.tick_params(labelbottom=False)
    plain(axes.yaxis)
    sheet.name_y(axes, called)


def _draw_events(sheet: Sheet, top: float, span: tuple[float, float], lanes: _Lanes, kept: int) -> None:
    from evsim.view.brush import mark

    axes = sheet.axes(LEFT, top, RIGHT, top + LANE * len(lanes.types), grid="x")
    axes.set_xlim(*span)
    axes.set_ylim(len(lanes.types) - 0.5, -0.5)
    axes.set_yticks(range(len(lanes.types)), lanes.types)
    axes.tick_params(labelbottom=False)
    if len(lanes.places) <= DOTS_MAX:
        mark(sheet, axes, lanes.places, "o", "flow", 7)
    else:
        for version, lane in lanes.places:
            axes.vlines(version, lane - 0.3, lane + 0.3, color=sheet.colour["flow"], lw=1.1, zorder=3)
    if kept > span[0]:
        axes.axvline(kept + 0.5, color=sheet.colour["undo"], lw=1.4, ls=(0, (5, 3)), zorder=4)
        mark(sheet, axes, [(kept + 0.5, -0.5)], "D", "undo", 8, clip_on=False)


def _draw_ways(sheet: Sheet, top: float, span: tuple[float, float], ways: Sequence[_Way], last: int) -> None:
    from evsim.view.brush import bar, inside
    from evsim.view.sheet import whole

    axes = sheet.axes(LEFT, top, RIGHT, top + LANE * len(ways), grid="x")
    axes.set_xlim(*span)
    axes.set_ylim(len(ways) - 0.5, -0.5)
    axes.set_yticks(range(len(ways)), [way.name for way in ways])
    for row, way in enumerate(ways):
        begin, end = span
        first = max(way.first - 0.5, begin)
        for start, stop, fill in ((begin, first, "wash_flow"), (first, end, "done")):
            if start < stop:
                bar(sheet, axes, start, stop, row, 0.62, fill=fill, edge=fill)
        inside(sheet, axes, 1.01, row, count(last + 1 - way.first, "event"), 96, transform=axes.get_yaxis_transform())
    whole(axes.xaxis)
    sheet.name_x(axes, "version in the stream")
