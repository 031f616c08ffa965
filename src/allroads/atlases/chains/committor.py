"""Committor: the probability that a chain meets one set of programs before another."""

from __future__ import annotations

from typing import Any

import numpy as np

from allroads.atlases.chains.hitting import PerState, per_state, reaching, solved
from allroads.atlases.chains.program_chain import as_chain
from allroads.checks import check_count
from allroads.errors import InputError
from allroads.results import finish


def committor(
    chain: Any, source: Any, target: Any, *, resamples: int = 200, seed: int = 0, throw: bool = False
) -> PerState:
    """The forward committor ``q_i = P(target is met before source | start at i)`` of a Markov chain.

    It solves ``q_i = Σ_j P_ij q_j`` with q = 0 on the source and 1 on the target. A state from which the target cannot
    be met before the source has q = 0.

    Args:
        chain: A :class:`ProgramChain` from runs, or a transition matrix ``[N, N]`` with states 0 … N − 1.
        source: A state, or several.
        target: A state, or several, none of them in the source.
        resamples: Times that runs are drawn anew for the interval; default 200.
        seed: Of the drawing.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not sound.

    Returns:
        A :class:`PerState`. Where the labels of the runs are no Markov chain its numbers are NaN, with the status
        ``refuted``.

    Raises:
        InputError: If a state is unknown, or source and target share one; if a matrix is not stochastic.

    References:
        [metzner2009]

    Example:
        The gambler's ruin on 0 … 4, up and down alike: q = i/4.

        >>> ruin = np.diag([0.5] * 4, 1) + np.diag([0.5] * 4, -1)
        >>> ruin[0], ruin[4] = np.eye(5)[0], np.eye(5)[4]
        >>> committor(ruin, source=0, target=4).values.round(6).tolist()
        [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    given = as_chain(chain)
    a, b = given.positions(source, "source"), given.positions(target, "target")
    check_count("resamples", resamples, 0)
    check_count("seed", seed, 0)
    if shared := set(a.tolist()) & set(b.tolist()):
        raise InputError(
            f"source, target: both hold {given.states[shared.pop()]!r}; expected sets without a common state."
        )

    def solve(transition: np.ndarray) -> np.ndarray:
        found = np.zeros(len(transition))
        found[b] = 1.0
        inner = reaching(transition, b)
        inner[a] = inner[b] = False
        found[inner] = solved(transition, inner, transition[np.ix_(inner, b)].sum(axis=1))
        return np.clip(found, 0.0, 1.0)

    return finish(per_state("committor", given, solve, resamples, seed), throw)
