"""A figure is a value: words first, the picture when somebody looks.

The words are the claim, what is drawn, and the facts with their numbers. They are what a test compares, what a screen
reader reads, and what a terminal shows. matplotlib is entered only when a picture is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evsim.errors import UnknownName, did_you_mean
from evsim.view.palette import THEMES, Theme
from evsim.view.sheet_size import WIDTH

if TYPE_CHECKING:
    from evsim.view.sheet import Key, Sheet

_theme: list[Theme] = ["light"]


def use_theme(theme: Theme) -> None:
    """Show figures ``"light"`` or ``"dark"`` from now on; what is committed stays light."""
    _theme[0] = _known(theme)


def _known(theme: Theme) -> Theme:
    if theme not in THEMES:
        raise UnknownName(f"no theme called {theme!r}{did_you_mean(theme, THEMES)}")
    return theme


class Figure:
    """A picture with its words. ``repr`` is the caption; ``png()`` and ``save()`` give the picture.

    ``facts`` are the numbers by name, in words, as the caption tells them.
    """

    def __init__(
        self,
        claim: str,
        subtitle: str,
        facts: Mapping[str, str],
        draw: Callable[[Sheet], None],
        *,
        height: int = 420,
        keys: tuple[Key, ...] = (),
    ) -> None:
        self.claim, self.subtitle, self.facts = claim, subtitle, dict(facts)
        self.height, self._keys, self._draw = height, keys, draw

    @property
    def caption(self) -> str:
        """The claim, what is drawn, and the facts: all that the picture says, in words."""
        width = max(map(len, self.facts), default=0)
        facts = [f"  {name:<{width}}  {fact}" for name, fact in self.facts.items()]
        return "\n".join([self.claim, self.subtitle, *facts])

    def __repr__(self) -> str:
        return self.caption

    def sheet(self, theme: Theme | None = None) -> Sheet:
        """The drawn sheet, for those who want to look at its parts."""
        from evsim.view.sheet import Sheet, styled

        with styled():
            sheet = Sheet(self.height, _known(theme or _theme[0]))
            sheet.head(self.claim, self.subtitle)
            sheet.key(self._keys)
            self._draw(sheet)
            return sheet

    def png(self, theme: Theme | None = None) -> bytes:
        """The picture: a PNG, 900 pixels wide as it is shown, the same bytes for the same figure."""
        from evsim.view.sheet import styled

        with styled():
            return self.sheet(theme).png()

    def save(self, path: str | Path, theme: Theme | None = None) -> Path:
        """Write the picture to a file, as PNG."""
        path = Path(path)
        path.write_bytes(self.png(theme))
        return path

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        shown = {"image/png": self.png(), "text/plain": self.caption}
        return shown, {"image/png": {"width": WIDTH, "height": self.height, "alt": self.caption}}


def empty(claim: str, subtitle: str, facts: Mapping[str, str] | None = None) -> Figure:
    """A figure that says why there is nothing to see."""
    return Figure(claim, subtitle, facts or {}, lambda sheet: None, height=76)
