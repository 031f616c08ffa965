"""Everything that is measured at one point, in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from inspect import signature
from typing import Any

import jax
import jax.numpy as jnp

from allroads.budget import Budget, budgeted
from allroads.checks import check_choice, check_count
from allroads.pfmap.network import Params
from allroads.pfmap.precision import float64
from allroads.pfmap.problem import Problem
from allroads.points.description import NETWORK_MEASURES, network_complexity
from allroads.points.llc import LearningCoefficient, llc
from allroads.points.sampling.plan import Chains, options_from_names
from allroads.points.spectrum import Spectrum
from allroads.points.spectrum.options import number_of_pairs
from allroads.points.spectrum.spectrum import spectrum_until
from allroads.results import Measurement

COEFFICIENT = 0.5
"""Share of the time for the learning coefficient."""

CURVATURE = 0.5
"""Share of the time that the learning coefficient leaves, for the spectrum; the rest is for description lengths."""

LAST = 0.1
"""A description length is begun while at least this share of the budget is left."""

_SAMPLING = (*signature(options_from_names).parameters, *(field.name for field in fields(Chains)))
"""Options of the chains by plain names; ``chains`` is their number."""


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
        left_out: Names of the description lengths for which no time was left.
    """

    loss: float
    gradient_norm: float
    parameters: int
    examples: int
    llc: Measurement
    spectrum: Spectrum
    description: Mapping[str, Measurement]
    left_out: tuple[str, ...] = ()


def inspect_point(
    problem: Problem,
    params: Params,
    *,
    top: int | None = None,
    seed: int = 0,
    budget: float | None = None,
    progress: bool = True,
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
        budget: Seconds that the call may take, compilation included; default no end. Half is for the learning
            coefficient. Of what it leaves, half goes to the spectrum, which then has larger errors. The rest is for the
            description lengths, which are taken one after another. What was left out is named in ``left_out``. An
            interrupt from the keyboard ends the present measure and leaves out the rest. The spectrum is then a rough
            one.
        progress: Whether to tell on the standard error what is being done, after two seconds.
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
    check_count("seed", seed, 0)
    for name in sampling:
        check_choice("option of inspect_point", name, _SAMPLING)
    options = options_from_names(**sampling)
    options["seed"] = seed
    with budgeted("inspect", budget, progress) as time:
        with float64():
            point = problem.point(params)
            parameters = sum(leaf.size for leaf in jax.tree.leaves(point))
            number_of_pairs("top", top, parameters, "parameters")
        time.say("learning coefficient")
        options |= {"budget": _share(time, COEFFICIENT), "progress": False}
        coefficient = llc(problem, params, **options)
        if coefficient.stats["ended"] == "interrupted":
            time.interrupt()
        with float64():
            gradient = jax.jit(jax.grad(problem.objective.mean))(point, problem.data)
            norm = float(jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(gradient))))
            part = Budget(_share(time, CURVATURE), _under(time, "spectrum"))
            if time.interrupted:
                part.interrupt()
            curvature = spectrum_until(part, problem, point, top=top, seed=seed, shift=_shift(coefficient))
            if part.interrupted:
                time.interrupt()
            description = _description(time, problem, point)
    return Inspection(
        loss=coefficient.stats["loss"],
        gradient_norm=norm,
        parameters=parameters,
        examples=len(problem),
        llc=coefficient,
        spectrum=curvature,
        description=description,
        left_out=tuple(name for name in NETWORK_MEASURES if name not in description),
    )


def _description(time: Budget, problem: Problem, point: Params) -> dict[str, Measurement]:
    """Description lengths while there is time for them."""
    found: dict[str, Measurement] = {}
    for name, measure in NETWORK_MEASURES.items():
        if time.ended or (time.limited and time.left < LAST * time.seconds):
            break
        time.say(name.replace("_", " "))
        with time.interruptible():
            found |= network_complexity(problem, point, measures={name: measure})
    return found


def _share(time: Budget, share: float) -> float | None:
    """Seconds of a part, more than 0 also where no time is left; ``None`` for no end."""
    return max(share * time.left, 1e-9) if time.limited else None


def _under(time: Budget, name: str) -> Callable[[str], None]:
    """What a part says, under its name."""
    return lambda text: time.say(f"{name}, {text}")


def _shift(coefficient: LearningCoefficient) -> float:
    """γ / nβ of the chains, so that the effective dimension is what λ̂ would be were the loss a quadratic."""
    return float(coefficient.stats["localisation"] / coefficient.stats["nbeta"])
