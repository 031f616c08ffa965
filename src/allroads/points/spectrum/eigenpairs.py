"""Extreme eigenpairs of a symmetric matrix that is known by its products, each held against its residual.

One Krylov space holds one vector of each eigenspace, so ARPACK can miss copies of a repeated eigenvalue and give lower
ones in their place, all with small residuals. Networks have repeated eigenvalues. So what was found is set aside and
the rest is searched again, until nothing there lies beyond.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from allroads.budget import Budget

_SMALL = 64
"""Up to this size, or where more than a third of the pairs are wanted, the matrix is made from its columns."""
_RESTARTS = 100
_DEPENDENT = 1e-6
"""Singular values below this share of the largest are of directions that the vectors do not span."""

Product = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Eigenpairs:
    """Some eigenpairs of a symmetric matrix.

    Args:
        values: ``[k]``, from the end that was asked for inwards.
        vectors: ``[k, d]``, orthonormal.
        residuals: ``‖A v − λ v‖``, ``[k]``; an eigenvalue lies no further from λ than this.
        norm: The largest ``|λ|`` of the matrix, to a few per cent or better.
        complete: Whether the search came to its end, so that none is missing.
    """

    values: Float[np.ndarray, " pairs"]
    vectors: Float[np.ndarray, "pairs size"]
    residuals: Float[np.ndarray, " pairs"]
    norm: float
    complete: bool


def dense_eigenpairs(matrix: Float[np.ndarray, "size size"]) -> Eigenpairs:
    """All eigenpairs of a symmetric matrix, falling.

    Example:
        >>> dense_eigenpairs(np.diag([1.0, 3.0, 2.0])).values
        array([3., 2., 1.])
    """
    values, vectors = np.linalg.eigh(matrix)
    values, vectors = values[::-1], vectors[:, ::-1]
    residuals = np.linalg.norm(matrix @ vectors - vectors * values, axis=0)
    return Eigenpairs(values, vectors.T, residuals, float(np.abs(values).max()), True)


def extreme_eigenpairs(
    product: Product,
    size: int,
    count: int,
    *,
    end: str = "top",
    tolerance: float = 1e-8,
    seed: int = 0,
    check: bool = True,
    budget: Budget | None = None,
    krylov: int | None = None,
    dtype: np.dtype | None = None,
) -> Eigenpairs:
    """The ``count`` largest (``end="top"``) or smallest (``"bottom"``) eigenvalues with sign, and their vectors.

    ARPACK on the complement of what is already found, then Rayleigh–Ritz on all of it. The search ends when the
    complement holds nothing beyond the last of them.

    Args:
        product: ``v [d] -> A v [d]`` in double precision; A symmetric and finite.
        size: d.
        count: Number of pairs, 1 … d.
        end: ``"top"`` or ``"bottom"``.
        tolerance: Largest residual over the largest ``|λ|``; default 1e-8, made for double precision.
        seed: Decides the start vectors.
        check: Whether to search for what was missed; not needed for one value alone.
        budget: Where it ends, so does the search: the pairs are those of the products made so far, with their
            residuals, and ``complete`` is false.
        krylov: Vectors that ARPACK holds; default 40, or one more than twice the count. With fewer it takes longer.
        dtype: Precision of the vectors; default double. The product then gives it.

    Example:
        >>> diagonal = np.repeat([3.0, 2.0, 1.0], 100)
        >>> pairs = extreme_eigenpairs(lambda v: diagonal * v, 300, 4)
        >>> pairs.values.round(6), bool(pairs.residuals.max() < 1e-7)
        (array([3., 3., 3., 3.]), True)
    """
    if size <= _SMALL or 3 * count > size:
        columns = np.stack([product(unit) for unit in np.eye(size)])
        return _one_end(dense_eigenpairs((columns + columns.T) / 2), count, end)
    rng = np.random.default_rng(seed)
    space = Space(size, krylov or usual_krylov(count, size), np.dtype(dtype or np.float64))
    norm = _norm(product, replace(space, krylov=min(space.krylov, usual_krylov(1, size))), rng, budget)
    if norm == 0.0:
        return Eigenpairs(np.zeros(count), np.eye(count, size), np.zeros(count), 0.0, True)
    sign, shift = (1.0 if end == "top" else -1.0), 1.5 * norm
    found = np.zeros((size, 0), space.dtype)
    levels = np.zeros(0)
    complete = True
    for turn in range(count + 1):

        def rest(v: np.ndarray, found: np.ndarray = found) -> np.ndarray:
            """``sign A + shift`` where nothing is found yet, and 0, the smallest of all, on what is."""
            v = v - found @ (found.T @ v)
            image = sign * product(v) + shift * v
            return image - found @ (found.T @ image)

        values, vectors, converged = _arpack(rest, space, 1 if turn else count, tolerance, rng, budget)
        complete = complete and converged
        beyond = turn and (not values.size or values[-1] <= np.sort(levels)[-count] + tolerance * shift)
        found = np.linalg.qr(np.concatenate([found, vectors], axis=1))[0]
        levels = np.concatenate([levels, values])
        if beyond or not converged or not check:
            break
    return _one_end(_ritz(product, found, norm, complete), count, end)


@dataclass(frozen=True)
class Space:
    """What a search works in.

    Attributes:
        size: d.
        krylov: Vectors that ARPACK holds at most.
        dtype: Their precision.
    """

    size: int
    krylov: int
    dtype: np.dtype

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """A random vector."""
        return rng.standard_normal(self.size, self.dtype.type)


def _norm(product: Product, space: Space, rng: np.random.Generator, budget: Budget | None) -> float:
    """The largest ``|λ|`` to a few per cent; exactly 0 for the zero matrix."""
    if not product(space.draw(rng)).any():
        return 0.0
    values, _, _ = _arpack(product, space, 1, 1e-2, rng, budget, which="LM")
    return float(np.abs(values).max()) if values.size else float(np.linalg.norm(product(space.draw(rng))))


class _Ended(Exception):
    """The budget ended within a search."""


def _arpack(
    product: Product,
    space: Space,
    count: int,
    tolerance: float,
    rng: np.random.Generator,
    budget: Budget | None,
    which: str = "LA",
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Values, vectors ``[d, k]``, and whether all converged; else those that did, at a looser tolerance if need be."""
    if budget is None:
        return _search(product, space, count, tolerance, rng, which)
    seen: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=_vectors(space, count))

    def watched(v: np.ndarray) -> np.ndarray:
        if budget.ended and len(seen) >= 2 * count:
            raise _Ended
        v = v.ravel()
        seen.append((v.copy(), product(v)))
        return seen[-1][1]

    with budget.interruptible():
        try:
            return _search(watched, space, count, tolerance, rng, which)
        except _Ended:
            pass
    return seen_pairs(seen, count, which)


