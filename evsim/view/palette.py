"""Six colour roles with one meaning each, in light and dark, and the inks and papers around them.

The roles keep apart under normal, protan, deutan and tritan vision (CIEDE2000 of at least 12, Machado 2009), and no
figure tells anything by colour alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Theme = Literal["light", "dark"]

ROLES = ("flow", "done", "again", "fault", "undo", "wait")
"""First delivery; work done; redelivery; fault; undone, or a second series; waiting."""

LIGHT: Mapping[str, str] = {
    "paper": "#FFFFFF", "panel": "#F5F7FA", "ink": "#1B2230", "soft": "#566072", "grid": "#E3E7ED", "lane": "#CBD2DC",
    "flow": "#174EA6", "done": "#469F78", "again": "#B98B00", "fault": "#B5301A", "undo": "#C853CE", "wait": "#6E7581",
    "wash_fault": "#FBE3DC", "wash_again": "#FBF1D2", "wash_undo": "#F8E4F9", "wash_flow": "#DFE9F8",
    "wash_done": "#DFF1E8",
}  # fmt: skip
DARK: Mapping[str, str] = {
    "paper": "#12161C", "panel": "#1A2029", "ink": "#E8ECF2", "soft": "#A3ADBC", "grid": "#2A323D", "lane": "#3D4755",
    "flow": "#3F8CF3", "done": "#62E0B9", "again": "#FBD865", "fault": "#EC6550", "undo": "#F79EDD", "wait": "#848A94",
    "wash_fault": "#3A1E1C", "wash_again": "#38311B", "wash_undo": "#36233A", "wash_flow": "#1A2C48",
    "wash_done": "#1A352E",
}  # fmt: skip
THEMES: Mapping[str, Mapping[str, str]] = {"light": LIGHT, "dark": DARK}
