"""Webhooks: each event is sent to the endpoint in a signed request, and again until it answers 2xx.

Follows Standard Webhooks (https://github.com/standard-webhooks/standard-webhooks): at least once, in no order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from evsim.patterns.webhooks import SCHEDULE_S, TOLERANCE_S, new_secret, secret_problem
from evsim.sim.broker.base import DISCONNECTED, Answer
from evsim.sim.broker.posting import Posting
from evsim.sim.faults import OnPart
from evsim.sim.node import Node
from evsim.sim.part import Part

if TYPE_CHECKING:
    from evsim.sim.broker.base import Message, Request
    from evsim.sim.consumer import LiveConsumer
    from evsim.sim.world import World

_CONFIRMED = Answer(True)


class Webhook(Part):
    """``Webhook("hook")`` sends each event to the endpoint, the consumer that is ``of`` it; its members are servers.

    An attempt succeeds when the endpoint answers 2xx, which it does when its handler is done (with
    ``commit="before"`` at once), within ``timeout_s``. A handler that raises answers 500, one that raises ``Gone``
    answers 410 and the endpoint is disabled; ``Reject`` has the event thrown away. Attempt n comes ``schedule_s[n]``
    after the one before has failed, and up to the share ``jitter`` later; when the schedule is over, the event is
    exhausted. ``disable_after`` failed attempts in a row disable the endpoint; an operator enables it again
    ``disabled_for_s`` later (None: never), and what has waited is sent.

    Requests are signed with ``secret``, and while keys are rotated with the ``more_secrets`` too. The endpoint knows
    ``endpoint_secret`` (None: ``secret``), and refuses what no secret of its fits, or what is older or newer than
    ``tolerance_s``: it answers 401.
    """

    name: str
    secret: str = new_secret("evsim")
    more_secrets: tuple[str, ...] = ()
    endpoint_secret: str | None = None
    schedule_s: tuple[float, ...] = Field(SCHEDULE_S, min_length=1)
    timeout_s: float = Field(15.0, gt=0)
    tolerance_s: float = Field(TOLERANCE_S, gt=0)
    jitter: float = Field(0.0, ge=0)
    disable_after: int | None = Field(None, ge=1)
    disabled_for_s: float | None = Field(None, gt=0)
    kind: Literal["webhook"] = "webhook"

    @property
    def secrets(self) -> tuple[str, ...]:
        """All that it signs with."""
        return (self.secret, *self.more_secrets)

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """Secrets are secrets, and waits are not negative."""
        yield from super().check(parts)
        for secret in (*self.secrets, *([self.endpoint_secret] if self.endpoint_secret is not None else [])):
            problem = secret_problem(secret)
            if problem is not None:
                yield f"{self.title}: {problem}"
        if min(self.schedule_s) < 0:
            yield f"{self.title}: schedule_s has a wait of {min(self.schedule_s):g} s; expected 0 or more"

    def build(self, world: World) -> LiveWebhook:
        """Bring it to life."""
        return LiveWebhook(world, self)


class LiveWebhook(Node):
    """A webhook at work. What it has taken is on its disk until it has been delivered or given up."""

    def __init__(self, world: World, value: Webhook) -> None:
        super().__init__(world, value.name)
        self.value = value
        self.postings: list[Posting] = []
        self._count = 0
        self._stored = world.history.code("stored", value.name, value.name)
        self._dropped = world.history.code("dropped", value.name)
        world.live[value.name] = self

    def chooser(self, node: str, message: Message | None = None) -> Callable[[str | None, int], Callable[[int], None]]:
        """What takes an event."""
        return lambda _stem, _number: self.store

    def store(self, event: int) -> None:
        """Take an event, and begin to deliver it."""
        if not self.up:
            if self.frozen:
                self.hold(self.store, event, came=True)
            else:
                self.world.record(self.world.now, self._dropped, event, 0)
            return
        self._count += 1
        self.world.record(self.world.now, self._stored, event, self._count)
        for posting in self.postings:
            posting.post(event, self._count)

    def take(self, request: Request) -> None:
        """Take events and confirm them: they are on the disk."""
        if not self.up:
            if self.frozen:
                self.hold(self.take, request)
            else:
                request.reply(DISCONNECTED)
            return
        for event in request.events:
            self.store(event)
        request.reply(_CONFIRMED)

    def subscribe(self, consumer: LiveConsumer) -> Posting:
        """Register an endpoint."""
        posting = Posting(self.world, consumer.value, self)
        self.postings.append(posting)
        return posting

    def crashed(self) -> None:
        """Nobody hears the answers to the requests that were under way."""
        for posting in self.postings:
            posting.forget()

    def restarted(self) -> None:
        """Requests whose answer nobody heard have failed; what was due meanwhile is due now."""
        for posting in self.postings:
            posting.revive()

    def resumed(self) -> None:
        """What was due meanwhile is due now."""
        for posting in self.postings:
            posting.revive()


class Replay(OnPart):
    """``Replay("hook", at_s=600, nth=1)``: an attacker who has seen the request of the nth event sends it once more.

    With ``forged=True`` the payload has been changed, and the signature does not fit.
    """

    part: str
    at_s: float = Field(ge=0)
    nth: int = Field(1, ge=1)
    forged: bool = False
    kind: Literal["replay"] = "replay"

    def check(self, parts: Mapping[str, Part]) -> Iterator[str]:
        """Only requests of webhooks can be captured."""
        yield from self.check_part(parts, ("webhook",))

    def begin(self, world: World) -> None:
        """Schedule the attack."""
        world.plan_at(max(self.at_s, world.now), self._strike, world)

    def _strike(self, world: World) -> None:
        for posting in world.find(self.part).postings:
            posting.replay(self.nth, self.forged)
