"""The sizes of a sheet in pixels, for those who plan a figure before matplotlib is entered."""

from __future__ import annotations

WIDTH = 900
TOP = 92
"""Where the data may begin when there is no fault."""
ROW = 15
"""Height of a fault in the ribbon."""
