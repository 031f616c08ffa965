"""Stochastic Lanczos quadrature: traces of functions of a symmetric matrix from its products.

For a unit vector z, ``zᵀ f(A) z`` is an integral of f over the spectrum, and k Lanczos steps from z give its k-point
Gauss rule. Eigenpairs that are known are counted exactly, and z is drawn uniformly on the unit sphere of their
complement, whose dimension times the mean over z estimates the rest of the trace without bias.

Two errors are kept apart. That of drawing few z: the standard error. That of few Lanczos steps: for f = −1/(x+s) and
log(x+s), whose even derivatives are negative, the Gauss rule lies above the integral and the Gauss–Radau rule, with one
node held at a lower bound of the spectrum, lies below it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from matfree import decomp
from scipy.linalg import solve_banded

from allroads.budget import Budget
from allroads.compiled import quickly_compiled
from allroads.pfmap.lanczos import breakdown_index, gauss_rule
from allroads.points.spectrum.matrix import FEW, Matrix

Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Quadrature:
    """A spectrum seen through known eigenvalues and Gauss rules of the rest.

    Args:
        known: Eigenvalues counted exactly, ``[k]``.
        rest: Dimension of their complement.
        diagonals: Of the tridiagonal matrix of each start vector, a list of ``[steps]``.
        off_diagonals: Beside each, ``[steps]``; the last couples to the step that was not taken.
        precision: Of the products behind the rules.
    """

    known: Float[np.ndarray, " known"]
    rest: int
    diagonals: list[np.ndarray]
    off_diagonals: list[np.ndarray]
    precision: str = "float64"

    @property
    def size(self) -> int:
        """Dimension of the matrix."""
        return len(self.known) + self.rest

    def nodes(self) -> tuple[Float[np.ndarray, " nodes"], Float[np.ndarray, " nodes"]]:
        """Nodes and weights of all rules together, by rising node; weights sum to 1."""
        rules = [gauss_rule(a, b[:-1]) for a, b in zip(self.diagonals, self.off_diagonals, strict=True)]
        share = self.rest / self.size / max(1, len(rules))
        nodes = np.concatenate([self.known, *(rule[0] for rule in rules)])
        weights = np.concatenate([np.full(len(self.known), 1 / self.size), *(share * rule[1] for rule in rules)])
        order = np.argsort(nodes, kind="stable")
        return nodes[order], weights[order]

    def trace(self, function: Function, lower: float | None = None) -> tuple[float, float, float]:
        """Trace of a function of the matrix, its standard error, and half the gap of the two Lanczos rules.

        Args:
            function: Of eigenvalues, elementwise.
            lower: A number below every eigenvalue, above which the even derivatives of the function are negative;
                ``None`` for a polynomial of lower degree than twice the steps, of which the Gauss rule is exact.
        """
        exact = float(function(self.known).sum())
        if not self.rest:
            return exact, 0.0, 0.0
        above, below = [], []
        for a, b in zip(self.diagonals, self.off_diagonals, strict=True):
            above.append(_integral(function, *gauss_rule(a, b[:-1])))
            if lower is None or b[-1] == 0.0:
                below.append(above[-1])
            else:
                below.append(_integral(function, *_radau(a, b, lower)))
        middle = self.rest * (np.array(above) + np.array(below)) / 2
        gap = self.rest * abs(float(np.mean(above) - np.mean(below))) / 2
        return exact + float(middle.mean()), float(middle.std(ddof=1) / np.sqrt(len(middle))), gap


def lanczos_quadrature(
    matrix: Matrix,
    vectors: Float[np.ndarray, "pairs size"],
    values: Float[np.ndarray, " pairs"],
    *,
    probes: int,
    steps: int,
    seed: int,
    budget: Budget | None = None,
) -> Quadrature:
    """Gauss rules of a matrix on the complement of known eigenvectors.

    Args:
        matrix: The matrix.
        vectors: Known eigenvectors ``[k, d]``, orthonormal.
        values: Their eigenvalues ``[k]``.
        probes: Start vectors, at least 2.
        steps: Lanczos steps from each, at most the dimension of the complement.
        seed: Decides the start vectors.
        budget: Fewer probes are drawn where it ends, two at least.

    References: [ubaru2017], [golub2010]
    """
    rest = matrix.size - len(values)
    if rest == 0:
        return Quadrature(np.asarray(values), 0, [], [])
    steps, budget = min(steps, rest), budget or Budget()
    keys = jax.random.split(jax.random.key(seed), probes)
    together = matrix.together(lanczos_bytes(matrix.size, matrix.dtype.itemsize, steps))
    group = next(n for n in range(min(max(2, together), probes), probes + 1) if probes % n == 0)
    together = next(n for n in range(min(together, group), 0, -1) if group % n == 0)  # a remainder is compiled apart
    rules: list[tuple[np.ndarray, np.ndarray]] = []
    with jax.enable_x64(matrix.dtype.itemsize == 8):
        known = jnp.asarray(vectors, matrix.dtype)
        while not rules or (len(rules) < probes and not budget.ended):
            budget.say(f"random vector {len(rules) + 1} of {probes}")
            with budget.interruptible():
                some = keys[len(rules) : len(rules) + group]
                tridiagonals = _compiled_tridiagonals(matrix.size <= FEW)
                found = tridiagonals(matrix.apply, steps, together, known, some, matrix.data)
                eps = float(np.finfo(matrix.dtype).eps)
                rules += [_ended(a, b, eps) for a, b in zip(*map(np.asarray, found), strict=True)]
    return Quadrature(np.asarray(values), rest, [a for a, _ in rules], [b for _, b in rules], matrix.dtype.name)


def lanczos_bytes(size: int, itemsize: int, steps: int) -> int:
    """Bytes for the basis of one start vector, with the copies made when it is given back."""
    return 3 * (min(steps, size) + 2) * size * itemsize


@cache
def _compiled_tridiagonals(few: bool) -> Any:
    return jax.jit(_tridiagonals, static_argnums=(0, 1, 2), compiler_options=quickly_compiled() if few else {})


def _tridiagonals(apply: Any, steps: int, together: int, known: Any, keys: Any, data: Any) -> tuple[Any, Any]:
    def outside(v: Any) -> Any:
        return v - known.T @ (known @ v)

    decompose = decomp.tridiag_sym(steps, materialize=False, reortho="full", custom_vjp=False)

    def one(key: Any) -> tuple[Any, Any]:
        start = outside(jax.random.normal(key, known.shape[1:], known.dtype))
        found = decompose(lambda v, *rest: outside(apply(v, *rest)), start, *data)
        diagonal, off_diagonal = found.J_small
        return diagonal, jnp.append(off_diagonal, jnp.linalg.norm(found.residual))

    rules: tuple[Any, Any] = jax.lax.map(one, keys, batch_size=together)
    return rules


def _ended(diagonal: np.ndarray, off_diagonal: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """The tridiagonal matrix up to where the Krylov space ends: there the coupling is 0 to rounding."""
    diagonal, off_diagonal = np.nan_to_num(diagonal.astype(np.float64)), np.nan_to_num(off_diagonal.astype(np.float64))
    end = breakdown_index(diagonal, off_diagonal, eps)
    if end is None:
        return diagonal, off_diagonal
    return diagonal[: end + 1], np.append(off_diagonal[:end], 0.0)


def _radau(
    diagonal: Float[np.ndarray, " steps"], off_diagonal: Float[np.ndarray, " steps"], node: float
) -> tuple[Float[np.ndarray, " steps+1"], Float[np.ndarray, " steps+1"]]:
    """The Gauss rule with one node more, held at ``node``."""
    banded = np.zeros((3, len(diagonal)))
    banded[0, 1:] = banded[2, :-1] = off_diagonal[:-1]
    banded[1] = diagonal - node
    unit = np.zeros(len(diagonal))
    unit[-1] = off_diagonal[-1] ** 2
    return gauss_rule(np.append(diagonal, node + solve_banded((1, 1), banded, unit)[-1]), off_diagonal)


def _integral(function: Function, nodes: Float[np.ndarray, " nodes"], weights: Float[np.ndarray, " nodes"]) -> float:
    return float(weights @ function(nodes))
