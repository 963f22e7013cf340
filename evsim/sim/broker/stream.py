"""A stream endpoint: clients hold a connection open, and the server writes each event to it as it comes.

Follows server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): events have an ``id``, a
client that has lost its connection comes again after ``retry`` and says with ``Last-Event-ID`` what it has seen last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from evsim.sim.broker.base import DISCONNECTED, Answer
from evsim.sim.broker.following import Following
from evsim.sim.node import Node
from evsim.sim.part import Part

if TYPE_CHECKING:
    from evsim.sim.broker.base import Message, Request
    from evsim.sim.consumer import LiveConsumer
    from evsim.sim.world import World

_CONFIRMED = Answer(True)


class Stream(Part):
    """``Stream("feed")``: each consumer is a client that gets every event from the moment it first connects.

    A client that has lost its connection connects again after ``retry_s``, and resumes behind the last event that it
    has handled (with ``commit="before"``, as browsers do: received). The server remembers the last ``history_events``
    (None: all), in memory; what a client has not been sent by the time it is forgotten is missed. At most
    ``buffer_events`` lie in a connection that the client has not yet read; when it is full the server waits
    (``when_full="block"``), leaves that client out (``"drop"``), or closes the connection (``"disconnect"``).

    With ``long_poll`` a client asks, gets at most ``buffer_events`` of what there is, or waits up to ``poll_s`` for
    the first, and asks again when it has handled them. The members of a consumer are one client and its stand-ins.
    """

    name: str
    retry_s: float = Field(3.0, ge=0)
    history_events: int | None = Field(None, ge=0)
    buffer_events: int = Field(100, ge=1)
    when_full: Literal["block", "drop", "disconnect"] = "block"
    long_poll: bool = False
    poll_s: float = Field(30.0, gt=0)
    kind: Literal["stream"] = "stream"

    def build(self, world: World) -> LiveStream:
        """Bring it to life."""
        return LiveStream(world, self)


class LiveStream(Node):
    """A stream endpoint at work: the events that it remembers, of which the last has the id ``count``."""

    def __init__(self, world: World, value: Stream) -> None:
        super().__init__(world, value.name)
        self.value = value
        self.count = 0
        self.clients: list[Following] = []
        self.first = 1
        self._events: list[int] = []
        self._stored = world.history.code("stored", value.name, value.name)
        self._dropped = world.history.code("dropped", value.name)
        world.live[value.name] = self

    def event(self, number: int) -> int:
        """The event with this id."""
        return self._events[number - self.first]

    def chooser(self, node: str, message: Message | None = None) -> Callable[[str | None, int], Callable[[int], None]]:
        """What takes an event."""
        return lambda _stem, _number: self.store

    def store(self, event: int) -> None:
        """Remember an event and send it to all clients; forget the oldest."""
        if not self.up:
            if self.frozen:
                self.hold(self.store, event, came=True)
            else:
                self.world.record(self.world.now, self._dropped, event, 0)
            return
        self.count += 1
        self.world.record(self.world.now, self._stored, event, self.count)
        self._events.append(event)
        for client in self.clients:
            client.pump()
        most = self.value.history_events
        if most is not None and len(self._events) > most:
            self._forget(len(self._events) - most)

    def take(self, request: Request) -> None:
        """Take events and confirm them: that the server has them, not that any client has."""
        if not self.up:
            if self.frozen:
                self.hold(self.take, request)
            else:
                request.reply(DISCONNECTED)
            return
        for event in request.events:
            self.store(event)
        request.reply(_CONFIRMED)

    def _forget(self, many: int, step: str = "missed") -> None:
        """The oldest are gone: clients that have not been sent them will not be."""
        for client in self.clients:
            client.lose(self.first + many - 1, step)
        del self._events[:many]
        self.first += many

    def subscribe(self, consumer: LiveConsumer) -> Following:
        """Let a client in."""
        client = Following(self.world, consumer.value, self)
        self.clients.append(client)
        return client

    def crashed(self) -> None:
        """What the server remembered was memory, and all connections are closed."""
        self._forget(len(self._events), "lost")
        for client in self.clients:
            client.hang_up()

    def resumed(self) -> None:
        """Go on."""
        for client in self.clients:
            client.pump()
