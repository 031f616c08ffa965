"""The schedule: two groups of chains come to the posterior from two sides, are tuned, then measured together.

A posterior is easiest where it is nearly Gaussian: where the prior is no wider than a valley of fourth order,
``γ² ≥ nβ h``. From there, one group anneals the localisation at the full nβ, so that its chains spread out from the
point. The other anneals the temperature at the final γ, so that its chains, spread over the whole ball at first, fall
into the valleys; where there are enough of them, they are resampled at every level. Where both come to the same mean,
it is the equilibrium; the means at the levels show whether it depends on the localisation or on the temperature.

Rounds are short. Most levels only lead the chains on; the three that a status rests on are sampled until their means
are precise. A budget that has no room for all levels leaves out the levels altogether: chains then start at the point.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from allroads.budget import Budget
from allroads.points.sampling.chains import Draws, Observe
from allroads.points.sampling.diagnostics import ESS, Diagnostics, diagnose
from allroads.points.sampling.run import SMALL, Run, mean_acceptance
from allroads.points.sampling.subset import CHECKED, subset_error

LEVEL_ROUNDS, FINAL_ROUNDS = 2, 4
"""Rounds at each level on the way, and of tuning at the last."""
SETTLING_ROUNDS = 4
"""Rounds after those, in a metric that stays, where there are many parameters."""
PATIENCE, PATIENCE_OF_FEW = 4, 12
"""How many times longer than usual chains that have not settled are tuned, and the same at the last level where there
are few parameters; trajectories then become longer too."""
LOCALISED_ERROR, TEMPERED_ERROR, MOST_LEVEL_ROUNDS = 0.02, 0.03, 24
"""Standard error of a mean that a status rests on, as a share of it: that at ten times the localisation, those at lower
nβ; and rounds at most."""
LEAST = 0.5
"""Mean below which the standard error is held against this number."""
FEWEST = 4
"""Rounds at the last level below which a budget leaves no room for another level."""
DOUBTED = (16, 32, 64, 128)
"""Numbers of measured rounds after which, where chains do not agree, the first half of them counts as tuning, and
trajectories become longer."""
FEW_CHECKED = 4
"""Chains per group whose energy over all examples is taken in a round where time is short."""
FIRST_ROUND = 4.0
"""Seconds that the first round is expected to take, compilation included: a budget must have room for as many such
rounds as there are levels, or chains start at the point."""
TUNED = 0.4
"""Share of what is left of a budget after which tuning at the last level is over."""


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
        virial: ``(w − w*)·∇U`` of the measured draws; ``None`` where the sampler's state holds no gradient.
        observed: What was observed at the measured draws.
        acceptance: Mean acceptance of the measured draws; the worse of the groups.
        population: Whether the measured chains are the second group alone, resampled at every level.
        localisation_anneal, temperature_anneal: The levels of the two groups, in order, without the last.
        step_size: The smaller of the groups' steps.
        stiffness: Curvature of the stiffest direction in the metric.
        steps: Gradients per draw.
        gradients: Gradients in all.
        complete: Whether all levels on the way were sampled.
        ended: Why sampling ended: ``precision``, ``rounds``, ``budget`` or ``interrupted``.
        seconds: How long it took, compilation included.
        losses: Means of the examples' excess losses and of their squares, of each measured round, ``[rounds, n]``; or
            ``None``.
        subset_error: What it costs that gradients were taken of a subset; 0 where they were not.
    """

    energy: np.ndarray
    warmup: np.ndarray
    distance: np.ndarray
    virial: np.ndarray | None
    observed: Any
    acceptance: float
    population: bool
    localisation_anneal: tuple[Level, ...]
    temperature_anneal: tuple[Level, ...]
    step_size: float
    stiffness: float
    steps: int
    gradients: int
    complete: bool
    ended: str
    seconds: float
    losses: tuple[np.ndarray, np.ndarray] | None
    subset_error: float


