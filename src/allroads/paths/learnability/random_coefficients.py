"""Linear regression whose coefficients differ from group to group, with outcomes that may be cut short."""

from __future__ import annotations

import numpy as np
from scipy.special import log_ndtr

_ROUNDS = 60
_EACH, _ALONE = 4, 40
"""Rounds in which outcomes that were cut short are filled in: in each of those, which go on from the last, and for one
group alone."""
_BELIEF, _SPREAD = 3.0, 0.05
"""Weight, in groups, and size of the covariance that is assumed before there are any."""


def random_coefficients(
    design: np.ndarray, outcomes: np.ndarray, seen: np.ndarray, groups: np.ndarray, known: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, float]:
    """``y = w_gᵀ z + σ ε`` with ``w_g ~ N(μ, Σ)``, by expectation and maximisation.

    Outcomes that were cut short count as their conditional mean and variance beyond the cut.

    Args:
        design: z, ``[R, K]``, columns of about unit size.
        outcomes: y, or where it was cut, ``[R]``.
        seen: Whether it was not cut, ``[R]``.
        groups: 0 … G − 1, ``[R]``.
        known: μ, where it is known, ``[K]``.

    Returns:
        μ ``[K]``; the covariance of a new group's w, ``Σ (1 + 1/G)``, or Σ where μ is known; σ².

    References: [laird1982] [dempster1977]

    Example:
        >>> rng = np.random.default_rng(0)
        >>> own = np.repeat(np.arange(200), 30)
        >>> z = np.column_stack([np.ones(6000), rng.normal(size=6000)])
        >>> w = [2.0, 0.5] + rng.normal(size=(200, 2)) * [0.6, 0.2]
        >>> y = (w[own] * z).sum(1) + 0.1 * rng.normal(size=6000)
        >>> mean, covariance, noise = random_coefficients(z, y, np.ones(6000, bool), own)
        >>> mean.round(1).tolist(), (np.diag(covariance) ** 0.5).round(1).tolist(), round(noise ** 0.5, 2)
        ([2.0, 0.5], [0.6, 0.2], 0.1)
    """
    rows = [np.flatnonzero(groups == group) for group in range(groups.max() + 1)]
    count, width = len(rows), design.shape[1]
    mean, covariance, noise = np.linalg.lstsq(design, outcomes, rcond=None)[0], np.eye(width) * 0.25, 0.3
    mean = mean if known is None else known
    centres = [mean] * count
    for _ in range(_ROUNDS):
        found = [
            _posterior(mean, covariance, noise, design[own], outcomes[own], seen[own], _EACH, centre)
            for own, centre in zip(rows, centres, strict=True)
        ]
        centres, spreads, squares = (list(part) for part in zip(*found, strict=True))
        mean = np.mean(centres, axis=0) if known is None else known
        apart = np.array(centres) - mean
        assumed = _BELIEF * _SPREAD * np.eye(width)
        covariance = (apart.T @ apart + np.sum(spreads, axis=0) + assumed) / (count + _BELIEF)
        noise = float(np.sum(squares)) / len(outcomes)
    return mean, covariance * (1 + (known is None) / count), noise


def conditioned(
    mean: np.ndarray, covariance: np.ndarray, noise: float, design: np.ndarray, outcomes: np.ndarray, seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of one group's w, given outcomes of it."""
    return _posterior(mean, covariance, noise, design, outcomes, seen, _ALONE, mean)[:2]


def _posterior(
    mean: np.ndarray,
    covariance: np.ndarray,
    noise: float,
    design: np.ndarray,
    outcomes: np.ndarray,
    seen: np.ndarray,
    rounds: int,
    centre: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean and covariance of w, and the expected sum of squares around it; ``centre`` is a first guess of the mean."""
    spread = np.linalg.solve(np.eye(len(mean)) + covariance @ (design.T @ design) / noise, covariance)
    gain = spread @ design.T / noise
    filled, cut = outcomes.astype(np.float64), ~seen
    extra = 0.0
    if not cut.any():
        centre = mean + gain @ (filled - design @ mean)
    for _ in range(rounds if cut.any() else 0):
        expected = design[cut] @ centre
        gap = (outcomes[cut] - expected) / noise**0.5
        hazard = np.exp(-0.5 * gap**2 - 0.5 * np.log(2 * np.pi) - log_ndtr(-gap))
        filled[cut] = expected + noise**0.5 * hazard
        extra = float(noise * np.maximum(1 + gap * hazard - hazard**2, 0.0).sum())
        centre = mean + gain @ (filled - design @ mean)
    left = filled - design @ centre
    return centre, spread, float(left @ left + np.einsum("ij,jk,ik->", design, spread, design)) + extra
