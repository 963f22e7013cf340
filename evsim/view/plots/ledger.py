"""The idempotency ledger: how often each key came, what became of it each time, and how often the effect happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from evsim.view.effects import Effects
from evsim.view.figure import Figure, empty
from evsim.view.words import count, grouped

if TYPE_CHECKING:
    from evsim.history import History
    from evsim.view.sheet import Key, Sheet

TOP, ROW, SHOWN_MAX = 112, 27, 12
LEFT, RIGHT = 130, 640
_KEYS: tuple[Key, ...] = (
    ("bar", "done", "took effect"), ("hatch", "again", "came again, skipped"), ("bar", "fault", "took effect again"),
    ("open", "wait", "no effect came of it"),
)  # fmt: skip


class Arrival(NamedTuple):
    """One time that a key came: when, and what became of it: ``done``, ``again``, ``skipped`` or ``nothing``."""

    time: float
    what: str


class Line(NamedTuple):
    """A key: how often it came, and its effects."""

    key: str
    arrivals: list[Arrival]
    effects: int


def ledger(history: History, effect: str) -> Figure:
    """The keys that came most often, a row each: what took effect, what was skipped, and what took effect again."""
    lines = ledger_lines(history, effect)
    if not lines:
        return empty(f"«{effect}» never happened", "There is nothing to count.")
    came, took = sum(len(line.arrivals) for line in lines), sum(line.effects for line in lines)
    twice = [line for line in lines if line.effects > 1]
    shown = sorted(lines, key=lambda line: (line.effects > 1, len(line.arrivals)), reverse=True)[:SHOWN_MAX]
    shown.sort(key=lambda line: line.arrivals[0].time)
    ended = "each key once" if not twice else f"{count(len(twice), 'key')} more than once"
    claim = f"{count(came, 'arrival')}, {count(took, 'effect')}: {ended}"
    seed = history.meta.get("seed")
    drawn = "" if len(shown) == len(lines) else f", the {len(shown)} of {grouped(len(lines))} that came most often"
    subtitle = f"«{effect}», a row for each key{drawn}" + (f"; seed {seed}." if seed is not None else ".")
    facts = {"keys": grouped(len(lines)), "skipped": grouped(_number(lines, "skipped"))}
    facts |= {
        "again": grouped(_number(lines, "again")),
        "more than once": ", ".join(each.key for each in twice[:5]) or "none",
    }

    def draw(sheet: Sheet) -> None:
        _draw(sheet, shown)

    return Figure(claim, subtitle, facts, draw, height=TOP + ROW * len(shown) + 52, keys=_KEYS)


def _number(lines: list[Line], what: str) -> int:
    return sum(arrival.what == what for line in lines for arrival in line.arrivals)


def ledger_lines(history: History, effect: str) -> list[Line]:
    """Every key for which something came that could have this effect."""
    effects = Effects(history, effect)
    if not len(effects.rows):
        return []
    book, keys = effects.ledger, effects.keys
    acting = {book.owners[code] for code in book.what[effects.rows].tolist()}
    readers = [group for group in book.groups if group in acting] or list(book.groups)
    types = {history.type_of(event) for event in book.event[effects.rows].tolist() if event >= 0}
    acts: dict[int, list[float]] = {}
    for label, row in zip(effects.labels.tolist(), effects.rows.tolist(), strict=True):
        acts.setdefault(label, []).append(float(book.time[row]))
    came: dict[int, list[tuple[float, bool]]] = {}
    for step in ("delivered", "skipped"):
        for group in readers:
            for row in book.rows(step, group=group).tolist():
                event = int(book.event[row])
                if event >= 0 and history.type_of(event) in types:
                    came.setdefault(int(keys.labels[event]), []).append((float(book.time[row]), step == "skipped"))
    return [_line(keys.text(label), sorted(came.get(label, [])), acts.get(label, [])) for label in sorted(came | acts)]


def _line(key: str, came: list[tuple[float, bool]], acts: list[float]) -> Line:
    came = came or [(time, False) for time in acts]
    ends = [*(time for time, _ in came[1:]), np.inf]
    arrivals, seen = [], 0
    for (time, skipped), end in zip(came, ends, strict=True):
        here = sum(time <= act < end for act in acts) if time < end else sum(act == time for act in acts) - seen
        what = "skipped" if skipped else "nothing" if here <= 0 else "again" if seen else "done"
        seen += max(0, here)
        arrivals.append(Arrival(time, what))
    return Line(key, arrivals, len(acts))


_LOOKS = {"done": ("done", None), "again": ("fault", None), "skipped": ("again", "/////"), "nothing": ("paper", None)}


def _apart(times: list[float], least: float) -> list[float]:
    """The same times, moved to the right where two marks would cover each other."""
    places: list[float] = []
    for time in times:
        places.append(max(time, places[-1] + least) if places else time)
    return places


def _shown(first: float, last: float) -> tuple[float, float]:
    """From zero, unless everything happened late and would stand in a corner."""
    if last - first >= 0.2 * last:
        return 0.0, max(last, 1e-9)
    room = 0.05 * ((last - first) or last)
    return first - room, last + room


def _draw(sheet: Sheet, lines: list[Line]) -> None:
    from evsim.view.sheet import seconds

    arrivals = [arrival.time for line in lines for arrival in line.arrivals]
    begin, end = _shown(min(arrivals), max(arrivals))
    axes = sheet.axes(LEFT, TOP, RIGHT, TOP + ROW * len(lines), grid="x")
    axes.set_xlim(begin, end + 0.04 * (end - begin))
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.set_yticks(range(len(lines)), [line.key for line in lines])
    for x, title, ha in ((700, "came", "center"), (770, "effects", "center")):
        sheet.text(x, TOP - 12, title, 9, "soft", ha=ha)
    for number, line in enumerate(lines):
        times = _apart([arrival.time for arrival in line.arrivals], 1.04 * (end - begin) * 15 / (RIGHT - LEFT))
        axes.plot([times[0], times[-1]], [number, number], color=sheet.colour["lane"], lw=1.4, zorder=2)
        for time, arrival in zip(times, line.arrivals, strict=True):
            role, hatch = _LOOKS[arrival.what]
            edge = {"again": "fault", "done": "done", "skipped": "again", "nothing": "wait"}[arrival.what]
            fill = sheet.colour["paper" if hatch else role]
            axes.plot(
                [time], [number], marker="s", ms=10, mfc=fill, mec=sheet.colour[edge], mew=1.2, zorder=4, clip_on=False
            )
            if hatch:
                axes.plot(
                    [time], [number], marker="$//$", ms=8, mfc=sheet.colour[edge], mec="none", zorder=5, clip_on=False
                )
        y = TOP + ROW * (number + 0.5) + 4
        bad = line.effects > 1
        words = {0: "never", 1: "once", 2: "TWICE"}.get(line.effects, f"{line.effects} TIMES")
        sheet.text(700, y, str(len(line.arrivals)), 9, ha="center")
        sheet.text(
            770, y, str(line.effects), 9, "fault" if bad else "ink", ha="center", weight="bold" if bad else "normal"
        )
        sheet.text(812, y, words, 9, "fault" if bad else "ink", weight="bold" if bad else "normal")
    seconds(axes.xaxis, end, 7)
    sheet.name_x(axes, "simulated time of delivery")
