"""One run of chains around a point, and what is observed at each draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.budget import budgeted
from allroads.checks import check_count, check_positive
from allroads.errors import InputError
from allroads.explorers.samplers import Sampler
from allroads.memory import memory_left, stated
from allroads.pfmap.network import Params
from allroads.pfmap.objective import Examples, Objective
from allroads.pfmap.problem import Problem
from allroads.points.llc.estimate import LearningCoefficient, learning_coefficient
from allroads.points.sampling.chains import Observe
from allroads.points.sampling.draw import draw_chains
from allroads.points.sampling.equilibrium import R_HAT
from allroads.points.sampling.free_parameters import Mask, free_parameters
from allroads.points.sampling.geometry import default_nbeta
from allroads.points.sampling.memory import check_memory, within_memory
from allroads.points.sampling.plan import Chains, make_plan, resolve_chains
from allroads.points.sampling.samples import observed_width, r_hat_of
from allroads.status import LLCStatus


@dataclass(frozen=True)
class Observed:
    """What was observed over chains.

    Attributes:
        values: Name → ``[chains, draws, width]``: the loss of each example, or the observable.
        llc: The learning coefficient of the same chains.
        status: That of ``llc``; ``diverged`` or ``not equilibrated`` where what was observed is.
    """

    values: dict[str, np.ndarray]
    llc: LearningCoefficient
    status: LLCStatus


def observe_losses(
    problem: Problem,
    params: Params,
    watched: Mapping[str, Problem | np.ndarray],
    observable: Callable[[Params], Any] | None = None,
    *,
    scalar: bool = False,
    sampler: Sampler | str | None = None,
    chains: Chains | None = None,
    nbeta: float | None = None,
    localisation: float | None = None,
    mask: Mask = None,
    precision: float = 0.01,
    seed: int = 0,
    budget: float | None = None,
    progress: bool = True,
) -> Observed:
    """Sample ``exp(−nβ L − γ/2 ‖w − w*‖²)`` and observe losses of examples, and an observable.

    Losses are weighted as the problem's are. They are without its penalty, which belongs to no example.

    Args:
        problem: What is sampled.
        params: The point w*.
        watched: Name → indices of examples of the problem, or the same problem over other examples.
        observable: ``φ(params)``, observed under the name ``"observable"``.
        scalar: Whether the observable must be one number.
        sampler: As for :func:`allroads.llc`, and so on.
        chains: How many, for how long.
        nbeta: nβ. Default ``n / ln n``.
        localisation: γ.
        mask: The free parameters.
        precision: Standard error of the mean energy to reach.
        seed: Decides everything random.
        budget: As for :func:`allroads.llc`.
        progress: As for :func:`allroads.llc`.

    Raises:
        InputError: If ``scalar`` is set and the observable is not one number; and as :func:`allroads.llc`.
        UnknownNameError, MemoryBudgetError: As :func:`allroads.llc`.
    """
    chains = resolve_chains(chains)
    check_positive(nbeta=nbeta, localisation=localisation)
    check_count("seed", seed, 0)
    with budgeted("sampling", budget, progress) as time, chains.precision():
        point = problem.point(params)
        free = free_parameters(point, mask)
        plan = make_plan(free.dimension, len(problem), sampler, chains, precision)
        time.say(f"chains take {stated(check_memory(free, plan.chains, chains), memory_left(jax.devices()[0]))}")
        data = {name: of.data if isinstance(of, Problem) else problem.data.batch(of) for name, of in watched.items()}
        observe = losses_observer(problem.objective, observable)
        size = observed_width(observe, point, {}) if scalar and observable is not None else 1
        if size != 1:
            raise InputError(f"observable: expected one number; got {size}.")
        plan = within_memory(plan, observed_width(observe, point, data), chains.memory)
        nbeta = default_nbeta(len(problem)) if nbeta is None else nbeta
        stacked = jax.tree.map(lambda leaf: leaf[None], point)
        drawn = draw_chains(problem, free, stacked, nbeta, localisation, plan, seed, observe, data, budget=time)
        found = learning_coefficient(drawn, 0)
    values = {name: np.asarray(part, float) for name, part in drawn.records[0].observed.items()}
    return Observed(values, found, status_of(found, values))


@lru_cache(maxsize=64)
def losses_observer(objective: Objective, observable: Callable[[Params], Any] | None) -> Observe:
    """``(params, {name: examples}) -> {name: losses}``, and the observable's numbers under ``"observable"``."""

    def observe(params: Params, watched: dict[str, Examples]) -> dict[str, Any]:
        seen = {
            name: objective.from_outputs(objective.network.apply(params, of.inputs), of) for name, of in watched.items()
        }
        if observable is not None:
            seen["observable"] = jnp.ravel(jnp.asarray(observable(params)))
        return seen

    return observe


def chosen_examples(problem: Problem, examples: Any) -> np.ndarray:
    """Indices of the examples to be watched; ``None``: all.

    Raises:
        InputError: For indices that are no whole numbers or do not exist.
    """
    count = len(problem)
    rows = np.arange(count) if examples is None else np.asarray(examples)
    whole = rows.ndim == 1 and rows.size and np.issubdtype(rows.dtype, np.integer)
    if not whole or rows.min() < 0 or rows.max() >= count:
        raise InputError(f"examples: expected indices from 0 to {count - 1}, at least one; got {examples!r}.")
    return rows


def other_examples(problem: Problem, what: str, pair: Any) -> Problem:
    """The problem over other examples, given as ``(inputs, labels)``.

    Raises:
        InputError: If it is no pair, or its data cannot be used.
    """
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise InputError(f"{what}: expected a pair (inputs, labels); got {type(pair).__name__}.")
    try:
        return problem.on(*pair)
    except InputError as error:
        raise InputError(f"{what}: {error}") from None


def status_of(found: LearningCoefficient, values: dict[str, np.ndarray]) -> LLCStatus:
    """The status of the chains' λ̂, unless what they observed is not finite or not in equilibrium."""
    if found.status == LLCStatus.DIVERGED or not all(np.isfinite(part).all() for part in values.values()):
        return LLCStatus.DIVERGED
    return LLCStatus(found.status) if r_hat_of(values) <= R_HAT else LLCStatus.NOT_EQUILIBRATED
