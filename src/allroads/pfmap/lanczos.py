"""Lanczos iteration of a symmetric operator, and the Gauss quadrature rule of its tridiagonal matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.linalg import eigh_tridiagonal

_BREAKDOWN = 32
"""Rounding errors of the largest entry below which an off-diagonal entry counts as zero."""


class LanczosDecomposition(NamedTuple):
    """Tridiagonal matrix ``T = Q A Qᵀ`` of a symmetric operator A in a Krylov space: ``A Qᵀ = Qᵀ T + s e_kᵀ``.

    All entries are 0 past the step at which the Krylov space is exhausted.

    Attributes:
        diagonal: Diagonal of T, ``[k]``.
        off_diagonal: Off-diagonal of T, ``[k − 1]``.
        basis: Orthonormal basis Q, one vector per row, ``[k, n]``.
        length: Norm of the start vector, which is the first row of the basis times this.
        remainder: The part s of the last product that lies outside of the Krylov space, ``[n]``.
    """

    diagonal: Float[jax.Array, " steps"]
    off_diagonal: Float[jax.Array, " steps-1"]
    basis: Float[jax.Array, "steps size"]
    length: Float[jax.Array, ""]
    remainder: Float[jax.Array, " size"]

    def eigen(self) -> tuple[Float[jax.Array, " steps"], Float[jax.Array, "steps steps"]]:
        """Eigenvalues ``[k]`` and eigenvectors (columns) ``[k, k]`` of T."""
        values, vectors = jnp.linalg.eigh(
            jnp.diag(self.diagonal) + jnp.diag(self.off_diagonal, 1) + jnp.diag(self.off_diagonal, -1)
        )
        return values, vectors


def lanczos(
    product: Callable[[Any], Any], start: Float[jax.Array, " size"], steps: int, taken: Any = None
) -> LanczosDecomposition:
    """Lanczos iteration with full reorthogonalisation.

    Args:
        product: The symmetric operator, ``v -> A v``.
        start: Start vector ``[n]``.
        steps: Number k of iterations, at most n.
        taken: Iterations that are made, at most k, which may be traced; default k. Entries past them are 0.

    Returns:
        :class:`LanczosDecomposition`; its entries are 0 past the end of the Krylov space.

    References: [golub2010]

    Example:
        The Krylov space of an eigenvector has one dimension:

        >>> found = lanczos(lambda v: jnp.array([3.0, 5.0]) * v, jnp.array([0.0, 2.0]), 2)
        >>> found.diagonal.tolist(), found.off_diagonal.tolist(), float(found.length)
        ([5.0, 0.0], [0.0], 2.0)
    """

    def step(index: Any, carry: tuple[Any, ...]) -> tuple[Any, ...]:
        basis, vector, diagonal, couplings = carry
        basis = basis.at[index].set(vector)
        image = product(vector)
        diagonal = diagonal.at[index].set(vector @ image)
        for _ in range(2):
            image = image - (basis @ image) @ basis
        coupling = jnp.linalg.norm(image)
        continues = coupling > _BREAKDOWN * np.finfo(image.dtype).eps * jnp.abs(diagonal).max()
        vector = jnp.where(continues, image / jnp.where(continues, coupling, 1.0), 0.0)
        return basis, vector, diagonal, couplings.at[index].set(jnp.where(continues, coupling, 0.0))

    length, zeros = jnp.linalg.norm(start), jnp.zeros(steps, start.dtype)
    first = start / jnp.maximum(length, np.finfo(start.dtype).tiny)
    carry = jnp.zeros((steps, start.size), start.dtype), first, zeros, zeros
    taken = steps if taken is None else taken
    basis, vector, diagonal, couplings = jax.lax.fori_loop(0, taken, step, carry)
    return LanczosDecomposition(diagonal, couplings[:-1], basis, length, couplings[taken - 1] * vector)


def breakdown_index(
    diagonal: Float[np.ndarray, " steps"], off_diagonal: Float[np.ndarray, " couplings"], eps: float
) -> int | None:
    """Index of the first off-diagonal entry that is rounding error: there the Krylov space is exhausted.

    Args:
        diagonal: Diagonal of the tridiagonal matrix, ``[k]``.
        off_diagonal: Off-diagonal, ``[k − 1]``, or ``[k]`` with the coupling to the step that was not taken.
        eps: Machine precision of the products.

    Returns:
        The index, ``None`` where every entry is above rounding error. The space has one dimension more than the index.

    Example:
        >>> breakdown_index(np.array([1.0, 2.0, 9.0]), np.array([0.5, 1e-20]), 1e-16)
        1
    """
    scale = np.abs(diagonal).max() + np.abs(off_diagonal).max(initial=0.0)
    end = np.flatnonzero(~(off_diagonal > _BREAKDOWN * eps * scale))
    return int(end[0]) if end.size else None


def gauss_rule(
    diagonal: Float[np.ndarray, " nodes"], off_diagonal: Float[np.ndarray, " nodes-1"]
) -> tuple[Float[np.ndarray, " nodes"], Float[np.ndarray, " nodes"]]:
    """Nodes and weights of the Gauss quadrature rule of a tridiagonal (Jacobi) matrix; the weights sum to 1.

    References: [golub2010]

    Example:
        The two-point rule of the matrix [[1, 1], [1, 1]] has its eigenvalues 0 and 2 as nodes:

        >>> nodes, weights = gauss_rule(np.ones(2), np.ones(1))
        >>> nodes.round(9).tolist(), weights.round(9).tolist()
        ([0.0, 2.0], [0.5, 0.5])
    """
    nodes, vectors = eigh_tridiagonal(diagonal, off_diagonal)
    return nodes, vectors[0] ** 2
