"""Chains in single precision, where that changes nothing: gradients of larger networks then take half the time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import numpy as np

from allroads.pfmap.precision import float32
from allroads.pfmap.problem import Problem
from allroads.points.sampling.free_parameters import FreeParameters
from allroads.points.sampling.geometry import LocalGeometry
from allroads.points.sampling.metric import rotate
from allroads.points.sampling.posterior import compiled_losses

ROUNDINGS = 4
"""Displacements at which energies are compared."""


def in_single_precision(
    problem: Problem, free: FreeParameters, geometry: LocalGeometry, nbeta: Any, localisation: Any, seed: int
) -> tuple[LocalGeometry, np.ndarray]:
    """A geometry in single precision, and the error of energies there, ``[points]``.

    The error is the largest of four: an energy ``nβ (L(w) − L(w*))`` in single precision less the same in double, as a
    share of it or, where it is below 1, of 1, at draws w from the quadratic model of the posterior. As these may lie
    too far out, it is eight units of rounding of nβL(w*) at least. The loss at the point is taken anew, so that
    rounding which it shares with the others cancels.

    Args:
        problem: What is sampled.
        free: Its free coordinates.
        geometry: In double precision, which surrounds the call.
        nbeta: nβ, ``[points]``.
        localisation: γ, ``[points]``.
        seed: Decides the draws.

    Example:
        >>> from allroads.pfmap.precision import float64
        >>> from allroads.points.sampling.free_parameters import free_parameters
        >>> from allroads.points.sampling.geometry import measure_local_geometry
        >>> from allroads.points.zoo import quadratic
        >>> truth, one = quadratic((1.0, 4.0), examples=10), np.ones(1)
        >>> with float64():
        ...     problem, leaves = truth.problem, [np.zeros((1, 2))]
        ...     free = free_parameters(truth.params)
        ...     here = measure_local_geometry(problem.objective, free, leaves, problem.data, rotated=True, seed=0)
        ...     single, error = in_single_precision(problem, free, here, 10 * one, one, seed=0)
        >>> single.leaves[0].dtype.name, bool(error[0] < 1e-5)
        ('float32', True)
    """
    losses, generator = compiled_losses(problem.objective, free), np.random.default_rng([seed, 1])
    beta, gamma = (np.reshape(number, (-1, 1, 1)) for number in (nbeta, localisation))
    metric = jax.tree.map(np.asarray, geometry.metric)

    def draw() -> list[Any]:
        noise = free.split(generator.standard_normal((len(nbeta), free.dimension)))
        steps = [
            rotate(part * (beta * of.masses + gamma) ** -0.5, of.left, of.right)
            for part, of in zip(noise, metric, strict=True)
        ]
        moved: list[Any] = jax.vmap(free.displace)(geometry.leaves, steps)
        return moved

    draws = [draw() for _ in range(ROUNDINGS)]
    exact = [np.asarray(losses(leaves, problem.data) - geometry.baseline).mean(1) for leaves in draws]
    with float32():
        leaves, tilt, metric, draws = jax.tree.map(
            lambda array: jax.device_put(np.asarray(array, np.float32)),
            (geometry.leaves, geometry.tilt, metric, draws),
        )
        losses = compiled_losses(problem.objective, free)
        try:
            baseline = losses(leaves, problem.data)
            rounded = [np.asarray(losses(at, problem.data) - baseline, float).mean(1) for at in draws]
        except ValueError:  # arrays of NumPy that a network closes over can keep it in double precision
            return geometry, np.full(len(nbeta), np.inf)
    error = np.abs(np.subtract(rounded, exact)) / np.maximum(np.abs(exact), 1 / nbeta)
    of_loss = 8 * float(np.finfo(np.float32).eps) * nbeta * np.abs(geometry.losses)
    error = np.nan_to_num(np.maximum(error.max(0), of_loss), nan=np.inf)
    return replace(geometry, leaves=leaves, tilt=tilt, metric=metric, baseline=baseline), error
