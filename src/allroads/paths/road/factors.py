"""``(K + r)⁻¹`` by Cholesky's factors: of the kernel K = JJᵀ, or of JᵀJ where that is smaller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

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


@dataclass(frozen=True, eq=False)
class DenseKernel:
    """A kernel with the factor of K + r.

    Where rounding leaves K + r indefinite, the eigenvectors of K take the factor's place, negative eigenvalues as 0.

    Args:
        kernel: K, ``[N·C, N·C]``.
        ridge: r > 0.
        factor: Cholesky's factor as scipy keeps it, eigenvalues with eigenvectors, or ``None`` where K is not finite.

    Example:
        >>> solved = DenseKernel.of(np.diag([3.0, 1.0]), 1.0).solve(np.array([4.0, 0.0]))
        >>> solved.weights.tolist(), solved.square, solved.outside
        ([1.0, 0.0], 4.0, 0.0625)
    """

    kernel: np.ndarray
    ridge: float
    factor: Any
    by_eigenvectors: bool

    @classmethod
    def of(cls, kernel: np.ndarray, ridge: float) -> DenseKernel:
        """Factor ``kernel + ridge``."""
        if not np.isfinite(kernel).all():
            return cls(kernel, ridge, None, False)
        raised = kernel.copy()
        raised[np.diag_indices(len(kernel))] += ridge
        try:
            return cls(kernel, ridge, cho_factor(raised, lower=True, overwrite_a=True, check_finite=False), False)
        except LinAlgError:
            return cls(kernel, ridge, np.linalg.eigh(kernel), True)

    def solve(self, direction: np.ndarray) -> Solution:
        """The weights of a direction, NaN where the kernel is not finite."""
        if self.factor is None:
            return Solution(np.full(len(direction), np.nan), None, np.nan, np.nan)
        if self.by_eigenvectors:
            values, vectors = self.factor
            weights = vectors @ ((direction @ vectors) / (np.maximum(values, 0) + self.ridge))
        else:
            weights = cho_solve(self.factor, direction, check_finite=False)
        outside = self.ridge**2 * (weights @ weights) / (direction @ direction)
        return Solution(weights, None, float(direction @ weights), float(outside))

    def smallest(self) -> float:
        """Smallest eigenvalue of K; NaN where it is not finite."""
        return np.nan if self.factor is None else extreme_eigenvalue(self.kernel, 0)


@dataclass(frozen=True, eq=False)
class FactoredJacobian:
    """A Jacobian with the factor of JJᵀ + r, or of JᵀJ + r where parameters are fewer than outputs.

    The second serves by ``Jᵀ(JJᵀ + r)⁻¹ = (JᵀJ + r)⁻¹Jᵀ``. Products are those of J in double precision, so that small
    eigenvalues suffer from the rounding of J's entries alone.

    Args:
        jacobian: J, ``[N·C, P]``.
        ridge: r > 0.
        factor: Cholesky's factor as scipy keeps it, or ``None`` where J is not finite or rounding exceeds r.

    Example:
        >>> solved = FactoredJacobian.of(np.array([[2.0], [0.0]]), 1.0).solve(np.array([5.0, 0.0]))
        >>> solved.motion.round(12).tolist(), round(solved.square, 12), round(solved.outside, 12)
        ([2.0], 5.0, 0.04)
    """

    jacobian: np.ndarray
    ridge: float
    factor: Any

    @classmethod
    def of(cls, jacobian: np.ndarray, ridge: float) -> FactoredJacobian:
        """Factor the smaller of ``JJᵀ + ridge`` and ``JᵀJ + ridge``."""
        raised = smaller_gram(jacobian)
        if not np.isfinite(raised).all():
            return cls(jacobian, ridge, None)
        raised[np.diag_indices(len(raised))] += ridge
        try:
            return cls(jacobian, ridge, cho_factor(raised, lower=True, overwrite_a=True, check_finite=False))
        except LinAlgError:
            return cls(jacobian, ridge, None)

    def solve(self, direction: np.ndarray) -> Solution:
        """The motion of a direction, NaN where there is no factor."""
        rows, columns = self.jacobian.shape
        if self.factor is None:
            return Solution(None, np.full(columns, np.nan), np.nan, np.nan)
        size = float(direction @ direction)
        if rows <= columns:
            weights = cho_solve(self.factor, direction, check_finite=False)
            outside = self.ridge**2 * float(weights @ weights) / size
            return Solution(None, self.jacobian.T @ weights, float(direction @ weights), outside)
        motion = cho_solve(self.factor, self.jacobian.T @ direction, check_finite=False)
        undone = direction - self.jacobian @ motion  # r (K + r)⁻¹ v
        left = float(undone @ undone)
        return Solution(None, motion, float(motion @ motion) + left / self.ridge, left / size)

    def smallest(self) -> float:
        """Smallest eigenvalue of K, 0 where outputs outnumber parameters; NaN where J is not finite."""
        rows, columns = self.jacobian.shape
        if rows > columns:
            return 0.0
        gram = smaller_gram(self.jacobian)
        return extreme_eigenvalue(gram, 0) if np.isfinite(gram).all() else np.nan


def smaller_gram(jacobian: np.ndarray) -> np.ndarray:
    """``JJᵀ`` or ``JᵀJ``, whichever is smaller; their eigenvalues above 0 are the same.

    Example:
        >>> smaller_gram(np.array([[2.0], [1.0]])).tolist()
        [[5.0]]
    """
    rows, columns = jacobian.shape
    return jacobian @ jacobian.T if rows <= columns else jacobian.T @ jacobian


def extreme_eigenvalue(matrix: np.ndarray, place: int) -> float:
    """One eigenvalue of a symmetric matrix, counted from the smallest.

    Example:
        >>> round(extreme_eigenvalue(np.diag([3.0, 1.0, 2.0]), 2), 12)
        3.0
    """
    return float(eigh(matrix, eigvals_only=True, subset_by_index=[place, place], check_finite=False)[0])
