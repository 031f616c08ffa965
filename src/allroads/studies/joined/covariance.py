"""Covariances of ranks, of the runs as they are and of many resamples of them at once."""

from __future__ import annotations

import numpy as np

TINY = 1e-9
"""Share of a variance below which what is left of it is rounding."""


def weighted_ranks(column: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Ranks of a column in resamples in which each run comes as often as its weight says; equal values share a rank.

    Args:
        column: ``[n]``.
        weights: ``[B, n]``, whole numbers; a run of weight 0 has a rank that nothing reads.

    Returns:
        ``[B, n]``, from 1 to the sum of the weights.

    Example:
        >>> weighted_ranks(np.array([5.0, 7.0, 7.0]), np.array([[1, 1, 1], [2, 0, 1]])).tolist()
        [[1.0, 2.5, 2.5], [1.5, 3.0, 3.0]]
    """
    _, place = np.unique(column, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.diff(place[order], prepend=-1))
    sizes = np.add.reduceat(weights[:, order], starts, axis=1)
    before = np.cumsum(sizes, axis=1) - sizes
    ranks: np.ndarray = (before + (sizes + 1) / 2)[:, place]
    return ranks


def covariances(ranked: np.ndarray, dummies: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Covariance matrices of ranks and of columns of 0 and 1, one matrix per resample.

    Args:
        ranked: ``[n, p]``, columns that are ranked anew in every resample.
        dummies: ``[n, q]``, columns that are taken as they are.
        weights: ``[B, n]``.

    Returns:
        ``[B, p + q, p + q]``, ranked columns first.
    """
    resamples, n = weights.shape
    columns = [weighted_ranks(column, weights) for column in ranked.T]
    columns += [np.broadcast_to(column, (resamples, n)) for column in dummies.T]
    values = np.stack(columns, axis=2)
    shares = (weights / weights.sum(axis=1, keepdims=True))[:, None, :]
    values = values - shares @ values
    found: np.ndarray = (values.swapaxes(1, 2) * shares) @ values
    return found


def conditional(covariance: np.ndarray, count: int) -> np.ndarray:
    """Covariance of the first columns given all others: ``C_xx − C_xz C_zz⁺ C_zx``.

    Args:
        covariance: ``[…, m, m]``.
        count: How many come first.

    Example:
        >>> conditional(np.array([[2.0, 1.0], [1.0, 4.0]]), 1).tolist()
        [[1.75]]
    """
    given = covariance[..., :count, count:]
    if given.shape[-1] == 0:
        return covariance
    inverse = np.linalg.pinv(covariance[..., count:, count:], rcond=TINY, hermitian=True)
    found: np.ndarray = covariance[..., :count, :count] - given @ inverse @ given.swapaxes(-1, -2)
    return found


def correlations(covariance: np.ndarray, unconditional: np.ndarray) -> np.ndarray:
    """Correlation matrices; NaN where a column does not vary.

    Args:
        covariance: ``[…, p, p]``.
        unconditional: ``[…, p]``, variances of which the diagonal is what is left: rounding alone is no variance.
    """
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    left = np.where(variance > TINY * unconditional, variance, np.nan)
    scale = np.sqrt(left[..., :, None] * left[..., None, :])
    found: np.ndarray = np.clip(covariance / scale, -1.0, 1.0)
    return found


def given_the_others(correlation: np.ndarray) -> np.ndarray:
    """Partial correlation of each pair given all other columns, from the inverse: ``−P_ij / √(P_ii P_jj)``.

    NaN where a column is a combination of the others.

    Example:
        Two columns that share nothing but a third are independent given it:

        >>> chain = np.array([[1.0, 0.6, 0.36], [0.6, 1.0, 0.6], [0.36, 0.6, 1.0]])
        >>> (given_the_others(chain)[0].round(3) + 0.0).tolist()
        [1.0, 0.514, 0.0]
    """
    size = correlation.shape[-1]
    known: np.ndarray = np.asarray(np.isfinite(correlation).all(axis=(-2, -1)))
    safe = np.where(known[..., None, None], correlation, np.eye(size))
    known &= np.linalg.eigvalsh(safe)[..., 0] > TINY
    safe = np.where(known[..., None, None], safe, np.eye(size))
    precision = np.linalg.inv(safe)
    diagonal = np.diagonal(precision, axis1=-2, axis2=-1)
    found: np.ndarray = -precision / np.sqrt(diagonal[..., :, None] * diagonal[..., None, :])
    found[..., np.arange(size), np.arange(size)] = 1.0
    partial: np.ndarray = np.where(known[..., None, None], np.clip(found, -1.0, 1.0), np.nan)
    return partial
