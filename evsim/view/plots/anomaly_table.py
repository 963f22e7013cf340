"""What went wrong between sagas, by cure: names down, anomalies across, a number in each cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from evsim.errors import BadScenario
from evsim.view.figure import Figure
from evsim.view.plots.matrix import ROW, TOP, draw_matrix
from evsim.view.words import grouped

if TYPE_CHECKING:
    from evsim.view.sheet import Key, Sheet

_KEYS: tuple[Key, ...] = (("bar", "wash_fault", "happened"),)


def anomaly_table(counts: Mapping[str, Mapping[str, int]], *, about: str = "What sagas did to each other.") -> Figure:
    """``anomaly_table({"none": {"oversold": 7}, "lock": {"oversold": 0}})``: one row for each cure."""
    rows = list(counts)
    columns = list(dict.fromkeys(name for row in counts.values() for name in row))
    if not rows or not columns:
        raise BadScenario('anomaly_table was given nothing; expected counts by cure, such as {"none": {"oversold": 7}}')
    facts = {row: ", ".join(f"{grouped(counts[row].get(c, 0))} {c}" for c in columns) for row in rows}
    clean = [row for row in rows if not any(counts[row].values())]
    claim = f"Only {' and '.join(clean)} leaves nothing to see" if len(clean) == 1 else _claim(clean, rows)

    def draw(sheet: Sheet) -> None:
        draw_matrix(
            sheet, rows, columns, lambda down, across: (counts[rows[down]].get(columns[across], 0), "wash_fault")
        )

    return Figure(claim, about, facts, draw, height=TOP + ROW * len(rows) + 24, keys=_KEYS)


def _claim(clean: list[str], rows: list[str]) -> str:
    if not clean:
        return f"None of {len(rows)} cures leaves nothing to see"
    return f"{len(clean)} of {len(rows)} leave nothing to see"
