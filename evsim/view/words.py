"""Numbers in words: three significant digits, a thin prefix, the same text everywhere."""

from __future__ import annotations

import math

_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))


def si(value: float | None, unit: str = "") -> str:
    """``si(0.0123, "s")`` is ``12.3 ms``; seconds stay seconds above one; None is ``nothing to measure``."""
    if value is None or math.isnan(value):
        return "nothing to measure"
    space = " " if unit else ""
    if value == 0 or math.isinf(value):
        return f"{value:.0f}{space}{unit}" if value == 0 else f"endless {unit}".strip()
    for scale, prefix in _PREFIXES:
        if abs(value) >= scale * 0.9995 and not (unit == "s" and scale > 1):
            return f"{digits(value / scale)}{space if unit else ''}{prefix}{unit}"
    return f"{value:.2g}{space}{unit}"


def digits(value: float) -> str:
    """Three significant digits, without a tail of zeros; whole numbers from a hundred on."""
    if abs(value) >= 99.95:
        return f"{value:.0f}"
    return f"{value:.3g}"


def count(number: int, noun: str) -> str:
    """``count(1, "event")`` is ``1 event``, ``count(57600, "event")`` is ``57 600 events``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}".replace(",", " ")


def share(part: float, whole: float) -> str:
    """A share in per cent, with as many digits as tell it from none and from all."""
    if not whole:
        return "nothing to measure"
    percent = 100 * part / whole
    return f"{percent:.3g} %" if percent < 99.5 or percent == 100 else f"{percent:.4g} %"
