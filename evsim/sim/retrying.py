"""Retry in place: a member whose handler failed waits with the event in its hand, and tries again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from evsim.chance import on_grid
from evsim.patterns.retry import Budget

if TYPE_CHECKING:
    from evsim.sim.consumer import Consumer
    from evsim.sim.world import World


class Trouble(NamedTuple):
    """What a member has in hand that has failed so often, and how long it waited last."""

    event: int
    epoch: int
    failures: int
    wait_s: float


class Retrying:
    """The retries of one consumer's members. How often an event has failed is memory: a crash forgets it."""

    def __init__(self, world: World, value: Consumer) -> None:
        self.world, self.retry = world, value.retry
        self._troubles: dict[Any, Trouble] = {}
        if self.retry is not None:
            self._draw = world.chance.uniforms(f"{value.name} retries")
            self._budget = None if self.retry.budget is None else Budget(self.retry.budget)

    def failures_of(self, member: Any) -> int:
        """How often the event in this member's hand has failed since it came."""
        trouble = self._troubles.get(member)
        if trouble is None or (trouble.event, trouble.epoch) != (member.event, member.epoch):
            return 0
        return trouble.failures

    def succeeded(self, member: Any) -> None:
        """The event has been handled; a first attempt that succeeds pays into the budget, as a failing one does."""
        if self.retry is not None:
            self._pay(self.failures_of(member))
            self._troubles.pop(member, None)

    def tries_again(self, member: Any, event: int) -> bool:
        """Whether the member will try again; if so it is planned."""
        retry = self.retry
        if retry is None:
            return False
        before = self.failures_of(member)
        self._pay(before)
        failures = before + 1
        if failures >= retry.attempts or (self._budget is not None and not self._budget.take()):
            self._troubles.pop(member, None)
            return False
        last_s = self._troubles[member].wait_s if before else 0.0
        wait_s = on_grid(retry.backoff.wait_s(failures, last_s, self._draw))
        self._troubles[member] = Trouble(event, member.epoch, failures, wait_s)
        self.world.call_in(wait_s, self._again, (member, member.epoch, failures))
        return True

    def _pay(self, failures: int) -> None:
        if failures == 0 and self._budget is not None:
            self._budget.pay()

    def _again(self, waited: tuple[Any, int, int]) -> None:
        member, epoch, failures = waited
        if member.epoch != epoch:
            return
        if member.frozen:
            member.hold(self._again, waited)
            return
        code = self.world.history.code("retried", member.name, member.cursor.place)
        self.world.record(self.world.now, code, member.event, failures)
        member.attempt_it()
