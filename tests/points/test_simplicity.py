import dataclasses
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import beta, spearmanr
from ternary import cube, one_weight, ternary, truth

from allroads import InputError, Network, PriorStatus, complexity, function_prior, function_robustness, simplicity_bias
from allroads.points.complexity.lz76 import first_bit_most_significant, lz76
from allroads.points.prior.draws import CHUNK
from allroads.points.prior.simplicity import _line_above

BITS = (np.arange(4)[:, None] >> np.arange(2) & 1).astype(float)
SIGN = Network(lambda key: 2 * jax.random.normal(key, (1,)), lambda w, x: x @ w)
UNIT = Network(lambda key: jax.random.normal(key, (2,)), lambda w, x: x @ w)


@pytest.fixture(scope="module")
def prior():
    return function_prior(ternary(2), cube(2), 3 * CHUNK, progress=False)


# --- simplicity bias


def test_the_table_is_what_complexity_says_of_each_function(prior):
    found = simplicity_bias(prior)
    assert len(found.table["count"]) == 16 and found.covered == 1
    for k in range(16):
        each = complexity(prior.truth_table(k))
        for name in ("formula_any", "circuit_size", "dnf_terms", "walsh_l1", "lz76", "max_sensitivity"):
            assert found.table[name][k] == getattr(each, name)
        assert found.table["low"][k] == prior.probability(prior.answers(k)).stats["low"]
        assert found.table["high"][k] == pytest.approx(prior.probability(prior.answers(k)).stats["high"])
    assert set(found.bounds) == set(found.table) - {"count", "probability", "low", "high"}


def test_the_bound_and_its_violations_are_those_of_the_formula(prior):
    """a = 2^n / max K: of the two-bit functions, xor has the largest circuit (1) and walsh_degree (2)."""
    measures = {
        "formula_any": lambda table: complexity(table).formula_any,
        "walsh_degree": lambda table: complexity(table).walsh_degree,
        "never": lambda table: float(table.sum() == 0),  # the most probable function is called complex
    }
    found = simplicity_bias(prior, measures=measures)
    for name, largest in (("formula_any", 1), ("walsh_degree", 2), ("never", 1)):
        bound, k = found.bounds[name], found.table[name]
        assert bound.largest == largest and bound.slope == 4 / largest
        above = [
            beta.ppf(0.025 / 16, count, prior.samples - count + 1) > 2 ** (-bound.slope * value)
            for count, value in zip(prior.counts, k, strict=True)
        ]
        assert bound.violations == sum(above)
        assert bound.violating_mass == pytest.approx(prior.counts[np.array(above)].sum() / prior.samples)
        assert bound.mean == pytest.approx(prior.counts @ k / prior.samples)
        assert bound.mean_error == pytest.approx(
            1.96 * np.sqrt((prior.counts @ (k - bound.mean) ** 2) / prior.samples**2), rel=1e-6
        )
        log_p = np.log2(prior.counts / prior.samples)
        assert (log_p <= -bound.slope * k - bound.offset + 1e-9).all()
        assert (log_p > -bound.slope * k - bound.offset - 1e-9).any()
        assert bound.rank_correlation == pytest.approx(spearmanr(k, prior.counts).statistic)
    assert [found.bounds[name].violations for name in measures] == [0, 0, 1]


def test_the_fitted_line_is_the_best_of_all_lines_through_two_points():
    generator = np.random.default_rng(0)
    values = generator.integers(0, 6, 40).astype(float)
    logs = -0.8 * values - generator.exponential(2.0, 40)
    levels = np.unique(values)
    top = np.array([logs[values == level].max() for level in levels])
    best = math.inf
    lines = [(0.0, -top.max())]
    for i, j in itertools.combinations(range(len(levels)), 2):
        slope = -(top[j] - top[i]) / (levels[j] - levels[i])
        lines.append((slope, -slope * levels[i] - top[i]))
    for slope, offset in lines:
        gap = -slope * levels - offset - top
        if slope >= 0 and (gap > -1e-9).all():
            best = min(best, gap.sum())
    slope, offset = _line_above(values, logs)
    assert slope > 0 and (-slope * levels - offset - top > -1e-7).all()
    assert (-slope * levels - offset - top).sum() == pytest.approx(best)
    assert all(map(math.isnan, _line_above(np.ones(3), -np.arange(3.0))))


