"""The benchmark of function priors: its variant of the Lempel–Ziv complexity is that of the published tables."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from function_prior import lz76_c, partial

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
