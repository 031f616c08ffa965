"""Coordinates in which the posterior is about equally wide in all directions.

``w = w* + Q_L (m^{-1/2} ∘ z) Q_Rᵀ`` for every matrix of weights. The masses m and the rotations Q come from the second
moments of gradients ``G = ∇U``: in equilibrium ``E[∇U ∇Uᵀ]`` is the mean Hessian of U, and for the weights of a layer
it is about the Kronecker product of ``A = E[G Gᵀ]`` and ``B = E[Gᵀ G]`` over their trace. Any invertible change of
coordinates leaves the posterior as it is, so a poor metric costs time and never correctness.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from allroads.points.sampling.free_parameters import Block, FreeParameters, join

LARGEST = 1024
"""Sides longer than this are not rotated; decomposing them would cost more than it saves."""
LONGEST = 16
"""A side is rotated if it is at most so many times as long as the other: a second moment over some 64 gradients then
rests on four vectors a row."""


class Metric(NamedTuple):
    """Of one block: rotations ``[rows, rows]`` and ``[columns, columns]``, masses ``[rows, columns]``.

    A rotation is ``None`` where the side is not rotated.
    """

    left: Any
    right: Any
    masses: Any


class Moments(NamedTuple):
    """Mean of ``G Gᵀ`` and of ``Gᵀ G``; of a side that is not rotated, the diagonal alone."""

    rows: Any
    columns: Any


def is_rotated(side: int, other: int) -> bool:
    """Whether a side is rotated."""
    return 1 < side <= min(LARGEST, LONGEST * other)


def moments(block: Block, gradient: Any) -> Moments:
    """Second moments of one gradient of a block."""
    rows, columns = block.rows, block.columns
    return Moments(
        gradient @ gradient.T if is_rotated(rows, columns) else (gradient**2).sum(1),
        gradient.T @ gradient if is_rotated(columns, rows) else (gradient**2).sum(0),
    )


def gradient_metric(of: Moments, floor: Any) -> Metric:
    """The metric of one block from the mean second moments of gradients of U.

    Args:
        of: The moments.
        floor: Smallest mass: the precision γ that localisation gives every direction.
    """
    left, right, product = _kronecker_eigen(of)
    return Metric(left, right, jnp.maximum(product, floor))


def curvature_metric(of: Moments) -> Metric:
    """The metric whose masses are curvatures, from the mean second moments of ``H ξ`` for white ξ, those of H²."""
    left, right, product = _kronecker_eigen(of)
    return Metric(left, right, jnp.sqrt(product))


def _kronecker_eigen(of: Moments) -> tuple[Any, Any, Any]:
    """Rotations, and the eigenvalues of ``A ⊗ B / tr A``."""
    left, a = _eigen(of.rows)
    right, b = _eigen(of.columns)
    return left, right, a[:, None] * b[None, :] / jnp.maximum(a.sum(), np.finfo(a.dtype).tiny)


def uniform(mass: Any) -> Metric:
    """The same mass in all directions, as one number ``[1, 1]``; no rotation."""
    return Metric(None, None, jnp.reshape(mass, (*jnp.shape(mass), 1, 1)))


def _eigen(moment: Any) -> tuple[Any, Any]:
    if moment.ndim == 1:
        return None, moment
    values, vectors = jnp.linalg.eigh(moment)
    return vectors, jnp.maximum(values, 0.0)


def to_weights(z: Any, of: Metric) -> Any:
    """Displacement of the weights for coordinates z."""
    return rotate(z * of.masses**-0.5, of.left, of.right)


def to_coordinates(displacement: Any, of: Metric) -> Any:
    """The inverse of :func:`to_weights`."""
    return rotate_back(displacement, of.left, of.right) * of.masses**0.5


def rotate(x: Any, left: Any, right: Any) -> Any:
    """``Q_L x Q_Rᵀ``.

    In the precision of the chains: rounding a wide direction in a lower one is noise in the energy of the narrow, which
    no step size takes away.
    """
    y = x if left is None else left @ x
    return y if right is None else y @ right.mT


def rotate_back(x: Any, left: Any, right: Any) -> Any:
    """``Q_Lᵀ x Q_R``."""
    y = x if left is None else left.mT @ x
    return y if right is None else y @ right


def change_metric(z: Any, old: tuple[Metric, ...], new: tuple[Metric, ...], free: FreeParameters) -> Any:
    """The coordinates in a new metric of the weights that ``z`` stands for in the old."""
    parts = [to_coordinates(to_weights(x, a), b) for x, a, b in zip(free.split(z), old, new, strict=True)]
    return join(parts)


# Leading axes: points for the metric, points and chains for coordinates.
change_metric_of_chains = jax.jit(
    jax.vmap(jax.vmap(change_metric, in_axes=(0, None, None, None)), in_axes=(0, 0, 0, None)), static_argnums=3
)
