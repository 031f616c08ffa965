"""Chains around points: geometry, temperature and localisation, the schedule, and what it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from allroads.pfmap.network import Params
from allroads.pfmap.problem import Problem
from allroads.points.sampling.chains import Observe
from allroads.points.sampling.free_parameters import FreeParameters
from allroads.points.sampling.geometry import (
    LocalGeometry,
    default_localisation,
    largest_nbeta,
    measure_local_geometry,
)
from allroads.points.sampling.plan import Plan
from allroads.points.sampling.run import Run
from allroads.points.sampling.schedule import ChainRecord, run_schedule


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
    """

    free: FreeParameters
    geometry: LocalGeometry
    nbeta: np.ndarray
    localisation: np.ndarray
    plan: Plan
    records: list[ChainRecord]

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
            "examples_per_gradient": self.plan.batch or geometry.examples,
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

    Raises:
        InputError: If the loss is not finite at a point.
    """
    objective, data = problem.objective, problem.data
    geometry = measure_local_geometry(objective, free, jax.tree.leaves(points), data, rotated=plan.rotate, seed=seed)
    given = np.ones(len(geometry.curvature))
    nbetas = np.array([largest_nbeta(geometry, i) for i in range(len(given))]) if nbeta is None else nbeta * given
    stiffness = nbetas * geometry.curvature
    gammas = default_localisation(stiffness) if localisation is None else localisation * given
    run = Run(objective, free, geometry, data, nbetas, gammas, plan, seed)
    return LocalChains(free, geometry, nbetas, gammas, plan, run_schedule(run, observe, extra))
