"""The distribution of sojourn times on a fine grid, for queues without a closed formula.

The service law is cut into grains of equal probability; a sojourn is a wait and then a service, so that its transform
is the product of theirs.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from evsim.laws import Constant, Law
from evsim.view.ledger import Floats

_POINTS = 1 << 15
_GRAINS = 1 << 16
_REACH = 25
"""The grid ends at so many mean sojourns."""

Transform = npt.NDArray[np.complex128]
Waits = Callable[[Floats, float], Transform]
"""From the service probabilities on the grid and its step to the transform of the wait."""


class SojournCurve:
    """The cumulative distribution of wait and service together."""

    def __init__(self, service: Law, mean_s: float, waits: Waits) -> None:
        self.step_s = _REACH * mean_s / _POINTS
        grains = _on_grid(service_grains(service), self.step_s)
        sojourns = np.fft.irfft(waits(grains, self.step_s) * np.fft.rfft(grains))
        self._share = np.clip(np.cumsum(np.clip(sojourns[:_POINTS], 0, None)), 0, 1)

    def cdf(self, time_s: float) -> float:
        """The share that lasts at most this long; beyond the grid it is all."""
        place = time_s / self.step_s + 0.5
        if place <= 0:
            return 0.0
        if place >= _POINTS:
            return 1.0
        low = math.floor(place)
        before = float(self._share[low - 1]) if low else 0.0
        return before + (place - low) * (float(self._share[low]) - before)


def service_grains(service: Law) -> Floats:
    """Values of equal probability that stand for a law: its quantiles, or else many drawn ones."""
    if isinstance(service, Constant):
        return np.array([service.value])
    if service.needs == 1:
        return np.asarray(service.numbers(((np.arange(_GRAINS) + 0.5) / _GRAINS).reshape(-1, 1)), dtype=np.float64)
    return np.asarray(service.sample(4 * _GRAINS), dtype=np.float64)


def _on_grid(values: Floats, step_s: float) -> Floats:
    """Probabilities on a grid twice as long as needed, each value shared by its two neighbours so that means stay."""
    place = np.minimum(values / step_s, _POINTS - 2)
    low = np.floor(place).astype(np.int64)
    upper = place - low
    found = np.bincount(low, 1 - upper, 2 * _POINTS) + np.bincount(low + 1, upper, 2 * _POINTS)
    return np.asarray(found / len(values), dtype=np.float64)


def pollaczek_khinchine_waits(load: float) -> Waits:
    """Waits in M/G/1: as many rests of services as a geometric law says."""

    def waits(service: Floats, step_s: float) -> Transform:
        rest = 1 - np.cumsum(service)
        rest = np.clip((rest + np.concatenate([[1.0], rest[:-1]])) / 2, 0, None)
        rest /= rest.sum()
        return np.asarray((1 - load) / (1 - load * np.fft.rfft(rest)), dtype=np.complex128)

    return waits


def kingman_waits(load: float, mean_wait_s: float) -> Waits:
    """Waits in G/G/1, roughly: a share ``load`` of all waits, for an exponential time."""

    def waits(service: Floats, step_s: float) -> Transform:
        grid = np.zeros(len(service))
        grid[0] = 1 - load
        if mean_wait_s > 0:
            edges = (np.arange(_POINTS + 1) - 0.5).clip(0) * step_s
            grid[:_POINTS] += load * -np.diff(np.exp(-edges * load / mean_wait_s))
        else:
            grid[0] = 1.0
        return np.asarray(np.fft.rfft(grid), dtype=np.complex128)

    return waits
