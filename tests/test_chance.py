"""Chance has names, laws know themselves, and the same seed gives the same bits everywhere."""

import hashlib
import inspect
import math
import re
import statistics
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

import evsim.laws
import evsim.quantiles
from evsim.chance import GRID, SEEDS, UNIFORMS, Chance, on_grid
from evsim.errors import BadScenario
from evsim.laws import (
    MOST,
    Z99,
    Choice,
    Constant,
    Distribution,
    Duration,
    Empirical,
    Erlang,
    Exponential,
    Gamma,
    LogNormal,
    Mixture,
    Normal,
    Pareto,
    Uniform,
    Zipf,
)
from evsim.quantiles import exp, gamma_quantile, log, normal_quantile, normal_share
from evsim.value import Value

LAWS = {
    "constant": Constant(0.1),
    "exponential": Exponential(0.03),
    "uniform": Uniform(1.0, 2.0),
    "normal": Normal(1.0, 0.3),
    "wide normal": Normal(1.0, 0.9),
    "lognormal": LogNormal(0.01, 0.1),
    "regular gamma": Gamma(1.0, 0.25),
    "bursty gamma": Gamma(1.0, 2.0),
    "erlang": Erlang(1.0, 4),
    "pareto": Pareto(1.0, 6.0),
    "empirical": Empirical((1.0, 2.0, 4.0)),
    "mixture": Mixture((0.9, 0.1), (Exponential(0.1), Gamma(2.0, 2.0))),
    "zipf": Zipf(100, 1.1),
}
N = 200_000
each_law = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())


def numbers_of(law, n=N, seed=7):
    return np.array(law.sample(n, seed=seed))


# ---------------------------------------------------------------- laws


@each_law
def test_a_law_draws_numbers_with_the_mean_and_spread_it_states(law):
    """Within four standard errors; that of the scv is by its influence function."""
    x = numbers_of(law)
    ratio = x / law.mean
    influence = (ratio**2 - np.mean(ratio**2)) - 2 * (1 + law.scv) * (ratio - 1)
    assert abs(x.mean() - law.mean) <= 4 * law.mean * math.sqrt(law.scv / N) + GRID
    assert abs(x.var() / law.mean**2 - law.scv) <= 4 * influence.std() / math.sqrt(N) + GRID


def normal_cdf(mean, sd):
    return np.vectorize(statistics.NormalDist(mean, sd).cdf)


def erlang_cdf(k, mean):
    def cdf(x):
        stages = x * k / mean
        return 1 - np.exp(-stages) * sum(stages**i / math.factorial(i) for i in range(k))

    return cdf


SHAPES = {
    "exponential": (Exponential(0.03), lambda x: 1 - np.exp(-x / 0.03)),
    "uniform": (Uniform(1.0, 2.0), lambda x: x - 1),
    "narrow normal": (Normal(1.0, 0.1), normal_cdf(1.0, 0.1)),
    # A bell around 0, cut off there, has mean sqrt(2/pi) and sd sqrt(1 - 2/pi).
    "half normal": (
        Normal(math.sqrt(2 / math.pi), math.sqrt(1 - 2 / math.pi)),
        lambda x: 2 * normal_cdf(0.0, 1.0)(x) - 1,
    ),
    "lognormal": (LogNormal(0.01, 0.1), lambda x: normal_cdf(math.log(0.01), math.log(10) / Z99)(np.log(x))),
    "gamma of shape 4": (Gamma(2.0, 0.25), erlang_cdf(4, 2.0)),
    "gamma of shape 1": (Gamma(2.0, 1.0), erlang_cdf(1, 2.0)),
    "gamma of shape 1/2": (Gamma(1.0, 2.0), lambda x: np.vectorize(math.erf)(np.sqrt(x / 2))),
    "erlang": (Erlang(2.0, 3), erlang_cdf(3, 2.0)),
    "pareto": (Pareto(3.0, 1.5), lambda x: 1 - x**-1.5),
}


@pytest.mark.parametrize(("law", "cdf"), SHAPES.values(), ids=SHAPES.keys())
def test_a_law_has_the_shape_of_its_formula(law, cdf):
    """Kolmogorov and Smirnov would see a larger distance once in a thousand seeds."""
    n = 50_000
    shares = cdf(np.sort(numbers_of(law, n)))
    steps = np.arange(n + 1) / n
    assert max(np.max(steps[1:] - shares), np.max(shares - steps[:-1])) < 1.95 / math.sqrt(n)


