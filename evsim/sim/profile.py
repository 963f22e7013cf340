"""Rates that change with time: a step, a ramp, a day, a spike."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from evsim.chance import on_grid
from evsim.value import Value

_HALVINGS = 80


class Profile(Value):
    """A rate in events per second that changes with time, and its integral."""

    def rate_at(self, time_s: float) -> float:
        """The rate at this time, per second."""
        raise NotImplementedError

    def expected(self, time_s: float) -> float:
        """How many events are expected until this time: the integral of the rate."""
        raise NotImplementedError


class Step(Profile):
    """``before`` per second until ``at_s``, ``after`` from then on."""

    before: float = Field(gt=0)
    after: float = Field(gt=0)
    at_s: float = Field(ge=0)
    kind: Literal["step"] = "step"

    def rate_at(self, time_s: float) -> float:
        """The rate at this time, per second."""
        return self.before if time_s < self.at_s else self.after

    def expected(self, time_s: float) -> float:
        """How many events are expected until this time."""
        return self.before * min(time_s, self.at_s) + self.after * max(0.0, time_s - self.at_s)


class Ramp(Profile):
    """From ``start`` per second to ``end`` per second, in a straight line between ``from_s`` and ``to_s``."""

    start: float = Field(gt=0)
    end: float = Field(gt=0)
    from_s: float = Field(ge=0)
    to_s: float = Field(gt=0)
    kind: Literal["ramp"] = "ramp"

    def model_post_init(self, _: Any, /) -> None:
        """A ramp takes time."""
        if self.to_s <= self.from_s:
            raise ValueError(
                f"to_s={self.to_s} must be after from_s={self.from_s}: a ramp takes time; for none, use Step"
            )

    def rate_at(self, time_s: float) -> float:
        """The rate at this time, per second."""
        done = (min(max(time_s, self.from_s), self.to_s) - self.from_s) / (self.to_s - self.from_s)
        return self.start + done * (self.end - self.start)

    def expected(self, time_s: float) -> float:
        """How many events are expected until this time."""
        inside = min(max(time_s, self.from_s), self.to_s)
        climb = (inside - self.from_s) * (self.start + self.rate_at(inside)) / 2
        return self.start * min(time_s, self.from_s) + climb + self.end * max(0.0, time_s - self.to_s)


class Diurnal(Profile):
    """A day: ``mean`` per second, up and down by the share ``amplitude`` with the period; the peak is at ``peak_s``."""

    mean: float = Field(gt=0)
    amplitude: float = Field(0.5, ge=0, lt=1)
    period_s: float = Field(86_400.0, gt=0)
    peak_s: float = Field(43_200.0, ge=0)
    kind: Literal["diurnal"] = "diurnal"

    def rate_at(self, time_s: float) -> float:
        """The rate at this time, per second."""
        return self.mean * (1 + self.amplitude * math.cos(self._angle(time_s)))

    def expected(self, time_s: float) -> float:
        """How many events are expected until this time."""
        swing = math.sin(self._angle(time_s)) - math.sin(self._angle(0.0))
        return self.mean * (time_s + self.amplitude * self.period_s / (2 * math.pi) * swing)

    def _angle(self, time_s: float) -> float:
        return 2 * math.pi * (time_s - self.peak_s) / self.period_s


class Spike(Profile):
    """``base`` per second, but ``peak`` per second for ``for_s`` seconds from ``at_s``."""

    base: float = Field(gt=0)
    peak: float = Field(gt=0)
    at_s: float = Field(ge=0)
    for_s: float = Field(gt=0)
    kind: Literal["spike"] = "spike"

    def rate_at(self, time_s: float) -> float:
        """The rate at this time, per second."""
        return self.peak if self.at_s <= time_s < self.at_s + self.for_s else self.base

    def expected(self, time_s: float) -> float:
        """How many events are expected until this time."""
        inside = min(max(time_s - self.at_s, 0.0), self.for_s)
        return self.base * (time_s - inside) + self.peak * inside


AnyProfile = Annotated[Step | Ramp | Diurnal | Spike, Field(discriminator="kind")]
PositiveRate = Annotated[float, Field(gt=0)]
Rate = PositiveRate | AnyProfile


def arrivals(profile: Profile, unit_gap: Callable[[], float], start_s: float) -> Callable[[], float]:
    """Times of a Poisson process of this rate: unit-rate gaps, mapped through the inverse of the expected count.

    Each call gives the next time, on the grid (Çinlar's method of inversion).
    """
    reached = profile.expected(start_s)
    now = start_s

    def following() -> float:
        nonlocal reached, now
        reached += unit_gap()
        now = max(now, on_grid(_time_of(profile, reached, now)))
        return now

    return following


def _time_of(profile: Profile, target: float, low: float) -> float:
    """When the expected count reaches ``target``: double until beyond, then halve."""
    span = max(1e-6, (target - profile.expected(low)) / max(profile.rate_at(low), 1e-9))
    high = low + span
    while profile.expected(high) < target:
        high += span
        span *= 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if profile.expected(middle) < target:
            low = middle
        else:
            high = middle
    return high
