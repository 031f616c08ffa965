"""Intervals of what counts say, beside distributions whose truth is known: how often they hold it."""

import numpy as np
import pytest

from allroads.distributions import collision, effective_number, entropy
from allroads.points.prior.robustness import share_errors

TABLES = 300
LEAST = 0.92
"""Share of the intervals that hold the truth; at 95 % fewer come once in 100 times."""


@pytest.mark.parametrize("samples", [100, 1000, 20_000, 50_000])
@pytest.mark.parametrize("rare", [1e-4, 1e-3])
def test_intervals_hold_the_truth_where_one_function_has_nearly_all_of_the_probability(rare, samples, seed):
    p = np.array([1 - rare, rare])
    same, bits = float(p @ p), float(-p @ np.log2(p))
    held = np.zeros(3)
    for counts in np.random.default_rng(seed).multinomial(samples, p, TABLES):
        found = collision(counts[counts > 0])
        held += found.stats["low"] <= same <= found.stats["high"], abs(found - same) <= found.error, 0
        number, information = effective_number(found), entropy(counts[counts > 0])
        assert number.stats["low"] <= number.value <= number.stats["high"]
        held[2] += abs(information - bits) <= information.error
    assert (held / TABLES >= LEAST).all(), held / TABLES


@pytest.mark.parametrize("networks", [2, 3, 5, 20])
@pytest.mark.parametrize("chance", [0.05, 0.5, 0.95])
def test_intervals_of_robustness_hold_the_truth_for_few_networks(chance, networks, seed):
    """Each of four moves keeps the function with one chance, of which few networks may show nothing."""
    shares = np.random.default_rng(seed).binomial(4, chance, (TABLES, networks)) / 4
    count = np.full(TABLES, float(networks))
    half = share_errors(count, shares.sum(axis=1), (shares**2).sum(axis=1))
    assert (np.abs(shares.mean(axis=1) - chance) <= half).mean() >= LEAST
