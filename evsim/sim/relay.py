"""The relay of a transactional outbox: it reads the outbox, publishes what it finds, and marks it as sent.

C. Richardson, *Microservices Patterns*, 3.3: a *polling publisher* asks the database every now and then; *transaction
log tailing* follows the log that the database writes anyway (change data capture, as Debezium does it).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from evsim.chance import on_grid
from evsim.laws import Constant, Duration
from evsim.sim.consumer import Consumer
from evsim.sim.handling import Handling
from evsim.sim.part import BROKERS
from evsim.sim.router import Forwarding, LiveForwarder, _Forwarder

if TYPE_CHECKING:
    from evsim.sim.handling import Member
    from evsim.sim.world import World


class Relay(_Forwarder):
    """``Relay("relay", of="payment-outbox", to="bus", poll_s=0.5)`` for ``Consumer(…, outbox="payment-outbox")``.

    With ``poll_s`` it looks into the outbox at these times and sends all that lies there: what was written waits for
    half of that on average, and for that at most (None: it tails the database's log, and sees a row ``service_s`` after
    it was written). A row is marked as sent ``"after"`` it was published, so that a crash in between sends it again, or
    ``"before"``, so that a crash in between loses it. Rows are cleaned away by the ``retention_s`` of the outbox. It is
    a process of its own: its crashes, and those of the consumer, are different ones.
    """

    name: str
    of: str
    to: str
    poll_s: float | None = Field(None, gt=0)
    mark: Literal["after", "before"] = "after"
    service_s: Duration = Constant(0.0)
    kind: Literal["relay"] = "relay"
    refers: ClassVar[Mapping[str, tuple[str, ...]]] = {"of": ("log",), "to": BROKERS}

    def consumer(self) -> Consumer:
        """The consumer of the outbox that a relay is."""
        return super().consumer().but(commit=self.mark)

    @property
    def targets(self) -> list[str]:
        """The broker that it publishes to."""
        return [self.to]

    def forward(self, event: Any, headers: Mapping[str, Any]) -> list[str]:
        """Everything goes to the same place."""
        return [self.to]

    def build(self, world: World) -> LiveRelay:
        """Bring the relay to life."""
        return LiveRelay(world, self)


class LiveRelay(LiveForwarder):
    """A relay at work."""

    def handling_of(self) -> Handling:
        """Relaying."""
        return Relaying(self.world, self.value, self.group, self.forwarder)


class Relaying(Forwarding):
    """Forwarding at the times of the polls."""

    def __init__(self, world: World, value: Consumer, group: Any, forwarder: Any) -> None:
        super().__init__(world, value, group, forwarder)
        self._poll_s: float | None = forwarder.poll_s

    def early_s(self, member: Member, event: int) -> float:
        """How long until the first poll after this row was written."""
        if self._poll_s is None:
            return 0.0
        written_s = self.world.history.event_at(event).timestamp
        return max(0.0, on_grid(math.ceil(written_s / self._poll_s) * self._poll_s - self.world.now))
