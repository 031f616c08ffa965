"""Representational similarity analysis: the rank correlation of the distances between inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial.distance import pdist, squareform
from scipy.stats import rankdata

from allroads.paths.convergence.cka import reordered
from allroads.paths.convergence.comparison import Comparison

DIGITS = 6
"""Distances are rounded to this many digits of the largest, so that equal ones have equal ranks."""


def rsa(x: Any, y: Any) -> float:
    """Spearman correlation between the Euclidean distances of all pairs of inputs in two representations.

    It does not change when a representation is rotated, shifted, or scaled as a whole. Its mean over permutations of
    the inputs is exactly 0.

    Args:
        x: Representation ``[n, d]`` of n inputs.
        y: Representation ``[n, e]`` of the same inputs.

    Returns:
        From −1 to 1. NaN where all distances of a representation are equal.

    Raises:
        InputError: If the matrices are no representations of the same four or more inputs.

    References:
        [kriegeskorte2008]

    Example:
        The order of distances counts, and not their size:

        >>> x = np.array([[0.0], [1.0], [3.0], [7.0]])
        >>> round(rsa(x, x**1.1), 9)
        1.0
    """
    return RSA.between(x, y)


def _prepare(x: np.ndarray) -> np.ndarray:
    """Ranks of the distances, centred, with norm 1 over the matrix; zero on its diagonal."""
    distances = pdist(x)
    largest = distances.max()
    ranks = rankdata(np.round(distances / largest, DIGITS) if largest > 0 else distances)
    centred = ranks - ranks.mean()
    norm = np.sqrt(2.0) * np.linalg.norm(centred)
    prepared: np.ndarray = squareform(centred / norm if norm > 0 else np.full_like(centred, np.nan))
    return prepared


RSA = Comparison("rsa", 1, _prepare, reordered, lambda a, b: float(np.vdot(a, b)))
"""The rank correlation as a comparison."""
