"""Chains around points: geometry, temperature and localisation, the schedule, and what it leaves."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from allroads.budget import Budget
from allroads.pfmap.jaxpr import intermediate_bytes
from allroads.pfmap.kernel import examples_apart
from allroads.pfmap.network import Params
from allroads.pfmap.objective import Examples, Objective
from allroads.pfmap.precision import float32
from allroads.pfmap.problem import Problem
from allroads.points.sampling.chains import Observe
from allroads.points.sampling.free_parameters import FreeParameters
from allroads.points.sampling.geometry import (
    LocalGeometry,
    default_localisation,
    default_nbeta,
    largest_nbeta,
    measure_local_geometry,
)
from allroads.points.sampling.plan import Plan, within_budget
from allroads.points.sampling.posterior import compiled_losses
from allroads.points.sampling.run import Run
from allroads.points.sampling.schedule import ChainRecord, run_schedule
from allroads.points.sampling.single import in_single_precision
from allroads.points.sampling.subset import choose_subset

ROUNDING = 0.001
"""Change of an energy by rounding, as a share of it or of 1, up to which chains run in single precision by default."""
PART_BYTES = 2**28
"""Bytes that all examples pass through, from which on they are taken in parts of no more."""
PRODUCTS = 300
"""Gradients that looking at a point costs, about: products of the Hessian with vectors."""


@dataclass(frozen=True)
class LocalChains:
    """Chains around stacked points.

    Attributes:
        free: The free parameters.
        geometry: At the points.
        nbeta: nβ, ``[points]``.
        localisation: γ, ``[points]``.
        plan: How they were sampled.
        records: One per point.
        rounding: What single precision changes energies by, as shares of them or of 1, ``[points]``; 0 where it was not
            taken.
    """

    free: FreeParameters
    geometry: LocalGeometry
    nbeta: np.ndarray
    localisation: np.ndarray
    plan: Plan
    records: list[ChainRecord]
    rounding: np.ndarray

    def stats(self, point: int) -> dict[str, Any]:
        """What any measure over the chains of a point rests on."""
        record, geometry = self.records[point], self.geometry
        tuned = self.plan.sampler.target_acceptance is not None
        return {
            "nbeta": float(self.nbeta[point]),
            "localisation": float(self.localisation[point]),
            "sampler": self.plan.sampler.name,
            "dimension": self.free.dimension,
            "acceptance": record.acceptance if tuned else None,
            "distance": float(np.sqrt(record.distance.mean())),
            "population": record.population,
            "localisation_anneal": record.localisation_anneal,
            "temperature_anneal": record.temperature_anneal,
            "loss": float(geometry.losses[point]),
            "penalty": float(geometry.penalty[point]),
            "top_eigenvalue": float(geometry.top_eigenvalue[point]),
            "curvature": float(geometry.curvature[point]),
            "step_size": record.step_size,
            "steps_per_draw": record.steps,
            "gradients": record.gradients,
            "ended": record.ended,
            "seconds": record.seconds,
            "precision": "float32" if self.plan.single else self.geometry.leaves[0].dtype.name,
            "examples": geometry.examples,
            "examples_per_gradient": self.plan.batch or self.plan.examples or geometry.examples,
        }


def draw_chains(
    problem: Problem,
    free: FreeParameters,
    points: Params,
    nbeta: float | None,
    localisation: float | None,
    plan: Plan,
    seed: int,
    observe: Observe | None = None,
    extra: Any = None,
    common: bool = False,
    budget: Budget | None = None,
) -> LocalChains:
    """Chains around stacked points, all in one run; inside the precision that they are to have.

    Args:
        problem: What is sampled.
        free: Its free parameters.
        points: A pytree whose leaves lead with the points.
        nbeta: nβ of all; ``None``: of each point the coldest at which it is a minimum.
        localisation: γ of all; ``None``: ``(nβ h_max)^{1/4} / 10`` of each.
        plan: How to sample.
        seed: Decides everything random.
        observe: ``(params, extra) -> pytree of arrays``, evaluated at the measured draws.
        extra: What ``observe`` is given beside the parameters.
        common: Whether all points share nβ, by default ``n / ln n``, and γ, by default that of their median curvature.
        budget: The time that it may take, compilation included; with little, rounds are shorter, levels are left out,
            and what is there at the end is given.

    Raises:
        InputError: If the loss is not finite at a point.
    """
    data, budget, leaves = problem.data, budget or Budget(), jax.tree.leaves(points)
    count, quick = len(leaves[0]), False
    objective = _in_parts(problem, jax.tree.map(lambda leaf: leaf[0], points), plan.batch)
    budget.say("curvature at the point")
    if budget.limited:
        cost = _seconds_per_gradient(objective, free, leaves, data)
        plan = within_budget(plan, budget.left, cost, count, len(problem))
        quick = PRODUCTS * cost * count * (plan.examples or len(problem)) > budget.left / 10
    rows = None if plan.examples is None else choose_subset(len(problem), plan.examples, seed)
    geometry = measure_local_geometry(
        objective, free, leaves, data, rotated=plan.rotate, seed=seed, rows=rows, quick=quick
    )
    given = np.ones(count)
    if common:
        nbetas = given * (default_nbeta(len(problem)) if nbeta is None else nbeta)
        gammas = given * default_localisation(np.asarray(np.median(nbetas * geometry.curvature)))
    else:
        nbetas = np.array([largest_nbeta(geometry, i) for i in range(count)]) if nbeta is None else nbeta * given
        gammas = default_localisation(nbetas * geometry.curvature)
    gammas = gammas if localisation is None else localisation * given
    single, rounding = geometry, np.zeros(count)
    if plan.single:
        single, rounding = in_single_precision(problem, free, geometry, nbetas, gammas, seed)
        plan = replace(plan, single=bool((rounding <= ROUNDING).all()))
        rounding = rounding if plan.single else np.zeros(count)
    with float32() if plan.single else nullcontext():
        start = single if plan.single else geometry
        run = Run(objective, free, start, problem.data, nbetas, gammas, plan, seed)
        records = run_schedule(run, budget, observe, extra)
    return LocalChains(free, geometry, nbetas, gammas, plan, records, rounding)


def _seconds_per_gradient(objective: Objective, free: FreeParameters, leaves: list[Any], data: Examples) -> float:
    """Of one chain and one example: three times what its loss takes, compiled and timed once."""
    losses = compiled_losses(objective, free)
    jax.block_until_ready(losses(leaves, data))
    began = time.perf_counter()
    size = jax.block_until_ready(losses(leaves, data)).size
    return float(3 * (time.perf_counter() - began) / size)


def _in_parts(problem: Problem, point: Params, batch: int | None) -> Objective:
    """The objective; where all examples together pass through many bytes, in parts, if they can be parted.

    A sampler on batches takes it that they can, and its parts are its batches.
    """
    data, network = problem.data, problem.network
    passed = intermediate_bytes(jax.make_jaxpr(network.apply)(point, data.inputs).jaxpr)
    if passed <= PART_BYTES:
        return problem.objective
    if batch is None:
        batch = max(1, len(problem) * PART_BYTES // passed)
        if not examples_apart(network, point, data.batch(slice(0, 2)).inputs):
            return problem.objective
    return problem.objective.in_parts(batch)
