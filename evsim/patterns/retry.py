"""How long to wait before the next attempt, and when to give up: pure, with chance handed in.

Backoff and jitter: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015. Retry budget: Google SRE
Book, ch. 21, "Handling Overload".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import Field

from evsim.value import Value

Uniform = Callable[[], float]
"""Draws from [0, 1)."""


class Backoff(Value):
    """The waits between attempts, in seconds: ``base_s`` times ``factor`` to the power of n, at most ``cap_s``.

    ``jitter``: ``"none"`` waits just so; ``"full"`` draws from 0 to it; ``"equal"`` keeps half and draws the other;
    ``"decorrelated"`` draws from ``base_s`` to three times the wait before, at most ``cap_s``.
    """

    base_s: float = Field(0.1, ge=0)
    factor: float = Field(2.0, ge=1)
    cap_s: float = Field(30.0, ge=0)
    jitter: Literal["none", "full", "equal", "decorrelated"] = "full"
    kind: Literal["backoff"] = "backoff"

    def ceiling_s(self, failures: int) -> float:
        """The wait after so many failures, before any jitter."""
        steps = min(failures - 1, 1000)
        try:
            return min(self.cap_s, self.base_s * self.factor**steps)
        except OverflowError:
            return self.cap_s

    def wait_s(self, failures: int, before_s: float, draw: Uniform) -> float:
        """How long to wait after ``failures`` failures in a row, when the wait before was ``before_s`` (0: none)."""
        most = self.ceiling_s(failures)
        if self.jitter == "none":
            return most
        if self.jitter == "full":
            return draw() * most
        if self.jitter == "equal":
            return most / 2 + draw() * most / 2
        low, high = self.base_s, max(self.base_s, 3 * (before_s or self.base_s))
        return min(self.cap_s, low + draw() * (high - low))

    def mean_s(self, failures: int) -> float:
        """The mean wait after so many failures (jitter none, full, equal)."""
        share = {"none": 1.0, "full": 0.5, "equal": 0.75}
        if self.jitter == "decorrelated":
            raise ValueError("the mean of decorrelated jitter depends on the waits before; measure it")
        return share[self.jitter] * self.ceiling_s(failures)


class Retry(Value):
    """Try at most ``attempts`` times in all, waiting by ``backoff``, with the event in hand: what lies behind it waits.

    ``budget`` is the share of events that may be retried (0.1: one retry for each ten first attempts, None: no limit).
    With ``through``, the name of a log, the event is put there after the last attempt, for a consumer that tries again
    later (a retry topic): the partition is not blocked, and the order of its key is lost. With ``keep_order`` the next
    events of that key follow it there, without a delay of their own, until all of them are through; who reads the retry
    topic must be of the same ``group``, for the group remembers which keys are away.
    """

    attempts: int = Field(3, ge=1, le=1000)
    backoff: Backoff = Backoff()
    budget: float | None = Field(None, ge=0, le=1)
    through: str | None = None
    keep_order: bool = False
    kind: Literal["retry"] = "retry"

    def amplification(self, failing: float) -> float:
        """Attempts for each request when a share ``failing`` of all attempts fails: (1 - p^a) / (1 - p)."""
        return float(self.attempts) if failing == 1 else (1 - failing**self.attempts) / (1 - failing)


class Budget:
    """A token bucket: each first attempt pays ``share`` of a retry in; a retry takes a whole one out.

    ``reserve`` tokens are there at the beginning and at most ``most`` are kept.
    """

    __slots__ = ("_most", "_share", "tokens")

    def __init__(self, share: float, reserve: float = 10.0, most: float = 100.0) -> None:
        self._share, self._most = share, most
        self.tokens = reserve

    def pay(self) -> None:
        """A first attempt was made."""
        self.tokens = min(self._most, self.tokens + self._share)

    def take(self) -> bool:
        """Whether a retry may be made; if so it is paid for."""
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True
