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
UNSEEN = 0.1
"""Missing mass above which an entropy is not sound."""
_DIRECT = 64
_HALVES = 8


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
    ``low`` and ``high``, and ``pairs``, the number of equal pairs. The interval is the widest, at each end, of three:
    the normal ones of log Σ p² and of log(1 − Σ p²), with the variance of this U-statistic [hoeffding1948], and that of
    a Poisson number of equal pairs. Where one function alone was drawn, the lower end is the square of that of its
    probability.

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
    if len(counts) == 1:
        low = min(low, clopper_pearson(total, total)[0] ** 2)
    else:
        ratio = math.exp(min(NORMAL * math.sqrt(variance) / (1 - value), 700.0))
        low, high = min(low, max(1 - (1 - value) * ratio, 0.0)), max(high, 1 - (1 - value) / ratio)
    stats = {"pairs": int(pairs), "low": low, "high": min(high, 1.0)}
    status = PriorStatus.OK if pairs >= FEWEST_PAIRS else PriorStatus.UNDERSAMPLED
    return Measurement(value, max(value - low, stats["high"] - value), status, stats)


def effective_number(same: Measurement) -> Measurement:
    """``1 / Σ p²``: how many equally probable functions would collide as often, with its interval in ``stats``."""
    low, high = 1 / same.stats["high"], 1 / same.stats["low"] if same.stats["low"] > 0 else math.inf
    stats = {"pairs": same.stats["pairs"], "low": low, "high": high}
    if not same.value > 0:
        return Measurement(math.nan if math.isnan(same.value) else math.inf, None, same.status, stats)
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

    The error is the sum of two parts. One is 95 % of the sampling error, by the jackknife. The other is twice the
    distance by which the estimate moves when half of the draws are left out at random, mean of eight times. That is
    about the bias that remains. It is no smaller than the entropy that 3 / samples of the probability can hold, spread
    over as many functions as were drawn: so much may be unseen where no function came once. ``stats["plugin"]`` is the
    entropy of the observed shares, which is too low.

    When it fails: the entropy of functions that were not drawn is an assumption about their tail. Above a missing
    mass of 0.1 the status is ``undersampled``, and the value is about a lower bound.

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
        return Measurement(math.nan, None, PriorStatus.UNDERSAMPLED, {"plugin": 0.0, "bias": math.nan})
    sizes, many = np.unique(counts, return_counts=True)
    value = _chao(sizes, many)
    share = counts / total
    generator = np.random.default_rng(seed)
    halves = [_chao(*_thinned(sizes, many, generator)) for _ in range(_HALVES)]
    bias = abs(value - float(np.mean(halves)))
    status = PriorStatus.OK if missing_mass(counts).value <= UNSEEN else PriorStatus.UNDERSAMPLED
    error = max(NORMAL * _jackknife(sizes, many) + 2 * bias, _least(total, len(counts)))
    return Measurement(value, error, status, {"plugin": float(-share @ np.log2(share)), "bias": bias})


def _least(samples: int, functions: int) -> float:
    """Bits of 3 / samples of the probability, spread over some functions, beside one that has the rest."""
    mass = min(3 / samples, 0.5)
    return mass * math.log2(functions / mass) - (1 - mass) * math.log2(1 - mass)


def _thinned(sizes: np.ndarray, many: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Sizes and their numbers when each draw is kept with probability ½."""
    half = generator.binomial(np.repeat(sizes, many), 0.5)
    return np.unique(half[half > 0], return_counts=True)


def _jackknife(sizes: np.ndarray, many: np.ndarray) -> float:
    """Standard deviation of the estimate, from leaving out one draw of a function of each size."""
    n = int(sizes @ many)
    if n < 3:
        return math.nan
    own, less = _weighed(sizes), _weighed(sizes - 1)
    seen = digamma(n - 1) - (many @ own - own + less) / (n - 1)
    once, twice = (int(many[sizes == size].sum()) for size in (1, 2))
    unseen = np.full(len(sizes), _unseen(n - 1, once, twice))
    for size, change in ((1, (-1, 0)), (2, (1, -1)), (3, (0, 1))):
        if size in sizes:
            unseen[sizes == size] = _unseen(n - 1, once + change[0], twice + change[1])
    without, draws = (seen + unseen) / math.log(2), sizes * many
    mean = float(draws @ without) / n
    return math.sqrt((n - 1) / n * float(draws @ (without - mean) ** 2))


def _chao(sizes: np.ndarray, many: np.ndarray) -> float:
    """The estimator of Chao, Wang and Jost in bits, from how many functions came so often."""
    n = int(sizes @ many)
    if n == 0:
        return 0.0
    seen = float(digamma(n)) - float(many @ _weighed(sizes)) / n
    return (seen + _unseen(n, int(many[sizes == 1].sum()), int(many[sizes == 2].sum()))) / math.log(2)


def _weighed(sizes: np.ndarray) -> np.ndarray:
    weighed: np.ndarray = np.where(sizes > 0, sizes * digamma(np.maximum(sizes, 1)), 0.0)
    return weighed


def _unseen(n: int, once: int, twice: int) -> float:
    """What the estimator adds for functions that were not drawn, in nats."""
    if twice:
        rate = 2 * twice / ((n - 1) * once + 2 * twice)
    elif once > 1:
        rate = 2 / ((n - 1) * (once - 1) + 2)
    else:
        rate = 1.0
    return once / n * _tail(n, -math.log1p(-rate) if rate < 1 else math.inf)


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
