"""Spread of an ensemble of functions: mean squared distance of pairs, and how many dimensions it fills."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.stats import t as student

from allroads.errors import InputError
from allroads.results import Measurement
from allroads.status import ChannelStatus

FEWEST = 4
"""Members from which on both are estimated without bias."""


def spread(ensemble: Any) -> float:
    """Mean squared distance of two members, per coordinate: ``mean_{i≠j} ‖F_i − F_j‖² / D``.

    It estimates ``2 tr Σ / D`` without bias, where Σ is the covariance of the outputs over members.

    Args:
        ensemble: ``[M, …]``, one row per member.

    Raises:
        InputError: If there are fewer than four members, or a number is not finite.

    Example:
        >>> spread([[0.0], [0.0], [2.0], [2.0]])  # four of six pairs are 2 apart
        2.6666666666666665
    """
    gram, size = _gram(ensemble)
    return 2 * float(np.trace(gram)) / (len(gram) - 1) / size


def dimension(ensemble: Any) -> Measurement:
    """Effective dimension ``(tr Σ)² / tr Σ²`` of the outputs over members: the participation ratio.

    Numerator and denominator are U-statistics, each without bias. The plug-in ratio could not exceed the number of
    members, and would be too small.

    Args:
        ensemble: ``[M, …]``, one row per member, four or more.

    Returns:
        A :class:`~allroads.Measurement`; ``error`` is half the width of the 95 % interval, members left out in turn on
        the logarithm. ``stats`` holds ``low`` and ``high``. Status ``undersampled`` where the members do not tell
        ``tr Σ²`` from 0, and ``constant`` where all are alike.

    Raises:
        InputError: If there are fewer than four members, or a number is not finite.

    When it fails: a ratio of unbiased estimates is not unbiased, and with fewer members than dimensions
    the interval is wide.

    References: [chen2010, efron1981]

    Example:
        Points on a line fill one dimension:

        >>> found = dimension(np.outer(np.arange(8.0), [1.0, 2.0, 3.0]))
        >>> round(found.value, 3)
        1.0
    """
    gram, _ = _gram(ensemble)
    if np.trace(gram) == 0:
        return Measurement(math.nan, None, ChannelStatus.CONSTANT, {"low": math.nan, "high": math.nan})
    value, *without = _ratios(gram).tolist()
    if not value > 0 or len(gram) == FEWEST or not all(one > 0 for one in without):
        return Measurement(
            value if value > 0 else math.nan, None, ChannelStatus.UNDERSAMPLED, {"low": 1.0, "high": math.inf}
        )
    half = jackknife(np.log(without))
    low, high = value * math.exp(-half), value * math.exp(half)
    return Measurement(value, (high - low) / 2, ChannelStatus.OK, {"low": low, "high": high})


def jackknife(without: np.ndarray) -> float:
    """Half-width of the 95 % interval of a statistic from its values with each member left out.

    References: [efron1981]
    """
    count = len(without)
    variance = (count - 1) / count * ((without - without.mean()) ** 2).sum()
    return float(student.ppf(0.975, count - 1) * math.sqrt(variance))


def _gram(ensemble: Any) -> tuple[np.ndarray, int]:
    """Inner products of the members around their mean, and the number of coordinates."""
    rows = np.asarray(ensemble, float)
    if rows.ndim < 2 or len(rows) < FEWEST or rows.size == 0:
        raise InputError(f"ensemble: expected [members, …] with {FEWEST} members or more; got shape {rows.shape}.")
    flat = rows.reshape(len(rows), -1)
    if not np.isfinite(flat).all():
        raise InputError("ensemble: outputs are not finite; leave out members that diverged.")
    centred = flat - flat.mean(axis=0)
    return centred @ centred.T, flat.shape[1]


def _ratios(gram: np.ndarray) -> np.ndarray:
    """Unbiased ``(tr Σ)²`` over unbiased ``tr Σ²`` of all members, then without each, ``[1 + M]``."""
    own = np.diag(gram)
    apart = (own[:, None] + own[None, :]) / 2 - gram
    np.fill_diagonal(apart, 0.0)
    n = len(gram) - np.minimum(np.arange(len(gram) + 1), 1)
    quads = np.maximum(n * (n - 1) * (n - 2) * (n - 3), 1)
    pairs, chains, squares = _sums(apart)
    square = (pairs**2 - 4 * chains + 2 * squares) / quads
    pairs, chains, squares = _sums(gram - np.diag(own))
    below = squares / (n * (n - 1)) - 2 * (chains - squares) / (n * (n - 1) * (n - 2))
    below += (pairs**2 - 4 * chains + 2 * squares) / quads
    return np.where(below > 0, square / np.where(below > 0, below, 1.0), np.nan)


def _sums(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``Σ m_ij``, ``Σ_i (Σ_j m_ij)²`` and ``Σ m_ij²`` of a symmetric matrix of diagonal 0; then without each row.

    ``Σ m_ij m_kl`` over four different indices is the square of the first, less 4 of the second, plus 2 of the third.
    """
    rows, squares = matrix.sum(axis=1), (matrix**2).sum(axis=1)
    total, chains, square = rows.sum(), (rows**2).sum(), squares.sum()
    without = total - 2 * rows, chains - 2 * matrix @ rows + squares - rows**2, square - 2 * squares
    whole = total, chains, square
    first, second, third = (np.concatenate([[one], rest]) for one, rest in zip(whole, without, strict=True))
    return first, second, third
