"""Entropy of a distribution from counts."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import digamma, exp1
from scipy.stats import chi2

from allroads.distributions.missing_mass import NORMAL, missing_mass
from allroads.results import Measurement
from allroads.status import PriorStatus

UNSEEN = 0.1
"""Missing mass above which an entropy is not sound."""
_DIRECT = 64
_HALVES = 8


def entropy(counts: np.ndarray, seed: int = 0) -> Measurement:
    """``−Σ p log₂ p`` in bits, corrected for functions that were not drawn by the estimator of Chao, Wang and Jost.

    The error is the sum of three parts. One is 95 % of the sampling error to first order, by the jackknife. One is that
    of second order, a chi-square over ``2 N ln 2``, which is all that there is where all are equally probable. One is
    twice the distance by which the estimate moves when half of the draws are left out at random, mean of eight times.
    That is about the bias that remains. The error is no smaller than the entropy that 3 / samples of the probability
    can hold, spread over as many functions as were drawn: so much may be unseen where no function came once.
    ``stats["plugin"]`` is the entropy of the observed shares, which is too low.

    It holds for a dozen members and for millions of draws: of 100 sets of 12 to 256 draws from six distributions, in
    93 and more the interval holds the truth, where a plain jackknife reaches 0 to 98.

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
    curved = float(chi2.ppf(0.975, len(counts) - 1) - (len(counts) - 1)) if len(counts) > 1 else 0.0
    error = NORMAL * _jackknife(sizes, many) + 2 * bias + curved / (2 * total * math.log(2))
    error = max(error, _least(total, len(counts)))
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
