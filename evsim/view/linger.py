"""What waiting for company costs and gains: the batches of a lingering producer, in formulas.

Events come as a Poisson process; the timer of a batch starts with its first event, and its size has no limit. Then
every batch holds its first event and those of the next ``linger_s``: 1 + λL on average.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from evsim.errors import BadScenario


@dataclass(frozen=True)
class Linger:
    """Events at ``rate`` a second, held back for ``linger_s``; the broker needs ``request_s`` for each request, and
    ``record_s`` for each event in it.

    ``batch_mean``, ``wait_mean_s`` and ``load`` are exact. ``queue_mean_s`` and ``confirm_mean_s`` are Kingman's
    approximation of the line before the broker (exact without linger: M/D/1); they hold for one partition with
    enough requests allowed in flight.
    """

    rate: float
    linger_s: float
    request_s: float = 0.0
    record_s: float = 0.0

    def __post_init__(self) -> None:
        if not self.rate > 0 or not math.isfinite(self.rate):
            raise BadScenario(f"rate={self.rate:g} is refused; expected a number above 0")
        for field in ("linger_s", "request_s", "record_s"):
            value = getattr(self, field)
            if not 0 <= value < math.inf:
                raise BadScenario(f"{field}={value:g} is refused; expected a number of seconds, 0 or more")

    @property
    def batch_mean(self) -> float:
        """1 + λL: the first event of a batch, and those that come while it waits."""
        return 1 + self.rate * self.linger_s

    @property
    def wait_mean_s(self) -> float:
        """L (1 + λL/2) / (1 + λL): nearly all of L when the first is mostly alone, half of L only in big batches."""
        company = self.rate * self.linger_s
        return self.linger_s * (1 + company / 2) / (1 + company)

    @property
    def service_mean_s(self) -> float:
        """How long the broker needs for a batch: o + s b."""
        return self.request_s + self.record_s * self.batch_mean

    @property
    def load(self) -> float:
        """The share of time that the broker is at work, λ (o/b + s): bigger batches share the cost of a request."""
        return self.rate * (self.request_s / self.batch_mean + self.record_s)

    @property
    def rate_max(self) -> float:
        """The rate at which the broker would be at work all the time with batches of this size."""
        cost = self.request_s / self.batch_mean + self.record_s
        return 1 / cost if cost else math.inf

    @property
    def queue_mean_s(self) -> float:
        """How long a batch waits for its turn at the broker, on average; infinite when the load is 1 or more."""
        if self.load >= 1:
            return math.inf
        service = self.service_mean_s
        if not service:
            return 0.0
        gaps = 1 / self.batch_mean**2
        sizes = self.record_s**2 * self.rate * self.linger_s / service**2
        return self.load / (1 - self.load) * (gaps + sizes) / 2 * service

    @property
    def confirm_mean_s(self) -> float:
        """From published to confirmed, on average over events, where links take no time.

        A big batch keeps its events longer, and more of them: an event sees a batch of b + λL/b on average.
        """
        company = self.rate * self.linger_s
        seen = self.batch_mean + company / self.batch_mean
        return self.wait_mean_s + self.queue_mean_s + self.request_s + self.record_s * seen


def best_linger_s(rate: float, request_s: float, record_s: float, most_s: float = 1.0) -> float:
    """The linger with the shortest mean time to a confirmation, up to ``most_s``, found by trying.

    It is 0 far from saturation: then waiting only adds. Near it, waiting shares the cost of requests, and pays.
    """
    tried = [most_s * (step / 400) ** 2 for step in range(401)]
    return min(tried, key=lambda linger_s: Linger(rate, linger_s, request_s, record_s).confirm_mean_s)
