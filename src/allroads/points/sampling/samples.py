"""Draws from the posterior around a point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from allroads.budget import budgeted
from allroads.checks import check_count, check_positive
from allroads.explorers.samplers import Sampler
from allroads.memory import memory_left, stated
from allroads.pfmap.network import Params
from allroads.pfmap.problem import Problem
from allroads.points.sampling.chains import Observe
from allroads.points.sampling.diagnostics import Diagnostics, diagnose, largest_r_hat
from allroads.points.sampling.draw import LocalChains, draw_chains
from allroads.points.sampling.equilibrium import NORMAL, R_HAT, in_equilibrium
from allroads.points.sampling.free_parameters import Mask, free_parameters
from allroads.points.sampling.geometry import default_nbeta
from allroads.points.sampling.memory import check_memory, within_memory
from allroads.points.sampling.plan import Chains, make_plan, resolve_chains
from allroads.results import Result, finish
from allroads.status import LLCStatus


@dataclass(frozen=True, repr=False)
class Samples(Result):
    """Draws from the posterior around a point.

    Attributes:
        energy: ``nβ (L − L(w*))`` at every draw, ``[chains, draws]``; of a sampler on batches, the mean over those that
            it saw on the way. Where ``stats["population"]``, the chains are the group that was resampled at every level
            of the temperature, half of all.
        distance: ``‖w − w*‖²``, ``[chains, draws]``.
        observed: The positions, a pytree like a point whose leaves are ``[chains, draws, …]``; or what ``observe`` gave
            at each draw, with the same leading axes.
        status: ``ok``, ``not equilibrated`` or ``diverged``.
        stats: ``nbeta``, ``localisation``, ``r_hat`` and ``ess`` of the energy, ``r_hat_observed`` (the largest of what
            was observed), ``standard_error``, ``acceptance``, ``gradients``, ``examples_per_gradient`` and what else
            :func:`~allroads.llc` has of the chains.
    """

    energy: np.ndarray
    distance: np.ndarray
    observed: Any
    status: LLCStatus
    stats: dict[str, Any]

    @property
    def value(self) -> float:
        """Mean energy ``nβ (E[L] − L(w*))``."""
        return float(self.energy.mean())

    @property
    def error(self) -> float:
        """Half of a 95 % interval of the mean energy, Monte Carlo alone."""
        return NORMAL * float(self.stats["standard_error"])

    @property
    def r_hat(self) -> float:
        """Split R-hat of the energy."""
        return float(self.stats["r_hat"])

    @property
    def ess(self) -> float:
        """Effective number of independent draws of the energy, all chains together."""
        return float(self.stats["ess"])


def sample(
    problem: Problem,
    params: Params,
    sampler: Sampler | str | None = None,
    *,
    nbeta: float | None = None,
    localisation: float | None = None,
    chains: Chains | None = None,
    mask: Mask = None,
    observe: Callable[[Params], Any] | None = None,
    seed: int = 0,
    budget: float | None = None,
    progress: bool = True,
    throw: bool = False,
) -> Samples:
    """Draws from ``exp(−nβ L(w) − γ/2 ‖w − w*‖²)`` around a point w*: what all measures over chains share.

    L is the problem's loss over its n examples, penalty included. Chains are tuned, annealed and judged as those of
    :func:`~allroads.llc`; sampling ends where the mean energy is known to 1 %, or after ``Chains(draws=…)``.

    Args:
        problem: Network, loss, penalty and the examples.
        params: The point w*, which need not be a minimum.
        sampler: As for :func:`~allroads.llc`.
        nbeta: nβ. Default ``n / ln n``.
        localisation: γ. Default ``(nβ h_max)^{1/4} / 10``, at least 1/10.
        chains: How many, for how long.
        mask: The free parameters; the others stay at w*.
        observe: ``observe(params) -> `` an array or a pytree of arrays, in JAX, kept at every draw. Default: the
            position. A function of one name, not a new lambda at each call, is compiled once.
        seed: Decides everything random.
        budget: As for :func:`~allroads.llc`.
        progress: As for :func:`~allroads.llc`.
        throw: Whether an unsound status raises.

    Raises:
        InputError: As :func:`~allroads.llc`; or if ``observe`` gives no array.
        UnknownNameError: For a sampler that does not exist.
        MemoryBudgetError: If the chains or what they observe do not fit ``Chains(memory=…)``.
        MeasurementError: With ``throw``, if the status is not sound.

    When it fails: as :func:`~allroads.llc` does. A sampler on batches has a bias from its step, see ``status``.

    References: [lau2023]

    Example:
        Curvatures 8 and 2 at nβ = 10 and γ = 20 are a Gaussian of variances 1/(80 + 20) and 1/(20 + 20):

        >>> from allroads.points.zoo import quadratic
        >>> truth = quadratic((8.0, 2.0), examples=10)
        >>> found = sample(truth.problem, truth.params, nbeta=10.0, localisation=20.0)
        >>> found.observed.shape == (*found.energy.shape, 2), found.status.value
        (True, 'ok')
        >>> print(np.round(1 / found.observed.var(axis=(0, 1)), -1))
        [100.  40.]
    """
    chains = resolve_chains(chains)
    check_positive(nbeta=nbeta, localisation=localisation)
    check_count("seed", seed, 0)
    observer = _positions if observe is None else _of_params(observe)
    with budgeted("sample", budget, progress) as time, chains.precision():
        point = problem.point(params)
        free = free_parameters(point, mask)
        plan = make_plan(free.dimension, len(problem), sampler, chains)
        time.say(f"chains take {stated(check_memory(free, plan.chains, chains), memory_left(jax.devices()[0]))}")
        width = observed_width(observer, point)
        plan = within_memory(plan, width, chains.memory)
        nbeta = default_nbeta(len(problem)) if nbeta is None else nbeta
        stacked = jax.tree.map(lambda leaf: leaf[None], point)
        drawn = draw_chains(problem, free, stacked, nbeta, localisation, plan, seed, observer, budget=time)
    return finish(_samples(drawn), throw)


def observed_width(observe: Observe, point: Params, extra: Any = None) -> int:
    """How many numbers are observed at a draw.

    Raises:
        MemoryBudgetError, InputError: What the function itself raises on a point.
    """
    return max(1, sum(int(np.prod(shape.shape)) for shape in jax.tree.leaves(jax.eval_shape(observe, point, extra))))


def r_hat_of(observed: Any) -> float:
    """The largest split R-hat of a pytree of arrays ``[chains, draws, …]``; infinite where one is not finite."""
    worst = 1.0
    for part in jax.tree.leaves(observed):
        numbers = np.asarray(part, float).reshape(*part.shape[:2], -1)
        worst = max(worst, largest_r_hat(numbers) if np.isfinite(numbers).all() else float("inf"))
    return worst


def _samples(drawn: LocalChains) -> Samples:
    record = drawn.records[0]
    found = diagnose(record.energy)
    r_hat = r_hat_of(record.observed)
    stats = drawn.stats(0) | {
        "r_hat": found.r_hat,
        "ess": found.ess,
        "standard_error": found.standard_error,
        "drift": found.drift,
        "r_hat_observed": r_hat,
    }
    return Samples(record.energy, record.distance, record.observed, _status(drawn, found, r_hat), stats)


def _status(drawn: LocalChains, found: Diagnostics, r_hat: float) -> LLCStatus:
    record, sampler = drawn.records[0], drawn.plan.sampler
    if not np.isfinite(found.mean):
        return LLCStatus.DIVERGED
    measured, scale, hotter = found, max(abs(found.mean), 1.0), record.temperature_anneal[-1:]
    if found.within == 0:  # the loss does not change, so the distance says whether chains move
        measured, scale, hotter = diagnose(record.distance), float(record.distance.mean()), ()
    equilibrium = in_equilibrium(
        measured,
        scale=scale,
        acceptance=1.0 if sampler.target_acceptance is None else record.acceptance,
        discretisation=sampler.bias(record.step_size * record.stiffness) * abs(found.mean),
        variance=None if sampler.stochastic else float(record.energy.var()),
        hotter=hotter[0] if hotter else None,
        virial=None if found.within == 0 else record.virial,
        dimension=drawn.free.dimension,
    )
    return LLCStatus.OK if equilibrium and r_hat <= R_HAT else LLCStatus.NOT_EQUILIBRATED


def _positions(params: Params, extra: Any) -> Params:
    return params


@lru_cache(maxsize=64)
def _of_params(observe: Callable[[Params], Any]) -> Observe:
    """The observer of a function of the parameters; one for one function, so that compiled code is used again."""

    def observer(params: Params, extra: Any) -> Any:
        return jax.tree.map(jax.numpy.asarray, observe(params))

    return observer
