"""What counts say of the distribution behind them: coverage of the intervals from a dozen draws to thousands."""

from __future__ import annotations

import math

import numpy as np
import pytest

from allroads.distributions import collision, effective_number, entropy, median_interval
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


@pytest.mark.parametrize("count", [1, 5, 6, 17, 40])
def test_order_statistics_hold_the_median_as_often_as_they_say(count):
    """Of n independent numbers a binomial number lies below the median, so the coverage of the interval is exact."""
    from scipy.stats import binom

    middle, low, high = median_interval(np.arange(1.0, count + 1)[::-1])
    assert middle == (count + 1) / 2
    if count < 6:
        assert (low, high) == (-np.inf, np.inf)
        return
    below = int(low)  # the interval misses where fewer than `below` lie below the median, or as few above
    missed = 2 * binom.cdf(below - 1, count, 0.5)
    assert missed <= 0.05 < 2 * binom.cdf(below, count, 0.5) and high == count + 1 - low


def test_medians_leave_out_what_is_absent_and_keep_what_is_beyond():
    rows = [[np.nan, 2.0, 1.0, 3.0], [np.inf, 1.0, np.inf, np.nan], [np.nan] * 4]
    middle, low, high = median_interval(rows)
    assert middle[:2].tolist() == [2.0, np.inf] and np.isnan([middle[2], low[2], high[2]]).all()
