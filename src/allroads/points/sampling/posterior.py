"""The localised posterior in the coordinates of a metric, and compiled looks at loss, gradient and curvature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from allroads.compiled import quickly_compiled
from allroads.explorers.samplers import Posterior
from allroads.pfmap.objective import Examples, Objective
from allroads.pfmap.precision import kept_per_precision
from allroads.points.sampling.free_parameters import FreeParameters, join
from allroads.points.sampling.metric import (
    Metric,
    curvature_metric,
    gradient_metric,
    rotate,
)


class LocalPosterior(NamedTuple):
    """What a posterior around one point w* is made of.

    Attributes:
        leaves: Arrays of w*.
        baseline: Loss of each example there, ``[n]``.
        metric: Of each block.
        localisation: γ.
        tilt: A linear term of the mean loss, ``tilt · (w − w*)``, in the blocks of weights; ``None``: none.
    """

    leaves: list[Any]
    baseline: Any
    metric: tuple[Metric, ...]
    localisation: Any
    tilt: tuple[Any, ...] | None = None


def build_posterior(
    objective: Objective, free: FreeParameters, local: LocalPosterior, data: Examples, nbeta: Any, batch: int | None
) -> Posterior:
    """The posterior of one chain in the coordinates of its point's metric.

    The loss of a batch is taken relative to the loss at w* of the same batch, so that what the two share cancels.
    """
    widths = [m.masses**-0.5 for m in local.metric]  # here, so that it is not done again at every gradient

    def steps_of(parts: list[Any]) -> list[Any]:
        return [rotate(x * width, m.left, m.right) for x, m, width in zip(parts, local.metric, widths, strict=True)]

    def moved(steps: list[Any]) -> Any:
        return free.params(free.displace(local.leaves, steps))

    def energy(parts: list[Any]) -> Any:
        steps = steps_of(parts)
        excess = (objective.losses(moved(steps), data) - local.baseline).mean()
        if local.tilt is not None:
            excess += sum((tilt * step).sum() for tilt, step in zip(local.tilt, steps, strict=True))
        return nbeta * excess

    def batch_energy(parts: list[Any], key: Any) -> Any:
        if batch is None:
            return energy(parts)
        chosen = jax.random.randint(key, (batch,), 0, data.labels.shape[0])
        return nbeta * (objective.losses(moved(steps_of(parts)), data.batch(chosen)) - local.baseline[chosen]).mean()

    def prior(parts: list[Any]) -> Any:
        return local.localisation / 2 * squared_distance(local, parts)

    return Posterior(lambda z: energy(free.split(z)), batch_energy, prior, free.split, join)


def squared_distance(local: LocalPosterior, parts: list[Any]) -> Any:
    """``‖w − w*‖²``; rotations keep lengths, so the displacement need not be rotated."""
    return sum((x**2 / m.masses).sum() for x, m in zip(parts, local.metric, strict=True))


@kept_per_precision
def compiled_losses(objective: Objective, free: FreeParameters) -> Callable[..., Any]:
    """``(leaves, data) -> per-example losses [points, n]`` at stacked points."""
    return jax.jit(
        jax.vmap(lambda leaves, data: objective.losses(free.params(leaves), data), in_axes=(0, None)),
        compiler_options=quickly_compiled(),
    )


@kept_per_precision
def compiled_gradient(objective: Objective, free: FreeParameters) -> Callable[..., Any]:
    """``(leaves, data) -> flat gradients of the mean loss over the free coordinates, [points, d]``."""

    def gradient(leaves: list[Any], data: Examples) -> Any:
        found = jax.grad(lambda w: objective.losses(free.params(w), data).mean())(leaves)
        return join(free.matrices(found))

    return jax.jit(jax.vmap(gradient, in_axes=(0, None)), compiler_options=quickly_compiled())


@kept_per_precision
def compiled_curvature(objective: Objective, free: FreeParameters) -> Callable[..., Any]:
    """``(leaves, step, data, vector) -> `` gradient and product of the Hessian with the vector, ``[points, d]`` each.

    Both are of the mean loss at ``w* + step``. All that is asked of the curvature is asked of this one program, as
    compiling it takes longer than most of the asking.
    """

    def one(leaves: list[Any], step: Any, data: Examples, vector: Any) -> Any:
        def mean_loss(step: Any) -> Any:
            return objective.losses(free.params(free.displace(leaves, free.split(step))), data).mean()

        return jax.jvp(jax.grad(mean_loss), (step,), (vector,))

    return jax.jit(jax.vmap(one, in_axes=(0, 0, None, 0)), compiler_options=quickly_compiled())


@kept_per_precision
def compiled_curvature_metric() -> Callable[..., Any]:
    """``(moments of products of the Hessian) -> metric`` of stacked points, whose masses are curvatures."""
    return jax.jit(jax.vmap(lambda of: tuple(curvature_metric(m) for m in of)), compiler_options=quickly_compiled())


@kept_per_precision
def compiled_gradient_metric() -> Callable[..., Any]:
    """``(moments, γ) -> metric`` of stacked points."""
    return jax.jit(
        jax.vmap(lambda of, floor: tuple(gradient_metric(m, floor) for m in of)), compiler_options=quickly_compiled()
    )


@kept_per_precision
def compiled_stiffness(objective: Objective, free: FreeParameters, iterations: int = 12) -> Callable[..., Any]:
    """``(z, local, data, nβ, key) -> `` largest curvature of ``energy`` at z by power iteration, ``[points]``."""

    def one(z: Any, local: LocalPosterior, data: Examples, nbeta: Any, key: Any) -> Any:
        posterior = build_posterior(objective, free, local, data, nbeta, None)

        def iterate(_: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
            vector, _ = carry
            product = jax.jvp(jax.grad(posterior.energy), (z,), (vector,))[1]
            length = jnp.linalg.norm(product)
            return product / jnp.maximum(length, np.finfo(length.dtype).tiny), length

        first = jax.random.normal(key, z.shape)
        return jax.lax.fori_loop(0, iterations, iterate, (first / jnp.linalg.norm(first), jnp.zeros(())))[1]

    return jax.jit(jax.vmap(one, in_axes=(0, 0, None, 0, 0)), compiler_options=quickly_compiled())
