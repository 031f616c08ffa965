"""Intervals of a share whose trials come in clusters."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import beta
from scipy.stats import t as student


def clustered_interval(
    hits: Any, squares: Any, clusters: Any, size: int, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """The interval of a share from independent clusters of trials that depend on each other within a cluster.

    It is that of Clopper and Pearson for an effective number of trials, m (1 − m) over the variance of the mean share m
    that the spread between clusters shows, corrected for its degrees of freedom [korn1998]. The effective number lies
    between the number of clusters, which holds where trials of a cluster are all equal, and that of all trials. Where
    all clusters have the same share it is the number of clusters.

    Args:
        hits: How often the event came, over all clusters ``[…]``.
        squares: Sum over clusters of the square of how often it came there ``[…]``.
        clusters: Their number ``[…]``, 1 or more.
        size: Trials per cluster.
        level: The probability of holding the truth.

    Returns:
        Lower and upper ends ``[…]``.

    When it fails: with a few hits among many clusters the effective number is itself an estimate, and the interval
    holds the truth somewhat less or more often than ``level``.

    References: [korn1998, clopper1934]

    Example:
        With one trial per cluster it is the exact interval:

        >>> from allroads.distributions import clopper_pearson
        >>> low, high = clustered_interval([3], [3], [50], 1)
        >>> (float(low[0]), float(high[0])) == clopper_pearson(3, 50)
        True
    """
    hits, squares, clusters = (np.asarray(part, float) for part in (hits, squares, clusters))
    trials = clusters * size
    mean = hits / trials
    rest = np.maximum(clusters - 1, 1)
    variance = np.maximum(squares / size**2 - clusters * mean**2, 0) / rest / clusters
    with np.errstate(divide="ignore", invalid="ignore"):
        effective = np.where(variance > 0, mean * (1 - mean) / variance, clusters)
    tail = (1 - level) / 2
    effective = effective * (student.isf(tail, np.maximum(trials - 1, 1)) / student.isf(tail, rest)) ** 2
    effective = np.clip(effective, clusters, trials)
    count = mean * effective
    with np.errstate(invalid="ignore"):
        low = np.where(hits > 0, beta.ppf(tail, count, effective - count + 1), 0.0)
        high = np.where(hits < trials, beta.isf(tail, count + 1, effective - count), 1.0)
    return low, high
