"""What the formula says: queues whose mean, and where possible whose whole distribution, is known.

Rates are per second. ``cdf(t)`` is the share of sojourns (from published to handled) that last at most ``t`` seconds.
A queue that is offered more than it can serve has no steady state, and is refused with a sentence that says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from evsim.errors import BadScenario
from evsim.laws import Law
from evsim.view.curves import SojournCurve, kingman_waits, pollaczek_khinchine_waits
from evsim.view.prediction import Prediction, predict

__all__ = [
    "GG1", "MG1", "MM1", "MM1K", "MMc", "Prediction", "chain_availability", "outage_backlog", "outage_drain_s",
    "predict", "timed_commit_duplicates",
]  # fmt: skip


class Queue:
    """What all laws here have in common; ``exact`` is False for an approximation."""

    exact = True
    arrival_rate: float

    @property
    def name(self) -> str:
        """How the law is called."""
        raise NotImplementedError

    @property
    def utilisation(self) -> float:
        """The share of time at work."""
        raise NotImplementedError

    @property
    def mean_wait_s(self) -> float:
        """The mean time before the service begins."""
        raise NotImplementedError

    @property
    def mean_sojourn_s(self) -> float:
        """The mean time until it is done."""
        raise NotImplementedError

    @property
    def mean_in_system(self) -> float:
        """How many wait or are served, on average: Little's law."""
        return self.arrival_rate * self.mean_sojourn_s

    def cdf(self, time_s: float) -> float:
        """The share of sojourns that last at most this long."""
        raise NotImplementedError

    def sojourn_quantile(self, q: float) -> float:
        """The sojourn time that a share ``q`` does not exceed."""
        _check_share(q)
        high = self.mean_sojourn_s or 1.0
        while self.cdf(high) < q:
            high *= 2
        low = 0.0
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (middle, high) if self.cdf(middle) < q else (low, middle)
        return (low + high) / 2


@dataclass(frozen=True)
class MM1(Queue):
    """Poisson arrivals, exponential service, one server: the sojourn is exponential with rate μ - λ."""

    arrival_rate: float
    service_rate: float
    name = "M/M/1"

    def __post_init__(self) -> None:
        _check_steady(self.arrival_rate, self.service_rate)

    @property
    def utilisation(self) -> float:
        """λ / μ."""
        return self.arrival_rate / self.service_rate

    @property
    def mean_wait_s(self) -> float:
        """The mean time before the service begins."""
        return self.utilisation * self.mean_sojourn_s

    @property
    def mean_sojourn_s(self) -> float:
        """1 / (μ - λ)."""
        return 1 / (self.service_rate - self.arrival_rate)

    def cdf(self, time_s: float) -> float:
        """The share of sojourns that last at most this long."""
        return -math.expm1(-(self.service_rate - self.arrival_rate) * max(time_s, 0.0))

    def sojourn_quantile(self, q: float) -> float:
        """-ln(1 - q) / (μ - λ)."""
        _check_share(q)
        return -math.log1p(-q) * self.mean_sojourn_s


@dataclass(frozen=True)
class MMc(Queue):
    """Poisson arrivals, exponential service, one queue for ``servers`` servers (Erlang 1917)."""

    arrival_rate: float
    service_rate: float
    servers: int
    name = "M/M/c"

    def __post_init__(self) -> None:
        _check_steady(self.arrival_rate, self.service_rate, self.servers)

    @property
    def utilisation(self) -> float:
        """The share of time at work of each server."""
        return self.arrival_rate / (self.servers * self.service_rate)

    @property
    def waiting_share(self) -> float:
        """Erlang's C: the share that finds all servers busy."""
        offered, blocked = self.arrival_rate / self.service_rate, 1.0
        for servers in range(1, self.servers + 1):
            blocked = offered * blocked / (servers + offered * blocked)
        return blocked / (1 - self.utilisation * (1 - blocked))

    @property
    def mean_wait_s(self) -> float:
        """C / (c μ - λ)."""
        return self.waiting_share / (self.servers * self.service_rate - self.arrival_rate)

    @property
    def mean_sojourn_s(self) -> float:
        """The mean wait and the mean service."""
        return self.mean_wait_s + 1 / self.service_rate

    def cdf(self, time_s: float) -> float:
        """The share of sojourns that last at most this long."""
        time_s = max(time_s, 0.0)
        work, spare = self.service_rate, self.servers * self.service_rate - self.arrival_rate
        alone = math.exp(-work * time_s)
        gap = (spare - work) * time_s
        slower = time_s if abs(gap) < 1e-9 else -math.expm1(-gap) / (spare - work) if gap > -700 else math.inf
        tail = alone + self.waiting_share * work * (alone * slower if slower < math.inf else 0.0)
        return min(1.0, max(0.0, 1 - tail))


