"""A change of schema in a fleet: who ran which version when and which reads failed; and many changes as a heat map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from evsim.view.figure import Figure, empty
from evsim.view.plots.matrix import GROUP, ROW, TOP, draw_cells
from evsim.view.words import count, grouped

if TYPE_CHECKING:
    from evsim.view.sheet import Key, Sheet

Cells = Mapping[tuple[str, str, str], int | None]
"""Failed reads by change, mode and order; None where the mode refused the change."""
LANE, LANES_TOP = 28, 92
_LANE_KEYS: tuple[Key, ...] = (
    ("bar", "wash_flow", "version 1"), ("bar", "wash_done", "version 2"), ("tick", "fault", "a read that failed"),
)  # fmt: skip
_MAP_KEYS: tuple[Key, ...] = (
    ("bar", "wash_done", "every event was read"), ("bar", "wash_fault", "reads that failed"),
)  # fmt: skip


class Lane(NamedTuple):
    """One instance of a fleet: its name, when it got the new version, when it failed to read, and since when it is."""

    name: str
    upgraded_s: float
    failed_s: Sequence[float] = ()
    since_s: float = 0.0


def rollout_lanes(lanes: Sequence[Lane], end_s: float, order: str, reads: int) -> Figure:
    """The fleet over time, an instance a lane: which version it ran, and each read that failed."""
    failed = sum(len(lane.failed_s) for lane in lanes)
    ended = "every event was read" if not failed else f"{grouped(failed)} of {count(reads, 'read')} failed"
    upgrades = [lane.upgraded_s for lane in lanes if lane.since_s < lane.upgraded_s]
    first, last = min(upgrades), max(upgrades)
    facts = {lane.name: f"version 2 from {lane.upgraded_s:g} s" + _failures(lane) for lane in lanes}
    subtitle = f"Which version each instance ran; upgrades from {first:g} s to {last:g} s."
    height = LANES_TOP + LANE * len(lanes) + 52

    def draw(sheet: Sheet) -> None:
        _draw_lanes(sheet, lanes, end_s)

    return Figure(f"{order.capitalize()}: {ended}", subtitle, facts, draw, height=height, keys=_LANE_KEYS)


def _failures(lane: Lane) -> str:
    if not lane.failed_s:
        return ""
    many = f"{count(len(lane.failed_s), 'read')} failed"
    return f"; {many}, from {min(lane.failed_s):.1f} s to {max(lane.failed_s):.1f} s"


def _draw_lanes(sheet: Sheet, lanes: Sequence[Lane], end_s: float) -> None:
    from evsim.view.brush import bar, inside
    from evsim.view.sheet import seconds

    axes = sheet.axes(110, LANES_TOP, 812, LANES_TOP + LANE * len(lanes), grid="x")
    axes.set_xlim(0, end_s)
    axes.set_ylim(len(lanes) - 0.4, -0.6)
    for number, lane in enumerate(lanes):
        bar(sheet, axes, lane.since_s, lane.upgraded_s, number, 0.62, fill="wash_flow", edge="flow")
        bar(sheet, axes, lane.upgraded_s, end_s, number, 0.62, fill="wash_done", edge="done")
        axes.vlines(lane.failed_s, number - 0.31, number + 0.31, color=sheet.colour["fault"], lw=0.9, zorder=4)
        if lane.failed_s:
            told, place = f"{grouped(len(lane.failed_s))} failed", axes.get_yaxis_transform()
            inside(sheet, axes, 1.01, number, told, 76, "fault", transform=place)
    axes.set_yticks(range(len(lanes)), [lane.name for lane in lanes])
    seconds(axes.xaxis, end_s, 9)
    sheet.name_x(axes, "simulated time")


def rollout_map(failures: Cells) -> Figure:
    """How many reads failed for each change, by mode and by who was upgraded first."""
    if not failures:
        return empty("No change was rolled out", "There is nothing to compare.")
    changes, modes, orders = (list(dict.fromkeys(each[n] for each in failures)) for n in range(3))
    columns = [(mode, order) for mode in modes for order in orders]
    broken = sum(1 for many in failures.values() if many)
    refused = sum(many is None for many in failures.values())
    facts = {change: _fact(failures, change, columns) for change in changes}
    claim = f"{broken} of {len(failures)} rollouts had reads that failed; {refused} were refused before they began"
    subtitle = "Changes of a schema down; the mode that the registry keeps, and who was upgraded first, across."

    def look(down: int, across: int) -> tuple[str, str, str]:
        many = failures.get((changes[down], *columns[across]))
        if many is None:
            return "refused", "paper", "soft"
        return (grouped(many), "wash_fault", "ink") if many else ("0", "wash_done", "ink")

    def draw(sheet: Sheet) -> None:
        draw_cells(sheet, changes, [order for _, order in columns], look, [(mode, len(orders)) for mode in modes])

    return Figure(claim, subtitle, facts, draw, height=TOP + GROUP + ROW * len(changes) + 24, keys=_MAP_KEYS)


def _fact(failures: Cells, change: str, columns: Sequence[tuple[str, str]]) -> str:
    found = {f"{mode}, {order}": failures.get((change, mode, order)) for mode, order in columns}
    return "; ".join(f"{name} {'refused' if many is None else grouped(many)}" for name, many in found.items())
