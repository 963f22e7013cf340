"""How sure a mean is: Student's interval, batch means, and where a run has warmed up."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from evsim.errors import BadScenario
from evsim.view.ledger import Floats

_TINY = 1e-300


class Interval(NamedTuple):
    """A mean, and the interval that holds the true mean with the confidence asked for."""

    mean: float
    low: float
    high: float


def interval(values: Iterable[float], level: float = 0.95) -> Interval:
    """Mean and Student's confidence interval of independent values; one value alone says nothing about its error."""
    numbers = np.asarray(list(values), dtype=np.float64)
    if not len(numbers):
        raise BadScenario("no values were given; a mean needs at least one, and an interval two")
    mean = float(numbers.mean())
    if len(numbers) < 2:
        return Interval(mean, -math.inf, math.inf)
    half = student_quantile((1 + level) / 2, len(numbers) - 1) * float(numbers.std(ddof=1)) / math.sqrt(len(numbers))
    return Interval(mean, mean - half, mean + half)


def batch_means(values: Iterable[float], batches: int = 20) -> Floats:
    """The means of ``batches`` equal stretches of a series: nearly independent, though neighbours in it are not.

    What does not fill a whole batch is left out at the beginning, where it disturbs least.
    """
    numbers = np.asarray(list(values), dtype=np.float64)
    size = len(numbers) // batches if batches > 0 else 0
    if not size:
        raise BadScenario(f"{len(numbers)} values do not fill {batches} batches; expected at least one value for each")
    return np.asarray(numbers[len(numbers) - size * batches :].reshape(batches, size).mean(axis=1), dtype=np.float64)


def warmup(values: Iterable[float], batch: int = 5) -> int:
    """How many values to cut off at the start, by the rule MSER-5: what is left has the least standard error.

    Looks for the cut in the first half only (White, Cobb and Spratt 2000); an answer near the half means that the run
    was too short.
    """
    numbers = np.asarray(list(values), dtype=np.float64)
    count = len(numbers) // batch
    if count < 2:
        return 0
    means = numbers[: count * batch].reshape(count, batch).mean(axis=1)
    means = means - means.mean()
    left = np.arange(count, 0, -1)
    total, squares = np.cumsum(means[::-1])[::-1], np.cumsum(means[::-1] ** 2)[::-1]
    error = (squares - total**2 / left) / left.astype(np.float64) ** 2
    return int(np.argmin(error[: count // 2 + 1])) * batch


@lru_cache(maxsize=256)
def student_quantile(share: float, freedom: int) -> float:
    """The value below which this share of Student's t distribution with ``freedom`` degrees of freedom lies."""
    if not 0 < share < 1 or freedom < 1:
        raise BadScenario(
            f"share={share:g} of {freedom} degrees of freedom is refused; expected 0 < share < 1 and 1 or more"
        )
    if share == 0.5:
        return 0.0
    if share < 0.5:
        return -student_quantile(1 - share, freedom)
    low, high = 0.0, 1.0
    while student_share(high, freedom) < share:
        low, high = high, high * 2
    for _ in range(200):
        middle = (low + high) / 2
        if middle in {low, high}:
            break
        low, high = (middle, high) if student_share(middle, freedom) < share else (low, middle)
    return (low + high) / 2


def student_share(t: float, freedom: int) -> float:
    """The share of Student's t distribution below ``t``."""
    tail = _beta_share(freedom / (freedom + t * t), freedom / 2, 0.5) / 2
    return 1 - tail if t > 0 else tail


def _beta_share(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, by its continued fraction where that converges fast."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(x, a, b) / a
    return 1 - front * _beta_fraction(1 - x, b, a) / b


def _beta_fraction(x: float, a: float, b: float) -> float:
    """Lentz's method for the continued fraction of the incomplete beta function."""
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 400):
        for factor in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _not_zero(1 + factor * d)
            c = _not_zero(1 + factor / c)
            value *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return value


def _not_zero(x: float) -> float:
    return x if abs(x) > _TINY else _TINY
