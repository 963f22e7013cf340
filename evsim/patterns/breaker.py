"""When to stop trying: circuit breaker, rate limiter and bulkhead, as state machines that are told the time.

Circuit breaker: M. Nygard, *Release It!*, 2007; the window of calls and the half-open probes as in Resilience4j.
"""

from __future__ import annotations

from collections import deque
from typing import Literal

from pydantic import Field

from evsim.value import Value

State = Literal["closed", "open", "half-open"]


class Breaker(Value):
    """Opens when ``failing`` of the last ``window`` calls have failed (at least ``least`` of them are needed); after
    ``open_s`` seconds lets ``probes`` calls through: all must succeed, or it opens again.
    """

    failing: float = Field(0.5, gt=0, le=1)
    window: int = Field(20, ge=1)
    least: int = Field(10, ge=1)
    open_s: float = Field(30.0, gt=0)
    probes: int = Field(3, ge=1)
    kind: Literal["breaker"] = "breaker"

    def model_post_init(self, _: object, /) -> None:
        """The window must be able to hold what is needed to judge."""
        if self.least > self.window:
            raise ValueError(
                f"least={self.least} calls never fit in a window of {self.window}; give window={self.least}"
            )


class LiveBreaker:
    """A breaker at work. Ask ``allows(now)`` before each call; tell ``succeeded`` or ``failed`` after it."""

    __slots__ = ("_calls", "_opened_at", "_sent", "_well", "state", "value")

    def __init__(self, value: Breaker) -> None:
        self.value = value
        self.state: State = "closed"
        self._calls: deque[bool] = deque(maxlen=value.window)
        self._opened_at = 0.0
        self._sent = self._well = 0

    def allows(self, now: float) -> bool:
        """Whether a call may be made now; a probe that is allowed is counted."""
        if self.state == "open" and now >= self._opened_at + self.value.open_s:
            self.state, self._sent, self._well = "half-open", 0, 0
        if self.state == "half-open":
            self._sent += 1
            return self._sent <= self.value.probes
        return self.state == "closed"

    def succeeded(self, now: float) -> None:
        """A call has succeeded."""
        if self.state == "half-open":
            self._well += 1
            if self._well >= self.value.probes:
                self.state = "closed"
                self._calls.clear()
        elif self.state == "closed":
            self._note(True, now)

    def failed(self, now: float) -> None:
        """A call has failed."""
        if self.state == "half-open":
            self._open(now)
        elif self.state == "closed":
            self._note(False, now)

    def _note(self, well: bool, now: float) -> None:
        self._calls.append(well)
        calls = len(self._calls)
        if calls >= self.value.least and self._calls.count(False) >= self.value.failing * calls:
            self._open(now)

    def _open(self, now: float) -> None:
        self.state, self._opened_at = "open", now
        self._calls.clear()


class RateLimit(Value):
    """A token bucket: ``rate`` calls a second, of which up to ``burst`` may come at once."""

    rate: float = Field(gt=0)
    burst: float = Field(1.0, ge=1)
    kind: Literal["rate_limit"] = "rate_limit"


class LiveRateLimit:
    """A rate limiter at work."""

    __slots__ = ("_at", "_tokens", "value")

    def __init__(self, value: RateLimit) -> None:
        self.value = value
        self._tokens, self._at = value.burst, 0.0

    def wait_s(self, now: float) -> float:
        """How long the next call must wait; 0 when it may be made now. The call is counted as made after that wait."""
        value = self.value
        if now > self._at:
            self._tokens, self._at = min(value.burst, self._tokens + (now - self._at) * value.rate), now
        self._tokens -= 1
        return 0.0 if self._tokens >= 0 else -self._tokens / value.rate + (self._at - now)


class LiveBulkhead:
    """At most ``most`` calls at a time; what comes above is refused."""

    __slots__ = ("inside", "most")

    def __init__(self, most: int) -> None:
        self.most, self.inside = most, 0

    def enter(self) -> bool:
        """Whether there is room; if so it is taken."""
        if self.inside >= self.most:
            return False
        self.inside += 1
        return True

    def leave(self) -> None:
        """One has finished."""
        self.inside -= 1
