"""Lanczos quadrature of matrices so large that a Krylov basis does not fit: three vectors, and no basis.

Without reorthogonalisation rounding brings copies of eigenvalues that have converged. Their weights share that of the
one eigenvalue, so that integrals, and the largest and the smallest node, stay as they are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import eigh_tridiagonal

from allroads.budget import Budget
from allroads.pfmap.lanczos import breakdown_index
from allroads.points.spectrum.matrix import Matrix
from allroads.points.spectrum.quadrature import Quadrature

VECTORS = 8
"""Vectors of the matrix's size that are held at once, the start vector and the product's result among them."""
MOST = 300
"""Products in a search for the largest eigenvalue, at most."""
_ROW = 4096
"""Numbers that are added up at a time: a plain sum of 10⁸ numbers of single precision has four right digits."""


class Ends(NamedTuple):
    """The largest and the smallest eigenvalue, and the residuals of both: some eigenvalue lies that near."""

    top: float
    top_residual: float
    bottom: float
    bottom_residual: float


def recurrence_quadrature(matrix: Matrix, *, probes: int, steps: int, seed: int, budget: Budget) -> Quadrature:
    """Gauss rules of a matrix from random start vectors, each by a three-term recurrence.

    Args:
        matrix: The matrix.
        probes: Start vectors, at least 2.
        steps: Products from each.
        seed: Decides the start vectors.
        budget: Where it ends so does the search; two rules of two products at least are made.

    References: [ubaru2017], [golub2010], [greenbaum1989]
    """
    rules = []
    for number, key in enumerate(jax.random.split(jax.random.key(seed), probes)):
        if number >= 2 and budget.ended:
            break
        rules.append(_rule(matrix, key, min(steps, matrix.size), budget, f"random vector {number + 1} of {probes}"))
    return Quadrature(np.zeros(0), matrix.size, [a for a, _ in rules], [b for _, b in rules], matrix.dtype.name)


def extreme_nodes(quadrature: Quadrature) -> Ends:
    """The largest and the smallest node of all rules; the last entry of a node's vector gives its residual.

    Example:
        Of the matrix diag(1, 3), from the start vector (1, 1)/√2:

        >>> rule = Quadrature(np.zeros(0), 2, [np.array([2.0, 2.0])], [np.array([1.0, 0.0])])
        >>> [round(number, 6) for number in extreme_nodes(rule)]
        [3.0, 0.0, 1.0, 0.0]
    """
    tops, bottoms = [], []
    for diagonal, off_diagonal in zip(quadrature.diagonals, quadrature.off_diagonals, strict=True):
        nodes, vectors = eigh_tridiagonal(diagonal, off_diagonal[:-1])
        residuals = np.abs(off_diagonal[-1] * vectors[-1])
        tops.append((float(nodes[-1]), float(residuals[-1])))
        bottoms.append((float(nodes[0]), float(residuals[0])))
    return Ends(*max(tops), *min(bottoms))


def ends_by_recurrence(matrix: Matrix, *, tolerance: float, seed: int, most: int = MOST) -> Ends:
    """The largest eigenvalue and its residual from one recurrence, and the smallest node seen on the way.

    Args:
        matrix: The matrix.
        tolerance: Residual over the largest ``|λ|`` at which it ends.
        seed: Decides the start vector.
        most: Products at most.

    References: [golub2010]
    """
    rule = _rule(matrix, jax.random.key(seed), min(most, matrix.size), Budget(), "", tolerance)
    return extreme_nodes(Quadrature(np.zeros(0), matrix.size, [rule[0]], [rule[1]], matrix.dtype.name))


def _rule(
    matrix: Matrix, key: Any, steps: int, budget: Budget, doing: str, tolerance: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    with jax.enable_x64(matrix.dtype.itemsize == 8):
        vector = _unit(jax.random.normal(key, (matrix.size,), matrix.dtype))
        previous, coupling = jnp.zeros((), matrix.dtype), jnp.zeros((), matrix.dtype)
        diagonal: list[float] = []
        off_diagonal: list[float] = []
        while len(diagonal) < steps and not (len(diagonal) >= 2 and budget.ended):
            budget.say(f"{doing}, product {len(diagonal) + 1} of {steps}")
            with budget.interruptible():
                image = matrix.compiled(vector, *matrix.data)
                previous, vector, entry, coupling = _next(image, previous, vector, coupling)
                diagonal.append(float(entry))
                off_diagonal.append(float(coupling))
            if tolerance is not None and len(diagonal) >= 2:
                nodes, vectors = eigh_tridiagonal(np.array(diagonal), np.array(off_diagonal[:-1]))
                if abs(off_diagonal[-1] * vectors[-1, -1]) <= tolerance * np.abs(nodes).max():
                    break
    a, b = np.array(diagonal), np.array(off_diagonal)
    end = breakdown_index(a, b, float(np.finfo(matrix.dtype).eps))
    return (a, b) if end is None else (a[: end + 1], np.append(b[:end], 0.0))


@jax.jit
def _next(image: Any, previous: Any, vector: Any, coupling: Any) -> tuple[Any, Any, Any, Any]:
    image = image - coupling * previous
    entry = _dot(vector, image)
    image = image - entry * vector
    length = jnp.sqrt(_dot(image, image))
    return vector, image / jnp.where(length == 0, 1, length), entry, length


@jax.jit
def _unit(vector: Any) -> Any:
    return vector / jnp.sqrt(_dot(vector, vector))


def _dot(a: Any, b: Any) -> Any:
    """The inner product, in rows that are added up each on their own."""
    product, whole = a * b, a.size // _ROW * _ROW
    return product[:whole].reshape(-1, _ROW).sum(1).sum() + product[whole:].sum()
