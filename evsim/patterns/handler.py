"""What a handler may do: act on the outside world, keep state, emit events, and wait.

A handler is a plain function ``(event, ctx)``. A delivery passes five steps, *delivered, handled, saved, sent, acked*:
``ctx.effect`` happens during *handled*, ``ctx.state`` is written at *saved*, ``ctx.emit`` leaves at *sent*. A handler
that must wait is ``async def`` and awaits ``ctx.sleep`` or ``ctx.call``; the same handler runs in simulated and in
real time.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, MutableMapping
from typing import Any, Protocol

from evsim.event import Event


class Context(Protocol):
    """What a handler is given beside the event."""

    event: Event
    state: MutableMapping[str, Any]

    @property
    def now(self) -> float:
        """The time in seconds."""
        ...

    @property
    def attempt(self) -> int:
        """How often this event has been delivered, this time included."""
        ...

    def effect(self, name: str, **facts: Any) -> None:
        """Act on the outside world, at once; it cannot be undone."""

    def emit(self, type: str, data: Mapping[str, Any] | None = None, *, key: str | None = ...) -> None:  # noqa: A002
        """Send an event after the state is saved."""

    def sleep(self, seconds: float) -> Sleep:
        """Wait; to be awaited."""
        ...

    def call(self, service: str, data: Mapping[str, Any] | None = None) -> Call:
        """Ask a service and wait for its answer; to be awaited."""
        ...

    def read(
        self,
        store: str,
        stream: str | None,
        start: int | None = None,
        limit: int | None = None,
        *,
        backwards: bool = False,
    ) -> Ask:
        """Read a stream of an event store, and its version, or all streams by position (None); to be awaited."""
        ...

    def append(self, store: str, stream: str, events: Any, expected: Any = ...) -> Ask:
        """Append events, or pairs of type and data, to a stream; to be awaited."""
        ...


class Wish:
    """What a waiting handler waits for; whoever drives it grants the wish."""

    def __await__(self) -> Generator[Wish, Any, Any]:
        answer = yield self
        return answer


class Sleep(Wish):
    """A handler wants to wait for some seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Call(Wish):
    """A handler wants a service to answer; it gets True, or ``Unavailable`` is raised in it."""

    def __init__(self, service: str, data: Mapping[str, Any] | None = None) -> None:
        self.service, self.data = service, data


class Ask(Wish):
    """A handler wants something of an event store; it gets it, or what is wrong is raised in it."""

    def __init__(self, store: str, wish: Any) -> None:
        self.store, self.wish = store, wish


class Unavailable(Exception):
    """The service that was called did not answer."""


class Reject(Exception):
    """A handler raises this to have the message put aside and never brought again (nack without requeue)."""


class Requeue(Exception):
    """A handler raises this to have the message brought again (nack with requeue)."""