class Pace:
    """Rounds of a run within a budget, and how many more of them fit."""

    def __init__(self, run: Run, budget: Budget):
        self.run, self.budget = run, budget
        self.seconds = FIRST_ROUND  # of the last round; of the first, with its compilation, until there is another
        self.steps = 0  # gradients per draw of the last round; 0 where it was compiled too
        self.rounds = 0

    def try_round(self, doing: str, observe: Observe | None = None, extra: Any = None) -> Draws | None:
        """One round, or ``None`` where the user interrupts it; the budget is then over."""
        self.budget.say(doing)
        if self.budget.limited and self.steps:
            self.run.affordable = int(self.budget.left / self.seconds * self.steps)
        steps, began = self.run.steps, time.monotonic()
        with self.budget.interruptible():
            out = self.run.round(observe=observe, extra=extra)
            self.seconds, self.steps, self.rounds = time.monotonic() - began, steps * (self.rounds > 0), self.rounds + 1
            return out
        return None

    def round(self, doing: str, observe: Observe | None = None, extra: Any = None) -> Draws:
        """One round that is needed: where the user interrupts it, it is begun again."""
        return self.try_round(doing, observe, extra) or self.run.round(observe=observe, extra=extra)

    def fit(self) -> float:
        """Rounds that the rest of the budget has room for, at least 0.

        A round takes as long as its trajectories are, and those grow as the step is tuned.
        """
        if self.budget.ended:
            return 0.0
        longer = self.run.steps / self.steps if self.steps else 1.0
        return self.budget.left / (self.seconds * longer) if self.budget.limited else math.inf


def run_schedule(
    run: Run, budget: Budget | None = None, observe: Observe | None = None, extra: Any = None
) -> list[ChainRecord]:
    """Run the schedule; one record per point."""
    plan, budget = run.plan, budget or Budget()
    pace = Pace(run, budget)
    seen = _anneal(pace)
    complete = len(seen) == len(run.levels) - 1
    if complete:
        run.move_to(*run.levels[-1])
    else:
        run.leave_levels()
        seen = []
    warm = _burn_in(pace)
    measured, ended, checked = _measure(pace, observe, extra)
    acceptance = np.mean([mean_acceptance(out) for out in measured], axis=0)

    def gathered(outs: list[Draws], field: str) -> Any:
        """``[points, all chains, all draws, …]``."""
        parts = [jax.tree.map(run.merge_groups, getattr(out, field)) for out in outs]
        return jax.tree.map(lambda *rounds: np.concatenate(rounds, axis=2), *parts)

    energy, distance, virial, observed = (
        jax.tree.map(lambda part: part[:, :, : plan.exactly], gathered(measured, field))
        for field in ("energy", "distance", "virial", "observed")
    )
    warmup = gathered(warm, "energy") if warm else energy[..., :0]

    def losses_of(point: int) -> tuple[np.ndarray, np.ndarray] | None:
        if measured[0].losses is None:
            return None
        sites = range(point + run.points * run.is_population, run.sites, run.points)
        first, second = (np.stack([out.losses[k][list(sites)].mean(0) for out in measured]) for k in (0, 1))
        return first, second

    records = []
    for i in range(run.points):
        sites = [i + run.points * group for group in range(run.groups)]
        ways = [tuple(Level(*(float(part[site]) for part in level)) for level in seen) for site in sites]
        records.append(
            ChainRecord(
                energy=energy[i],
                warmup=warmup[i],
                distance=distance[i],
                virial=None if virial is None else virial[i],
                observed=jax.tree.map(lambda part, i=i: part[i], observed),
                acceptance=float(acceptance[sites].min()),
                population=run.is_population,
                localisation_anneal=ways[0] if plan.ladder else (),
                temperature_anneal=ways[-1] if plan.ladder else (),
                step_size=float((run.step / (run.stiffness if run.sampler.stochastic else 1.0))[sites].min()),
                stiffness=float(run.stiffness[sites].max()),
                steps=run.steps,
                gradients=run.gradients,
                complete=complete,
                ended=ended,
                seconds=budget.spent,
                losses=losses_of(i),
                subset_error=subset_error(*(energies[i] for energies in checked)) if checked else 0.0,
            )
        )
    return records


