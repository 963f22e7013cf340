"""The table crash step × remedy on 200 seeds: the same on all of them, and soon there."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from test_crash_table import EXPECTED, PROMISES, SHOP

from evsim.lab.crash_table import crash_table

pytestmark = pytest.mark.benchmark


def test_two_hundred_seeds_in_less_than_twenty_seconds_on_one_core():
    begin = time.process_time()
    table = crash_table(SHOP, "payment", PROMISES, seeds=range(1, 201), progress=False)
    took_s = time.process_time() - begin
    print(f"\n{table}\n  {20 * 200} runs in {took_s:.1f} s of one core")
    assert table.rows == EXPECTED
    assert took_s < 20
