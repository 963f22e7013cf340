"""How exact a test of a published number is: a bias of three per cent must show, and not drown in the luck of runs."""

from __future__ import annotations

import numpy as np
import pytest


def assert_near(found, expected, rel=0.03):
    """The mean of these runs is near what is expected, and the runs are so many that it is no luck.

    Its standard error is below a third of what is allowed, so that a bias as large as that is seldom overlooked.
    """
    found = np.asarray(list(found), dtype=float)
    error = found.std(ddof=1) / np.sqrt(len(found))
    assert error < rel / 3 * expected, f"a standard error of {error / expected:.2%} is too much: give more runs"
    assert found.mean() == pytest.approx(expected, rel=rel)
