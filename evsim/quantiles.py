"""Turn uniforms into values with the same bits on every machine.

Logarithms differ in the last bit between C libraries, and numpy's between processors. So what chance needs is made here
from the operations that IEEE 754 rounds in one way only: + - * / sqrt, and scaling by powers of two. No sum is left to
``np.sum``, whose order depends on the processor. Each element's result depends on that element alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

SMALLEST = 2.0**-54
"""What stands for a uniform of zero where zero would be infinitely far out."""


def log(x: npt.ArrayLike) -> Array:
    """The natural logarithm of positive numbers, to one unit in the last place (the method of FreeBSD's msun)."""
    mantissa, power = np.frexp(np.asarray(x, dtype=np.float64))
    small = mantissa < _SQRT_HALF
    k = (power - small).astype(np.float64)
    f = mantissa * (1.0 + small) - 1.0
    s = f / (2.0 + f)
    z = s * s
    half = 0.5 * f * f
    rest = s * (half + z * _polynomial(_LOG, z)) + k * _LN2_LOW
    found: Array = k * _LN2_HIGH - ((half - rest) - f)
    return found


def exp(x: npt.ArrayLike) -> Array:
    """The exponential of numbers below 709, to one unit in the last place (the method of FreeBSD's msun)."""
    x = np.clip(np.asarray(x, dtype=np.float64), -760.0, 709.0)
    k = np.rint(x * _PER_LN2)
    high, low = x - k * _LN2_HIGH, k * _LN2_LOW
    r = high - low
    t = r * r
    c = r - t * _polynomial(_EXP, t)
    found: Array = np.ldexp(1.0 - ((low - r * c / (2.0 - c)) - high), k.astype(np.int32))
    return found


def normal_quantile(p: npt.ArrayLike) -> Array:
    """The number below which a standard normal one falls with chance p, to 1e-15 relative (AS 241, PPND16)."""
    p = np.maximum(np.atleast_1d(np.asarray(p, dtype=np.float64)), SMALLEST)
    q = p - 0.5
    found: Array = q * _ratio(_MIDDLE, 0.180625 - q * q)
    outer = np.flatnonzero(np.abs(q) > 0.425)
    low = q[outer] < 0
    r = np.sqrt(-log(np.where(low, p[outer], 1.0 - p[outer])))
    size = np.where(r <= 5.0, _ratio(_TAIL, r - 1.6), _ratio(_FAR, r - 5.0))
    found[outer] = np.where(low, -size, size)
    return found


def normal_share(x: float) -> float:
    """The chance that a standard normal number falls below x."""
    half = x * x / 2
    if half == 0:
        return 0.5
    near, far = _gamma_shares(0.5, np.array([half]))
    return float(0.5 + near[0] / 2 if x > 0 else far[0] / 2)


@lru_cache(maxsize=256)
def bell(mean: float, sd: float) -> tuple[float, float, float]:
    """Centre and width of the bell which, cut off at zero, has this mean and sd; and the share that is left of it."""
    if mean > 9 * sd:
        return mean, sd, 1.0
    low, high = -8.0, 10.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if _bell_scv(middle) > (sd / mean) ** 2 else (low, middle)
    at = round(low * 2**30) / 2**30  # the same number on every machine, whatever its library made of the last bits
    share = normal_share(at)
    pull = float(exp(-at * at / 2)) / (math.sqrt(2 * math.pi) * share)
    width = mean / (at + pull)
    return at * width, width, share


def _bell_scv(at: float) -> float:
    """The scv of a bell of width 1 around ``at``, cut off at zero."""
    pull = math.exp(-at * at / 2) / (math.sqrt(2 * math.pi) * math.erfc(-at / math.sqrt(2)) / 2)
    return (1 - pull * (at + pull)) / (at + pull) ** 2


# ---------------------------------------------------------------- gamma


@lru_cache(maxsize=256)
def gamma_quantile(shape: float) -> Callable[[Array], Array]:
    """The quantile function of the gamma law of this shape (from 1 to 10 000) and scale 1, to 1e-10 relative.

    A table holds the logarithm of x, with its first and second derivative, against the logit of the share of values
    below x, exactly at 1024 points; between two points stands the polynomial of degree five that agrees at both.
    """
    assert 1 <= shape <= 10_000, "below 1 a gamma value is one of shape + 1, times a power of a uniform"
    logit, pieces = _gamma_table(shape)

    def quantile(uniforms: Array) -> Array:
        below = np.maximum(uniforms, SMALLEST)
        at = log(below) - log(1.0 - below)
        piece = np.searchsorted(logit, at, side="right") - 1
        step = (at - logit[piece]) / (logit[piece + 1] - logit[piece])
        return exp(_polynomial(pieces[:, piece], step))

    return quantile


def _gamma_table(shape: float) -> tuple[Array, Array]:
    lowest, highest = _gamma_ends(shape)
    w = lowest + (highest - lowest) * np.arange(_POINTS) / (_POINTS - 1)
    x = exp(w)
    below, above = _gamma_shares(shape, x)
    logit = log(below) - log(above)
    assert logit[0] < -37.5 < 36.8 < logit[-1], "the table reaches beyond every uniform"
    slope = below * above / exp(shape * w - x - _log_gamma(shape))
    bend = slope * ((above - below) - (shape - x) * slope)
    h = np.diff(logit)
    d1, d2 = h * slope[:-1], h * h * bend[:-1] / 2
    rise = np.diff(w) - d1 - d2
    run = h * slope[1:] - d1 - 2 * d2
    turn = h * h * bend[1:] / 2 - d2
    return logit, np.array(
        [6 * rise - 3 * run + turn, -15 * rise + 7 * run - 2 * turn, 10 * rise - 4 * run + turn, d2, d1, w[:-1]]
    )


def _gamma_ends(shape: float) -> tuple[float, float]:
    """Logarithms of x below and above which fewer than 2**-54 of all values lie.

    Above, and for large shapes below, by the cube of a normal number (Wilson and Hilferty) ten deviations out; else
    below because the share under x is at most x**shape / gamma(shape + 1).
    """

    def cube(z: float) -> float:
        return 3 * float(log(1 - 1 / (9 * shape) + z / (3 * math.sqrt(shape)))) + float(log(shape))

    bound = (float(log(SMALLEST)) - 1 + _log_gamma(shape + 1)) / shape
    return (cube(-10) if shape > 100 else bound), cube(10)


def _gamma_shares(shape: float, x: Array) -> tuple[Array, Array]:
    """The shares of gamma values below and above x: a series where x is small, else a continued fraction."""
    terms = 150 + int(10 * math.sqrt(shape))
    density = exp(shape * log(x) - x - _log_gamma(shape))
    near = x < shape + 1
    below, above = np.empty_like(x), np.empty_like(x)
    below[near] = density[near] * _series(shape, x[near], terms)
    above[~near] = density[~near] * _fraction(shape, x[~near], terms)
    above[near] = 1.0 - below[near]
    below[~near] = 1.0 - above[~near]
    return below, above


def _series(shape: float, x: Array, terms: int) -> Array:
    term = np.full_like(x, 1.0 / shape)
    total = term.copy()
    for n in range(1, terms):
        term = term * x / (shape + n)
        total += term
    return total


def _fraction(shape: float, x: Array, terms: int) -> Array:
    """Lentz's method, from the front."""
    b = x + 1.0 - shape
    c = np.full_like(x, 1e300)
    d = 1.0 / b
    found = d.copy()
    for n in range(1, terms):
        a = n * (shape - n)
        b = b + 2.0
        d = 1.0 / (a * d + b)
        c = b + a / c
        found = found * (c * d)
    return found


def _log_gamma(x: float) -> float:
    """The logarithm of the gamma function, by Stirling's series from 16 on."""
    product = 1.0
    while x < 16:
        product *= x
        x += 1
    z = 1 / (x * x)
    series = (1 / 12 - z * (1 / 360 - z * (1 / 1260 - z * (1 / 1680 - z / 1188)))) / x
    return (x - 0.5) * float(log(x)) - x + _HALF_LOG_TWO_PI + series - float(log(product))


# ---------------------------------------------------------------- polynomials


def _polynomial(coefficients: Sequence[float] | Array, x: Array) -> Array:
    """Horner's rule, the highest power first."""
    found = coefficients[0] * x
    for coefficient in coefficients[1:-1]:
        found += coefficient
        found *= x
    found += coefficients[-1]
    return found


def _ratio(pair: tuple[Sequence[float], Sequence[float]], x: Array) -> Array:
    return _polynomial(pair[0], x) / _polynomial(pair[1], x)


_POINTS = 1024
_HALF_LOG_TWO_PI = 0.9189385332046727
_SQRT_HALF = 0.7071067811865476
_LN2_HIGH, _LN2_LOW, _PER_LN2 = 6.93147180369123816490e-01, 1.90821492927058770002e-10, 1.44269504088896338700
_LOG = (
    1.479819860511658591e-01,
    1.531383769920937332e-01,
    1.818357216161805012e-01,
    2.222219843214978396e-01,
    2.857142874366239149e-01,
    3.999999999940941908e-01,
    6.666666666666735130e-01,
)
_EXP = (
    4.13813679705723846039e-08,
    -1.65339022054652515390e-06,
    6.61375632143793436117e-05,
    -2.77777777770155933842e-03,
    1.66666666666666019037e-01,
)
_MIDDLE = (
    (
        2509.0809287301227,
        33430.57558358813,
        67265.7709270087,
        45921.95393154987,
        13731.69376550946,
        1971.5909503065513,
        133.14166789178438,
        3.3871328727963665,
    ),
    (
        5226.495278852854,
        28729.085735721943,
        39307.89580009271,
        21213.794301586597,
        5394.196021424751,
        687.1870074920579,
        42.31333070160091,
        1.0,
    ),
)
_TAIL = (
    (
        0.0007745450142783414,
        0.022723844989269184,
        0.2417807251774506,
        1.2704582524523684,
        3.6478483247632045,
        5.769497221460691,
        4.630337846156546,
        1.4234371107496835,
    ),
    (
        1.0507500716444169e-09,
        0.0005475938084995345,
        0.015198666563616457,
        0.14810397642748008,
        0.6897673349851,
        1.6763848301838038,
        2.053191626637759,
        1.0,
    ),
)
_FAR = (
    (
        2.0103343992922881e-07,
        2.7115555687434876e-05,
        0.0012426609473880784,
        0.026532189526576124,
        0.29656057182850487,
        1.7848265399172913,
        5.463784911164114,
        6.657904643501103,
    ),
    (
        2.0442631033899397e-15,
        1.421511758316446e-07,
        1.8463183175100548e-05,
        0.0007868691311456133,
        0.014875361290850615,
        0.1369298809227358,
        0.599832206555888,
        1.0,
    ),
)