def seen_pairs(
    seen: deque[tuple[np.ndarray, np.ndarray]], count: int, which: str
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Rayleigh–Ritz in the span of the vectors whose products are known."""
    if not seen:
        return np.zeros(0), np.zeros((0, 0)), False
    vectors, images = (np.stack(part, axis=1) for part in zip(*seen, strict=True))
    lengths = np.maximum(np.linalg.norm(vectors, axis=0), np.finfo(float).tiny)
    left, singular, right = np.linalg.svd(vectors / lengths, full_matrices=False)
    kept = singular > _DEPENDENT * singular[0]
    basis = left[:, kept]
    image = (images / lengths) @ (right[kept].T / singular[kept])
    small = basis.T @ image
    values, within = np.linalg.eigh((small + small.T) / 2)
    last = np.argsort(np.abs(values) if which == "LM" else values)[-count:]
    return values[last], basis @ within[:, last], False


def _search(
    product: Product, space: Space, count: int, tolerance: float, rng: np.random.Generator, which: str
) -> tuple[np.ndarray, np.ndarray, bool]:
    """ARPACK's pairs, and whether all converged."""
    size = space.size
    operator = LinearOperator((size, size), matvec=product, dtype=space.dtype)  # pyright: ignore[reportCallIssue]
    start = product(space.draw(rng))
    options: dict[str, Any] = dict(v0=start, which=which, maxiter=_RESTARTS, ncv=_vectors(space, count))
    converged = True
    while True:
        try:
            options["tol"] = tolerance / 4
            values, vectors = eigsh(operator, count, **options)
            return values, vectors, converged
        except ArpackNoConvergence as stopped:
            converged, tolerance = False, 100 * tolerance
            if stopped.eigenvalues.size or tolerance > 1.0:
                return stopped.eigenvalues, stopped.eigenvectors.reshape(size, -1), False


def usual_krylov(count: int, size: int) -> int:
    """Vectors that ARPACK holds where memory is no matter."""
    return min(size, max(2 * count + 1, 40))


def _vectors(space: Space, count: int) -> int:
    """Vectors that ARPACK holds in a search for so many pairs: it needs two more than there are."""
    return min(space.size, max(min(space.krylov, usual_krylov(count, space.size)), count + 2))


def vectors_held(count: int, size: int, watched: bool = False, krylov: int | None = None) -> int:
    """Vectors of the matrix's size that finding ``count`` pairs holds at its peak.

    Args:
        count: Number of pairs.
        size: d.
        watched: Whether a budget is given, for which products are kept.
        krylov: Vectors that ARPACK holds, where they are not the usual ones.
    """
    held = (4 if watched else 2) * (krylov or usual_krylov(count, size))
    return size if size <= _SMALL or 3 * count > size else held + 4 * (count + 1)


def _ritz(product: Product, basis: np.ndarray, norm: float, complete: bool) -> Eigenpairs:
    """The eigenpairs of A seen in an orthonormal basis ``[d, k]``, falling."""
    images = np.stack([product(vector) for vector in basis.T], axis=1)
    seen = basis.T @ images
    values, turn = np.linalg.eigh((seen + seen.T) / 2)
    values, turn = values[::-1], turn[:, ::-1]
    vectors = basis @ turn
    residuals = np.linalg.norm(images @ turn - vectors * values, axis=0)
    return Eigenpairs(values, vectors.T, residuals, norm, complete)


def _one_end(pairs: Eigenpairs, count: int, end: str) -> Eigenpairs:
    chosen = slice(None, count) if end == "top" else slice(-1, -count - 1, -1)
    return Eigenpairs(pairs.values[chosen], pairs.vectors[chosen], pairs.residuals[chosen], pairs.norm, pairs.complete)
