"""Angular Procrustes distance: the angle between two shapes after the best rotation."""

from __future__ import annotations

from typing import Any

import numpy as np

from allroads.paths.convergence.comparison import Comparison

COSINE = 1 - 5e-13
"""Above it, that of 1e-6, an angle is rounding."""


def procrustes(x: Any, y: Any) -> float:
    """Angle ``arccos ‖XᵀY‖_*`` between two representations after the best rotation, in radians.

    Both are centred and scaled to norm 1 first. The angle is a metric between shapes: it is symmetric and satisfies the
    triangle inequality, so members may be clustered by it. It does not change when a representation is rotated,
    reflected, shifted, or scaled as a whole.

    Args:
        x: Representation ``[n, d]`` of n inputs.
        y: Representation ``[n, e]`` of the same inputs; the narrower one is filled up with zeros.

    Returns:
        From 0, for equal shapes, to π/2. Angles below 1e-6 are rounding, and are 0. NaN where a representation is
        constant.

    Raises:
        InputError: If the matrices are no representations of the same four or more inputs.

    When it fails: with as many units as inputs, unrelated representations are near each other as well. Read the angle
    beside its permutation null.

    References:
        [williams2021]

    Example:
        Orthogonal directions, with different inputs in each:

        >>> x, y = np.array([[1.0], [-1.0], [0.0], [0.0]]), np.array([[0.0], [0.0], [1.0], [-1.0]])
        >>> round(procrustes(x, y), 6), procrustes(x, -3 * x) < 1e-6
        (1.570796, True)
    """
    return PROCRUSTES.between(x, y)


def _prepare(x: np.ndarray) -> np.ndarray:
    """The centred matrix with norm 1; with more units than inputs a rotation of it that has as many as inputs."""
    centred = x - x.mean(axis=0)
    if centred.shape[1] > len(centred):
        left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
        centred = left * sizes
    norm = np.linalg.norm(centred)
    return centred / norm if norm > 0 else np.full_like(centred, np.nan)


def _value(a: np.ndarray, b: np.ndarray) -> float:
    product = a.T @ b
    if not np.isfinite(product).all():
        return float("nan")
    cosine = np.linalg.svd(product, compute_uv=False).sum()
    return float(np.arccos(cosine)) if cosine < COSINE else 0.0


PROCRUSTES = Comparison("procrustes", -1, _prepare, lambda x, order: x[order], _value)
"""The angle as a comparison."""
