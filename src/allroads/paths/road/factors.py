"""``(K + r)⁻¹`` by Cholesky's factors: of the kernel K = JJᵀ, or of JᵀJ where that is smaller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, eigh


class Solution(NamedTuple):
    """What ``(K + r)⁻¹ v`` says of a direction v.

    Args:
        weights: ``(K + r)⁻¹ v``, or ``None`` where the motion is solved for itself.
        motion: ``Jᵀ(K + r)⁻¹ v`` as a vector, or ``None`` where it is still to be pulled back.
        square: ``vᵀ(K + r)⁻¹ v``.
        outside: ``‖v − K (K + r)⁻¹ v‖² / ‖v‖²``.
    """

    weights: np.ndarray | None
    motion: np.ndarray | None
    square: float
    outside: float


def regularised_inverse(matrix: np.ndarray, ridge: float) -> Callable[[np.ndarray], np.ndarray]:
    """``v -> (A + r)⁻¹ v`` of a symmetric matrix without negative eigenvalues, by Cholesky's factor.

    Where rounding leaves A + r indefinite, the eigenvectors of A take the factor's place, negative eigenvalues as 0.
    Where A is not finite, neither is what is given.

    Example:
        >>> regularised_inverse(np.diag([3.0, 1.0]), 1.0)(np.array([4.0, 2.0])).round(12).tolist()
        [1.0, 1.0]
    """
    if not np.isfinite(matrix).all():
        return lambda v: np.full(len(matrix), np.nan)
    raised = matrix.copy()
    raised[np.diag_indices(len(matrix))] += ridge
    try:
        factor = cho_factor(raised, lower=True, overwrite_a=True, check_finite=False)
    except LinAlgError:
        values, vectors = np.linalg.eigh(matrix)
        return lambda v: np.asarray(vectors @ ((v @ vectors) / (np.maximum(values, 0) + ridge)))
    return lambda v: np.asarray(cho_solve(factor, v, check_finite=False))


@dataclass(frozen=True, eq=False)
class DenseKernel:
    """A kernel K, ``[N·C, N·C]``, with the inverse of K + r.

    Example:
        >>> solved = DenseKernel.of(np.diag([3.0, 1.0]), 1.0).solve(np.array([4.0, 0.0]))
        >>> solved.weights.tolist(), solved.square, solved.outside
        ([1.0, 0.0], 4.0, 0.0625)
    """

    kernel: np.ndarray
    ridge: float
    inverse: Callable[[np.ndarray], np.ndarray]

    @classmethod
    def of(cls, kernel: np.ndarray, ridge: float) -> DenseKernel:
        """Factor ``kernel + ridge``."""
        return cls(kernel, ridge, regularised_inverse(kernel, ridge))

    def solve(self, direction: np.ndarray) -> Solution:
        """The weights of a direction."""
        weights = self.inverse(direction)
        outside = self.ridge**2 * float(weights @ weights) / float(direction @ direction)
        return Solution(weights, None, float(direction @ weights), outside)

    def smallest(self) -> float:
        """Smallest eigenvalue of K."""
        return extreme_eigenvalue(self.kernel, 0)


@dataclass(frozen=True, eq=False)
class FactoredJacobian:
    """A Jacobian J, ``[N·C, P]``, with the inverse of JJᵀ + r, or of JᵀJ + r where parameters are fewer than outputs.

    The second serves by ``Jᵀ(JJᵀ + r)⁻¹ = (JᵀJ + r)⁻¹Jᵀ``. Products are those of J in double precision, so that small
    eigenvalues suffer from the rounding of J's entries alone.

    Example:
        >>> solved = FactoredJacobian.of(np.array([[2.0], [0.0]]), 1.0).solve(np.array([5.0, 0.0]))
        >>> solved.motion.round(12).tolist(), round(solved.square, 12), round(solved.outside, 12)
        ([2.0], 5.0, 0.04)
    """

    jacobian: np.ndarray
    ridge: float
    inverse: Callable[[np.ndarray], np.ndarray]

    @classmethod
    def of(cls, jacobian: np.ndarray, ridge: float) -> FactoredJacobian:
        """Factor the smaller of ``JJᵀ + ridge`` and ``JᵀJ + ridge``."""
        return cls(jacobian, ridge, regularised_inverse(smaller_gram(jacobian), ridge))

    def solve(self, direction: np.ndarray) -> Solution:
        """The motion of a direction."""
        rows, columns = self.jacobian.shape
        size = float(direction @ direction)
        if rows <= columns:
            weights = self.inverse(direction)
            outside = self.ridge**2 * float(weights @ weights) / size
            return Solution(None, self.jacobian.T @ weights, float(direction @ weights), outside)
        motion = self.inverse(self.jacobian.T @ direction)
        undone = direction - self.jacobian @ motion  # r (K + r)⁻¹ v
        left = float(undone @ undone)
        return Solution(None, motion, float(motion @ motion) + left / self.ridge, left / size)

    def smallest(self) -> float:
        """Smallest eigenvalue of K, 0 where outputs outnumber parameters."""
        rows, columns = self.jacobian.shape
        return 0.0 if rows > columns else extreme_eigenvalue(smaller_gram(self.jacobian), 0)


def smaller_gram(jacobian: np.ndarray) -> np.ndarray:
    """``JJᵀ`` or ``JᵀJ``, whichever is smaller; their eigenvalues above 0 are the same.

    Example:
        >>> smaller_gram(np.array([[2.0], [1.0]])).tolist()
        [[5.0]]
    """
    rows, columns = jacobian.shape
    gram: np.ndarray = jacobian @ jacobian.T if rows <= columns else jacobian.T @ jacobian
    return gram


def extreme_eigenvalue(matrix: np.ndarray, place: int) -> float:
    """One eigenvalue of a symmetric matrix, counted from the smallest; NaN where the matrix is not finite.

    Example:
        >>> round(extreme_eigenvalue(np.diag([3.0, 1.0, 2.0]), 2), 12)
        3.0
    """
    if not np.isfinite(matrix).all():
        return float("nan")
    return float(eigh(matrix, eigvals_only=True, subset_by_index=[place, place], check_finite=False)[0])
