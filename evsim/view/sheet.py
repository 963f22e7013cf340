"""The paper that figures are drawn on: 900 pixels wide, laid out in pixels from the top left.

A sheet has a claim, a subtitle and a key above, then the ribbon of faults, then the data. Nothing is placed by luck:
the same figure gives the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from PIL import Image

from evsim.view.faults import Fault
from evsim.view.palette import THEMES, Theme
from evsim.view.sheet_size import RIBBON, ROW, WIDTH
from evsim.view.words import digits, si

DPI = 144
PIXEL = DPI / 100
POINT = 72 / 100
CLAIM, SUBTITLE, AXIS, LABEL, TICK, NOTE, SMALL = 13.0, 9.5, 9.5, 9.0, 8.5, 8.5, 7.5
"""Sizes of type in points."""
MONO = "DejaVu Sans Mono"
COLOURS = 256
STYLE = {
    "font.family": "DejaVu Sans", "font.size": 9, "axes.linewidth": 0.8, "axes.spines.top": False,
    "axes.spines.right": False, "xtick.major.size": 3, "ytick.major.size": 3, "xtick.major.width": 0.8,
    "ytick.major.width": 0.8, "hatch.linewidth": 0.9, "path.simplify_threshold": 0.5, "agg.path.chunksize": 20000,
    "lines.solid_capstyle": "round",
}  # fmt: skip
DASHES: dict[str, Any] = {
    "line": "-",
    "long": (0, (6, 1.8)),
    "dash": (0, (4, 2)),
    "short": (0, (2, 1.4)),
    "dot": (0, (1, 1.6)),
}
_MARKS = {"point": "o", "open": "o", "cross": "X", "up": "^", "diamond": "D", "tick": "|"}

Key = tuple[str, str, str]
"""A glyph (line, long, dash, short, dot, bar, pale, hatch, point, open, cross, up, diamond, tick), a role, a label."""


class Sheet:
    """One figure while it is drawn."""

    def __init__(self, height: int, theme: Theme = "light") -> None:
        self.height, self.theme = height, theme
        self.colour = dict(THEMES[theme])
        self.figure = Figure(figsize=(WIDTH / 100, height / 100), dpi=DPI, facecolor=self.colour["paper"])
        self.canvas = FigureCanvasAgg(self.figure)

    # ---------------------------------------------------------------- words

    def text(self, x: float, y: float, text: str, size: float = LABEL, role: str = "ink", **how: Any) -> Any:
        """Words at a pixel, by their baseline."""
        how = {"va": "baseline", "ha": "left"} | how
        return self.figure.text(
            x / WIDTH, 1 - y / self.height, text, fontsize=size, color=self.colour[role], parse_math=False, **how
        )

    def fitted(
        self, x: float, y: float, text: str, size: float, role: str = "ink", *, right: float = WIDTH - 16, **how: Any
    ) -> float:
        """Words that end before ``right``: smaller by at most 15 %, else with an ellipsis; gives where they end."""
        artist = self.text(x, y, text, size, role, **how)
        shorten(self, artist, right - x)
        return x + self.width_of(artist)

    def width_of(self, artist: Any) -> float:
        """The width of words in pixels of the sheet."""
        return float(self._box(artist).width) / PIXEL

    def height_of(self, artist: Any) -> float:
        """The height of words, also of such that stand upright, in pixels of the sheet."""
        return float(self._box(artist).height) / PIXEL

    def _box(self, artist: Any) -> Any:
        return artist.get_window_extent(self.canvas.get_renderer())  # type: ignore[no-untyped-call]

    def head(self, claim: str, subtitle: str) -> None:
        """The claim, and below it what is drawn."""
        self.fitted(20, 28, claim, CLAIM, weight="bold")
        self.fitted(20, 48, subtitle, SUBTITLE, "soft")

    def key(self, keys: Iterable[Key], y: float = 70) -> None:
        """What the glyphs mean, in one line; labels are shortened only when the line is full."""
        labels = [(glyph, role, self.text(0, y, label, NOTE)) for glyph, role, label in keys]
        widths = [self.width_of(words) for *_, words in labels]
        room = WIDTH - 40 - 46 * len(labels)
        longest = max(widths, default=0.0)
        while sum(min(width, longest) for width in widths) > room:
            longest -= 4
        x = 20.0
        for (glyph, role, words), width in zip(labels, widths, strict=True):
            self._glyph(glyph, role, x, 1 - (y - 3.5) / self.height)
            words.set_x((x + 26) / WIDTH)
            if width > longest:
                shorten(self, words, longest)
            x += 46 + min(width, longest)

    def _glyph(self, glyph: str, role: str, x: float, y: float) -> None:
        colour, paper = self.colour[role], self.colour["paper"]
        place: dict[str, Any] = {"transform": self.figure.transFigure}
        if glyph in DASHES:
            ends = [x / WIDTH, (x + 20) / WIDTH]
            self.figure.add_artist(Line2D(ends, [y, y], color=colour, lw=2, ls=DASHES[glyph], **place))
        elif glyph in {"bar", "pale", "hatch"}:
            look: dict[str, Any] = {"fc": paper if glyph == "hatch" else colour, "ec": colour, "lw": 0.8}
            look |= {"hatch": "/////"} if glyph == "hatch" else {"alpha": 0.4 if glyph == "pale" else 1.0}
            corner = (x / WIDTH, y - 5 / self.height)
            self.figure.add_artist(Rectangle(corner, 20 / WIDTH, 10 / self.height, **look, **place))
        else:
            fill = paper if glyph == "open" else colour
            edge = 1.3 if glyph in {"tick", "open"} else 0
            look = {"marker": _MARKS[glyph], "ms": 6, "mfc": fill, "mec": colour, "mew": edge, "ls": ""}
            self.figure.add_artist(Line2D([(x + 10) / WIDTH], [y], **look, **place))

    def note(self, text: str) -> None:
        """A line at the foot: what was left out, and how to get it."""
        self.fitted(20, self.height - 14, text, NOTE, "soft")

    # ---------------------------------------------------------------- axes

    def axes(self, left: float, top: float, right: float, bottom: float, *, grid: str = "y") -> Any:
        """Axes between these pixels."""
        box = [left / WIDTH, 1 - bottom / self.height, (right - left) / WIDTH, (bottom - top) / self.height]
        axes: Any = self.figure.add_axes(box, facecolor=self.colour["paper"])  # type: ignore[call-overload]
        for spine in axes.spines.values():
            spine.set_color(self.colour["lane"])
        axes.tick_params(
            colors=self.colour["lane"], labelcolor=self.colour["soft"], labelsize=TICK, pad=3, which="both"
        )
        if grid:
            axes.grid(visible=True, axis=grid, color=self.colour["grid"], lw=0.8)
        axes.set_axisbelow(True)
        return axes

    def name_x(self, axes: Any, name: str) -> None:
        """The name of the horizontal axis, below it."""
        axes.set_xlabel(name, fontsize=AXIS, color=self.colour["soft"], labelpad=4, parse_math=False)

    def name_y(self, axes: Any, name: str) -> None:
        """The name of the vertical axis: above it and never turned."""
        self.fitted(20, (1 - axes.get_position().y1) * self.height - 9, name, NOTE, "soft")

    def tag(self, axes: Any, at: tuple[float, float], text: str, move: tuple[float, float] = (0, 0), **how: Any) -> Any:
        """Words beside a point of the data, on a little paper of their own; ``move`` is in pixels, upwards."""
        how = {"ha": "left", "va": "center", "fontsize": LABEL, "color": self.colour["ink"], "zorder": 8} | how
        halo = {"fc": self.colour["paper"], "ec": "none", "pad": 1.0, "alpha": 0.85}
        move = (move[0] * POINT, move[1] * POINT)
        return axes.annotate(
            text, at, xytext=move, textcoords="offset points", bbox=halo, annotation_clip=False, parse_math=False, **how
        )

    def ribbon(self, faults: Sequence[Fault], panels: Sequence[Any], *, top: float = RIBBON) -> None:
        """One row for each fault above the data, and a wash through all panels."""
        if not faults:
            return
        box = panels[0].get_position()
        low, high = panels[0].get_xlim()
        rows = self.axes(box.x0 * WIDTH, top, box.x1 * WIDTH, top + ROW * len(faults), grid="")
        rows.set_xlim(low, high)
        rows.set_ylim(len(faults), 0)
        rows.axis("off")
        for number, fault in enumerate(faults):
            self._fault(rows, number, fault, low, high)
            for panel in panels if not fault.moments else ():
                self._wash(panel, fault)

    def _fault(self, rows: Any, number: int, fault: Fault, low: float, high: float) -> None:
        colour = self.colour[fault.role]
        start, end = max(fault.start_s, low), min(fault.end_s, high)
        if fault.moments:
            count = len(fault.moments)
            look: dict[str, Any] = {
                "mfc": colour,
                "mec": self.colour["paper"],
                "mew": 0.4,
                "alpha": 1 if count < 40 else 0.5,
            }
            rows.plot(fault.moments, [number + 0.5] * count, "X", ms=6, ls="", clip_on=False, **look)
            size = NOTE if len(fault.name) <= 9 else SMALL
            rows.text(low - (high - low) * 0.009, number + 0.55, fault.name, ha="right", va="center", fontsize=size,
                      color=self.colour["ink"])  # fmt: skip
            return
        least = (high - low) * 0.003
        rows.add_patch(Rectangle((start, number + 0.12), max(end - start, least), 0.76, fc=colour, ec="none"))
        gap, late = (high - low) * 0.009, end > low + 0.75 * (high - low)
        if late and start < low + 0.25 * (high - low):  # no room on either side
            self.tag(rows, ((start + end) / 2, number + 0.5), fault.name, ha="center", fontsize=NOTE)
            return
        place, side = (start - gap, "right") if late else (end + gap, "left")
        words = rows.text(
            place, number + 0.55, fault.name, ha=side, va="center", fontsize=NOTE, color=self.colour["ink"]
        )
        words.set_parse_math(False)

    def _wash(self, panel: Any, fault: Fault) -> None:
        colour, alpha = self.colour[fault.role], 0.10 if self.theme == "light" else 0.16
        panel.axvspan(fault.start_s, fault.end_s, color=colour, alpha=alpha, lw=0, zorder=0.5)
        for edge in (fault.start_s, fault.end_s):
            panel.axvline(edge, color=colour, lw=0.7, alpha=0.55, zorder=0.6)

    # ---------------------------------------------------------------- bytes

    def png(self) -> bytes:
        """The figure as PNG with a palette of 256 colours."""
        raw = io.BytesIO()
        self.canvas.print_png(raw)  # type: ignore[no-untyped-call]
        raw.seek(0)
        picture = Image.open(raw).convert("RGB")
        small = picture.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        packed = io.BytesIO()
        small.save(packed, "PNG", optimize=False, compress_level=6)
        return packed.getvalue()


def styled() -> AbstractContextManager[None]:
    """The settings of matplotlib under which sheets are drawn, whatever the user's own are."""
    ours = [name for name in mpl.rcParamsDefault if name.partition(".")[0] in _OURS]
    settings: Any = {name: mpl.rcParamsDefault[name] for name in ours} | STYLE
    return mpl.rc_context(settings)


