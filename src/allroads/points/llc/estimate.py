"""The local learning coefficient."""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import numpy as np

from allroads.budget import Budget, budgeted
from allroads.checks import check_count, check_positive
from allroads.explorers.samplers import Sampler
from allroads.memory import memory_left, stated
from allroads.pfmap.network import Params
from allroads.pfmap.problem import Problem
from allroads.points.llc.assessment import Evidence, assess
from allroads.points.llc.comparison import comparison
from allroads.points.llc.singular_fluctuation import singular_fluctuation
from allroads.points.sampling.diagnostics import diagnose
from allroads.points.sampling.draw import LocalChains, draw_chains
from allroads.points.sampling.equilibrium import NORMAL
from allroads.points.sampling.free_parameters import FreeParameters, Mask, free_parameters
from allroads.points.sampling.geometry import newton_decrease, rounding_error
from allroads.points.sampling.memory import check_memory
from allroads.points.sampling.plan import Chains, Plan, make_plan, resolve_chains
from allroads.results import Measurement, finish
from allroads.status import LLCStatus


@dataclass(frozen=True, eq=False, repr=False)
class LearningCoefficient(Measurement):
    """λ̂ with its error, status and chains: a :class:`~allroads.Measurement` whose chart shows the chains.

    Attributes:
        value: λ̂.
        error: Half of a 95 % interval that includes Monte Carlo, discretisation, localisation, temperature and baseline
            errors.
        status: An ``LLCStatus``.
        stats: See :func:`llc`.
    """

    def comparison(self) -> str:
        """What the number may be compared with, in plain text."""
        return comparison(self.value, self.error, LLCStatus(self.status), self.stats)


