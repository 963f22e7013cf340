"""The paper that figures are drawn on: 900 pixels wide, laid out in pixels from the top left.

A sheet has a claim, a subtitle and a key above, then the ribbon of faults, then the data. Nothing is placed by luck:
the same figure gives the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter
from PIL import Image

from evsim.view.faults import Fault
from evsim.view.palette import THEMES, Theme
from evsim.view.sheet_size import ROW, WIDTH

DPI = 144
CLAIM, SUBTITLE, AXIS, TICK, NOTE = 13.0, 9.5, 9.5, 8.5, 8.5
COLOURS = 256
STYLE = {
    "font.family": "DejaVu Sans", "font.size": 9, "axes.linewidth": 0.8, "axes.spines.top": False,
    "axes.spines.right": False, "xtick.major.size": 3, "ytick.major.size": 3, "xtick.major.width": 0.8,
    "ytick.major.width": 0.8, "hatch.linewidth": 0.9, "path.simplify_threshold": 0.5, "agg.path.chunksize": 20000,
}  # fmt: skip
_DASHES: dict[str, Any] = {"line": "-", "dash": (0, (4, 2)), "dot": (0, (1, 1.6))}
_MARKS = {"point": "o", "cross": "X", "up": "^", "tick": "|"}

Key = tuple[str, str, str]
"""A glyph (line, dash, dot, bar, hatch, point, cross, up, tick), a colour role, and a label."""


class Sheet:
    """One figure while it is drawn."""

    def __init__(self, height: int, theme: Theme = "light") -> None:
        self.height, self.theme = height, theme
        self.colour = dict(THEMES[theme])
        self.figure = Figure(figsize=(WIDTH / 100, height / 100), dpi=DPI, facecolor=self.colour["paper"])
        self.canvas = FigureCanvasAgg(self.figure)

    # ---------------------------------------------------------------- words

    def text(self, x: float, y: float, text: str, size: float = 9.0, role: str = "ink", **how: Any) -> Any:
        """Words at a pixel, by their baseline."""
        how = {"va": "baseline", "ha": "left"} | how
        return self.figure.text(x / WIDTH, 1 - y / self.height, text, fontsize=size, color=self.colour[role], **how)

    def fitted(self, x: float, y: float, text: str, size: float, role: str = "ink", **how: Any) -> None:
        """Words that never run off the sheet: they shrink by at most 15 %, then end in an ellipsis."""
        artist = self.text(x, y, text, size, role, **how)
        room = (WIDTH - x - 16) * DPI / 100
        if self._width(artist) > room:
            artist.set_fontsize(max(0.85 * size, size * room / self._width(artist)))
        while self._width(artist) > room and len(text) > 12:
            text = text[:-4].rstrip(" …") + "…"
            artist.set_text(text)

    def _width(self, artist: Any) -> float:
        return float(artist.get_window_extent(self.canvas.get_renderer()).width)

    def head(self, claim: str, subtitle: str) -> None:
        """The claim, and below it what is drawn."""
        self.fitted(20, 28, claim, CLAIM, weight="bold")
        self.fitted(20, 48, subtitle, SUBTITLE, "soft")

    def key(self, keys: Iterable[Key], y: float = 70, x: float = 20) -> None:
        """What the glyphs mean, in one line."""
        for glyph, role, label in keys:
            self._glyph(glyph, self.colour[role], x, 1 - (y - 3.5) / self.height)
            artist = self.text(x + 26, y, label, NOTE)
            x += 26 + self._width(artist) * 100 / DPI + 20

    def _glyph(self, glyph: str, colour: str, x: float, y: float) -> None:
        place: dict[str, Any] = {"transform": self.figure.transFigure}
        if glyph in _DASHES:
            ends = [x / WIDTH, (x + 20) / WIDTH]
            self.figure.add_artist(Line2D(ends, [y, y], color=colour, lw=2, ls=_DASHES[glyph], **place))
        elif glyph in {"bar", "hatch"}:
            fill = colour if glyph == "bar" else self.colour["paper"]
            hatch = None if glyph == "bar" else "/////"
            corner = (x / WIDTH, y - 5 / self.height)
            size = (20 / WIDTH, 10 / self.height)
            self.figure.add_artist(Rectangle(corner, *size, fc=fill, ec=colour, hatch=hatch, lw=0.8, **place))
        else:
            mark = _MARKS[glyph]
            edge = 1.3 if glyph == "tick" else 0
            self.figure.add_artist(
                Line2D([(x + 10) / WIDTH], [y], marker=mark, ms=6, mfc=colour, mec=colour, mew=edge, ls="", **place)
            )

    def steps(self, items: Sequence[str], y: float, columns: int = 2) -> None:
        """A numbered story: the same discs as on the figure."""
        width = (WIDTH - 40) / columns
        for n, item in enumerate(items):
            x, line = 20 + (n % columns) * width, y + (n // columns) * 21
            disc = {"boxstyle": "circle,pad=.2", "fc": self.colour["ink"], "ec": "none"}
            self.text(x + 8, line, str(n + 1), 7.5, "paper", ha="center", weight="bold", bbox=disc)
            self.fitted_in(x + 22, line, item, x + width - 8)

    def fitted_in(self, x: float, y: float, text: str, right: float) -> None:
        """A note that ends before ``right``."""
        artist = self.text(x, y, text, NOTE)
        while self._width(artist) > (right - x) * DPI / 100 and len(text) > 8:
            text = text[:-4].rstrip(" …") + "…"
            artist.set_text(text)

    # ---------------------------------------------------------------- axes

    def axes(self, left: float, top: float, right: float, bottom: float, *, grid: str = "y") -> Any:
        """Axes between these pixels."""
        box = [left / WIDTH, 1 - bottom / self.height, (right - left) / WIDTH, (bottom - top) / self.height]
        axes = self.figure.add_axes(box, facecolor=self.colour["paper"])  # type: ignore[call-overload]
        for spine in axes.spines.values():
            spine.set_color(self.colour["lane"])
        axes.tick_params(colors=self.colour["lane"], labelcolor=self.colour["soft"], labelsize=TICK, pad=3, which="both")
        if grid:
            axes.grid(visible=True, axis=grid, color=self.colour["grid"], lw=0.8)
            axes.set_axisbelow(True)
        return axes

    def name_x(self, axes: Any, name: str) -> None:
        """The name of the horizontal axis, below it."""
        axes.set_xlabel(name, fontsize=AXIS, color=self.colour["soft"], labelpad=4)

    def name_y(self, axes: Any, name: str) -> None:
        """The name of the vertical axis: above it and never turned."""
        self.text(20, (1 - axes.get_position().y1) * self.height - 8, name, NOTE, "soft")

    def ribbon(self, faults: Sequence[Fault], panels: Sequence[Any], *, top: float = 80) -> None:
        """One row for each fault above the data, and a wash through all panels."""
        if not faults:
            return
        box = panels[0].get_position()
        low, high = panels[0].get_xlim()
        rows = self.axes(box.x0 * WIDTH, top, box.x1 * WIDTH, top + ROW * len(faults), grid="")
        rows.set_xlim(low, high)
        rows.set_ylim(len(faults), 0)
        rows.axis("off")
        for n, fault in enumerate(faults):
            start, end = max(fault.start_s, low), min(fault.end_s, high)
            rows.add_patch(Rectangle((start, n + 0.12), end - start, 0.76, fc=self.colour[fault.role], ec="none"))
            gap, late = (high - low) * 0.006, end > low + 0.75 * (high - low)
            place, side = (start - gap, "right") if late else (end + gap, "left")
            rows.text(place, n + 0.55, fault.name, ha=side, va="center", fontsize=NOTE, color=self.colour["ink"])
            for panel in panels:
                alpha = 0.10 if self.theme == "light" else 0.16
                panel.axvspan(start, end, color=self.colour[fault.role], alpha=alpha, lw=0, zorder=0.5)

    # ---------------------------------------------------------------- bytes

    def png(self) -> bytes:
        """The figure as PNG with a palette of 256 colours."""
        raw = io.BytesIO()
        self.canvas.print_png(raw)
        raw.seek(0)
        picture = Image.open(raw).convert("RGB")
        small = picture.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        packed = io.BytesIO()
        small.save(packed, "PNG", optimize=False, compress_level=6)
        return packed.getvalue()


def styled() -> Any:
    """The settings of matplotlib under which sheets are drawn."""
    return mpl.rc_context(STYLE)


def seconds(axis: Any, most: float) -> None:
    """Ticks in one unit of time, chosen by the largest value."""
    scale, unit = next((s, u) for s, u in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (0.0, "s")) if most >= s)
    scale = scale or 1.0
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{round(value / scale, 6):g} {unit}"))