def test_half_of_a_lognormal_law_is_below_the_median_and_99_in_100_below_p99():
    x = numbers_of(LogNormal(0.01, 0.1))
    assert abs(np.mean(x < 0.01) - 0.5) < 4 * math.sqrt(0.25 / N)
    assert abs(np.mean(x < 0.1) - 0.99) < 4 * math.sqrt(0.01 * 0.99 / N)


def test_a_zipf_law_draws_each_key_as_often_as_its_share():
    law = Zipf(50, 1.2)
    x = numbers_of(law)
    assert math.isclose(sum(law.share(k) for k in range(-2, 60)), 1.0)
    assert math.isclose(law.share(3) / law.share(0), 4**-1.2, rel_tol=1e-9)
    assert set(x) == set(range(50))
    for k in (0, 1, 10, 49):
        assert abs(np.mean(x == k) - law.share(k)) < 4 * math.sqrt(law.share(k) / N)


def test_a_choice_falls_as_its_weights_say():
    drawn = Choice(("card", None, {"by": ["invoice"]}), weights=(7, 2, 1)).sample(N, seed=7)
    assert abs(drawn.count("card") / N - 0.7) < 4 * math.sqrt(0.21 / N)
    assert abs(drawn.count({"by": ["invoice"]}) / N - 0.1) < 4 * math.sqrt(0.09 / N)


@pytest.mark.parametrize("alpha", [1.5, 2.0])
def test_a_pareto_law_with_a_heavy_tail_has_infinite_spread_and_a_mixture_inherits_it(alpha):
    assert Pareto(1.0, alpha).scv == math.inf
    assert Mixture((1, 1), (Constant(1.0), Pareto(1.0, alpha))).scv == math.inf


def test_laws_of_zeros_have_no_spread():
    assert [law.scv for law in (Constant(0), Empirical((0, 0)), Zipf(1), Mixture((1, 2), (0, 0)))] == [0] * 4


@given(
    st.one_of(
        st.builds(Exponential, st.floats(1e-6, 1e6)),
        st.builds(lambda mean, ratio: Normal(mean, mean * ratio), st.floats(1e-6, 1e6), st.floats(1e-3, 0.95)),
        st.builds(lambda median, times: LogNormal(median, median * times), st.floats(1e-6, 1e3), st.floats(1.01, 9e8)),
        st.builds(Gamma, st.floats(1e-6, 1e6), st.floats(1e-4, 1e4)),
        st.builds(Pareto, st.floats(1e-6, 1e6), st.floats(1.001, 1000)),
        st.builds(Zipf, st.integers(1, 1000), st.floats(0, 20)),
    ),
    st.integers(0, SEEDS - 1),
)
@settings(max_examples=60, deadline=None)
def test_whatever_its_settings_a_law_draws_finite_numbers_on_the_grid_and_never_below_zero(law, seed):
    edges = np.array([[0.0] * law.needs, [1 - 2**-53] * law.needs, [0.5] * law.needs])
    x = np.array(law.sample(50, seed) + law.drawn(edges), dtype=float)
    assert np.isfinite(x).all()
    assert (x >= 0).all()
    assert not np.signbit(x).any()
    assert (np.rint(x / GRID) * GRID == x).all()
    assert law.mean >= 0
    assert law.scv >= 0


# ---------------------------------------------------------------- what a law refuses, and how a number becomes one


class Shelf(Value):
    name: str
    service_s: Duration = 0.0
    kind: str = "shelf"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Exponential(-1), "Exponential: mean=-1 is refused; expected more than 0"),
        (lambda: Exponential(math.inf), "expected a finite number"),
        (lambda: Exponential(2 * MOST), "expected at most 1e+12"),
        (lambda: Constant(-1), "value=-1"),
        (lambda: Uniform(2, 1), "high=1 must be more than low=2; for one value, use Constant"),
        (lambda: LogNormal(1, 0.5), "p99=0.5 must be more than median=1"),
        (lambda: LogNormal(1e-3, 1e9), "at most 1e9 times median"),
        (lambda: Normal(1, 1), "sd=1 is too wide"),
        (lambda: Gamma(1, 0), "scv=0"),
        (lambda: Erlang(1, 0), "k=0"),
        (lambda: Erlang(1, 2.5), "expected a whole number"),
        (lambda: Pareto(1, 1), "alpha=1 is refused; expected more than 1"),
        (lambda: Empirical(()), "expected a list no shorter than 1"),
        (lambda: Empirical((1, -2)), "values[1]=-2"),
        (lambda: Zipf(0), "n=0"),
        (lambda: Mixture((1,), (1.0, 2.0)), "1 weights for 2 laws; expected one weight for each"),
        (lambda: Mixture((1, 0), (1.0, 2.0)), "weights[1]=0"),
        (lambda: Choice(("a",), weights=(1, 2)), "2 weights for 1 options"),
        (lambda: Shelf("a", -1), "service_s=-1: a duration cannot be negative"),
        (lambda: Shelf("a", True), "service_s=True"),
        (lambda: Shelf("a", {"kind": "exponental", "mean": 1}), "did you mean 'exponential'?"),
    ],
)
def test_a_law_that_cannot_be_is_refused_in_one_sentence(make, said):
    with pytest.raises(BadScenario) as refusal:
        make()
    assert said in str(refusal.value).split("\n")[0]


