"""What counts of functions say about the probabilities behind them: entropy, collisions, what was not seen."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import digamma, exp1
from scipy.stats import beta, chi2

from allroads.results import Measurement
from allroads.status import PriorStatus

NORMAL = 1.959964
FEWEST_PAIRS = 10
"""Pairs of equal draws below which an effective number is not sound."""
UNSEEN = 0.5
"""Missing mass above which an entropy is not sound."""
_DIRECT = 64


def clopper_pearson(count: int, samples: int, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a probability, from how often the event came in independent draws.

    It covers the truth with probability ``level`` at least, whatever the truth is.

    References: [clopper1934]

    Example:
        >>> clopper_pearson(0, 100)[0], round(clopper_pearson(0, 100)[1], 6) == round(1 - 0.025**0.01, 6)
        (0.0, True)
    """
    tail = (1 - level) / 2
    low = float(beta.ppf(tail, count, samples - count + 1)) if count else 0.0
    high = float(beta.isf(tail, count + 1, samples - count)) if count < samples else 1.0
    return low, high


def collision(counts: np.ndarray) -> Measurement:
    """``Σ p²``: the probability that two independent draws are the same function.

    The value is the share of equal ones among all pairs of draws, which is unbiased. ``stats`` holds a 95 % interval,
    ``low`` and ``high``, and ``pairs``, the number of equal pairs. The interval is the wider, at each end, of two: the
    normal one of the logarithm, with the variance of this U-statistic [hoeffding1948], and that of a Poisson number of
    equal pairs.

    When it fails: with few equal pairs the interval is an approximation; below ten the status is ``undersampled``.

    Args:
        counts: How often each function came ``[K]``, 1 or more.

    References: [hoeffding1948]

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
    triple = float((n * (n - 1) * (n - 2)).sum() / (total * (total - 1) * max(total - 2, 1)))
    variance = (4 * (total - 2) * max(triple - value**2, 0.0) + 2 * value * (1 - value)) / (total * (total - 1))
    low = float(chi2.ppf(0.025, 2 * pairs)) / 2 / possible if pairs else 0.0
    high = float(chi2.isf(0.025, 2 * pairs + 2)) / 2 / possible
    if pairs:
        ratio = math.exp(min(NORMAL * math.sqrt(variance) / value, 700.0))
        low, high = min(low, value / ratio), max(high, value * ratio)
    stats = {"pairs": int(pairs), "low": low, "high": min(high, 1.0)}
    status = PriorStatus.OK if pairs >= FEWEST_PAIRS else PriorStatus.UNDERSAMPLED
    return Measurement(value, max(value - low, stats["high"] - value), status, stats)


def effective_number(same: Measurement) -> Measurement:
    """``1 / Σ p²``: how many equally probable functions would collide as often, with its interval in ``stats``."""
    low, high = 1 / same.stats["high"], 1 / same.stats["low"] if same.stats["low"] > 0 else math.inf
    stats = {"pairs": same.stats["pairs"], "low": low, "high": high}
    if not same.value > 0:
        return Measurement(math.inf, None, same.status, stats)
    value = 1 / same.value
    return Measurement(value, max(value - low, high - value), same.status, stats)


def missing_mass(counts: np.ndarray) -> Measurement:
    """The probability of all functions that were not drawn: the share of draws whose function came once [good1953].

    The error is the half-width of Esty's normal interval [esty1983], and 3 / samples at least, which is what remains
    possible where no function came once.

    References: [good1953, esty1983]

    Example:
        >>> missing_mass(np.array([5, 3, 1, 1])).value
        0.2
    """
    total = int(counts.sum())
    if total == 0:
        return Measurement(math.nan, None, PriorStatus.UNDERSAMPLED, {"once": 0, "twice": 0})
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    value = once / total
    deviation = math.sqrt(once * (1 - value) + 2 * twice) / total
    return Measurement(value, max(NORMAL * deviation, 3 / total), PriorStatus.OK, {"once": once, "twice": twice})


def entropy(counts: np.ndarray, seed: int = 0) -> Measurement:
    """``−Σ p log₂ p`` in bits, corrected for functions that were not drawn by the estimator of Chao, Wang and Jost.

    The error joins two parts as independent: 95 % of the sampling error, and how far the estimate moves when half of
    the draws are left out at random, which is about the bias that remains. ``stats["plugin"]`` is the entropy of the
    observed shares, which is too low.

    When it fails: where functions that were not drawn hold much of the mass, only an assumption about their tail
    gives an entropy. Above a missing mass of ½ the status is ``undersampled``, and the value is about a lower bound.

    Args:
        counts: How often each function came ``[K]``, 1 or more.
        seed: Decides which draws are left out.

    References: [chao2013]

    Example:
        >>> found = entropy(np.full(8, 10_000))
        >>> abs(found - 3) < 1e-3, found.error < 1e-3
        (True, True)
    """
    total = int(counts.sum())
    if total < 2:
        return Measurement(math.nan, None, PriorStatus.UNDERSAMPLED, {"plugin": 0.0})
    value = _chao(counts)
    share = counts / total
    logs = -np.log2(share)
    plugin = float(share @ logs)
    deviation = math.sqrt(max(float(share @ logs**2) - plugin**2, 0.0) / total)
    half = np.random.default_rng(seed).binomial(counts, 0.5)
    moved = abs(value - _chao(half[half > 0])) if half.sum() > 1 else plugin
    missed = missing_mass(counts).value
    status = PriorStatus.OK if missed <= UNSEEN else PriorStatus.UNDERSAMPLED
    return Measurement(value, math.hypot(NORMAL * deviation, moved), status, {"plugin": plugin, "half": moved})


def _chao(counts: np.ndarray) -> float:
    """The estimator of Chao, Wang and Jost, in bits."""
    n = int(counts.sum())
    sizes, many = np.unique(counts, return_counts=True)
    seen = float((many * sizes / n * (digamma(n) - digamma(sizes))).sum())
    once, twice = int(many[sizes == 1].sum()), int(many[sizes == 2].sum())
    if twice:
        rate = 2 * twice / ((n - 1) * once + 2 * twice)
    elif once > 1:
        rate = 2 / ((n - 1) * (once - 1) + 2)
    else:
        rate = 1.0
    return (seen + once / n * _tail(n, -math.log1p(-rate) if rate < 1 else math.inf)) / math.log(2)


def _tail(first: int, decay: float) -> float:
    """``Σ_{r ≥ first} e^{−decay (r − first + 1)} / r``: 64 terms, then Euler and Maclaurin."""
    if math.isinf(decay):
        return 0.0
    r = np.arange(first, first + _DIRECT)
    begun = float((np.exp(-decay * (r - first + 1)) / r).sum())
    start = first + _DIRECT
    lead = math.exp(-decay * (_DIRECT + 1))
    if lead == 0.0:
        return begun
    argument = decay * start
    scaled = math.exp(argument) * float(exp1(argument)) if argument < 500 else 1 / argument * (1 - 1 / argument)
    edge = 1 / (2 * start) + (decay + 1 / start) / (12 * start)
    return begun + lead * (scaled + edge)