@dataclass(frozen=True)
class MG1(Queue):
    """Poisson arrivals, any service, one server: the mean is that of Pollaczek and Khinchine.

    The distribution needs the law itself: ``service``; it is worked out on a fine grid.
    """

    arrival_rate: float
    service_mean_s: float
    service_scv: float
    service: Law | None = None

    def __post_init__(self) -> None:
        _check_served(self.service_mean_s, self.service_scv)
        _check_steady(self.arrival_rate, 1 / self.service_mean_s)

    @property
    def name(self) -> str:
        """M/D/1 when every service takes the same time."""
        return "M/G/1" if self.service_scv else "M/D/1"

    @property
    def utilisation(self) -> float:
        """The arrival rate times the mean service."""
        return self.arrival_rate * self.service_mean_s

    @property
    def mean_wait_s(self) -> float:
        """ρ / (1 - ρ) · (1 + scv) / 2 times the mean service."""
        load = self.utilisation
        return load / (1 - load) * (1 + self.service_scv) / 2 * self.service_mean_s

    @property
    def mean_sojourn_s(self) -> float:
        """The mean wait and the mean service."""
        return self.mean_wait_s + self.service_mean_s

    @cached_property
    def _curve(self) -> SojournCurve:
        return SojournCurve(_known(self.service), self.mean_sojourn_s, pollaczek_khinchine_waits(self.utilisation))

    def cdf(self, time_s: float) -> float:
        """The share of sojourns that last at most this long."""
        return self._curve.cdf(time_s)


@dataclass(frozen=True)
class GG1(Queue):
    """Any gaps, any service, one server: Kingman's approximation, good when busy, and for gaps that are independent.

    Its distribution takes those who wait at all to wait an exponential time.
    """

    arrival_rate: float
    arrival_scv: float
    service_mean_s: float
    service_scv: float
    service: Law | None = None
    exact = False
    name = "G/G/1 (Kingman, approximate)"

    def __post_init__(self) -> None:
        _check_served(self.service_mean_s, self.service_scv)
        _check_steady(self.arrival_rate, 1 / self.service_mean_s)

    @property
    def utilisation(self) -> float:
        """The arrival rate times the mean service."""
        return self.arrival_rate * self.service_mean_s

    @property
    def mean_wait_s(self) -> float:
        """ρ / (1 - ρ) · (scv of the gaps + scv of the service) / 2 times the mean service."""
        load = self.utilisation
        return load / (1 - load) * (self.arrival_scv + self.service_scv) / 2 * self.service_mean_s

    @property
    def mean_sojourn_s(self) -> float:
        """The mean wait and the mean service."""
        return self.mean_wait_s + self.service_mean_s

    @cached_property
    def _curve(self) -> SojournCurve:
        waits = kingman_waits(self.utilisation, self.mean_wait_s)
        return SojournCurve(_known(self.service), self.mean_sojourn_s, waits)

    def cdf(self, time_s: float) -> float:
        """The share of sojourns that last at most this long, roughly."""
        return self._curve.cdf(time_s)


