"""The collision probability of a distribution from counts, for a dozen draws and for millions."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.stats import chi2

from allroads.distributions.clopper_pearson import clopper_pearson
from allroads.distributions.missing_mass import NORMAL
from allroads.results import Measurement
from allroads.status import PriorStatus

CONFIDENCE = 0.95
"""Of the intervals."""
FEW = 100
"""Draws up to which the interval supposes nothing."""
FEWEST_PAIRS = 10
"""Pairs of equal draws below which an effective number is not sound."""


def collision(counts: np.ndarray) -> Measurement:
    """``Σ p²``: the probability that two independent draws are the same.

    The value is the share of equal ones among all pairs of draws, which is unbiased. ``stats`` holds a 95 % interval,
    ``low`` and ``high``, and ``pairs``, the number of equal pairs.

    Up to 100 draws the interval is Hoeffding's bound for means over pairs, in its form with the relative entropy. It
    holds the truth in 95 % or more for every distribution, and is wide. Above 100 draws it is the widest, at each end,
    of three: the normal one of the logarithm, with the variance of first order of this U-statistic, and a chi-square
    for the second order; that of a Poisson number of equal pairs; and below, where one label has more than half of the
    draws, that of the exact interval of its probability.

    When it fails: with few equal pairs among many draws the interval is an approximation; below ten pairs the status is
    ``undersampled``.

    Args:
        counts: How often each came ``[K]``, 1 or more.

    References: [hoeffding1948, hoeffding1963, clopper1934]

    Example:
        >>> found = collision(np.array([3, 1]))  # 3 of 6 pairs are equal
        >>> found.value, found.stats["pairs"], found.status.value
        (0.5, 3, 'undersampled')
    """
    n, total = counts.astype(float), int(counts.sum())
    if total < 2:
        return Measurement(math.nan, None, PriorStatus.UNDERSAMPLED, {"pairs": 0, "low": 0.0, "high": 1.0})
    pairs, possible = float((n * (n - 1)).sum() / 2), total * (total - 1) / 2
    value = pairs / possible
    low, high = _hoeffding(value, total // 2) if total <= FEW else _of_many(n, total, pairs, possible)
    stats = {"pairs": int(pairs), "low": low, "high": high}
    status = PriorStatus.OK if pairs >= FEWEST_PAIRS else PriorStatus.UNDERSAMPLED
    return Measurement(value, max(value - low, stats["high"] - value), status, stats)


def _of_many(n: np.ndarray, total: int, pairs: float, possible: float) -> tuple[float, float]:
    """The interval from many draws."""
    value = pairs / possible
    share = n / total
    variance = 4 / total * max(float((share**3).sum() - (share**2).sum() ** 2), 0.0)
    low = float(chi2.ppf(0.025, 2 * pairs)) / 2 / possible if pairs else 0.0
    high = float(chi2.isf(0.025, 2 * pairs + 2)) / 2 / possible
    if pairs:
        ratio = math.exp(min(NORMAL * math.sqrt(variance) / value, 700.0))
        curved = _second_order(value, total)
        low, high = min(low, max(value / ratio - curved, 0.0)), max(high, value * ratio + curved)
    most = int(n.max())
    if 2 * most > total:  # near 1 the number of unequal draws is small, and neither of these sees how small it may be
        least, rest = clopper_pearson(most, total)[0], total - most
        others = float((n * (n - 1)).sum() - most * (most - 1)) / (rest * (rest - 1)) if rest > 1 else 0.0
        low = min(low, least**2 + (1 - least) ** 2 * others)
    return low, min(high, 1.0)


def _second_order(value: float, total: int) -> float:
    """How far ``Σ (p̂ − p)²`` may exceed its mean, as a chi-square of so many degrees as effective labels, less one.

    Where all labels are about as probable, the variance of first order vanishes, and this is what there is.
    """
    degrees = max(1 / value - 1, 1.0)
    return (1 - value) / total * (float(chi2.ppf(0.975, degrees)) / degrees - 1)


def _hoeffding(share: float, independent: int) -> tuple[float, float]:
    """All means whose relative entropy from the share, times the number of independent pairs, is small enough."""
    limit = math.log(2 / (1 - CONFIDENCE)) / independent

    def beyond(mean: float) -> float:
        return _relative_entropy(share, mean) - limit

    return _bisected(beyond, 0.0, share), 1 - _bisected(lambda rest: beyond(1 - rest), 0.0, 1 - share)


def _bisected(beyond: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function crosses 0 on the way from ``low`` to ``high``, to the precision of a double."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if beyond(middle) > 0 else (low, middle)
    return high


def _relative_entropy(a: float, b: float) -> float:
    """Of two coins, in nats."""
    if (a > 0 and b <= 0) or (a < 1 and b >= 1):
        return math.inf
    return (a * math.log(a / b) if a > 0 else 0.0) + ((1 - a) * math.log((1 - a) / (1 - b)) if a < 1 else 0.0)
