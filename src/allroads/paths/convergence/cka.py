"""Centred kernel alignment with the linear kernel, debiased."""

from __future__ import annotations

from typing import Any

import numpy as np

from allroads.paths.convergence.comparison import Comparison, checked_pair, is_constant

NOTHING = 1e-6
"""A kernel does not vary off its diagonal where centring leaves less than this share of its norm there."""


def cka(x: Any, y: Any, *, debiased: bool = True) -> float:
    """Linear centred kernel alignment ``HSIC(X, Y) / √(HSIC(X, X) HSIC(Y, Y))``, debiased.

    It does not change when a representation is rotated, shifted, or scaled as a whole. The debiased HSIC leaves out the
    diagonals of both kernels and has mean 0 over permutations of the inputs. The biased one grows towards 1 with the
    number of units, for unrelated representations too, so it is offered for comparison with other work alone.

    Args:
        x: Representation ``[n, d]`` of n inputs.
        y: Representation ``[n, e]`` of the same inputs.
        debiased: Whether the HSIC is the unbiased estimator, default.

    Returns:
        At most 1, which is reached where the centred kernels are proportional. It can be below 0 when debiased. NaN
        where a representation does not vary, or varies only in the kernel's diagonal, as orthonormal rows do.

    Raises:
        InputError: If the matrices are no representations of the same four or more inputs.

    References:
        [kornblith2019], [song2012]

    Example:
        >>> x = np.random.default_rng(0).normal(size=(20, 3))
        >>> rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
        >>> round(cka(x, 2 * x @ rotation + 1), 9)
        1.0
    """
    if debiased:
        return CKA.between(x, y)
    given = checked_pair(x, y)
    if any(map(is_constant, given)):
        return float("nan")
    first, second = (kernel / np.linalg.norm(kernel) for kernel in map(_gram, given))
    return float(np.vdot(first, second))


def _prepare(x: np.ndarray) -> np.ndarray:
    """The kernel, centred without its diagonal, with norm 1."""
    kernel, n = _gram(x), len(x)
    size = np.linalg.norm(kernel)
    np.fill_diagonal(kernel, 0.0)
    rows = kernel.sum(axis=1) / (n - 2)
    kernel += rows.sum() / (n - 1) - rows[:, None] - rows
    np.fill_diagonal(kernel, 0.0)
    norm = np.linalg.norm(kernel)
    return kernel / norm if norm > NOTHING * size else np.full_like(kernel, np.nan)


def _gram(x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(axis=0)
    kernel: np.ndarray = centred @ centred.T
    return kernel


def reordered(matrix: np.ndarray, order: np.ndarray) -> np.ndarray:
    """A matrix over pairs of inputs, both axes in another order."""
    moved: np.ndarray = matrix[np.ix_(order, order)]
    return moved


CKA = Comparison("cka", 1, _prepare, reordered, lambda a, b: float(np.vdot(a, b)))
"""The debiased CKA as a comparison."""
