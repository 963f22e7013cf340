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
