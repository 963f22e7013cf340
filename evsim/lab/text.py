"""Words for a reader: text and lists of lines that a notebook shows as they are, and the source of things."""

from __future__ import annotations

import inspect
import textwrap
import typing
from typing import Any

from evsim.errors import UnknownName


class Text(str):
    """Text that a notebook shows as it is, without quotes and backslashes."""

    __slots__ = ()
    __repr__ = str.__str__


class Lines(list[Any]):
    """A list that shows its entries below each other."""

    def __repr__(self) -> str:
        return "\n".join(map(str, self)) or "nothing"

    __str__ = __repr__


def counted(number: int, noun: str) -> str:
    """``1 member``, ``1 200 members``.

    >>> counted(1200, "member")
    '1 200 members'
    """
    return f"{grouped(number)} {noun}{'' if number == 1 else 's'}"


def grouped(number: float) -> str:
    """A whole number with its thousands apart."""
    return f"{number:,.0f}".replace(",", " ")


def seconds(value: float) -> str:
    """A time with its unit, three digits of it.

    >>> seconds(0.0064), seconds(12.5), seconds(120)
    ('6.4 ms', '12.5 s', '120 s')
    """
    if value != value:  # noqa: PLR0124 - only a number that is none differs from itself
        return "none"
    for below, factor, unit in ((1e-6, 1e9, "ns"), (1e-3, 1e6, "µs"), (1.0, 1e3, "ms")):
        if abs(value) < below and value:
            return f"{_digits(value * factor)} {unit}"
    return f"{_digits(value)} s"


def rate(value: float) -> str:
    """Events per second."""
    return "any rate" if value == float("inf") else f"{_digits(value)}/s"


def _digits(value: float) -> str:
    return grouped(value) if abs(value) >= 1000 else f"{value:.3g}"


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
