"""How one who asks a service protects itself, and the service: timeout, retries, circuit breaker, bulkhead."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from evsim.chance import on_grid
from evsim.patterns.breaker import Breaker, LiveBreaker, LiveBulkhead
from evsim.patterns.handler import Unavailable
from evsim.patterns.retry import Budget, Retry
from evsim.value import Value

if TYPE_CHECKING:
    from evsim.sim.world import World


class Calling(Value):
    """``Calling(timeout_s=1, retry=Retry(3), breaker=Breaker(), at_once=20)``: how services are asked.

    After ``timeout_s`` the caller no longer waits for an attempt, though the service may still work at it. ``retry``
    asks again, ``breaker`` stops asking for a while, and at most ``at_once`` questions are out at a time.
    """

    timeout_s: float | None = Field(None, gt=0)
    retry: Retry | None = None
    breaker: Breaker | None = None
    at_once: int | None = Field(None, ge=1)
    kind: Literal["calling"] = "calling"


class Caller:
    """One node's way of asking one service. Each question gets exactly one answer, be it an ``Unavailable``."""

    def __init__(self, world: World, node: str, service: Any, value: Calling) -> None:
        self.world, self.node, self.service, self.value = world, node, service, value
        self._breaker = None if value.breaker is None else LiveBreaker(value.breaker)
        self._bulkhead = None if value.at_once is None else LiveBulkhead(value.at_once)
        retry = value.retry
        self._attempts = 1 if retry is None else retry.attempts
        self._budget = None if retry is None or retry.budget is None else Budget(retry.budget)
        self._draw = world.chance.uniforms(f"{node} asks {service.name} again") if retry is not None else None

    def ask(self, event: int, then: Callable[[Any], Any], wish: Any = None) -> None:
        """Ask about an event; ``wish`` is what one asks of an event store, the same at each attempt."""
        if self._budget is not None:
            self._budget.pay()
        if self._bulkhead is not None and not self._bulkhead.enter():
            self.note("refused", event, 0)
            self.world.call_in(0.0, then, Unavailable(f"{self.node} has too many questions out"))
            return
        _Question(self, event, then, wish).attempt()

    def allowed(self) -> bool:
        """Whether the breaker lets a call through now."""
        return self._breaker is None or self._breaker.allows(self.world.now)

    def heard(self, well: bool) -> None:
        """An attempt has ended."""
        if self._breaker is not None:
            (self._breaker.succeeded if well else self._breaker.failed)(self.world.now)

    def wait_s(self, failures: int, before_s: float) -> float | None:
        """How long to wait before the next attempt; None when there is none."""
        retry = self.value.retry
        if retry is None or failures >= self._attempts or (self._budget is not None and not self._budget.take()):
            return None
        assert self._draw is not None
        return on_grid(retry.backoff.wait_s(failures, before_s, self._draw))

    def done(self) -> None:
        """A question has its answer."""
        if self._bulkhead is not None:
            self._bulkhead.leave()

    def note(self, step: str, event: int, number: int) -> None:
        """Record what befell a question."""
        code = self.world.history.code(step, self.node, self.service.name)
        self.world.record(self.world.now, code, event, number)


class _Question:
    """One question, and its attempts."""

    __slots__ = ("caller", "event", "failures", "then", "ticket", "waited_s", "wish")

    def __init__(self, caller: Caller, event: int, then: Callable[[Any], Any], wish: Any) -> None:
        self.caller, self.event, self.then = caller, event, then
        self.wish = () if wish is None else (wish,)
        self.failures = self.ticket = 0
        self.waited_s = 0.0

    def attempt(self, _: Any = None) -> None:
        """Ask, unless the breaker is open."""
        caller = self.caller
        self.ticket += 1
        ticket = self.ticket
        if self.failures:
            caller.note("retried", self.event, self.failures)
        if not caller.allowed():
            self._failed(Unavailable(f"{caller.node} does not ask {caller.service.name}: its breaker is open"), False)
            return
        caller.service.ask(self.event, caller.node, lambda answer: self._answered(ticket, answer), *self.wish)
        if caller.value.timeout_s is not None and ticket == self.ticket:
            caller.world.call_in(caller.value.timeout_s, self._late, ticket)

    def _answered(self, ticket: int, answer: Any) -> None:
        if ticket != self.ticket:
            return
        self.ticket += 1
        if isinstance(answer, Unavailable):
            self._failed(answer, True)
        else:
            self.caller.heard(True)
            self._end(answer)

    def _late(self, ticket: int) -> None:
        if ticket != self.ticket:
            return
        self.ticket += 1
        self.caller.note("timed_out", self.event, self.failures + 1)
        self._failed(Unavailable(f"{self.caller.service.name} did not answer in time"), True)

    def _failed(self, problem: Exception, asked: bool) -> None:
        if asked:
            self.caller.heard(False)
        self.failures += 1
        wait_s = self.caller.wait_s(self.failures, self.waited_s)
        if wait_s is None:
            self._end(problem)
        else:
            self.waited_s = wait_s
            self.caller.world.call_in(wait_s, self.attempt)

    def _end(self, answer: Any) -> None:
        self.caller.done()
        self.then(answer)
