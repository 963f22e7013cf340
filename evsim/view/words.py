"""Numbers in words: three significant digits, one unit, the same text everywhere."""

from __future__ import annotations

import math

_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))
CLAIM_MAX = 75


def si(value: float | None, unit: str = "") -> str:
    """``si(0.0123, "s")`` is ``12.3 ms``; seconds stay seconds above one; None is ``nothing to measure``."""
    if value is None or math.isnan(value):
        return "nothing to measure"
    space = " " if unit else ""
    if value == 0 or math.isinf(value):
        return f"0{space}{unit}" if value == 0 else f"endless {unit}".strip()
    for scale, prefix in _PREFIXES:
        if abs(value) >= scale * 0.9995 and not (unit == "s" and scale > 1):
            return f"{digits(value / scale)}{space}{prefix}{unit}"
    return f"{value:.2g}{space}{unit}"


def digits(value: float) -> str:
    """Three significant digits without a tail of zeros; whole numbers from a hundred on, their thousands apart."""
    if abs(value) >= 99.95:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}" if not 0 < abs(value) < 1e-4 else f"{value:.1e}"


def rate(value: float | None) -> str:
    """``rate(20.33)`` is ``20.3/s``."""
    return "nothing to measure" if value is None else f"{digits(value)}/s"


def grouped(number: float) -> str:
    """A whole number with its thousands apart: ``57 600``."""
    return f"{number:,.0f}".replace(",", " ")


def count(number: int, noun: str) -> str:
    """``count(1, "event")`` is ``1 event``, ``count(57600, "event")`` is ``57 600 events``."""
    return f"{grouped(number)} {noun}{'' if number == 1 else 's'}"


def times(number: int) -> str:
    """``once``, ``twice``, ``3 times``."""
    return {1: "once", 2: "twice"}.get(number, f"{grouped(number)} times")


def share(part: float, whole: float = 1.0) -> str:
    """A share in per cent, with as many digits as tell it from none and from all."""
    if not whole:
        return "nothing to measure"
    percent = 100 * part / whole
    return f"{percent:.3g} %" if percent < 99.5 or percent == 100 else f"{percent:.4g} %"


def claim_of(*sentences: str) -> str:
    """The first of these sentences that is short enough to be a claim, else the last."""
    return next((sentence for sentence in sentences if len(sentence) <= CLAIM_MAX), sentences[-1])


def sample(events: int, seed: object, end_s: float) -> str:
    """What a figure is about, for its subtitle: ``1 187 events, seed 7, 60 s``."""
    told = [count(events, "event"), f"seed {seed}" if seed is not None else "", si(end_s, "s")]
    return ", ".join(part for part in told if part)