def llc(
    problem: Problem,
    params: Params,
    *,
    sampler: Sampler | str | None = None,
    chains: Chains | None = None,
    nbeta: float | None = None,
    localisation: float | None = None,
    mask: Mask = None,
    precision: float = 0.01,
    seed: int = 0,
    budget: float | None = None,
    progress: bool = True,
    throw: bool = False,
) -> LearningCoefficient:
    """The local learning coefficient ``λ̂ = nβ (E[L] − L(w*))`` at a point w*, with its error and a status.

    The mean is over ``exp(−nβ L(w) − γ/2 ‖w − w*‖²)``, in double precision, L being the problem's loss over *these* n
    examples, penalty included, and L(w*) that at the point. As nβ grows, λ̂ goes to the λ by which the volume of
    parameters near w* with an excess loss below ε shrinks, ``V ≍ ε^λ (−ln ε)^{m−1}``. No option needs to be given.

    *Which nβ.* By default the coldest at which w* is still a minimum (the slope at it would let nβL fall by at most
    0.02), up to ``nβ h_max = 10¹²``, and never below ``n / ln n``, the value usual in the literature; give
    ``nbeta=n / math.log(n)`` to have that one. *Localisation* γ is ``(nβ h_max)^{1/4} / 10``, which leaves directions
    of up to eighth order to the loss. Sampling starts at a stronger γ and comes down by decades; the means at those
    levels, and one at nβ/10, decide with R-hat, drift and acceptance whether the result may be called converged.

    Args:
        problem: Network, loss, penalty and the n examples.
        params: The point w*: a pytree of floating-point arrays.
        sampler: ``HMC()`` (default up to 1,024 examples, or 5·10⁸ examples × parameters), ``MALA()``, ``MCLMC()``, or
            on batches ``SGLD()`` (default beyond), ``RMSPropSGLD()``, ``SGNHT()``, each with its options; or a name.
            The step is counted in coordinates in which the stiffest direction of the posterior has width 1. Default of
            the step: tuned to the acceptance; for the Langevin samplers set from the largest curvature so that the bias
            ``ε/4`` is predicted to be 1 %. In units of the weights, with ``Chains(metric="none")``, SGLD's
            ``ε = step_size / (nβ h_max + γ)``.
        chains: How many chains, for how long, in which coordinates and precision; see
            :class:`~allroads.points.sampling.Chains`.
        nbeta: nβ. Default: see above.
        localisation: γ. Default: see above.
        mask: The free parameters, all others held: a pytree of booleans like ``params``, or a function of an array's
            path. λ is then that of the restricted model (the refined coefficient).
        precision: Monte Carlo standard error to reach, as a share of λ̂ or, where it is below 1, of 1. Default 0.01.
        seed: Decides everything random.
        budget: Seconds that the call may take, compilation included; what is compiled cannot be interrupted, so that a
            budget below that time is overrun. With little time gradients are taken of fewer examples, rounds are
            shorter, and without time for all levels chains start at the point. What is there at the end is given, with
            its error. Default: no end.
        progress: Whether progress is written to the standard error: a bar on a terminal after two seconds, elsewhere a
            line every ten.
        throw: Whether an unsound status raises.

    Returns:
        A :class:`LearningCoefficient`: ``value`` λ̂; ``error``, half of a 95 % interval that includes Monte Carlo,
        discretisation, localisation, temperature and baseline errors; ``status`` ``converged`` (``ok`` where levels are
        missing), ``scale-dependent``, ``not equilibrated``, ``diverged``, ``not at a minimum`` or ``prior-dominated``;
        ``stats``:
        ``nbeta``, ``localisation``, ``r_hat``, ``spread`` (of half chains), ``ess``, ``drift``, ``acceptance``,
        ``virial`` (the mean of ``(w − w*)·∇U`` as a multiple of the dimension, 1 in equilibrium) and
        ``virial_error`` (both ``None`` on batches), ``distance`` (root mean square of ``‖w − w*‖``) and
        ``prior_distance`` √(d/γ), ``error_parts``,
        ``localisation_anneal`` and ``temperature_anneal`` (the levels of the two groups), ``trace`` ``[chains, draws]``
        and ``warmup`` of nβ(L − L(w*)) (first the chains whose localisation was annealed, then those whose temperature
        was; with ``population`` the latter alone), ``loss`` L(w*) and ``penalty``, the part of it that is the
        problem's regulariser, ``wbic`` (n times the mean loss under the posterior: WBIC at nβ = n / ln n),
        ``singular_fluctuation`` ν̂ and ``singular_fluctuation_error`` (NaN with a sampler on batches),
        ``top_eigenvalue`` and ``curvature`` (the same, or that a little way off where it is larger), ``step_size``,
        ``gradients``, ``precision`` of the chains, ``examples`` n and ``examples_per_gradient`` (fewer than n where
        they are a subset, whose error is then a part), ``seconds`` and ``ended``: ``precision``, ``rounds``, ``budget``
        or ``interrupted``. An interrupt from the keyboard ends sampling with what is there; a second one ends the call.
        ``comparison()`` of the result says in words what it may be compared with.

    Raises:
        InputError: For a point of another network, a mask or sizes that do not fit, a batch larger than the data, a
            loss that is not finite at the point.
        UnknownNameError: For a sampler that does not exist.
        MemoryBudgetError: If the chains do not fit; says how much they need.
        MeasurementError: With ``throw``, if the status is not sound.

    It fails quietly only where no sampler from w* can see the singularity: valleys of order above eight, or other
    branches farther away than ``1/√γ``. The coefficient is *not* invariant under rescaling of the weights at finite γ.

    References: [lau2023], [watanabe2013], [hitchcock2025]

    Example:
        A quadratic loss in three directions, of five, has λ = 3/2 at every temperature:

        >>> from allroads.points.zoo import quadratic
        >>> truth = quadratic((4.0, 1.0, 0.1, 0.0, 0.0), examples=10)
        >>> found = llc(truth.problem, truth.params)
        >>> abs(found.value - 1.5) < 0.1, found.status.value
        (True, 'converged')
    """
    chains = resolve_chains(chains)
    check_positive(nbeta=nbeta, localisation=localisation)
    check_count("seed", seed, 0)
    with budgeted("llc", budget, progress) as time, chains.precision():
        point = problem.point(params)
        free = free_parameters(point, mask)
        plan = make_plan(free.dimension, len(problem), sampler, chains, precision, outputs_of(problem))
        time.say(f"chains take {stated(check_memory(free, plan.chains, chains), memory_left(jax.devices()[0]))}")
        stacked = jax.tree.map(lambda leaf: leaf[None], point)
        found = estimate(problem, free, stacked, nbeta, localisation, plan, seed, time)[0]
    return finish(found, throw)


