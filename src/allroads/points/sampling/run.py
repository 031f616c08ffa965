"""Chains on their way: what is done to them between rounds of draws."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.pfmap.objective import Examples, Objective
from allroads.points.sampling.chains import Draws, Observe, compiled_chains
from allroads.points.sampling.free_parameters import FreeParameters
from allroads.points.sampling.geometry import LocalGeometry
from allroads.points.sampling.metric import Metric, change_metric_of_chains
from allroads.points.sampling.plan import Plan
from allroads.points.sampling.posterior import LocalPosterior, compiled_gradient_metric, compiled_stiffness
from allroads.points.sampling.subset import compiled_energies

SMALL = 100
"""Up to so many parameters, chains are many, every round makes a metric anew, and no level is left out: where chains
cool too fast, they fall into valleys of the wrong share, and many rounds at the last level do not repair that. Chains
on batches skip levels all the same, as each is one more at which they may diverge; not where their steps depend on
gradients of the level before."""
TRAJECTORY = 2.5
"""Length of a Hamiltonian trajectory in units of the posterior's width; a little over a quarter turn, π/2."""
STEPS = (5, 40)
"""Fewest and most gradients per draw."""
SHORT = 10
"""Most of them at first where there are few parameters: shorter trajectories then tell more per gradient."""
FEW, LONG = 20, (12, 20)
"""Up to so many parameters, gradients per draw, fewest and most at first: valleys of two or three parameters are so
narrow that shorter trajectories seldom enter them; a small λ̂ was then low by 5 %."""
FAR = 10
"""Standard deviations at which a chain is brought back: above the largest mean energy, or that of another chain."""
ENOUGH = 64
"""Gradients from which on a metric is made of them: of a round, or of several where parameters are many."""
POPULATION = 16
"""Chains in a group from which on, if they could be resampled at every level, they are taken as a population."""


