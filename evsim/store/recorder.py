"""What every event store promises: streams, versions that one can expect, a position for each event, and a chain.

An append is whole or absent. Positions count all events from 1 without a gap, versions those of a stream from 0. An
event that is appended again, with its id and its place in the stream, is taken once. Truncating and deleting hide
events from readers and keep them in the chain, so that an audit still adds up.
"""

from __future__ import annotations

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Self

from evsim.errors import BadEvent, BadFile, EvsimError, shown
from evsim.event import Event
from evsim.store.body import body_of

ANY: Literal["any"] = "any"
"""Append whatever the stream's version is."""
NONE: Literal["none"] = "none"
"""Append only if the stream has no event yet."""
EXISTS: Literal["exists"] = "exists"
"""Append only if the stream has an event."""
Expected = int | Literal["any", "none", "exists"]
"""What a writer believes: one of the words, or the version of the last event that it has seen."""

_WORDS = (ANY, NONE, EXISTS)
_UNFIT = re.compile("[\0\ud800-\udfff]")

NAME_MAX, APPEND_MAX = 200, 10_000
"""Characters of a stream's name, events of one append."""
START = b"\0" * 32
"""The chain before the first event."""


class Conflict(EvsimError):
    """Somebody else has appended meanwhile: both versions are named, and nothing was written."""

    def __init__(self, stream: str, expected: Expected, actual: int) -> None:
        self.stream, self.expected, self.actual = stream, expected, actual
        there = f"its last version is {actual}" if actual >= 0 else "it has no event"
        wanted = f"version {expected}" if isinstance(expected, int) else f"{expected!r}"
        super().__init__(f"stream {stream!r} was expected at {wanted}, but {there}; read it again and decide anew")


class Recorded(NamedTuple):
    """An event where it stands: its position among all, its stream, its version there."""

    position: int
    stream: str
    version: int
    event: Event


class Appended(NamedTuple):
    """What an append has led to: the position and the version of its last event; ``again`` if it was known already."""

    position: int
    version: int
    again: bool = False


class Head(NamedTuple):
    """The end of the chain: who keeps it elsewhere can tell later whether the end was cut off, or all made anew."""

    position: int
    link: str


