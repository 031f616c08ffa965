"""Everything that is measured at one point, in one call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from allroads.pfmap.network import Params
from allroads.pfmap.precision import float64
from allroads.pfmap.problem import Problem
from allroads.points.description import network_complexity
from allroads.points.llc import LearningCoefficient, llc
from allroads.points.sampling.plan import options_from_names
from allroads.points.spectrum import Spectrum, spectrum
from allroads.results import Measurement


@dataclass(frozen=True, eq=False)
class Inspection:
    """What was measured at one point.

    Attributes:
        loss: Mean loss over the examples.
        gradient_norm: Euclidean norm of its gradient.
        parameters: Number d of parameters.
        examples: Number n of examples.
        llc: Local learning coefficient, with chains and diagnostics in ``stats``.
        spectrum: Of the Hessian, with nβ and γ of the learning coefficient.
        description: Description lengths in bits, by name.
    """

    loss: float
    gradient_norm: float
    parameters: int
    examples: int
    llc: Measurement
    spectrum: Spectrum
    description: Mapping[str, Measurement]


def inspect_point(
    problem: Problem,
    params: Params,
    *,
    top: int | None = None,
    seed: int = 0,
    **sampling: Any,
) -> Inspection:
    """Loss, gradient, local learning coefficient, Hessian spectrum and description lengths at a point.

    Everything is computed in double precision. The spectrum is taken at nβ and γ of the learning coefficient. Its
    effective dimension ``½ Σ λ_i/(λ_i + γ/nβ)`` is what the learning coefficient would be if the loss were quadratic. A
    gap between the two is degeneracy beyond second order, or a point that is not a minimum.

    Args:
        problem: Network, loss, inputs and labels.
        params: The point: a pytree of floating-point arrays.
        top: Number of Hessian eigenvalues; default 10, or all where there are fewer.
        seed: Decides everything random.
        **sampling: ``nbeta``, ``localisation``, ``sampler``, ``chains``, … as plain names and numbers, see
            :func:`~allroads.points.sampling.plan.options_from_names`.

    Returns:
        An :class:`Inspection`. Each of its measurements has its own status.

    Raises:
        InputError: As :func:`~allroads.points.llc.llc` and :func:`~allroads.points.spectrum.spectrum`: for a loss that
            is not finite at the point, for one.
        MemoryBudgetError: If chains or spectrum do not fit their memory.

    References: [lau2023]

    Example:
        >>> from allroads import Network
        >>> line = Network(lambda key: jnp.zeros(1), lambda w, x: x * w)
        >>> problem = Problem(line, "mse", jnp.ones((2, 1)), jnp.ones((2, 1)))
        >>> inspect_point(problem, jnp.array([jnp.nan]))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        allroads.errors.InputError: ...
    """
    options = options_from_names(**sampling)
    options["seed"] = seed
    coefficient = llc(problem, params, **options)
    with float64():
        point = problem.point(params)
        gradient = jax.jit(jax.grad(problem.objective.mean))(point, problem.data)
        return Inspection(
            loss=coefficient.stats["loss"],
            gradient_norm=float(jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(gradient)))),
            parameters=sum(leaf.size for leaf in jax.tree.leaves(point)),
            examples=len(problem),
            llc=coefficient,
            spectrum=spectrum(problem, point, top=top, seed=seed, shift=_shift(coefficient)),
            description=network_complexity(problem, point),
        )


def _shift(coefficient: LearningCoefficient) -> float:
    """γ / nβ of the chains, so that the effective dimension is what λ̂ would be were the loss a quadratic."""
    return float(coefficient.stats["localisation"] / coefficient.stats["nbeta"])
