"""What a cure against stale reads brings, and what it costs: wrong answers, waiting, load on the write side."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from evsim.errors import BadScenario
from evsim.view.figure import Figure
from evsim.view.staleness import Met
from evsim.view.words import claim_of, count, share, si

if TYPE_CHECKING:
    from evsim.view.sheet import Key, Sheet

TOP, PITCH, LEFT, RIGHT, APART = 108, 34, 128, 866, 34
_COLUMNS = (
    ("stale", "fault", "own write missing"),
    ("back", "fault", "back in time"),
    ("p99_s", "wait", "99 % answered within"),
    ("at_source", "undo", "asked of the write side"),
)
_KEYS: tuple[Key, ...] = (("bar", "fault", "wrong answers"), ("bar", "wait", "time"), ("bar", "undo", "load"))


def cures(measured: Mapping[str, Met]) -> Figure:
    """What sessions met under each of some cures, one row a cure: ``cures({"none": met(run.history), …})``."""
    if not measured:
        raise BadScenario("nothing was measured; expected what sessions met by the name of a cure")
    facts = {name: _told(each) for name, each in measured.items()}
    answers = min(each.answers for each in measured.values())
    subtitle = f"Each row from at least {count(answers, 'answer')}."

    def draw(sheet: Sheet) -> None:
        _draw(sheet, measured)

    height = TOP + PITCH * len(measured) + 24
    return Figure(_claim(measured), subtitle, facts, draw, height=height, keys=_KEYS)


def _told(met: Met) -> str:
    wrong = f"own write missing {share(met.stale)}, back in time {share(met.back)}"
    return f"{wrong}; 99 % answered within {si(met.p99_s, 's')}; {share(met.at_source)} asked of the write side"


def _claim(measured: Mapping[str, Met]) -> str:
    right = [name for name, met in measured.items() if met.stale == met.back == 0]
    if not right:
        return "None of these keeps both promises"
    keep = f"Only {' and '.join(right)} keep both promises" if len(right) < len(measured) else "All keep both promises"
    quickest = min(right, key=lambda name: measured[name].p99_s)
    return claim_of(f"{keep}, {quickest} is the quickest of them" if len(right) > 1 else keep, keep)


def _draw(sheet: Sheet, measured: Mapping[str, Met]) -> None:
    from evsim.view import brush
    from evsim.view.sheet import NOTE, shorten

    width = (RIGHT - LEFT - APART * (len(_COLUMNS) - 1)) / len(_COLUMNS)
    for number, (field, role, title) in enumerate(_COLUMNS):
        left = LEFT + number * (width + APART)
        values = [getattr(met, field) for met in measured.values()]
        axes = sheet.axes(left, TOP, left + width, TOP + PITCH * len(measured), grid="")
        most = max([each for each in values if math.isfinite(each)], default=0.0) if field == "p99_s" else 1.0
        axes.set_xlim(0, 1.45 * most or 1.0)
        axes.set_ylim(len(values) - 0.5, -0.5)
        axes.set_yticks([])
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        for row, value in enumerate(values):
            if value > 0:
                brush.bar(sheet, axes, 0, value, row, 0.56, fill=role, edge=role)
            told = si(value, "s") if field == "p99_s" else share(value)
            sheet.tag(axes, (value, row), told, (5, 0))
        shorten(sheet, sheet.text(left, TOP - 8, title, NOTE, "soft"), width + APART - 6)
    for row, name in enumerate(measured):
        words = sheet.text(LEFT - 10, TOP + PITCH * (row + 0.5) + 4, name, 9.5, ha="right")
        shorten(sheet, words, LEFT - 30)