_Seen = tuple[np.ndarray, np.ndarray, list[float], list[float]]
"""nβ and γ of all sites at a level, and the means and standard errors there."""


def _anneal(pace: Pace) -> list[_Seen]:
    """The levels before the last; those that there was time for."""
    run, before = pace.run, pace.run.levels[:-1]
    seen: list[_Seen] = []
    for place, (nbeta, gamma) in enumerate(before):
        rest = len(before) - place
        if pace.fit() < rest + FEWEST:
            return seen
        if place:
            run.move_to(nbeta, gamma)
        outs: list[Draws] = []
        hurry = pace.fit() < LEVEL_ROUNDS * PATIENCE * (rest + FEWEST)
        rounds = 1 if hurry else LEVEL_ROUNDS
        while len(outs) < rounds or (not hurry and len(outs) < PATIENCE * rounds and _falling(*outs[-2:])):
            outs.append(pace.round(f"level {place + 1} of {len(run.levels)}"))
            run.tune(outs[-1])
        kept = outs[-max(rounds // 2, 1) :]
        found = _levels_of(kept)
        for _ in range(MOST_LEVEL_ROUNDS * (not hurry)):
            wanted = _decisive(run, rest)
            if all(_precise(found[i], p) for i, p in wanted) or pace.budget.ended:
                break
            kept.append(pace.round(f"level {place + 1} of {len(run.levels)}"))
            run.tune_step(mean_acceptance(kept[-1]), gain=len(kept) ** -0.5)
            found = _levels_of(kept)
        seen.append((nbeta, gamma, [d.mean for d in found], [d.standard_error for d in found]))
    return seen


def _levels_of(kept: list[Draws]) -> list[Diagnostics]:
    return [diagnose(energy) for energy in np.concatenate([out.energy for out in kept], axis=2)]


def half_way(nbetas: np.ndarray) -> int:
    """Index of the level that is half way, in log nβ, between the first of these levels and the last.

    Example:
        >>> half_way(np.array([1e1, 1e3, 1e4, 1e6, 1e7, 1e8]))
        2
    """
    logs = np.log10(nbetas)
    return int(np.argmin(np.abs(logs - (logs[0] + logs[-1]) / 2).round(6)))


def _decisive(run: Run, rest: int) -> list[tuple[int, float]]:
    """Sites whose means, so many levels before the last, a status rests on, and their errors: see ``assess``."""
    tempered = rest in (1, len(run.levels) - 1 - half_way(np.array([nbeta[-1] for nbeta, _ in run.levels])))
    first: list[tuple[int, float]] = [(site, LOCALISED_ERROR) for site in range(run.points)] if rest == 2 else []
    return first + [(site, TEMPERED_ERROR) for site in range(run.points * (run.groups - tempered), run.sites)]


def _precise(found: Diagnostics, precision: float) -> bool:
    return found.standard_error <= precision * max(abs(found.mean), LEAST)


def _burn_in(pace: Pace) -> list[Draws]:
    """Rounds at the last level that are not measured: of tuning, 4 and up to so many times more until chains settle.

    Where parameters are many, 4 more follow in the metric that was found, as one that follows the chains' gradients
    favours high energies (see ``Run._update_metric``); of the rounds that a burn-in asks for, the second half are such.
    The step is tuned on, by less and less. A budget cuts both short, as soon as rounds turn out longer than the first.
    """
    run, plan = pace.run, pace.run.plan
    many = run.free.dimension > SMALL
    if plan.burn_in is None:
        tuned, settling = FINAL_ROUNDS, SETTLING_ROUNDS * many
        most = tuned * (PATIENCE if many else PATIENCE_OF_FEW)
    else:
        asked = math.ceil(plan.burn_in / plan.draws)
        settling = asked // 2 * many
        tuned = most = asked - settling
    fit, kept = TUNED * pace.fit(), (1 - TUNED) * pace.budget.left
    if fit < tuned + settling:
        settling = int(fit * settling / (tuned + settling))
        tuned = most = max(int(fit) - settling, 1 if tuned and not pace.budget.ended else 0)
    warm: list[Draws] = []

    def late() -> bool:
        """Whether another round would take of the time that measuring is to have."""
        return bool(warm) and pace.budget.limited and (1 - 1 / max(pace.fit(), 1.0)) * pace.budget.left < kept

    while not late() and (len(warm) < tuned or (len(warm) < most and not _settled(run, warm[-1]))):
        if len(warm) >= FINAL_ROUNDS and len(warm) % FINAL_ROUNDS == 0:
            run.lengthen()
        if warm:
            run.tune(warm[-1], gain=1.0)  # not after the last: what has been seen to work is measured with
        warm.append(pace.round("tuning at the last level"))
    for count in range(settling):
        if late():
            break
        run.tune(warm[-1], gain=(count + 1) ** -0.5, metric=False)
        warm.append(pace.round("settling at the last level"))
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


def _measure(
    pace: Pace, observe: Observe | None, extra: Any
) -> tuple[list[Draws], str, tuple[np.ndarray, np.ndarray] | None]:
    """Rounds until the mean is as precise as asked, at every point, or there have been enough, and why they ended.

    Where gradients are those of a subset, energies ``[points, draws]`` over it and over all examples come third.

    Where valleys bend, chains come to places that the metric does not fit, and fewer and fewer steps are accepted. So
    the step is tuned on, by less and less: adaptation that dies out leaves the limit as it is [roberts2007].
    """
    run, ended = pace.run, "rounds"
    measured: list[Draws] = []
    checked: list[tuple[np.ndarray, np.ndarray]] = []
    for count in range(run.plan.rounds):
        if measured:
            if pace.fit() < 1:
                ended = pace.budget.ended or "budget"
                break
            run.tune_step(mean_acceptance(measured[-1]), gain=count**-0.5)
        out = (pace.try_round if measured else pace.round)(
            f"round {count + 1} of at most {run.plan.rounds}", observe, extra
        )
        if out is None:
            ended = "interrupted"
            break
        measured.append(out)
        if run.all_data is not None and len(checked) * run.chains * run.groups < CHECKED:
            chains = FEW_CHECKED if pace.budget.limited else run.chains
            pair = measured[-1].energy[:, :chains, -1], run.energies_over_all(chains)
            checked.append((run.merge_groups(pair[0]), run.merge_groups(pair[1])))
        if run.plan.exactly is None and len(measured) >= 4 and len(measured) % 2 == 0:
            energy = np.concatenate([run.merge_groups(out.energy) for out in measured], axis=2)
            found = [diagnose(chains) for chains in energy]
            if all(_enough(d, run.plan.precision) for d in found):
                ended = "precision"
                break
            if count + 1 in DOUBTED and not all(map(_agree, found)):
                run.lengthen()
                measured = measured[len(measured) // 2 :]
    if not checked:
        return measured, ended, None
    surrogate, full = (np.concatenate(parts, axis=1) for parts in zip(*checked, strict=True))
    return measured, ended, (surrogate, full)


def _agree(found: Diagnostics) -> bool:
    return found.r_hat < 1.05 or (found.close and found.ess_within >= ESS)


def _enough(found: Diagnostics, precision: float) -> bool:
    """Whether the mean is precise, by as many draws as a status asks for: few make a large energy precise."""
    many = found.ess >= ESS or (found.close and found.ess_within >= ESS)
    return many and _agree(found) and _precise(found, precision)
