"""Functions of the networks that fit, from independent populations of sequential Monte Carlo."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp

from allroads.budget import Budget
from allroads.errors import TooFewSamplesError
from allroads.explorers.explorer import State, TracedProblem
from allroads.explorers.neutral.invariant import known_of
from allroads.explorers.neutral.smc import SMC
from allroads.pfmap.network import Network
from allroads.pfmap.objective import Objective
from allroads.pfmap.problem import Problem
from allroads.points.prior.answers import Answers
from allroads.points.prior.draws import Source
from allroads.points.prior.tally import Table, Tally
from allroads.points.prior.threefry import key_of

LEVELS = 200
"""Levels after which a population that does not fit is given up."""
REST = 4
"""Levels of moves alone, once all members fit."""
_BATCH = 256


@dataclass(frozen=True, eq=False)
class Populations:
    """What independent populations came to.

    Args:
        shares: ``[R, K]``, of each function in each population that came to its end.
        table: The K functions.
        log_evidences: log P(S) of each population ``[R]``; −∞ where nothing fits.
        levels: Levels of each ``[R]``.
        accepted: Share of the last moves that were accepted ``[R]``.
        least: The least misfit of any member.
        forwards: Passes over the examples.
        ended: ``"budget"``, ``"interrupted"`` or ``None``.
    """

    shares: np.ndarray
    table: Table
    log_evidences: np.ndarray
    levels: np.ndarray
    accepted: np.ndarray
    least: float
    forwards: int
    ended: str | None

    @property
    def weights(self) -> np.ndarray:
        """Of each population, in proportion to its evidence ``[R]``."""
        weights: np.ndarray = np.exp(self.log_evidences - logsumexp(self.log_evidences))
        return weights

    def effective(self, members: int) -> float:
        """How many independent draws would make the distribution as uncertain as the populations say that it is.

        The variances of all probabilities add up to ``(1 − Σ p²) / n`` for n independent draws. Here they are those of
        the jackknife over populations. The number is at most that of the members, weighed.
        """
        weights, several = self.weights, len(self.weights)
        most = members / float((weights**2).sum())
        p = weights @ self.shares
        spread = 1 - float(p @ p)
        rest = 1 - weights
        if (rest <= 0).any():
            return 0.0
        without = (p - weights[:, None] * self.shares) / rest[:, None]
        variance = (several - 1) / several * float(((without - without.mean(0)) ** 2).sum())
        return min(most, spread / variance) if variance > 0 else most


def populations(
    problem: Problem, source: Source, explorer: SMC, members: int, replicas: int, seed: int, budget: Budget
) -> Populations:
    """Run the populations in turn, and read the function on the probes that each member computes at the end.

    Raises:
        TooFewSamplesError: If fewer than two came to their end.
    """
    budget.say("testing which moves leave the initialisation as it is")
    known_of(source.network, explorer.prior, shown=False)  # the budget says it
    begin, step = _compiled(problem.objective, explorer)
    read = _reader(source.network, source.answers)
    data, root = problem.data, key_of(seed)
    width = source.answers.words // 2 if source.answers.exact else 2
    tally, log_evidences, levels, accepted = Tally(width, replicas), [], [], []
    least, forwards = math.inf, 0
    for replica in range(replicas):
        done: tuple[float, int, float, np.ndarray | None] | None = None
        with budget.interruptible():
            state = begin(jax.random.split(jax.random.fold_in(root, replica), members), data)
            state, least, fits, taken = _run(
                state, step, data, least, budget, f"population {replica + 1} of {replicas}"
            )
            forwards += members + taken * explorer.moves * members
            codes = source.answers.codes(np.asarray(read(state.params, source.inputs))) if fits else None
            evidence = float(state.memory.log_evidence) if fits else -math.inf
            done = evidence, taken, float(state.memory.accepted), codes
        if done is None or (budget.ended and done[-1] is None):
            break
        evidence, taken, share, codes = done
        log_evidences.append(evidence)
        levels.append(taken)
        accepted.append(share)
        if codes is not None:
            sums = np.zeros((members, replicas), np.int64)
            sums[:, replica] = 1
            tally.add(codes, np.arange(members) + replica * members, sums)
    ended = budget.ended if len(log_evidences) < replicas else None
    found = np.isfinite(log_evidences).sum()
    if found < 2:
        raise _none_fits(int(found), len(log_evidences), members, least, ended)
    table = tally.table()
    shares = table.sums.T[: len(log_evidences)] / members
    return Populations(
        shares, table, np.array(log_evidences), np.array(levels), np.array(accepted), least, forwards, ended
    )


def _run(
    state: State, step: Callable[..., State], data: Any, least: float, budget: Budget, what: str
) -> tuple[State, float, bool, int]:
    """Take levels until all members fit and have rested; the state, the least misfit, whether they do, the levels."""
    rested = 0
    for level in range(LEVELS):
        with budget.interruptible():
            state = jax.block_until_ready(step(state, data))
        least = min(least, float(state.memory.energies.min()))
        fits = bool(jnp.isinf(state.memory.beta))
        rested += fits
        budget.say(f"{what}, level {level + 1}, β = {float(state.memory.beta):.3g}, least misfit {least:.3g}")
        if rested > REST or budget.ended:
            return state, least, rested > REST, level + 1
    return state, least, False, LEVELS


def _none_fits(found: int, done: int, members: int, least: float, ended: str | None) -> TooFewSamplesError:
    ends = {"budget": "the budget ended", "interrupted": "it was interrupted"}
    why = ends[ended] if ended else f"{LEVELS} levels were taken"
    if ended:
        remedy = "Take a larger budget, or fewer samples."
    else:
        remedy = (
            "The network may be unable to compute the labels. Otherwise take more samples, or SMC(moves=…, ess=…) with "
            "larger numbers."
        )
    return TooFewSamplesError(
        f"function_posterior: {found} of {done} populations of {members:,} members had come to their end and fit when "
        f"{why}; expected 2 or more, to tell their error. The least misfit of a member was {least:.3g} training "
        f"errors. {remedy}",
        0.0,
        math.nan,
    )


@lru_cache(maxsize=16)
def _compiled(objective: Objective, explorer: SMC) -> tuple[Callable[..., State], Callable[..., State]]:
    """``begin(keys, data)`` and ``step(state, data)`` of one population."""

    @jax.jit
    def begin(keys: Any, data: Any) -> State:
        shapes = jax.eval_shape(jax.vmap(objective.network.init), keys)
        return explorer.init(keys, shapes, TracedProblem(objective, data))

    @jax.jit
    def step(state: State, data: Any) -> State:
        return explorer.step(state, TracedProblem(objective, data))[0]

    return begin, step


@lru_cache(maxsize=16)
def _reader(network: Network, answers: Answers) -> Callable[..., Any]:
    """``read(params, probes)``: the words of the function of each member."""

    @jax.jit
    def read(params: Any, probes: Any) -> Any:
        return jax.lax.map(lambda one: answers.pack(network.apply(one, probes)), params, batch_size=_BATCH)

    return read