def test_a_bare_number_is_a_constant_wherever_a_duration_is_expected():
    assert Shelf("a").service_s == Constant(0.0)
    assert Shelf("a", 3).service_s == Constant(3.0)
    assert Mixture((1, 1), (2, Exponential(1.0))).laws[0] == Constant(2.0)
    schema = Shelf.model_json_schema()["properties"]["service_s"]
    assert schema["anyOf"][0] == {"type": "number", "minimum": 0}


@each_law
def test_a_law_survives_json(law):
    shelf = Shelf("a", law)
    assert Shelf.model_validate_json(shelf.model_dump_json()) == shelf
    assert TypeAdapter(Distribution).validate_python(law.model_dump()) == law


# ---------------------------------------------------------------- streams


def take(draw, n):
    return [draw() for _ in range(n)]


@each_law
@given(cuts=st.lists(st.integers(1, 60), min_size=1, max_size=12))
@settings(max_examples=10)
def test_a_sequence_does_not_depend_on_how_it_is_cut_into_blocks(law, cuts):
    stream = Chance(7).stream("sample")
    pieces = [law.drawn(stream.block(n * law.needs).reshape(n, law.needs)) for n in cuts]
    assert [x for piece in pieces for x in piece] == law.sample(sum(cuts), seed=7)


@each_law
def test_what_a_stream_gives_one_by_one_is_what_its_law_makes_of_one_block(law):
    n = 400 if law.needs else 3
    assert take(Chance(7).draws("sample", law), n) == law.sample(n, seed=7)


def test_a_stream_depends_on_nothing_but_seed_and_name():
    alone = take(Chance(7).draws("billing service", Exponential(1.0)), 500)
    chance = Chance(7)
    draw, other, luck = (
        chance.draws("billing service", Exponential(1.0)),
        chance.draws("mail service", Exponential(1.0)),
        chance.uniforms("link"),
    )
    together = [(draw(), other(), luck())[0] for _ in range(500)]
    assert together == alone
    assert take(Chance(8).draws("billing service", Exponential(1.0)), 5) != alone[:5]


@pytest.mark.parametrize("other", [(7, "mail"), (8, "billing")])
def test_two_streams_have_nothing_in_common(other):
    x = np.array(take(Chance(7).uniforms("billing"), 50_000))
    y = np.array(take(Chance(other[0]).uniforms(other[1]), 50_000))
    assert abs(np.corrcoef(x, y)[0, 1]) < 4 / math.sqrt(50_000)


def test_who_asks_again_continues_the_same_sequence():
    chance = Chance(7)
    first = take(chance.draws("billing", Exponential(1.0)), 3)
    again = take(chance.draws("billing", Exponential(1.0)), 3)
    assert chance.stream("billing") is chance.stream("billing")
    assert first + again == take(Chance(7).draws("billing", Exponential(1.0)), 6)


def test_a_stream_serves_one_law_only():
    chance = Chance(7)
    chance.draws("billing", Exponential(1.0))
    with pytest.raises(BadScenario, match=r"'billing' already gives Exponential\(1.0\).*take another name"):
        chance.draws("billing", Constant(1.0))
    with pytest.raises(BadScenario, match="cannot give uniforms too"):
        chance.uniforms("billing")


def test_only_a_law_can_be_drawn():
    with pytest.raises(BadScenario, match="3 cannot be drawn; expected a law"):
        Chance(7).draws("billing", 3)


@pytest.mark.parametrize("seed", [-1, SEEDS, True, 1.0, "7", None])
def test_a_seed_is_a_whole_number_of_at_most_64_bits(seed):
    with pytest.raises(BadScenario, match="expected a whole number from 0"):
        Chance(seed)


