"""Factorised size: the fewest bits of low-rank factors that keep the loss."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.pfmap.network import Params
from allroads.pfmap.objective import Examples, Objective
from allroads.pfmap.problem import Problem
from allroads.points.description.point import checked_point, not_finite
from allroads.results import Measurement, finish


def factorised_size(problem: Problem, params: Params, *, delta: float = 0.01, throw: bool = False) -> Measurement:
    """Factorised size: bits of the point with its matrices cut to low rank by one threshold, loss at most L + δ.

    Conventions: a tensor of two or more axes is a matrix ``[everything before the last axis, last axis]``. Singular
    values of at least τ times its largest are kept, with one τ for all matrices. Every τ that makes a difference is
    tried. Rank k of an m × n matrix costs ``k (m + n)`` numbers; where that is no saving, the matrix is kept as it is,
    m n numbers. Vectors are kept. A number is 32 or 64 bits, as stored.

    Invariant where all units of a relu layer are rescaled by one factor; *not* where each has its own, which moves
    singular values.

    Args:
        problem: Network, loss and data; L is its mean loss.
        params: The point.
        delta: δ, allowed rise of the mean loss, in its unit; default 0.01.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`~allroads.Measurement` in bits without an error: nothing is drawn. ``stats``: ``numbers``, ``ranks``
        (one a matrix), ``threshold`` τ, ``loss``, ``cut_loss``, ``stored_bits``, ``delta``, ``convention``. Status
        ``diverged`` (and NaN) where L is not finite.

    Raises:
        InputError: If parameters are not floating-point or not finite, data are empty, labels do not match, or δ is
            negative.

    When it fails: the largest singular value says nothing about how much a direction matters to the loss, so ranks
    chosen by looking at the loss go lower. Costs one forward pass for each singular value of the network.

    References:
        [eckart1936, urdshals2025]

    Example:
        A 4 × 4 matrix of rank one is eight numbers:

        >>> import jax.numpy as jnp
        >>> from allroads import Network, Problem
        >>> linear = Network(lambda key: jnp.ones((4, 4)), lambda w, x: x @ w)
        >>> size = factorised_size(Problem(linear, "mse", jnp.eye(4), jnp.ones((4, 4))), jnp.ones((4, 4)), delta=0)
        >>> size.stats["numbers"], size.value
        (8, 256.0)
    """
    point = checked_point(problem, params, delta)
    stats: dict[str, Any] = {
        "delta": delta,
        "stored_bits": point.stored_bits * point.count,
        "convention": "bits of the point with matrices cut to low rank by one relative threshold, loss ≤ L + δ",
    }
    if not math.isfinite(point.loss):
        return finish(not_finite(point, stats), throw)

    matrices = [np.asarray(leaf).reshape(-1, leaf.shape[-1]) if leaf.ndim > 1 else None for leaf in point.leaves]
    factors = [None if matrix is None else np.linalg.svd(matrix, full_matrices=False) for matrix in matrices]
    singular = [
        factor[1] / max(factor[1].max(initial=0.0), np.finfo(factor[1].dtype).tiny) for factor in factors if factor
    ]
    shapes = [matrix.shape for matrix in matrices if matrix is not None]
    thresholds = np.unique(np.concatenate([[np.inf], *singular]))
    ranks = np.array([[int((values >= t).sum()) for values in singular] for t in thresholds])
    ranks = ranks.reshape(len(thresholds), len(shapes))
    costs = np.array([[min(k * (m + n), m * n) for k, (m, n) in zip(row, shapes, strict=True)] for row in ranks])
    kept = point.count - sum(m * n for m, n in shapes)
    numbers = kept + costs.reshape(ranks.shape).sum(axis=1).astype(int)

    losses = np.array(_losses(point.objective, point.tree)(point.leaves, factors, ranks, point.data), np.float64)
    losses[0] = point.loss  # the lowest threshold cuts nothing
    fits = np.flatnonzero(losses <= point.allowed(delta, losses[-1]))
    found = min(fits, key=lambda row: (numbers[row], losses[row]))
    size = Measurement(
        point.stored_bits * int(numbers[found]),
        stats=stats
        | {
            "numbers": int(numbers[found]),
            "ranks": ranks[found].tolist(),
            "threshold": float(thresholds[found]),
            "loss": point.loss,
            "cut_loss": float(losses[found]),
        },
    )
    return finish(size, throw)


@lru_cache(maxsize=64)
def _losses(objective: Objective, tree: Any) -> Any:
    """``losses(leaves, factors, ranks, data)``: the loss at each row of ranks ``[R, matrices]``."""

    def losses(leaves: list[Any], factors: list[Any], ranks: Any, data: Examples) -> Any:
        def at(row: Any) -> Any:
            rank = iter(row)
            cut = [
                leaf if factor is None else _cut(leaf, factor, next(rank))
                for leaf, factor in zip(leaves, factors, strict=True)
            ]
            return objective.mean(jax.tree.unflatten(tree, cut), data)

        return jax.lax.map(at, jnp.asarray(ranks))

    return jax.jit(losses)


def _cut(leaf: Any, factor: Any, rank: Any) -> Any:
    """The best approximation of that rank, or the matrix itself where factors are no smaller."""
    left, values, right = factor
    low = (left * jnp.where(jnp.arange(len(values)) < rank, values, 0)) @ right
    return jnp.where(rank * (left.shape[0] + right.shape[1]) < leaf.size, low.reshape(leaf.shape), leaf)
