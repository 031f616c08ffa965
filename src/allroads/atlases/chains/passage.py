"""Mean first-passage time: how many steps a chain takes on average until it meets a set of programs."""

from __future__ import annotations

from typing import Any

import numpy as np

from allroads.atlases.chains.hitting import PerState, per_state, reaching, solved
from allroads.atlases.chains.program_chain import as_chain
from allroads.checks import check_count
from allroads.results import finish


def first_passage_time(
    chain: Any, target: Any, *, resamples: int = 200, seed: int = 0, throw: bool = False
) -> PerState:
    """The mean first-passage time ``t_i = E(steps until target | start at i)`` of a Markov chain.

    It solves ``t_i = 1 + Σ_j P_ij t_j`` with t = 0 on the target. It is infinite where the target is missed with a
    probability above 0. A step is one of the sequences that the chain was made from: a record, or a change.

    Args:
        chain: A :class:`ProgramChain` from runs, or a transition matrix ``[N, N]`` with states 0 … N − 1.
        target: A state, or several.
        resamples: Times that runs are drawn anew for the interval; default 200.
        seed: Of the drawing.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not sound.

    Returns:
        A :class:`PerState`. Where the labels of the runs are no Markov chain its numbers are NaN, with the status
        ``refuted``.

    Raises:
        InputError: If a state is unknown; if a matrix is not stochastic.

    References:
        [kemeny1960]

    Example:
        A state that is left with probability 1/4 per step is left after 4 steps:

        >>> first_passage_time([[0.75, 0.25], [0.0, 1.0]], target=1).values.tolist()
        [4.0, 0.0]
    """
    given = as_chain(chain)
    goals = given.positions(target, "target")
    check_count("resamples", resamples, 0)
    check_count("seed", seed, 0)

    def solve(transition: np.ndarray) -> np.ndarray:
        lost = ~reaching(transition, goals)
        may_miss = reaching(transition, np.flatnonzero(lost), barred=goals) if lost.any() else lost
        inner = ~may_miss
        inner[goals] = False
        found = np.where(may_miss, np.inf, 0.0)
        found[goals] = 0.0
        found[inner] = solved(transition, inner, np.ones(int(inner.sum())))
        return found

    return finish(per_state("first passage time", given, solve, resamples, seed), throw)