def test_uniforms_fill_the_unit_interval_evenly():
    x = np.sort(take(Chance(7).uniforms("x"), 50_000))
    assert x[0] >= 0
    assert x[-1] < 1
    assert np.max(np.abs(x - np.arange(50_000) / 50_000)) < 1.95 / math.sqrt(50_000)


@given(st.floats(0, 1e6))
def test_the_grid_point_is_the_nearest(seconds):
    point = on_grid(seconds)
    assert point / GRID == round(point / GRID)
    assert abs(point - seconds) <= GRID / 2


@given(st.lists(st.floats(0, 1000).map(on_grid), max_size=30), st.randoms())
def test_sums_of_times_on_the_grid_are_exact_in_any_order(times, order):
    shuffled = list(times)
    order.shuffle(shuffled)
    assert sum(times) == sum(shuffled) == math.fsum(times)


# ---------------------------------------------------------------- the same bits everywhere

DIGESTS = {
    "constant": "f382c2265f3767ce",
    "exponential": "ad3e0da93d6404d8",
    "uniform": "2b8520ad3032d68b",
    "normal": "3ee4de22bb07401a",
    "wide normal": "97d50a0db742e05d",
    "lognormal": "f701a3d001fc60a2",
    "regular gamma": "b2aeba837b1bae00",
    "bursty gamma": "fc62d45b38ae076d",
    "erlang": "cead9043a71feeaf",
    "pareto": "db853054d3d05f79",
    "empirical": "b438bd59157e0473",
    "mixture": "b8a5c4168bd60c23",
    "zipf": "c7eae30a0e191a42",
    "uniforms": "e1ec0861928594fa",
}


@pytest.mark.parametrize("name", [*LAWS, "uniforms"])
def test_seed_7_gives_these_bits_on_every_machine(name):
    """The digest of the first 1000 values. When it changes, every run that was ever named by a token changes."""
    draw = Chance(7).draws(name, LAWS.get(name, UNIFORMS))
    digest = hashlib.sha256(struct.pack("<1000d", *take(draw, 1000))).hexdigest()
    assert digest[:16] == DIGESTS[name]


# ---------------------------------------------------------------- quantiles


@given(st.floats(1e-300, 1e300))
def test_the_logarithm_is_right_to_the_last_place_but_one(x):
    assert math.isclose(float(log(x)), math.log(x), rel_tol=4e-16)


@given(st.floats(-700, 700))
def test_the_exponential_is_right_to_the_last_place_but_one(x):
    assert math.isclose(float(exp(x)), math.exp(x), rel_tol=4e-16)


@given(st.floats(2**-54, 1 - 2**-53))
def test_the_normal_quantile_is_the_one_of_the_standard_library(p):
    there = statistics.NormalDist().inv_cdf(p)
    assert math.isclose(float(normal_quantile(p)[0]), there, rel_tol=4e-15, abs_tol=1e-16)
    assert math.isclose(normal_share(there), p, rel_tol=1e-12)


def test_z99_is_the_normal_quantile_at_99_percent():
    assert float(normal_quantile(0.99)[0]) == pytest.approx(Z99, rel=1e-15)


@pytest.mark.parametrize("shape", [1, 2, 5, 30])
def test_the_gamma_quantile_is_the_inverse_of_its_formula(shape):
    u = np.concatenate([np.arange(1, 1000) / 1000, 2.0 ** -np.arange(10, 50)])
    x = gamma_quantile(shape)(u)
    tail = sum(np.exp(i * np.log(x) - x - math.lgamma(i + 1)) for i in range(shape, shape + 120))
    density = np.exp((shape - 1) * np.log(x) - x - math.lgamma(shape))
    assert np.max(np.abs((tail - u) / (density * x))) < 1e-10


@pytest.mark.parametrize("shape", [1.0, 1.7, 40.0, 9_999.0])
def test_the_gamma_quantile_rises_even_between_the_points_of_its_table(shape):
    u = np.sort(Chance(7).stream("u").block(20_000))
    assert (np.diff(gamma_quantile(shape)(u)) >= 0).all()


@pytest.mark.parametrize("room", [evsim.laws, evsim.quantiles])
def test_values_are_made_without_functions_whose_last_bit_depends_on_the_machine(room):
    told = re.findall(r"np\.(?:log|exp|pow|sum|dot|mean|sin|cos|tan|cbrt|hypot)\w*\(", inspect.getsource(room))
    assert told == []