@dataclass(frozen=True)
class MM1K(Queue):
    """As M/M/1, with room for ``room`` in all; who finds it full is turned away. Has a steady state at any load."""

    arrival_rate: float
    service_rate: float
    room: int
    name = "M/M/1/K"

    def __post_init__(self) -> None:
        _check_positive(arrival_rate=self.arrival_rate, service_rate=self.service_rate, room=self.room)

    def _shares(self) -> list[float]:
        """How often so many are in the system."""
        load = self.arrival_rate / self.service_rate
        powers = [load**n if load <= 1 else load ** (n - self.room) for n in range(self.room + 1)]
        return [power / math.fsum(powers) for power in powers]

    @property
    def loss(self) -> float:
        """The share that is turned away: (1 - ρ) ρ^K / (1 - ρ^(K + 1))."""
        return self._shares()[-1]

    @property
    def utilisation(self) -> float:
        """The share of time at work."""
        return 1 - self._shares()[0]

    @property
    def mean_in_system(self) -> float:
        """How many wait or are served, on average."""
        return math.fsum(n * share for n, share in enumerate(self._shares()))

    @property
    def mean_sojourn_s(self) -> float:
        """The mean time of those who are let in."""
        return self.mean_in_system / (self.arrival_rate * (1 - self.loss))

    @property
    def mean_wait_s(self) -> float:
        """The mean time before the service begins."""
        return self.mean_sojourn_s - 1 / self.service_rate

    def cdf(self, time_s: float) -> float:
        """The share of sojourns of those who are let in that last at most this long."""
        *found, full = self._shares()
        work = self.service_rate * max(time_s, 0.0)
        term = math.exp(-work)
        beyond, total = term, 0.0
        for n, share in enumerate(found):
            total += share / (1 - full) * (1 - beyond)
            term *= work / (n + 1)
            beyond += term
        return min(1.0, max(0.0, total))


# -------------------------------------------------------------------- small laws


def outage_backlog(arrival_rate: float, down_s: float) -> float:
    """How many wait when a consumer comes back that was down for so long: λ D."""
    return arrival_rate * down_s


def outage_drain_s(arrival_rate: float, service_rate: float, down_s: float) -> float:
    """How long it takes until none of them waits any more: λ D / (μ - λ)."""
    _check_steady(arrival_rate, service_rate)
    return outage_backlog(arrival_rate, down_s) / (service_rate - arrival_rate)


def timed_commit_duplicates(rate: float, every_s: float) -> float:
    """How many are handled again, on average, after a crash at any moment, if the position is committed on a timer."""
    return rate * every_s / 2


def chain_availability(availability: float, services: int) -> float:
    """How often a chain of services answers, each of which must be there: aⁿ."""
    return float(availability**services)


# -------------------------------------------------------------------- refusals


def _check_positive(**given: float) -> None:
    for name, value in given.items():
        if not value > 0 or not math.isfinite(value):
            raise BadScenario(f"{name}={value:g} is refused; expected a number above 0")


def _check_served(mean_s: float, scv: float) -> None:
    _check_positive(service_mean_s=mean_s)
    if not math.isfinite(scv):
        raise BadScenario(
            "the service times have no finite variance, so the mean wait is infinite; try a Pareto above 2"
        )


def _check_steady(arrival_rate: float, service_rate: float, servers: int = 1) -> None:
    _check_positive(arrival_rate=arrival_rate, service_rate=service_rate, servers=servers)
    if arrival_rate >= servers * service_rate:
        whom = (
            f"a server of {service_rate:.4g}/s" if servers == 1 else f"{servers} servers of {service_rate:.4g}/s each"
        )
        raise BadScenario(
            f"offers {arrival_rate:.4g}/s to {whom}: no steady state, the backlog grows as long as it runs"
        )


def _check_share(q: float) -> None:
    if not 0 <= q < 1:
        raise BadScenario(f"quantile {q:g} is refused; expected a share from 0 to just below 1, like 0.99")


def _known(service: Law | None) -> Law:
    if service is None:
        raise BadScenario("mean and scv do not say how the service times are distributed; give service= a law")
    return service
