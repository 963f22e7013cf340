"""The sizes of a sheet in pixels, for those who plan a figure before matplotlib is entered."""

from __future__ import annotations

WIDTH = 900
TOP = 104
"""Where the data may begin when there is no fault: below the key, and the name of the vertical axis."""
ROW = 15
"""Height of a fault in the ribbon."""
RIBBON = 82
"""Where the ribbon begins."""
LANES_TOP = 112
"""The first lane of a space-time diagram."""


def top_below(faults: int) -> int:
    """Where the data may begin below a ribbon of so many faults."""
    return TOP + 4 + ROW * faults if faults else TOP
