"""The schedule: two groups of chains come to the posterior from two sides, are tuned, then measured together.

A posterior is easiest where it is nearly Gaussian: where the prior is no wider than a valley of fourth order,
``γ² ≥ nβ h``. From there, one group anneals the localisation at the full nβ, so that its chains spread out from the
point. The other anneals the temperature at the final γ, so that its chains, spread over the whole ball at first, fall
into the valleys; where there are enough of them, they are resampled at every level. Where both come to the same mean,
it is the equilibrium; the means at the levels show whether it depends on the localisation or on the temperature.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from allroads.points.sampling.chains import Draws, Observe
from allroads.points.sampling.diagnostics import ESS, Diagnostics, diagnose
from allroads.points.sampling.run import SMALL, Run, mean_acceptance

LEVEL_ROUNDS, SMALL_ROUNDS, FINAL_ROUNDS = 2, 6, 6
"""Rounds at each level on the way, the same where there are few parameters, and of tuning at the last."""
SETTLING_ROUNDS = 6
"""Rounds after those, in a metric that stays, where there are many parameters."""
PATIENCE = 4
"""How many times longer than usual chains that have not settled are tuned."""


@dataclass(frozen=True)
class Level:
    """One level of an annealing: nβ, γ, mean energy, its standard error."""

    nbeta: float
    localisation: float
    mean: float
    standard_error: float


@dataclass(frozen=True)
class ChainRecord:
    """What a run leaves of one point.

    Attributes:
        energy: ``[chains, draws]`` of the measured rounds: ``nβ (L − L₀)``: first the group whose localisation was
            annealed, then the one whose temperature was; of a population, that one alone.
        warmup: The same of the tuning at the last level.
        distance: ``‖w − w*‖²`` of the measured draws.
        observed: What was observed at the measured draws.
        acceptance: Mean acceptance of the measured draws; the worse of the groups.
        population: Whether the measured chains are the second group alone, resampled at every level.
        localisation_anneal, temperature_anneal: The levels of the two groups, in order, without the last.
        step_size: The smaller of the groups' steps.
        stiffness: Curvature of the stiffest direction in the metric.
        steps: Gradients per draw.
        gradients: Gradients in all.
    """

    energy: np.ndarray
    warmup: np.ndarray
    distance: np.ndarray
    observed: Any
    acceptance: float
    population: bool
    localisation_anneal: tuple[Level, ...]
    temperature_anneal: tuple[Level, ...]
    step_size: float
    stiffness: float
    steps: int
    gradients: int


def run_schedule(run: Run, observe: Observe | None = None, extra: Any = None) -> list[ChainRecord]:
    """Run the schedule; one record per point."""
    plan = run.plan
    seen: list[tuple[np.ndarray, np.ndarray, list[float], list[float]]] = []
    for nbeta, gamma in run.levels[:-1]:
        run.move_to(nbeta, gamma)
        outs: list[Draws] = []
        rounds = LEVEL_ROUNDS if run.free.dimension > SMALL else SMALL_ROUNDS
        while len(outs) < rounds or (len(outs) < PATIENCE * rounds and _falling(*outs[-2:])):
            outs.append(run.round())
            run.tune(outs[-1])
        kept = outs[-(rounds // 2) :]
        found = [diagnose(energy) for energy in np.concatenate([out.energy for out in kept], axis=2)]
        seen.append((nbeta, gamma, [d.mean for d in found], [d.standard_error for d in found]))
    run.move_to(*run.levels[-1])
    warm = _burn_in(run)
    measured = _measure(run, observe, extra)
    acceptance = np.mean([mean_acceptance(out) for out in measured], axis=0)

    def gathered(outs: list[Draws], field: str) -> Any:
        """``[points, all chains, all draws, …]``."""
        parts = [jax.tree.map(run.merge_groups, getattr(out, field)) for out in outs]
        return jax.tree.map(lambda *rounds: np.concatenate(rounds, axis=2), *parts)

    energy, distance, observed = (
        jax.tree.map(lambda part: part[:, :, : plan.exactly], gathered(measured, field))
        for field in ("energy", "distance", "observed")
    )
    warmup = gathered(warm, "energy") if warm else energy[..., :0]
    records = []
    for i in range(run.points):
        sites = [i + run.points * group for group in range(run.groups)]
        ways = [tuple(Level(*(float(part[site]) for part in level)) for level in seen) for site in sites]
        records.append(
            ChainRecord(
                energy=energy[i],
                warmup=warmup[i],
                distance=distance[i],
                observed=jax.tree.map(lambda part, i=i: part[i], observed),
                acceptance=float(acceptance[sites].min()),
                population=run.is_population,
                localisation_anneal=ways[0] if plan.ladder else (),
                temperature_anneal=ways[-1] if plan.ladder else (),
                step_size=float((run.step / (run.stiffness if run.sampler.stochastic else 1.0))[sites].min()),
                stiffness=float(run.stiffness[sites].max()),
                steps=run.steps,
                gradients=run.gradients,
            )
        )
    return records


def _burn_in(run: Run) -> list[Draws]:
    """Rounds at the last level that are not measured: of tuning, 6 and up to four times as many until chains settle.

    Where parameters are many, 6 more follow in the metric that was found, as one that follows the chains' gradients
    favours high energies (see ``Run._update_metric``); of the rounds that a burn-in asks for, the second half are such.
    The step is tuned on, by less and less.
    """
    plan = run.plan
    many = run.free.dimension > SMALL
    if plan.burn_in is None:
        tuned, most, settling = FINAL_ROUNDS, PATIENCE * FINAL_ROUNDS, SETTLING_ROUNDS * many
    else:
        asked = math.ceil(plan.burn_in / plan.draws)
        settling = asked // 2 * many
        tuned = most = asked - settling
    warm: list[Draws] = []
    while len(warm) < tuned or (len(warm) < most and not _settled(run, warm[-1])):
        if warm:
            run.tune(warm[-1], gain=1.0)  # not after the last: what has been seen to work is measured with
        warm.append(run.round())
    for count in range(settling):
        run.tune(warm[-1], gain=(count + 1) ** -0.5, metric=False)
        warm.append(run.round())
    return warm


def _falling(before: Draws, last: Draws) -> bool:
    """Whether the energy is still on its way down at some site; a level left too early is hard to catch up.

    What chance would let it fall by is taken from the equilibrium, where the variance is about the mean, and a tenth
    of the draws: the spread of chains on their way says nothing.
    """
    then, now = before.energy.mean((1, 2)), last.energy.mean((1, 2))
    chance = np.sqrt(np.abs(now) / (last.energy[0].size / 10))
    return bool((then - now > 0.05 * np.abs(now) + 3 * chance).any())


def _settled(run: Run, out: Draws) -> bool:
    """Whether steps are accepted neither seldom nor nearly always, and the groups have come near each other."""
    acceptance = mean_acceptance(out)
    tuned = (
        run.sampler.target_acceptance is None
        or run.plan.step_size is not None
        or ((acceptance > 0.4) & (acceptance < 0.97)).all()
    )
    return bool(tuned) and all(
        found.r_hat < 1.5 or found.close for found in map(diagnose, run.merge_groups(out.energy))
    )


def _measure(run: Run, observe: Observe | None, extra: Any) -> list[Draws]:
    """Rounds until the mean is as precise as asked, at every point, or there have been enough.

    Where valleys bend, chains come to places that the metric does not fit, and fewer and fewer steps are accepted. So
    the step is tuned on, by less and less: adaptation that dies out leaves the limit as it is [roberts2007].
    """
    measured: list[Draws] = []
    for count in range(run.plan.rounds):
        if measured:
            run.tune_step(mean_acceptance(measured[-1]), gain=count**-0.5)
        measured.append(run.round(observe=observe, extra=extra))
        if run.plan.exactly is None and len(measured) >= 4 and len(measured) % 2 == 0:
            energy = np.concatenate([run.merge_groups(out.energy) for out in measured], axis=2)
            if all(_enough(diagnose(chains), run.plan.precision) for chains in energy):
                break
    return measured


def _enough(found: Diagnostics, precision: float) -> bool:
    agree = found.r_hat < 1.05 or (found.close and found.ess_within >= ESS)
    return agree and found.standard_error <= precision * max(abs(found.mean), 1.0)