_OURS = {
    "axes",
    "font",
    "xtick",
    "ytick",
    "grid",
    "lines",
    "patch",
    "hatch",
    "text",
    "path",
    "agg",
    "figure",
    "mathtext",
}


def shorten(sheet: Sheet, artist: Any, room: float, *, middle: bool = False) -> None:
    """Make words fit into this many pixels: smaller by at most 15 %, then cut with an ellipsis.

    ``middle`` keeps the end, as the number of a member.
    """
    size, text = artist.get_fontsize(), artist.get_text()
    if (taken := sheet.width_of(artist)) > room:
        artist.set_fontsize(max(0.85 * size, size * room / taken))
    tail = text[-3:] if middle and len(text) > 6 else ""
    head = text[: len(text) - len(tail)]
    while sheet.width_of(artist) > room and len(head) > 1:
        head = head[: -1 if len(head) < 30 else -3].rstrip(" …")
        artist.set_text(f"{head}…{tail}")


def seconds(axis: Any, most: float, bins: int = 9) -> None:
    """Ticks in one unit of time, chosen by the largest value."""
    scale, unit = next((s, u) for s, u in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (0.0, "s")) if most >= s)
    scale = scale or 1.0
    axis.set_major_locator(MaxNLocator(bins, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{round(value / scale, 6):g} {unit}"))


def plain(axis: Any, bins: int = 4) -> None:
    """Ticks that are numbers without a unit, whole ones where that is enough; thousands as ``4.6k``."""
    axis.set_major_locator(MaxNLocator(bins, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(
        FuncFormatter(lambda value, _: si(value) if abs(value) >= 1e5 else digits(round(value, 9)))
    )


def log_ticks(axis: Any, low: float, high: float, unit: str = "") -> None:
    """Ticks of a logarithmic axis: 1, 2, 5 within each decade when there are few decades, else the decades alone."""
    steps = (1.0, 2.0, 5.0) if high / low < 2000 else (1.0,)
    axis.set_major_locator(LogLocator(10, subs=steps, numticks=30))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: si(value, unit)))


def whole(axis: Any, bins: int = 12) -> None:
    """Ticks at whole numbers only."""
    axis.set_major_locator(MaxNLocator(bins, integer=True))
    axis.set_major_formatter(FuncFormatter(lambda value, _: digits(value)))