def outputs_of(problem: Problem) -> int:
    """Numbers that the network gives per example; 1 where that does not follow from its ``init``."""
    return 1 if problem.outputs is None else math.prod(problem.outputs.shape[1:])


def estimate(
    problem: Problem,
    free: FreeParameters,
    points: Params,
    nbeta: float | None,
    localisation: float | None,
    plan: Plan,
    seed: int,
    budget: Budget | None = None,
    common: bool = False,
) -> list[LearningCoefficient]:
    """Estimates at stacked points, in one run of all their chains; inside the precision of the chains.

    Raises:
        InputError: If the loss is not finite at a point.
    """
    drawn = draw_chains(problem, free, points, nbeta, localisation, plan, seed, budget=budget, common=common)
    return [learning_coefficient(drawn, i) for i in range(len(drawn.records))]


FLAT = 1e-9
"""Energies below this at all draws are rounding: the loss does not change."""


def learning_coefficient(drawn: LocalChains, point: int) -> LearningCoefficient:
    """λ̂ at one of the points that chains were drawn around."""
    record, geometry, plan = drawn.records[point], drawn.geometry, drawn.plan
    nbeta, gamma = float(drawn.nbeta[point]), float(drawn.localisation[point])
    found = diagnose(record.energy)
    slope = newton_decrease(geometry, point, nbeta, gamma)
    tuned = plan.sampler.target_acceptance is not None
    assessment = assess(
        Evidence(
            diagnostics=found,
            variance=None if plan.sampler.stochastic else float(record.energy.var()),
            virial=record.virial,
            dimension=drawn.free.dimension,
            acceptance=record.acceptance if tuned else 1.0,
            discretisation=plan.sampler.bias(record.step_size * record.stiffness),
            localisation_anneal=record.localisation_anneal,
            temperature_anneal=record.temperature_anneal,
            slope=slope,
            baseline_error=rounding_error(geometry, point) * nbeta
            + float(drawn.rounding[point]) * max(abs(found.mean), 1.0),
            subset_error=record.subset_error,
            nbeta=nbeta,
            flat=bool(np.abs(record.energy).max() <= FLAT),
            ladder=plan.ladder and record.complete,
        )
    )
    virial = None if record.virial is None else diagnose(record.virial)
    loss = float(geometry.losses[point])
    fluctuation = (float("nan"), float("inf")) if record.losses is None else singular_fluctuation(*record.losses, nbeta)
    stats = drawn.stats(point) | {
        "r_hat": found.r_hat,
        "spread": found.spread,
        "ess": found.ess,
        "standard_error": found.standard_error,
        "drift": found.drift,
        "variance": float(record.energy.var()),
        "virial": None if virial is None else virial.mean / drawn.free.dimension,
        "virial_error": None if virial is None else NORMAL * virial.standard_error / drawn.free.dimension,
        "prior_distance": math.sqrt(drawn.free.dimension / gamma),
        "slope": slope,
        "error_parts": assessment.parts,
        "wbic": float(geometry.examples * (loss + found.mean / nbeta)),
        "singular_fluctuation": fluctuation[0],
        "singular_fluctuation_error": NORMAL * fluctuation[1],
        "trace": record.energy,
        "warmup": record.warmup,
    }
    return LearningCoefficient(found.mean, assessment.error, assessment.status, stats)
