"""Eigenlearning: how much of each eigenmode a kernel learns from n examples, and what that generalises to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.errors import InputError


@dataclass(frozen=True)
class Eigenlearning:
    """What kernel ridge regression learns from n random examples, mode by mode.

    Args:
        kappa: κ, the implicit regularisation: modes above it are learned.
        learnabilities: ``𝓛_i = λ_i / (λ_i + κ)``, in [0, 1]; without a ridge they sum to n.
        overfitting: ``n / (n − Σ 𝓛_i²)``, by which errors are magnified.
        test_mse: Predicted mean squared error on the whole domain.
        train_mse: Predicted mean squared error on the examples.
    """

    kappa: float
    learnabilities: np.ndarray
    overfitting: float
    test_mse: float
    train_mse: float


def eigenlearning(
    eigenvalues: Any, coefficients: Any, n: float, *, ridge: float = 0.0, noise: float = 0.0
) -> Eigenlearning:
    """Predicted generalisation of kernel (ridge) regression from the kernel's eigenmodes over a domain.

    κ solves ``Σ_i λ_i / (λ_i + κ) + δ / κ = n``; a mode is learned to the share ``𝓛_i = λ_i / (λ_i + κ)``, and
    ``MSE = n / (n − Σ 𝓛_i²) · (Σ_i (1 − 𝓛_i)² v_i² + σ²)``.

    Args:
        eigenvalues: λ_i ≥ 0 of the kernel operator ``f ↦ E_x' K(x, x') f(x')``; on a domain of M inputs those of
            ``K / M``, ``[M]``.
        coefficients: v_i of the target in its orthonormal eigenfunctions: ``v_i = φ_iᵀ y / √M`` with unit vectors φ_i.
        n: Number of examples, 0 < n ≤ number of nonzero eigenvalues.
        ridge: δ ≥ 0, in units of the kernel; default none.
        noise: Variance σ² of the labels' noise.

    Returns:
        :class:`Eigenlearning`.

    Raises:
        InputError: If the eigenvalues are not finite, negative beyond rounding, or all zero. If fewer than n of them
            are nonzero and there is no ridge: the kernel is singular, and n random examples cannot all be fitted. If
            the shapes differ.

    When it fails: it is the theory of a fixed kernel and of large n; a network that learns features departs from it.

    References: [simon2023]

    Example:
        Four equal modes and two examples: each mode is half learned.

        >>> found = eigenlearning([1.0] * 4, [1.0, 0, 0, 0], 2)
        >>> found.learnabilities.round(9).tolist(), round(found.test_mse, 6)
        ([0.5, 0.5, 0.5, 0.5], 0.5)
    """
    eigenvalues, coefficients = np.asarray(eigenvalues, np.float64), np.asarray(coefficients, np.float64)
    if eigenvalues.ndim != 1 or coefficients.shape != eigenvalues.shape:
        raise InputError(
            f"eigenlearning: one coefficient per eigenvalue is expected; got shapes {eigenvalues.shape} and "
            f"{coefficients.shape}."
        )
    if not (np.isfinite(eigenvalues).all() and np.isfinite(coefficients).all()):
        raise InputError("eigenlearning: eigenvalues and coefficients must be finite; remove the NaN or infinity.")
    top = float(eigenvalues.max(initial=0.0))
    if top <= 0 or eigenvalues.min() < -1e-6 * top:
        raise InputError(
            f"eigenlearning: eigenvalues run from {eigenvalues.min(initial=0.0):.3g} to {top:.3g}; those of a kernel "
            "are ≥ 0 and not all zero."
        )
    if ridge < 0 or noise < 0 or not n > 0:
        raise InputError(f"eigenlearning: n must be positive, ridge and noise ≥ 0; got {n}, {ridge}, {noise}.")
    values = np.maximum(eigenvalues, 0.0)
    rank = int((values > 0).sum())
    if n > rank and not ridge:
        raise InputError(
            f"eigenlearning: the kernel has rank {rank}, so {n} random examples cannot all be fitted; give a ridge, or "
            "ask for fewer examples."
        )
    kappa = 0.0 if n == rank and not ridge else _kappa(values, n, ridge)
    learned = np.divide(values, values + kappa, out=np.zeros_like(values), where=values > 0)
    spare = n - float((learned**2).sum())
    error = float(((1 - learned) ** 2 * coefficients**2).sum()) + noise
    overfitting = n / spare if spare > 1e-12 * n else float("inf")
    test = 0.0 if error == 0 else (overfitting * error)
    train = test * (ridge / (n * kappa)) ** 2 if kappa else 0.0
    return Eigenlearning(kappa, learned, overfitting, test, train)


def _kappa(values: np.ndarray, n: float, ridge: float) -> float:
    """The root, by bisection in log κ: the left side falls from above n to 0."""
    low, high = -300.0, float(np.log((values.sum() + ridge) / n)) + 1e-9
    for _ in range(200):
        middle = (low + high) / 2
        kappa = np.exp(middle)
        low, high = (middle, high) if (values / (values + kappa)).sum() + ridge / kappa > n else (low, middle)
    return float(np.exp((low + high) / 2))
