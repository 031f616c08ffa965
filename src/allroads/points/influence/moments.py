"""Moments of what chains observed, with their Monte Carlo errors, which come from how much chains differ."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import t as student


class Estimate(NamedTuple):
    """A value and half of its 95 % interval, of one shape."""

    value: np.ndarray
    error: np.ndarray


def half_width(means: np.ndarray) -> np.ndarray:
    """Half of the 95 % interval of a mean over independent chains, ``[chains, …] -> […]``.

    Example:
        >>> round(float(half_width(np.array([0.0, 1.0, 2.0]))), 2)  # 4.30 · 1/√3
        2.48
    """
    count = len(means)
    return np.asarray(student.ppf(0.975, count - 1) * means.std(axis=0, ddof=1) / np.sqrt(count))


def covariance(a: np.ndarray, b: np.ndarray) -> Estimate:
    """``Cov(a_i, b_j)`` over all draws of all chains, ``[chains, draws, p]`` and ``[chains, draws, q]`` to ``[p, q]``.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(8, 4000, 1))
        >>> found = covariance(x, 2 * x)
        >>> bool(abs(found.value[0, 0] - 2) < 2 * found.error[0, 0] < 0.2)
        True
    """
    a, b = a - a.mean(axis=(0, 1)), b - b.mean(axis=(0, 1))
    # Chain by chain, as [chains, p, q] may be large.
    total, squares = np.zeros((a.shape[2], b.shape[2])), np.zeros((a.shape[2], b.shape[2]))
    for count, (x, y) in enumerate(zip(a, b, strict=True), 1):
        one = x.T @ y / len(x)
        step = one - total
        total += step / count
        squares += step * (one - total)
    spread = np.sqrt(squares / (len(a) - 1) / len(a))
    return Estimate(total, student.ppf(0.975, len(a) - 1) * spread)