class Run:
    """Chains on their way; the state of one schedule, thrown away at its end."""

    def __init__(
        self,
        objective: Objective,
        free: FreeParameters,
        geometry: LocalGeometry,
        data: Examples,
        nbeta: np.ndarray,
        localisation: np.ndarray,
        plan: Plan,
        seed: int,
    ):
        """Chains at their points, in the metric of the curvature there, at the strongest localisation."""
        rows = geometry.rows
        self.objective, self.free, self.plan = objective, free, plan
        self.data, self.all_data = data if rows is None else data.batch(rows), None if rows is None else data
        self.sampler, self.points = plan.sampler, len(nbeta)
        self.groups = 2 if plan.ladder else 1
        self.chains = plan.chains // self.groups
        self.sites = self.points * self.groups  # group 0 of all points, then group 1
        self.key, self.seed, self.count, self.gradients = jax.random.key(seed), seed, 0, 0
        stiffness = nbeta * geometry.curvature
        cautious = not plan.sampler.stochastic or plan.sampler.remembers
        every = free.dimension <= SMALL and cautious
        self.levels = levels(nbeta, stiffness, localisation, every) if plan.ladder else [(nbeta, localisation)]

        def all_groups(array: Any) -> Any:  # by NumPy, which compiles nothing
            return jnp.asarray(np.concatenate([np.asarray(array)] * self.groups))

        self.nbeta, gamma = self.levels[0]

        seen = geometry.baseline if rows is None else geometry.baseline[:, rows]
        leaves, seen, tilt, self.all_baseline = jax.tree.map(
            all_groups, (geometry.leaves, seen, geometry.tilt, None if rows is None else geometry.baseline)
        )
        metric = _local_masses(jax.tree.map(all_groups, geometry.metric), self.nbeta, gamma)
        self.local = LocalPosterior(leaves, seen, metric, jnp.asarray(gamma), tilt)
        self.z = jnp.zeros((self.sites, self.chains, free.dimension))
        self.last_energy: np.ndarray | None = None  # at z, [sites, chains]
        self.population = np.ones(self.sites, bool)  # whether all of a site's chains were resampled at every level
        self.moments: Any = None  # second moments of gradients that the metric is made of, [sites, …]
        self.moment_rounds = np.zeros(self.sites)  # how many rounds they are the mean of
        self.states: Any = None  # started again from z after every change of the posterior or of the coordinates
        few = free.dimension <= FEW
        self.shortest = LONG[0] if few else STEPS[0]  # gradients per draw, at least and at most
        self.longest = LONG[1] if few else SHORT if free.dimension <= SMALL else STEPS[1]
        self.affordable = STEPS[1]  # gradients per draw that a budget has time for
        self.stiffness = np.ones(self.sites)
        self.step = np.full(self.sites, plan.step_size or self._first_step())

    def _first_step(self) -> float:
        """The stable step falls with the dimension: as ``d^{−1/4}`` for trajectories, ``d^{−1/6}`` for MALA."""
        step, power = self.sampler.default_step_size, self.sampler.step_scaling
        return float(2 * step * self.free.dimension**-power if power else step)

    def _keys(self, shape: tuple[int, ...]) -> Any:
        self.count += 1
        return jax.random.split(jax.random.fold_in(self.key, self.count), (self.sites, *shape))

    @property
    def steps(self) -> int:
        """Gradients per draw."""
        if not self.sampler.trajectories:
            return STEPS[1] // 2
        wanted = np.clip(math.ceil(TRAJECTORY / max(float(self.step.min()), 1e-9)), self.shortest, self.longest)
        return max(min(int(wanted), self.affordable), min(STEPS[0], int(wanted)))

    def round(self, observe: Observe | None = None, extra: Any = None) -> Draws:
        """A round of draws of all chains; moments for a metric are always taken, as compiling twice would cost more."""
        plan, chains = self.plan, self.chains
        start, run = compiled_chains(
            self.objective, self.free, plan.sampler, plan.draws, plan.batch, plan.rotate, observe
        )
        nbeta = jnp.broadcast_to(jnp.asarray(self.nbeta)[:, None], (self.sites, chains))
        if self.states is None:
            self.states = start(self.z, self.local, self.data, nbeta, self._keys((chains,)))
        step = jnp.asarray(self.step / self.stiffness if self.sampler.stochastic else self.step)
        self.states, out = run(
            self.states, self.local, self.data, nbeta, step, self.steps, self._keys((chains,)), extra
        )
        self.z = self.states.position
        self.last_energy = np.asarray(out.energy[..., -1])
        a_draw = self.steps * self.sampler.gradients_per_step + (plan.rotate and self.sampler.stochastic)
        self.gradients += self.groups * chains * plan.draws * a_draw
        seen: Draws = jax.tree.map(np.asarray, out._replace(moments=None))
        return seen._replace(moments=out.moments)

    def lengthen(self) -> None:
        """Allow for trajectories twice as long, as chains take too long to move."""
        self.longest = min(2 * self.longest, STEPS[1])

    def energies_over_all(self, chains: int) -> np.ndarray:
        """Energies over all examples where so many chains of each site are, ``[sites, chains]``."""
        local = self.local._replace(baseline=self.all_baseline, tilt=None)
        energies = compiled_energies(self.objective, self.free)
        return np.asarray(energies(self.z[:, :chains], local, self.all_data, jnp.asarray(self.nbeta)))

    def resample(self, ratio: float) -> None:
        """Resample the temperature-annealed chains by weights ``exp(−(ratio − 1) energy)``, before nβ grows by ratio.

        Chains are then shared out among valleys as the colder posterior shares its mass, which moving along valleys
        would take long to do. Where fewer than a quarter of the chains would be left, they stay as they are, and the
        site is no longer counted as a population.
        """
        assert self.last_energy is not None  # a level was sampled before
        generator = np.random.default_rng([self.seed, self.count])
        for site in range(self.points, self.sites):
            energy = self.last_energy[site]
            if not np.isfinite(energy).all():
                self.population[site] = False
                continue
            weights = np.exp(-(ratio - 1) * (energy - energy.min()))
            weights /= weights.sum()
            if 1 / (weights**2).sum() < self.chains / 4:
                self.population[site] = False
                continue
            ticks = (np.arange(self.chains) + generator.random()) / self.chains
            chosen = np.searchsorted(np.cumsum(weights), ticks).clip(0, self.chains - 1)
            self.z = self.z.at[site].set(self.z[site, chosen])

    def move_to(self, nbeta: np.ndarray, localisation: np.ndarray) -> None:
        """Another posterior: masses grow as nβ does, and are γ at least; the weights stay where they are."""
        ratio = nbeta / self.nbeta
        if self.groups == 2 and self.last_energy is not None:
            self.resample(float(ratio.max()))
        self.nbeta = nbeta
        self.local = self.local._replace(localisation=jnp.asarray(localisation))
        metric, self.moments = _grown(self.local.metric, self.moments, ratio, localisation)
        self._change_metric(metric)
        self.moment_rounds = np.minimum(self.moment_rounds, math.ceil(ENOUGH / (self.chains * self.plan.draws)))
        self.measure_stiffness()

    def leave_levels(self) -> None:
        """Go to the last posterior at once, all chains from where those of the first group are."""
        first = np.tile(np.arange(self.points), self.groups)
        self.z, self.local, self.moments = _sites((self.z, self.local, self.moments), first)
        self.moment_rounds, self.step, self.nbeta = self.moment_rounds[first], self.step[first], self.nbeta[first]
        self.population[:], self.last_energy = False, None
        self.move_to(*self.levels[-1])

    def _change_metric(self, metric: tuple[Metric, ...]) -> None:
        self.z = change_metric_of_chains(self.z, self.local.metric, metric, self.free)
        self.local = self.local._replace(metric=metric)
        self.states = None

    @property
    def is_population(self) -> bool:
        """Whether the temperature-annealed chains are enough and were resampled at every level, at all points."""
        return self.groups == 2 and self.chains >= POPULATION and bool(self.population[self.points :].all())

    def merge_groups(self, sites: np.ndarray) -> np.ndarray:
        """``[points × groups, chains, …]`` as ``[points, chains that are measured, …]``.

        All groups are, but where the second is a population, it alone: it has every valley's share of the mass.
        """
        if self.is_population:
            return np.asarray(sites)[self.points :]
        return np.concatenate(np.split(np.asarray(sites), self.groups), axis=1)

    def tune(self, out: Draws, gain: float = 2.5, metric: bool = True) -> None:
        """Take the metric, unless it is to stay, from the gradients of a round, and the step from its acceptance."""
        acceptance = mean_acceptance(out)
        lost = ~np.isfinite(np.asarray(self.z)).all((1, 2)) | ~np.isfinite(out.energy).all((1, 2))
        if metric and self.plan.rotate:
            self._update_metric(out.moments, (acceptance > 0.2) & ~lost)
        if lost.any():
            self.z = jnp.where(jnp.asarray(lost)[:, None, None], 0.0, self.z)
        self._restart_stuck_chains(out.energy)
        if self.plan.step_size is None and self.sampler.target_acceptance is None:
            self.step = np.where(lost, self.step / 4, self.step)
        self.states = None
        self.tune_step(np.where(lost, 0.0, acceptance), gain)
        self.measure_stiffness()

    def _update_metric(self, moments: Any, good: np.ndarray) -> None:
        """Take the metric of good sites from the gradients of a round and of those before it at the same posterior.

        A metric made of the latest gradients alone moves chains least where their energy happens to be high, and while
        it follows them, their mean energy is some per cent above the equilibrium. So where parameters are many, and
        gradients few for each, all rounds count alike; of those before the posterior changed, as many as bring enough
        gradients, mostly one.
        """
        self.moment_rounds = np.where(good, self.moment_rounds * (self.free.dimension > SMALL) + 1, self.moment_rounds)
        share = 1 / np.maximum(self.moment_rounds, 1)

        def of_good(new: Any, old: Any) -> Any:
            return jnp.where(_along(good, new), new, old)

        def mean(new: Any, old: Any) -> Any:
            return of_good((1 - _along(share, new)) * old + _along(share, new) * new, old)

        before = jax.tree.map(jnp.zeros_like, moments) if self.moments is None else self.moments
        self.moments = jax.tree.map(mean, moments, before)
        good = good & (self.moment_rounds * self.chains * self.plan.draws >= ENOUGH)
        if not good.any():
            return
        fresh = compiled_gradient_metric()(self.moments, self.local.localisation)
        self._change_metric(jax.tree.map(of_good, fresh, self.local.metric))

    def tune_step(self, acceptance: np.ndarray, gain: float) -> None:
        """Multiply the step by ``exp(gain (acceptance − target))``; where all are refused, by ``0.3^gain``.

        Where parameters are many, acceptance falls from 1 to 0 within a small range of steps, and a round of few draws
        that are refused says no more than that the step is beyond it: then by 0.3 at least, as what is lost at once
        takes many rounds to regain.
        """
        if self.plan.step_size is None and self.sampler.target_acceptance is not None:
            few = self.chains * self.plan.draws < ENOUGH
            least = 0.3 ** (min(gain, 1.0) if few else gain)
            factor = np.where(
                acceptance < 0.05, least, np.exp(gain * (acceptance - self.sampler.target_acceptance)).clip(least)
            )
            self.step = np.minimum(self.step * factor, 1.0)

    def _restart_stuck_chains(self, energy: np.ndarray) -> None:
        """Chains that no equilibrium explains start again where another chain of their site is.

        The mean of nβ(L − L*) is λ̂ ≤ d/2 around a minimum of a smooth loss, its deviation about √λ̂; far above that, a
        chain is stuck in a bend too narrow for its steps, and its gradients would spoil the metric of the others. Where
        parameters are many, one deviation is little beside λ̂, and a chain of the second group far above another of its
        site is stuck as well.
        """
        mean = energy.mean(2)
        usual = np.full((self.sites, 1), self.free.dimension / 2)
        if self.groups == 2 and self.free.dimension > SMALL:
            lowest = np.where(np.isfinite(mean), mean, np.inf).min(1, keepdims=True)[self.points :]
            usual[self.points :] = np.minimum(usual[self.points :], np.maximum(lowest, 1.0))
        stuck = ~(mean < usual + FAR * np.sqrt(usual))
        generator = np.random.default_rng([self.seed, self.count])
        for site in np.flatnonzero(stuck.any(1) & ~stuck.all(1)):
            others = generator.choice(np.flatnonzero(~stuck[site]), stuck[site].sum())
            self.z = self.z.at[site, np.flatnonzero(stuck[site])].set(self.z[site, others])

    def measure_stiffness(self) -> None:
        """Curvature of the stiffest direction in the metric, over some chains; it is what bounds a Langevin step."""
        if self.sampler.stochastic and self.plan.step_size is None:
            stiffness = compiled_stiffness(self.objective, self.free)
            local, nbeta = self.local, jnp.asarray(self.nbeta)
            looked = range(0, self.chains, max(1, self.chains // 4))
            found = [np.asarray(stiffness(self.z[:, i], local, self.data, nbeta, self._keys(()))) for i in looked]
            self.stiffness = np.maximum(np.nan_to_num(found, posinf=1.0).max(axis=0), 1.0)


def _along(numbers: Any, array: Any) -> Any:
    """One number per site, shaped to go with an array ``[sites, …]``."""
    return numbers.reshape(-1, *[1] * (array.ndim - 1))


@jax.jit
def _sites(tree: Any, chosen: Any) -> Any:
    """Arrays ``[sites, …]`` at some sites."""
    return jax.tree.map(lambda x: x[chosen], tree)


@jax.jit
def _local_masses(metric: tuple[Metric, ...], nbeta: Any, localisation: Any) -> tuple[Metric, ...]:
    """The metric of a posterior from that of the mean loss."""
    return tuple(
        of._replace(masses=of.masses * _along(nbeta, of.masses) + _along(localisation, of.masses)) for of in metric
    )


@jax.jit
def _grown(metric: tuple[Metric, ...], moments: Any, ratio: Any, localisation: Any) -> tuple[tuple[Metric, ...], Any]:
    """Metric and moments of a posterior whose nβ is so many times larger; masses are γ at least."""

    def masses(of: Metric) -> Metric:
        grown = of.masses * _along(ratio, of.masses)
        return of._replace(masses=jnp.maximum(grown, _along(localisation, of.masses)))

    return tuple(masses(of) for of in metric), jax.tree.map(lambda x: x * _along(ratio, x), moments)


def mean_acceptance(out: Draws) -> np.ndarray:
    """Mean over the draws that say something of the step size; 1 where none does."""
    finite = np.isfinite(out.acceptance)
    mean: np.ndarray = np.where(finite, out.acceptance, 0.0).sum((1, 2)) / np.maximum(finite.sum((1, 2)), 1)
    return np.asarray(mean + ~finite.any((1, 2)))


def levels(
    nbeta: np.ndarray, stiffest: np.ndarray, localisation: np.ndarray, every: bool = False
) -> list[tuple[np.ndarray, np.ndarray]]:
    """``(nβ, γ)`` of both groups of all points, from ``γ² = nβ h_max`` to what is asked for.

    The first group's γ falls by 10 at a time, the second's nβ rises by 100; with ``every``, by √10 and 10. One level is
    half way in log nβ; the last two before the end have 10 and √10 times the last γ, and a hundredth and a tenth of
    the last nβ.

    Example:
        >>> for nbeta, gamma in levels(np.array([1e8]), np.array([1e8]), np.array([1e3])):
        ...     print(nbeta, gamma)
        [1.e+08 1.e+06] [10000.  1000.]
        [1.e+08 1.e+07] [3162.27766017 1000.        ]
        [1.e+08 1.e+08] [1000. 1000.]
    """
    count = int(np.clip(np.ceil(np.log10(np.maximum(stiffest / localisation**2, 1)) - 1e-9).max(), 2, 10))
    half = math.ceil(count / 2)
    some = sorted({*range(count, half, -2), *range(half, 1, -2), 2, 1, 0}, reverse=True)
    return [
        (np.concatenate([nbeta, nbeta * 10.0**-k]), np.concatenate([localisation * 10.0 ** (k / 2), localisation]))
        for k in (range(count, -1, -1) if every else some)
    ]
