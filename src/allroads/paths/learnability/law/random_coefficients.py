"""Random-coefficient linear regression with right-censored outcomes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

_ROUNDS = 60
"""Rounds of expectation and maximisation."""
_IMPUTATIONS, _SINGLE_GROUP_IMPUTATIONS = 4, 40
"""Rounds that impute censored outcomes: within each round, which continues from the last, and for one group alone."""
_PRIOR_GROUPS, _PRIOR_VARIANCE = 3.0, 0.05
"""Prior of the covariance: its weight in groups, and its variance."""


def random_coefficients(
    design: NDArray[Any],
    outcomes: NDArray[Any],
    seen: NDArray[Any],
    groups: NDArray[Any],
    known: NDArray[Any] | None = None,
) -> tuple[NDArray[Any], NDArray[Any], float]:
    """``y = w_gᵀ z + σ ε`` with ``w_g ~ N(μ, Σ)``, by expectation–maximisation.

    A censored outcome counts as its conditional mean and variance beyond the censoring point.

    Args:
        design: z, ``[R, K]``, columns of about unit size.
        outcomes: y, or the censoring point, ``[R]``.
        seen: Whether y was observed, ``[R]``.
        groups: Group of each outcome, 0 … G − 1, ``[R]``.
        known: μ where it is known, ``[K]``; default: it is fitted.

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
            _posterior(mean, covariance, noise, design[own], outcomes[own], seen[own], _IMPUTATIONS, centre)
            for own, centre in zip(rows, centres, strict=True)
        ]
        centres, spreads, squares = (list(part) for part in zip(*found, strict=True))
        mean = np.mean(centres, axis=0) if known is None else known
        apart = np.array(centres) - mean
        prior = _PRIOR_GROUPS * _PRIOR_VARIANCE * np.eye(width)
        covariance = (apart.T @ apart + np.sum(spreads, axis=0) + prior) / (count + _PRIOR_GROUPS)
        noise = float(np.sum(squares)) / len(outcomes)
    return mean, covariance * (1 + (known is None) / count), noise


def conditioned(
    mean: NDArray[Any],
    covariance: NDArray[Any],
    noise: float,
    design: NDArray[Any],
    outcomes: NDArray[Any],
    seen: NDArray[Any],
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean and covariance of one group's w, conditioned on outcomes of that group."""
    return _posterior(mean, covariance, noise, design, outcomes, seen, _SINGLE_GROUP_IMPUTATIONS, mean)[:2]


def _posterior(
    mean: NDArray[Any],
    covariance: NDArray[Any],
    noise: float,
    design: NDArray[Any],
    outcomes: NDArray[Any],
    seen: NDArray[Any],
    rounds: int,
    centre: NDArray[Any],
) -> tuple[NDArray[Any], NDArray[Any], float]:
    """Mean and covariance of w, and the expected residual sum of squares; ``centre`` is a first guess of the mean."""
    spread = np.linalg.solve(np.eye(len(mean)) + covariance @ (design.T @ design) / noise, covariance)
    gain = spread @ design.T / noise
    imputed, censored = outcomes.astype(np.float64), ~seen
    extra = 0.0
    if not censored.any():
        centre = mean + gain @ (imputed - design @ mean)
    for _ in range(rounds if censored.any() else 0):
        expected = design[censored] @ centre
        gap = (outcomes[censored] - expected) / noise**0.5
        hazard = np.exp(-0.5 * gap**2 - 0.5 * np.log(2 * np.pi) - log_ndtr(-gap))
        imputed[censored] = expected + noise**0.5 * hazard
        extra = float(noise * np.maximum(1 + gap * hazard - hazard**2, 0.0).sum())
        centre = mean + gain @ (imputed - design @ mean)
    left = imputed - design @ centre
    return centre, spread, float(left @ left + np.einsum("ij,jk,ik->", design, spread, design)) + extra