def test_means_beyond_the_table_are_estimated_with_their_error(prior):
    whole, part = simplicity_bias(prior).bounds["lz76"], simplicity_bias(prior, functions=3)
    assert len(part.table["count"]) == 3 and part.covered == prior.counts[:3].sum() / prior.samples
    assert 0 < abs(part.bounds["lz76"].mean - whole.mean) < 1.8 * part.bounds["lz76"].mean_error
    assert part.bounds["lz76"].mean_error > whole.mean_error


def test_the_first_bit_is_the_most_significant_where_that_is_asked():
    inputs = cube(3)
    prior = function_prior(
        Network(lambda key: jax.random.normal(key, (3,)), lambda w, x: x @ w), inputs, 2000, progress=False
    )
    found = {way: simplicity_bias(prior, first_bit=way).table["lz76"] for way in ("least", "most")}
    tables = [prior.truth_table(k) for k in range(prior.distinct)]
    assert found["least"].tolist() == [lz76(table) for table in tables]
    assert found["most"].tolist() == [lz76(first_bit_most_significant(table)) for table in tables]
    assert (found["least"] != found["most"]).any()


def test_measures_of_ones_own(prior):
    found = simplicity_bias(prior, measures={"ones": np.sum})
    assert list(found.bounds) == ["ones"] and found.bounds["ones"].largest == 4
    assert found.table["ones"].tolist() == [prior.truth_table(k).sum() for k in range(16)]
    with pytest.raises(InputError, match="measures: 'gap' gives nan; expected numbers from 0"):
        simplicity_bias(prior, measures={"gap": lambda table: math.nan})


def test_what_has_no_simplicity_bias_is_refused(prior):
    few = function_prior(UNIT, BITS[1:], 64, progress=False)
    classes = dataclasses.replace(prior, stats=prior.stats | {"answers": "classes", "outputs": (4, 2)})
    for wrong in (few, classes):
        with pytest.raises(InputError, match="a truth table needs one sign per input"):
            simplicity_bias(wrong)
    with pytest.raises(InputError, match=r"prior: expected FunctionPrior\(…\); got 3"):
        simplicity_bias(3)
    with pytest.raises(InputError, match="functions: expected a whole number of 1 or more; got 0"):
        simplicity_bias(prior, functions=0)
    with pytest.raises(InputError, match="first_bit: expected 'least' or 'most'; got 'last'"):
        simplicity_bias(prior, first_bit="last")
    nothing = dataclasses.replace(prior, counts=prior.counts[:0], codes=prior.codes[:0])
    with pytest.raises(InputError, match="no network had finite outputs"):
        simplicity_bias(nothing)


# --- robustness


@pytest.fixture(scope="module")
def moved(seed):
    return function_robustness(ternary(2), cube(2), 3 * CHUNK, move=one_weight, moves=4, seed=seed, progress=False)


def test_robustness_is_that_of_the_enumerated_map(moved):
    """Changes of one weight among −1, 0, 1: every function's share of moves that keep it, by enumeration."""
    codes, counts, robustness = truth(2)
    exact = dict(zip(codes, robustness, strict=True))
    share = counts / 3**9
    assert moved.prior.distinct == 16 and moved.status == PriorStatus.OK
    for k in range(16):
        f = int(moved.prior.answers(k) @ (1 << np.arange(4)))
        assert abs(moved.robustness[k] - exact[f]) < max(2.3 * moved.errors[k], 0.02)
        assert moved.errors[k] < 0.15
    assert abs(moved.mean - share @ robustness) < 1.8 * moved.error < 0.02
    assert abs(moved.null - share @ share) < 1.8 * moved.null.error < 0.02
    assert moved.value == moved.mean.value and moved.stats == {"move": "custom", "moves": 4}


def test_robustness_is_correlated_with_the_log_of_the_count(moved):
    often = moved.prior.counts >= 100
    x, y = np.log(moved.prior.counts[often]), moved.robustness[often]
    assert moved.correlation.value == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert moved.correlation.stats["functions"] == often.sum()
    assert moved.correlation.stats["low"] < moved.correlation.value < moved.correlation.stats["high"] < 1


