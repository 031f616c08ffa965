"""The columns that a regression of matrices holds fixed, and residuals on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.errors import InputError


def square(name: str, values: Any, size: int | None = None, missing: bool = False) -> np.ndarray:
    """A matrix ``[N, N]`` of numbers, finite outside its diagonal, or NaN there where it may have missing entries.

    Raises:
        InputError: Naming the matrix and the first entry that cannot be used.

    Example:
        >>> square("distance", [[0, 1], [float("inf"), 0]])
        Traceback (most recent call last):
        allroads.errors.InputError: distance: entry [1, 0] is inf, and pairs need finite numbers. Leave out nodes ...
    """
    try:
        matrix = np.array(values, float)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: expected a matrix of numbers ({error}).") from error
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or size not in (None, len(matrix)):
        wanted = "[N, N]" if size is None else f"[{size}, {size}], as the response has"
        raise InputError(f"{name}: expected a square matrix {wanted}; got shape {list(matrix.shape)}.")
    np.fill_diagonal(matrix, 0.0)
    wrong = np.argwhere(np.isinf(matrix) if missing else ~np.isfinite(matrix))
    if len(wrong):
        row, column = wrong[0].tolist()
        raise InputError(
            f"{name}: entry [{row}, {column}] is {matrix[row, column]}, and pairs need finite numbers. Leave out nodes "
            "without one, such as those of another language or of no program."
        )
    return matrix


def per_node(name: str, values: Any, size: int) -> np.ndarray:
    """A quantity of nodes ``[N]``.

    Raises:
        InputError: If it is not one finite number for each node.

    Example:
        >>> per_node("frequency", [1, 2], 2).tolist()
        [1.0, 2.0]
    """
    try:
        vector = np.array(values, float)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: expected numbers, one for each node ({error}).") from error
    if vector.shape != (size,) or not np.isfinite(vector).all():
        shown = np.array2string(vector.ravel()[:6], threshold=6)
        raise InputError(
            f"{name}: expected {size} finite numbers, one for each node; got shape {list(vector.shape)}, {shown}."
        )
    return vector


@dataclass(frozen=True)
class Design:
    """What is held fixed: a level, matrices, quantities of nodes, and perhaps a level for each node.

    Attributes:
        used: The pairs that count, ``[N, N]``.
        columns: Matrices and the level as columns over all entries, zero where unused, ``[N², K]``.
        node_effects: Whether each row and each column has its own level.
        inverse: Pseudo-inverse of the Gram matrix of all columns.
        rank: Its rank.
    """

    used: np.ndarray
    columns: np.ndarray
    node_effects: bool
    inverse: np.ndarray
    rank: int

    @classmethod
    def of(
        cls, used: np.ndarray, given: Mapping[str, np.ndarray], nodes: Mapping[str, np.ndarray], node_effects: bool
    ) -> Design:
        """The design over the pairs ``used``, of matrices ``[N, N]`` and quantities of nodes ``[N]`` by name."""
        size = len(used)
        found = dict(given)
        for name, vector in nodes.items():
            found[f"{name} of the source"] = np.broadcast_to(vector[:, None], (size, size))
            found[f"{name} of the target"] = np.broadcast_to(vector[None, :], (size, size))
        kept = []
        for values in found.values():
            scaled = (values - values[used].mean()) / (values[used].std() or 1.0)
            kept.append(np.where(used, scaled, 0.0).ravel())
        columns = np.stack([used.astype(float).ravel(), *kept], axis=1)
        bare = cls(used, columns, node_effects, np.zeros((0, 0)), 0)
        gram = bare._gram()
        inverse = np.linalg.pinv(gram, rcond=1e-11, hermitian=True)
        return cls(used, columns, node_effects, inverse, int(np.linalg.matrix_rank(gram, hermitian=True)))

    @property
    def complete(self) -> bool:
        """Whether all pairs count."""
        return int(self.used.sum()) == len(self.used) * (len(self.used) - 1)

    def _gram(self) -> np.ndarray:
        size = len(self.used)
        matrices = self.columns.T.reshape(-1, size, size)
        along = self._coefficients(matrices)
        if not self.node_effects:
            return along
        count, pairs = self.columns.shape[1], self.used.astype(float)
        sources = np.hstack([along[:, count : count + size].T, np.diag(pairs.sum(1)), pairs])
        targets = np.hstack([along[:, count + size :].T, pairs.T, np.diag(pairs.sum(0))])
        return np.vstack([along, sources, targets])

    def _coefficients(self, matrices: np.ndarray) -> np.ndarray:
        """Products of matrices ``[B, N, N]``, zero where unused, with all columns, ``[B, K]`` or ``[B, K + 2 N]``."""
        found = matrices.reshape(len(matrices), -1) @ self.columns
        return np.hstack([found, matrices.sum(2), matrices.sum(1)]) if self.node_effects else found

    def products(self, matrices: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Products of matrices ``[B, N, N]`` with residual vectors ``[N², V]``, and their squared residual lengths.

        The diagonals of the matrices are zero.
        """
        matrices = matrices if self.complete else matrices * self.used
        flat = matrices.reshape(len(matrices), -1)
        along = self._coefficients(matrices)
        squares = np.einsum("bi,bi->b", flat, flat) - np.einsum(
            "bi,ij,bj->b", along, self.inverse, along, optimize=True
        )
        return flat @ vectors, squares

    def residual(self, matrix: np.ndarray) -> np.ndarray:
        """What the columns leave of a matrix over the pairs that count, ``[N²]``, zero elsewhere."""
        kept = np.where(self.used, matrix, 0.0)
        for _ in range(2):  # once more for rounding
            weights = self._coefficients(kept[None])[0] @ self.inverse
            count = self.columns.shape[1]
            fitted = (self.columns @ weights[:count]).reshape(kept.shape)
            if self.node_effects:
                size = len(kept)
                fitted = fitted + weights[count : count + size, None] + weights[None, count + size :]
            kept = np.where(self.used, kept - fitted, 0.0)
        flat: np.ndarray = kept.ravel()
        return flat

    def spread(self, matrix: np.ndarray) -> float:
        """Largest square of a matrix over the pairs that count."""
        return float(np.max(matrix[self.used] ** 2))

    def deviation(self, matrix: np.ndarray) -> float:
        """Standard deviation over the pairs that count."""
        return float(matrix[self.used].std())
