"""A prior over functions weighted by how well each function fits data: rejection and importance weighting."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import gammaln

from allroads.distributions import clopper_pearson
from allroads.distributions.missing_mass import NORMAL
from allroads.errors import InputError, TooFewSamplesError
from allroads.points.prior.answers import Answers
from allroads.points.prior.function_prior import FunctionPrior
from allroads.points.prior.posterior import LEAST
from allroads.results import Measurement
from allroads.status import PriorStatus

_AT_ONCE = 2**22
_REMEDY = (
    "Draw more samples, or use method='smc', which reaches rare sets in steps. Fewer training examples, or a network "
    "that can compute the labels, also help."
)


def fit_counts(read: Answers, codes: np.ndarray, rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How many of the labels ``[m, …]`` of the examples in these rows each function ``[K, W]`` gives ``[K]``."""
    counts = np.empty(len(codes), np.int64)
    step = max(_AT_ONCE // max(read.bits, 1), 1)
    for low in range(0, len(codes), step):
        said = read.read_all(codes[low : low + step])[:, rows]
        right = (said == labels).reshape(len(said), len(rows), -1).all(-1)
        counts[low : low + step] = right.sum(1)
    return counts


def log_hypergeometric(correct: np.ndarray, total: int, examples: int) -> np.ndarray:
    """``log [C(c, m) / C(N, m)]``: the log-share of training sets of m of the N inputs that a function fits.

    Example:
        >>> np.exp(log_hypergeometric(np.array([1, 3, 4]), 4, 2)).round(6).tolist()  # 0, 3 and 6 of 6 pairs
        [0.0, 0.5, 1.0]
    """
    c = np.maximum(correct, examples).astype(float)
    found = gammaln(c + 1) - gammaln(c - examples + 1) - gammaln(total + 1) + gammaln(total - examples + 1)
    log_weights: np.ndarray = np.where(correct >= examples, found, -np.inf)
    return log_weights


def weighted(prior: FunctionPrior, log_weights: np.ndarray) -> tuple[np.ndarray, Measurement, float]:
    """Probabilities of the functions of a prior by their weights ``[K]`` in [0, 1], log mean weight, effective size.

    The effective sample size is ``(Σ w)² / Σ w²`` over the draws [kong1994].

    Raises:
        TooFewSamplesError: If it is below 100.
    """
    drawn, counts = int(prior.stats["drawn"]), prior.counts.astype(float)
    weights = np.exp(log_weights)
    some = int(prior.counts[weights > 0].sum())
    low, high = clopper_pearson(some, drawn)
    total, squares = float(counts @ weights), float(counts @ weights**2)
    effective = total**2 / squares if squares > 0 else 0.0
    if some == 0:
        raise TooFewSamplesError(
            f"function_posterior: no sampled network fits: none of {drawn:,}, so P(S) is at most {high:.2g} "
            f"(95 %, Clopper–Pearson). {_REMEDY}",
            0.0,
            high,
        )
    if effective < LEAST:
        raise TooFewSamplesError(
            f"function_posterior: {some:,} of {drawn:,} sampled networks fit, worth {effective:.1f} draws from the "
            f"posterior; expected {LEAST} or more. P(S) is at most {high:.2g} (95 %). {_REMEDY}",
            effective,
            high,
        )
    mean = total / drawn
    if (weights[weights > 0] == 1).all():
        ends = math.log(low), math.log(high)
    else:
        half = NORMAL * math.sqrt(max(squares / drawn - mean**2, 0.0) / drawn) / mean
        ends = math.log(mean) - half, math.log(mean) + half
    stats: dict[str, Any] = {"low": ends[0], "high": ends[1], "fitting": some, "drawn": drawn}
    value = math.log(mean)
    evidence = Measurement(value, max(value - ends[0], ends[1] - value), PriorStatus.OK, stats)
    return counts * weights / total, evidence, effective


def check_exact(read: Answers) -> None:
    """Refuse functions that are told apart by digests, from which answers cannot be read.

    Raises:
        InputError: If so.
    """
    if not read.exact:
        raise InputError(
            "function_posterior: the functions are too large to be identified exactly, so digests (hashes) of their "
            "answers are kept, and whether a function fits cannot be read from them. Use method='smc', which looks at "
            "each network, or fewer probes."
        )