def test_its_networks_are_those_of_the_prior(moved, seed):
    prior = function_prior(ternary(2), cube(2), 3 * CHUNK, seed=seed, progress=False)
    assert (prior.counts == moved.prior.counts).all() and (prior.codes == moved.prior.codes).all()


@pytest.mark.slow
@pytest.mark.parametrize("size", [0.3, 3.0])
def test_a_sign_survives_a_gaussian_move_as_often_as_arctan_says(size, seed):
    """w ~ N(0, 2²) moved by σ times its scale keeps its sign with probability 1 − arctan(σ)/π."""
    found = function_robustness(SIGN, np.ones((2, 1)), CHUNK, move=size, moves=4, seed=seed, progress=False)
    assert abs(found.mean - (1 - math.atan(size) / math.pi)) < 1.8 * found.error + 0.06 * size / (1 + size**2)
    assert found.correlation.status == PriorStatus.UNDERSAMPLED and found.correlation.stats["functions"] == 2


@pytest.mark.slow
def test_zeros_are_not_moved_and_integers_neither():
    def init(key):
        return {"w": jax.random.normal(key, (1,)), "b": jnp.zeros(1), "n": jnp.ones((), int)}

    network = Network(init, lambda p, x: (x @ p["w"] + p["b"]) * p["n"] + 1e6 * (p["b"][0] != 0))
    found = function_robustness(network, np.ones((2, 1)), 200, move=1e-3, progress=False)
    assert found.mean > 0.95 and found.prior.distinct == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"move": 0}, "move: expected a finite number above 0; got 0"),
        ({"move": "big"}, "move: expected a finite number above 0; got 'big'"),
        ({"moves": 0}, "moves: expected a whole number of 1 or more; got 0"),
        ({"samples": 0}, "samples: expected a whole number of 1 or more; got 0"),
        ({"seed": -1}, "seed: expected a whole number of 0 or more; got -1"),
    ],
)
def test_moves_that_are_none_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        function_robustness(UNIT, BITS, **options)


def test_an_initialisation_of_zeros_has_no_scale():
    with pytest.raises(InputError, match="init draws zeros alone"):
        function_robustness(Network(lambda key: jnp.zeros(2), UNIT.apply), BITS, 10, progress=False)


@pytest.mark.slow
def test_robustness_of_the_larger_enumerated_map(seed):
    """n = 3: 230 of 256 functions, correlation .92 of robustness with the log of the number of points."""
    codes, counts, robustness = truth(3)
    assert len(codes) == 230 and robustness.min() == 0
    assert robustness.max() == pytest.approx(0.776, abs=5e-4)
    assert np.corrcoef(robustness, np.log(counts))[0, 1] == pytest.approx(0.92, abs=5e-3)
    found = function_robustness(ternary(3), cube(3), 30 * CHUNK, move=one_weight, moves=4, seed=seed, progress=False)
    exact = dict(zip(codes, robustness, strict=True))
    for k in np.flatnonzero(found.prior.counts >= 100):
        f = int(found.prior.answers(k) @ (1 << np.arange(8)))
        assert abs(found.robustness[k] - exact[f]) < max(2.5 * found.errors[k], 0.02)
    assert abs(found.mean - counts @ robustness / counts.sum()) < 1.8 * found.error


@pytest.mark.parametrize(
    ("measures", "message"),
    [
        ({"count": np.sum}, "'count' is a column of the table already"),
        ({}, "expected functions of a truth table by their names"),
        ([np.sum], "expected functions of a truth table by their names"),
        ({"less": lambda table: -float(table.sum())}, "a complexity is not negative"),
        ({"huge": lambda table: 1e300}, "expected numbers from 0 to 1e"),
        ({"text": lambda table: "x"}, "'text' gives 'x'; expected a number"),
    ],
)
def test_measures_that_are_no_complexity_are_refused(prior, measures, message):
    with pytest.raises(InputError, match=message):
        simplicity_bias(prior, measures=measures, progress=False)


def test_what_was_found_is_printed_in_a_line_for_each_measure(prior):
    found = simplicity_bias(prior, measures={"ones": np.sum}, progress=False)
    assert str(found).splitlines()[1].startswith("ones: rank correlation with P ") and len(repr(found)) < 80
