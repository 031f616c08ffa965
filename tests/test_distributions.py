"""What counts say of the distribution behind them: coverage of the intervals from a dozen draws to thousands."""

from __future__ import annotations

import math

import numpy as np
import pytest

from allroads.distributions import collision, effective_number, entropy
from allroads.distributions.collision import FEW


def zipf(labels):
    p = 1 / np.arange(1, labels + 1)
    return p / p.sum()


DISTRIBUTIONS = {
    "nearly one": np.array([0.9975, 0.0025]),
    "mostly one": np.r_[0.9, np.full(20, 0.005)],
    "two": np.array([0.6, 0.4]),
    "zipf": zipf(30),
    "even": np.full(100, 0.01),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("draws", [12, FEW, pytest.param(FEW + 1, marks=pytest.mark.slow), 1024])
def test_intervals_hold_at_every_size(name, draws, seed):
    """200 sets of draws: a 95 % interval misses in 23 at most, as 5 % does in 1 of 5,000 runs; errors are finite."""
    p, generator, missed = DISTRIBUTIONS[name], np.random.default_rng(seed), np.zeros(2)
    for _ in range(200):
        counts = generator.multinomial(draws, p)
        counts = counts[counts > 0]
        same = collision(counts)
        missed[0] += not same.stats["low"] <= p @ p <= same.stats["high"]
        assert same.stats["low"] <= same.value <= same.stats["high"]
        if len(counts) > 1 and (counts == 1).sum() <= draws / 2:  # else nothing bounds it from above
            bits = entropy(counts)
            missed[1] += abs(bits + p @ np.log2(p)) > bits.error
    assert missed[0] <= 23 and missed[1] <= 23


def test_all_alike_bounds_the_rest_by_the_exact_interval():
    """1,024 draws of one label: its probability is .025^(1/1024) or more, and so is the root of Σ p²."""
    same = collision(np.array([1024]))
    assert same.value == 1 and same.stats["low"] == pytest.approx(0.025 ** (2 / 1024), rel=1e-9)
    few = collision(np.array([16]))
    assert few.stats["low"] == pytest.approx(math.exp(-math.log(40) / 8), abs=1e-9)
    assert effective_number(few).stats["high"] == pytest.approx(1 / few.stats["low"])
