"""Words for a reader: text and lists that a notebook shows as they are, the source of things, lines for a terminal."""

from __future__ import annotations

import inspect
import os
import sys
import textwrap
import typing
from typing import Any

from evsim.errors import UnknownName

WIDTH = 80
_ASCII = str.maketrans(
    {
        "─": "-",
        "→": ">",
        "×": "x",
        "…": "...",
        "±": "+-",
        "µ": "u",
        "✓": "+",
        "✗": "x",
        "«": '"',
        "»": '"',
        "—": "-",
        "–": "-",
    }
)


class Text(str):
    """Text that a notebook shows as it is, without quotes and backslashes."""

    __slots__ = ()
    __repr__ = str.__str__


class Lines(list[Any]):
    """A list that shows its entries below each other."""

    def __repr__(self) -> str:
        return "\n".join(map(str, self)) or "nothing"

    __str__ = __repr__


def source(thing: Any) -> Text:
    """The Python that something of evsim is written in; for a part, also how it behaves once it lives."""
    try:
        texts = [inspect.getsource(each) for each in (thing, *_behaviour(thing))]
    except (TypeError, OSError):
        raise UnknownName(f"{thing!r} has no Python source; name a class or a function, such as ev.Consumer") from None
    return Text("\n\n".join(textwrap.dedent(text).rstrip() for text in texts))


def _behaviour(thing: Any) -> list[type]:
    """The live class below the value, if the value says what it becomes."""
    build = getattr(thing, "build", None)
    if not inspect.isclass(thing) or build is None:
        return []
    name = typing.cast("dict[str, Any]", build.__annotations__).get("return")
    live = getattr(inspect.getmodule(thing), str(name), None)
    return [live] if inspect.isclass(live) else []


def say(text: str, style: str | None = None, *, error: bool = False) -> None:
    """Print text within 80 columns, in colour only on a terminal, in ASCII where nothing else can be shown."""
    from rich.console import Console

    stream = sys.stderr if error else sys.stdout
    console = Console(file=stream, width=WIDTH, highlight=False, markup=False, emoji=False)
    if os.environ.get("EVSIM_ASCII") or not (stream.encoding or "").lower().startswith("utf"):
        text = text.translate(_ASCII).encode("ascii", "replace").decode()
    for line in text.split("\n"):
        console.print("\n".join(_wrapped(line)), style=style, soft_wrap=True)


def _wrapped(line: str) -> list[str]:
    """A line in pieces of at most 80 columns; what follows is set in, and a token is never cut."""
    margin = " " * (len(line) - len(line.lstrip()) + 4)
    if len(line) <= WIDTH:
        return [line]
    return textwrap.wrap(line, WIDTH, subsequent_indent=margin, break_long_words=False, break_on_hyphens=False)
