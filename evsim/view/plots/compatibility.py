"""What a change of schema keeps: changes down, modes across, and in a word what breaks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from evsim.view.figure import Figure, empty
from evsim.view.plots.matrix import GROUP, ROW, TOP, draw_cells

if TYPE_CHECKING:
    from evsim.view.sheet import Key, Sheet

_KEYS: tuple[Key, ...] = (("bar", "wash_done", "kept"), ("bar", "wash_fault", "broken"))
READERS = {"backward": "new reads old", "forward": "old reads new", "full": "both ways"}


def compatibility(verdicts: Mapping[str, Any]) -> Figure:
    """Which mode each change keeps, from ``{"add a field": compatible(old, new, "full"), …}``."""
    if not verdicts:
        return empty("No change was judged", "There is nothing to compare.")
    kept = {change: {"backward": not v.backward, "forward": not v.forward} for change, v in verdicts.items()}
    for ways in kept.values():
        ways["full"] = all(ways.values())
    full = sum(ways["full"] for ways in kept.values())
    facts = {change: _fact(verdicts[change]) for change in verdicts}

    def look(down: int, across: int) -> tuple[str, str, str]:
        fine = list(kept.values())[down][list(READERS)[across]]
        return ("kept", "wash_done", "ink") if fine else ("broken", "wash_fault", "ink")

    def draw(sheet: Sheet) -> None:
        draw_cells(sheet, list(kept), list(READERS.values()), look, [(mode, 1) for mode in READERS])

    claim = f"{full} of {len(kept)} changes can be rolled out in any order"
    subtitle = "Changes of a payload down; who must read whom, by the mode's name, across."
    return Figure(claim, subtitle, facts, draw, height=TOP + GROUP + ROW * len(kept) + 24, keys=_KEYS)


def _fact(verdict: Any) -> str:
    said = [f"keeps {verdict.kept}"]
    for way in ("backward", "forward"):
        problems = getattr(verdict, way)
        said += [f"not {way}: {problems[0]}"] if problems else []
    return "; ".join(said)
