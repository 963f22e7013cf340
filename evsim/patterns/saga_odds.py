"""What chance says about a saga whose steps fail independently."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import prod
from operator import mul


def with_retries(failing: float, retries: int) -> float:
    """The share of steps that fail for good when each attempt fails with this chance: ``p ** (retries + 1)``."""
    return failing ** (retries + 1)


def success(failing: Sequence[float]) -> float:
    """The share of sagas that end with all steps done."""
    return prod(1 - p for p in failing)


def turning(failing: Sequence[float]) -> list[float]:
    """The share of sagas that turn back at each step."""
    reached = accumulate([1.0, *(1 - p for p in failing)], mul)
    return [there * p for there, p in zip(reached, failing, strict=False)]


def compensations(failing: Sequence[float]) -> float:
    """How many steps are undone in a saga, on average over all sagas: who turns at step k undoes k - 1."""
    return sum(undone * share for undone, share in enumerate(turning(failing)))


def stuck(failing: Sequence[float], undo_failing: float, undo_retries: int) -> float:
    """The share of sagas with a compensation that fails until it is left to a human."""
    lost = with_retries(undo_failing, undo_retries)
    return sum(share * (1 - (1 - lost) ** undone) for undone, share in enumerate(turning(failing)))
