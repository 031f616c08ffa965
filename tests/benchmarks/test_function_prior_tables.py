"""The benchmark of function priors: its variant of the Lempel–Ziv complexity is that of the published tables."""

import sys
from pathlib import Path

import numpy as np
import pytest

from allroads import function_prior, simplicity_bias
from allroads.points.prior.draws import CHUNK

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from function_prior import INPUTS, deep_map, lz76_c, partial

ROWS = np.arange(128)


@pytest.mark.parametrize(("ones", "expected"), [(2, 31.5), (10, 66.5), (21, 101.5)])
def test_the_complexity_of_published_targets(ones, expected):
    table = np.zeros(128, int)
    table[np.random.RandomState(10).choice(128, size=ones)] = 1
    assert lz76_c(table) == expected


def test_the_complexity_of_known_functions():
    weight = np.array([bin(row).count("1") for row in ROWS])
    assert [lz76_c(table) for table in (0 * ROWS, ROWS // 64, ROWS % 2, weight % 2, weight > 3, ROWS // 127)] == [
        7, 21, 21, 91, 70, 17.5,
    ]  # fmt: skip


def test_a_partial_correlation_is_that_of_the_formula():
    a, b, c = np.random.default_rng(0).normal(size=(3, 50)) + np.arange(50) / 10
    r = np.corrcoef([a, b, c])
    expected = (r[0, 1] - r[0, 2] * r[1, 2]) / np.sqrt((1 - r[0, 2] ** 2) * (1 - r[1, 2] ** 2))
    assert partial(a, b, c) == pytest.approx(expected)


@pytest.mark.slow
def test_the_published_prior_of_ten_tanh_layers(seed):
    """σ_w = 1, σ_b = 0.2: P(constant) .1864 and mean K 60.41 of 10⁸ published draws."""
    samples = 2 * CHUNK
    prior = function_prior(deep_map(1.0, 0.2), INPUTS, samples, seed=seed, progress=False)
    constant = sum(prior.probability(np.full(128, bit)).value for bit in (0, 1))
    assert abs(constant - 0.1864) < 4.5 * np.sqrt(0.1864 * 0.8136 / samples) + 0.006
    bound = simplicity_bias(prior, measures={"k": lz76_c}, first_bit="most").bounds["k"]
    assert abs(bound.mean - 60.41) < 2.3 * bound.mean_error + 0.6
