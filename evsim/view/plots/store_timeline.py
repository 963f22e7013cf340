"""A stream of an event store: its events, the newest snapshot, what a load replays, and a number of the state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from evsim.event import to_rfc3339
from evsim.view.figure import Figure, empty
from evsim.view.words import count, grouped

if TYPE_CHECKING:
    from evsim.store import Repository
    from evsim.view.sheet import Key, Sheet

TOP, CURVE, LANE, GAP = 104, 110, 26, 26
SHOWN_MAX, TYPES_MAX = 60, 8
_KEYS: tuple[Key, ...] = (
    ("point", "flow", "replayed by a load"), ("open", "wait", "in the snapshot"), ("dash", "undo", "newest snapshot"),
)  # fmt: skip


def store_timeline(
    repository: Repository, name: str, value: Callable[[Any], float] | None = None, called: str = "state"
) -> Figure:
    """The events of one aggregate, a lane a type, and what a load of it replays; of the last sixty.

    ``value`` takes a number out of the state, ``called`` says what it is; it is drawn above the events.
    """
    stream, trail = repository.stream(name), list(repository.trail(name))
    if not trail:
        return empty(f"{stream} has no event", "There is nothing to replay.")
    kept = repository.newest_snapshot(name)
    replayed = trail[-1].version - kept
    shown = trail[-SHOWN_MAX:]
    types = list(dict.fromkeys(line.event.type for line in shown))[:TYPES_MAX]
    numbers = [float(value(line.state)) for line in shown] if value is not None else []
    claim = f"A load of {stream} replays {grouped(replayed)} of {count(len(trail), 'event')}"
    facts = {
        "events": f"{grouped(len(trail))}, from {to_rfc3339(round(trail[0].event.timestamp, 3))}",
        "snapshot": f"at version {kept}" if kept >= 0 else "none",
        "replayed": f"versions {kept + 1} to {trail[-1].version}" if replayed else "nothing",
    }
    facts |= {kind: grouped(sum(line.event.type == kind for line in trail)) for kind in types}
    facts |= {called: f"{numbers[-1]:g} at the end"} if numbers else {}
    high = (CURVE + GAP if numbers else 0) + LANE * len(types)
    places = [(line.version, types.index(line.event.type)) for line in shown if line.event.type in types]

    def draw(sheet: Sheet) -> None:
        _draw(sheet, types, places, kept, (called, [(line.version for line in shown), numbers]))

    drawn = "" if len(shown) == len(trail) else f"; the last {len(shown)} are drawn"
    return Figure(claim, f"The events of {stream} by version{drawn}.", facts, draw, height=TOP + high + 52, keys=_KEYS)


def _draw(
    sheet: Sheet, types: Sequence[str], places: Sequence[tuple[int, int]], kept: int, curve: tuple[str, Any]
) -> None:
    from evsim.view.brush import mark
    from evsim.view.sheet import plain

    called, (versions, numbers) = curve
    low, high = min(version for version, _ in places) - 0.7, max(version for version, _ in places) + 0.7
    top = TOP
    if numbers:
        above = sheet.axes(150, top, 876, top + CURVE)
        above.step(list(versions), numbers, where="post", color=sheet.colour["done"], lw=1.6, zorder=3)
        above.set_xlim(low, high)
        above.tick_params(labelbottom=False)
        plain(above.yaxis)
        sheet.name_y(above, called)
        _line(sheet, above, kept)
        top += CURVE + GAP
    axes = sheet.axes(150, top, 876, top + LANE * len(types), grid="x")
    axes.set_xlim(low, high)
    axes.set_ylim(len(types) - 0.5, -0.5)
    axes.set_yticks(range(len(types)), types)
    mark(sheet, axes, [place for place in places if place[0] > kept], "o", "flow", 7)
    old = [place for place in places if place[0] <= kept]
    mark(sheet, axes, old, "o", "wait", 6, mfc=sheet.colour["paper"], mec=sheet.colour["wait"])
    _line(sheet, axes, kept)
    plain(axes.xaxis)
    sheet.name_x(axes, "version in the stream")


def _line(sheet: Sheet, axes: Any, kept: int) -> None:
    if kept >= 0:
        axes.axvline(kept + 0.5, color=sheet.colour["undo"], lw=1.4, ls=(0, (5, 3)), zorder=4)