class Store(ABC):
    """An event store. Reading goes piece by piece, so that no stream has to fit into memory."""

    # ---------------------------------------------------------------- write

    def append(self, stream: str, events: Event | Sequence[Event], expected: Expected = ANY) -> Appended:
        """Append events to a stream, all or none.

        ``expected`` is ``ANY``, ``NONE``, ``EXISTS`` or the version of the last event that the writer knows. Raises
        Conflict when the stream is elsewhere, and BadEvent for what cannot be stored; the store is unchanged then.
        """
        some = [events] if isinstance(events, Event) else checked(events)
        return self._append(named(stream), some, [body_of(event) for event in some], believed(expected))

    @abstractmethod
    def _append(self, stream: str, events: list[Event], bodies: list[str], expected: Expected) -> Appended: ...

    @abstractmethod
    def truncate(self, stream: str, before: int) -> None:
        """Hide the events of a stream that come before this version."""

    @abstractmethod
    def delete(self, stream: str) -> None:
        """Hide all events of a stream; what is appended later goes on with the next version."""

    @abstractmethod
    def describe(self, stream: str, metadata: Mapping[str, Any]) -> None:
        """Keep some JSON about a stream, in the place of what was kept before."""

    # ---------------------------------------------------------------- read

    @abstractmethod
    def read(
        self, stream: str, start: int | None = None, limit: int | None = None, *, backwards: bool = False
    ) -> Iterator[Recorded]:
        """The events of a stream from this version on, in order; or back from it (from the last one when None)."""

    @abstractmethod
    def read_all(
        self, start: int | None = None, limit: int | None = None, *, backwards: bool = False
    ) -> Iterator[Recorded]:
        """The events of all streams by position."""

    @abstractmethod
    def read_category(self, category: str, start: int = 1, limit: int | None = None) -> Iterator[Recorded]:
        """The events of all streams of a category by position: ``order`` holds ``order-1``, ``order-2``…"""

    @abstractmethod
    def read_correlated(self, correlation_id: str, start: int = 1, limit: int | None = None) -> Iterator[Recorded]:
        """The events of one conversation by position, whichever streams they are in."""

    @abstractmethod
    def find(self, event_id: str) -> Recorded | None:
        """The event of this id where it stands, hidden or not; None when there is none."""

    @abstractmethod
    def version(self, stream: str) -> int:
        """The version of a stream's last event, -1 when it has none."""

    @property
    @abstractmethod
    def position(self) -> int:
        """The position of the last event of all, 0 when there is none."""

    @abstractmethod
    def metadata(self, stream: str) -> dict[str, Any]:
        """What is kept about a stream."""

    # ---------------------------------------------------------------- audit

    @abstractmethod
    def _links(self) -> Iterator[tuple[int, str, int, str, bytes]]:
        """Every event ever stored, hidden or not: position, stream, version, body, and its link of the chain."""

    @property
    def head(self) -> Head:
        """Where the chain ends now: a position, and the hexadecimal SHA-256 of all that was ever stored."""
        return Head(*self._head())

    @abstractmethod
    def _head(self) -> tuple[int, str]:
        """The position of the last event ever stored and its link; 0 and the beginning when there is none."""

    def verify(self, head: Head | None = None) -> int:
        """Follow the chain from the first event to the last and give their number.

        Raises BadFile with the first position at which something was changed, taken away or put in. A chain cannot tell
        that its end is missing, nor that all of it was written anew: give the ``head`` that you have kept elsewhere.
        """
        before, count, seen = START, 0, START.hex() if head and not head.position else ""
        for position, stream, version, body, link in self._links():
            count += 1
            before = chained(before, position, stream, version, body)
            if position != count or link != before:
                raise BadFile(
                    f"the chain breaks at position {count}: an event was changed, taken away or put in there; "
                    "what comes before it is as it was written"
                )
            if head and position == head.position:
                seen = before.hex()
        if head and count < head.position:
            raise BadFile(f"the chain ends at position {count}, and the head that was kept is at {head.position}")
        if head and seen != head.link:
            raise BadFile(f"at position {head.position} stands another chain than the one whose head was kept")
        return count

    def close(self) -> None:  # noqa: B027 - a store in memory has nothing to let go of
        """Let go of files and connections."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


# -------------------------------------------------------------------- what all of them check


def named(stream: Any) -> str:
    """A name for a stream, or BadEvent."""
    if not isinstance(stream, str) or not 1 <= len(stream) <= NAME_MAX or not stream.isprintable():
        raise BadEvent(
            f"{shown(stream)} is no name of a stream; expected 1 to {NAME_MAX} printable characters, such as 'order-17'"
        )
    return stream


def category_of(stream: str) -> str:
    """What stands before the first dash: ``order`` of ``order-17``."""
    return stream.partition("-")[0]


def a_category(category: Any) -> str:
    """A name that a category can have, or BadEvent."""
    if not isinstance(category, str) or "-" in category:
        raise BadEvent(f"{shown(category)} is no category; expected what stands before the first dash, such as 'order'")
    return a_text(category)


def a_text(text: Any) -> str:
    """What an id can be, or BadEvent."""
    if not isinstance(text, str) or _UNFIT.search(text):
        raise BadEvent(f"{shown(text)} is no id and no category of an event; expected text")
    return text


def a_version(version: Any) -> int:
    """A whole number, or BadEvent."""
    if not isinstance(version, int) or isinstance(version, bool):
        raise BadEvent(f"{shown(version)} is no version; expected a whole number from 0")
    return version


def described(metadata: Any) -> str:
    """Metadata of a stream as JSON, or BadEvent."""
    try:
        return json.dumps(dict(metadata), allow_nan=False)
    except (TypeError, ValueError) as problem:
        raise BadEvent(
            f"metadata {shown(metadata)} is refused ({problem}); expected a mapping that JSON can hold"
        ) from None


def checked(events: Iterable[Event]) -> list[Event]:
    """Events that can be stored together, or BadEvent."""
    if not isinstance(events, Iterable):
        raise BadEvent(f"{shown(events)} is no event; expected an ev.Event, or a list of them")
    some = list(events)
    if not 1 <= len(some) <= APPEND_MAX:
        raise BadEvent(f"{len(some)} events were given to append; expected 1 to {APPEND_MAX:,}")
    for event in some:
        if not isinstance(event, Event):
            raise BadEvent(f"{shown(event)} is no event; expected an ev.Event")
    if len({event.id for event in some}) < len(some):
        raise BadEvent("two events of one append have the same id; every event needs its own")
    return some


def believed(expected: Any) -> Expected:
    """What a writer may believe, or BadEvent."""
    if expected in _WORDS or (isinstance(expected, int) and not isinstance(expected, bool)):
        if isinstance(expected, int) and expected < 0:
            raise BadEvent(f"expected={expected} is refused; for a stream without events say expected=NONE")
        return expected
    raise BadEvent(f"expected={shown(expected)} is refused; expected ANY, NONE, EXISTS or a version from 0")


def fits(expected: Expected, actual: int) -> bool:
    """Whether a stream is where a writer believes it to be."""
    if expected == ANY:
        return True
    if expected == NONE:
        return actual < 0
    return actual >= 0 if expected == EXISTS else actual == expected


def chained(before: bytes, position: int, stream: str, version: int, body: str) -> bytes:
    """The next link of the chain: SHA-256 of the one before and all that is stored of an event."""
    text = f"{position}\n{stream}\n{version}\n{body}".encode()
    return hashlib.sha256(before + text).digest()
