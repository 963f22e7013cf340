"""How long things take, and what is drawn: laws of chance that know their own mean and spread.

A law is a value; ``chance.draws(name, law)`` draws from it. ``mean`` and ``scv``, the squared coefficient of variation
(variance / mean²), are those of the numbers as they are drawn. Each number uses up the same count of uniforms, by
inversion wherever it can, so that a sequence does not depend on how it is cut into blocks. Drawn numbers are never
negative, and multiples of 2**-30; a law whose numbers are far below that, 0.93 ns when they are seconds, draws zeros.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Field, JsonValue, model_validator

from evsim.chance import GRID, Array, Chance
from evsim.quantiles import bell, exp, gamma_quantile, log, normal_quantile
from evsim.value import Value

MOST = 1e12
Z99 = 2.3263478740408408
"""99 in 100 standard normal numbers are below this one."""
Positive = Annotated[float, Field(gt=0, le=MOST)]
NotNegative = Annotated[float, Field(ge=0, le=MOST)]
Weights = Annotated[tuple[Positive, ...], Field(min_length=1)]


class Law(Value):
    """A law of chance for numbers, with its ``mean`` and its squared coefficient of variation ``scv``."""

    if TYPE_CHECKING:

        @property
        def mean(self) -> float:
            """What the numbers are on average."""

        @property
        def scv(self) -> float:
            """The variance in units of the squared mean: 0 for a constant, 1 for an exponential law."""

    @property
    def needs(self) -> int:
        """How many uniforms one value takes."""
        return 1

    def numbers(self, uniforms: Array) -> Array:
        """The numbers that rows of ``needs`` uniforms stand for, before they are put on the grid."""
        raise NotImplementedError

    def drawn(self, uniforms: Array) -> list[Any]:
        """The numbers on the grid that rows of ``needs`` uniforms stand for."""
        numbers: list[float] = (np.abs(np.rint(self.numbers(uniforms) / GRID)) * GRID).tolist()
        return numbers

    def sample(self, n: int, seed: int = 0) -> list[Any]:
        """The first ``n`` values of a stream of this seed, to look at."""
        return self.drawn(Chance(seed).stream("sample").block(n * self.needs).reshape(n, self.needs))


class Constant(Law):
    """Always the same value."""

    value: NotNegative
    kind: Literal["constant"] = "constant"

    @property
    def needs(self) -> int:
        """No chance at all."""
        return 0

    @property
    def mean(self) -> float:
        """The value."""
        return self.value

    @property
    def scv(self) -> float:
        """None."""
        return 0.0

    def numbers(self, uniforms: Array) -> Array:
        return np.full(len(uniforms), self.value)


class Exponential(Law):
    """Without memory: the gaps between arrivals of very many customers who do not know of each other."""

    mean: Positive
    kind: Literal["exponential"] = "exponential"

    @property
    def scv(self) -> float:
        """One, whatever the mean."""
        return 1.0

    def numbers(self, uniforms: Array) -> Array:
        return -self.mean * log(1.0 - uniforms[:, 0])


class Uniform(Law):
    """Anywhere between ``low`` and ``high`` alike."""

    low: NotNegative
    high: Positive
    kind: Literal["uniform"] = "uniform"

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.high <= self.low:
            raise ValueError(f"high={self.high:g} must be more than low={self.low:g}; for one value, use Constant")
        return self

    @property
    def mean(self) -> float:
        """The middle."""
        return (self.low + self.high) / 2

    @property
    def scv(self) -> float:
        """(high - low)² / 12, over the squared mean."""
        return ((self.high - self.low) / self.mean) ** 2 / 12

    def numbers(self, uniforms: Array) -> Array:
        return self.low + (self.high - self.low) * uniforms[:, 0]


class Normal(Law):
    """The bell curve cut off at zero; ``mean`` and ``sd`` are those of what is left, so you get what you ask for.

    The bell itself is placed so that they are. That can be done while ``sd`` stays below 0.95 of the mean.
    """

    mean: Positive
    sd: Positive
    kind: Literal["normal"] = "normal"

    @model_validator(mode="after")
    def _is_a_bell(self) -> Self:
        if self.sd > 0.95 * self.mean:
            most = f"expected at most 0.95 × mean = {0.95 * self.mean:g}"
            raise ValueError(f"sd={self.sd:g} is too wide for a bell without negative values, {most}; or use Gamma")
        return self

    @property
    def scv(self) -> float:
        """The squared ratio of ``sd`` to ``mean``."""
        return (self.sd / self.mean) ** 2

    def numbers(self, uniforms: Array) -> Array:
        centre, width, share = bell(self.mean, self.sd)
        return np.maximum(centre - width * normal_quantile((1.0 - uniforms[:, 0]) * share), 0.0)


class LogNormal(Law):
    """What many delays look like: half are below ``median``, and 99 in 100 below ``p99``, perhaps far above."""

    median: Positive
    p99: Positive
    kind: Literal["lognormal"] = "lognormal"

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.p99 <= self.median:
            raise ValueError(f"p99={self.p99:g} must be more than median={self.median:g}; for one value, use Constant")
        if self.p99 / self.median > 1e9:
            raise ValueError(f"p99={self.p99:g} must be at most 1e9 times median={self.median:g}; try a Mixture")
        return self

    @property
    def sigma(self) -> float:
        """The standard deviation of the logarithm."""
        return _log_ratio(self.p99, self.median) / Z99

    @property
    def mean(self) -> float:
        """More than the median, by the factor exp(sigma² / 2)."""
        return self.median * math.exp(self.sigma**2 / 2)

    @property
    def scv(self) -> float:
        """exp(sigma²) - 1."""
        return math.expm1(self.sigma**2)

    def numbers(self, uniforms: Array) -> Array:
        return self.median * exp(self.sigma * normal_quantile(uniforms[:, 0]))


@lru_cache(maxsize=256)
def _log_ratio(p99: float, median: float) -> float:
    return float(log(p99) - log(median))


class Gamma(Law):
    """Any ``mean`` with any ``scv``: below 1 more regular than the exponential law, above 1 burstier."""

    mean: Positive
    scv: Annotated[float, Field(ge=1e-4, le=1e4)]
    kind: Literal["gamma"] = "gamma"

    @property
    def needs(self) -> int:
        """One uniform; two when the law is burstier than the exponential."""
        return 1 if self.scv <= 1 else 2

    def numbers(self, uniforms: Array) -> Array:
        """By its quantiles, from a table; below shape 1, a number of shape + 1 times a power of a uniform."""
        shape, scale = 1 / self.scv, self.mean * self.scv
        if self.scv <= 1:
            return scale * gamma_quantile(shape)(uniforms[:, 0])
        return scale * gamma_quantile(shape + 1)(uniforms[:, 0]) * exp(log(1.0 - uniforms[:, 1]) / shape)


class Erlang(Law):
    """The sum of ``k`` exponential stages: the more stages, the more regular."""

    mean: Positive
    k: Annotated[int, Field(ge=1, le=1000)]
    kind: Literal["erlang"] = "erlang"

    @property
    def needs(self) -> int:
        """A uniform for each stage."""
        return self.k

    @property
    def scv(self) -> float:
        """1 / k."""
        return 1 / self.k

    def numbers(self, uniforms: Array) -> Array:
        total = np.zeros(len(uniforms))
        for stage in range(self.k):
            total -= log(1.0 - uniforms[:, stage])
        return self.mean / self.k * total


class Pareto(Law):
    """Most are short, and a few are so long that they matter most: the share above x falls as x to the power -alpha."""

    mean: Positive
    alpha: Annotated[float, Field(gt=1, le=1000)]
    kind: Literal["pareto"] = "pareto"

    @property
    def scv(self) -> float:
        """1 / (alpha (alpha - 2)); infinite for alpha up to 2."""
        return 1 / (self.alpha * (self.alpha - 2)) if self.alpha > 2 else math.inf

    @property
    def least(self) -> float:
        """The smallest number."""
        return self.mean * (self.alpha - 1) / self.alpha

    def numbers(self, uniforms: Array) -> Array:
        return self.least * exp(log(1.0 - uniforms[:, 0]) / -self.alpha)


class Empirical(Law):
    """One of the measured values, each as likely as the others."""

    values: Annotated[tuple[NotNegative, ...], Field(min_length=1, max_length=100_000)]
    kind: Literal["empirical"] = "empirical"

    @property
    def mean(self) -> float:
        """The mean of the values."""
        return math.fsum(self.values) / len(self.values)

    @property
    def scv(self) -> float:
        """The variance of the values over their squared mean; 0 when all are zero."""
        mean = self.mean
        return math.fsum((v / mean - 1) ** 2 for v in self.values) / len(self.values) if mean else 0.0

    def numbers(self, uniforms: Array) -> Array:
        return _array(self.values)[(uniforms[:, 0] * len(self.values)).astype(np.int64)]


class Zipf(Law):
    """Keys from 0 to ``n`` - 1, of which number k is drawn as often as 1 / (k + 1)**s says: a few are in great demand.

    With s = 0 all are alike. ``stem`` is what the keys are called; by default, as the publisher's events.
    """

    n: Annotated[int, Field(ge=1, le=1_000_000)]
    s: Annotated[float, Field(ge=0, le=20)] = 1.0
    stem: Annotated[str, Field(min_length=1)] | None = None
    kind: Literal["zipf"] = "zipf"

    def share(self, k: int) -> float:
        """The share of key number k in all that are drawn."""
        below = _zipf_shares(self.n, self.s)
        return float(below[k] - below[k - 1]) if 0 < k < self.n else float(below[0]) if k == 0 else 0.0

    @property
    def mean(self) -> float:
        """The mean of the key numbers."""
        return float(np.arange(self.n) @ self._shares)

    @property
    def scv(self) -> float:
        """The variance of the key numbers over their squared mean; 0 for a single key."""
        mean = self.mean
        return float((np.arange(self.n) - mean) ** 2 @ self._shares) / mean**2 if mean else 0.0

    @property
    def _shares(self) -> Array:
        return np.diff(_zipf_shares(self.n, self.s), prepend=0.0)

    def numbers(self, uniforms: Array) -> Array:
        return _zipf_shares(self.n, self.s).searchsorted(uniforms[:, 0], side="right").astype(np.float64)

    def drawn(self, uniforms: Array) -> list[Any]:
        """Key numbers, as whole numbers."""
        keys: list[int] = _zipf_shares(self.n, self.s).searchsorted(uniforms[:, 0], side="right").tolist()
        return keys


@lru_cache(maxsize=16)
def _zipf_shares(n: int, s: float) -> Array:
    """The share of all keys up to each."""
    return _cumulated(exp(-s * log(np.arange(1.0, n + 1))))


def _cumulated(weights: npt.ArrayLike) -> Array:
    """The share of each and all before it; the last is 1."""
    total: Array = np.cumsum(np.asarray(weights, dtype=np.float64))
    return total / total[-1]


@lru_cache(maxsize=16)
def _array(values: tuple[float, ...]) -> Array:
    return np.array(values)


def _law_of_number(given: Any) -> Any:
    """A bare number is a constant."""
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        if given < 0:
            raise ValueError(
                "a duration cannot be negative; expected 0 or more seconds, or a law such as Exponential(0.03)"
            )
        return Constant(given)
    return given


class _NumberToo:
    """Says in the JSON Schema that a bare number may stand for a law."""

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return {"anyOf": [{"type": "number", "minimum": 0}, handler(schema)]}


SimpleLaw = Annotated[
    Constant | Exponential | Uniform | Normal | LogNormal | Gamma | Erlang | Pareto | Empirical | Zipf,
    Field(discriminator="kind"),
    BeforeValidator(_law_of_number),
    _NumberToo(),
]


class Mixture(Law):
    """One law or another, with these weights: cache hits and misses, the quick path and the slow one."""

    weights: Weights
    laws: Annotated[tuple[SimpleLaw, ...], Field(min_length=1)]
    kind: Literal["mixture"] = "mixture"

    @model_validator(mode="after")
    def _as_many(self) -> Self:
        _check_weights(self.weights, self.laws, "laws")
        return self

    @property
    def shares(self) -> tuple[float, ...]:
        """The weights, so that they sum to 1."""
        total = math.fsum(self.weights)
        return tuple(weight / total for weight in self.weights)

    @property
    def needs(self) -> int:
        """One uniform picks the law, and as many as the most demanding law takes give the value."""
        return 1 + max(law.needs for law in self.laws)

    @property
    def mean(self) -> float:
        """The weighted mean of the means."""
        return math.fsum(share * law.mean for share, law in zip(self.shares, self.laws, strict=True))

    @property
    def scv(self) -> float:
        """From the weighted second moments."""
        mean, pairs = self.mean, zip(self.shares, self.laws, strict=True)
        if not mean:
            return 0.0
        return math.fsum(
            share * ((law.mean / mean - 1) ** 2 + law.scv * (law.mean / mean) ** 2) for share, law in pairs
        )

    def numbers(self, uniforms: Array) -> Array:
        picked = _cumulated(self.weights).searchsorted(uniforms[:, 0], side="right")
        found = np.empty(len(uniforms))
        for place, law in enumerate(self.laws):
            rows = np.flatnonzero(picked == place)
            found[rows] = law.numbers(uniforms[rows, 1:])
        return found


class Choice(Value):
    """One of these JSON values, each as likely as its weight says: for the fields of an event's data."""

    options: Annotated[tuple[JsonValue, ...], Field(min_length=1)]
    weights: Weights | None = None
    kind: Literal["choice"] = "choice"
    needs = property(lambda self: 1)

    @model_validator(mode="after")
    def _as_many(self) -> Self:
        if self.weights is not None:
            _check_weights(self.weights, self.options, "options")
        return self

    def drawn(self, uniforms: Array) -> list[Any]:
        """The options that these uniforms stand for."""
        shares = _cumulated(self.weights or (1.0,) * len(self.options))
        return [self.options[place] for place in shares.searchsorted(uniforms[:, 0], side="right").tolist()]

    def sample(self, n: int, seed: int = 0) -> list[Any]:
        """The first ``n`` values of a stream of this seed, to look at."""
        return self.drawn(Chance(seed).stream("sample").block(n).reshape(n, 1))


def _check_weights(weights: Sequence[float], of: Sequence[Any], what: str) -> None:
    if len(weights) != len(of):
        raise ValueError(f"{len(weights)} weights for {len(of)} {what}; expected one weight for each")


Distribution = Annotated[
    Constant | Exponential | Uniform | Normal | LogNormal | Gamma | Erlang | Pareto | Empirical | Zipf | Mixture,
    Field(discriminator="kind"),
]
"""Any law for numbers, told apart by its ``kind``."""

Duration = Annotated[Distribution, BeforeValidator(_law_of_number), _NumberToo()]
"""Any law for numbers; a bare number of seconds is a constant."""
