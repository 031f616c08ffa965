"""What is computed for each state of a chain, with intervals from runs drawn anew."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array, eye_array
from scipy.sparse.csgraph import breadth_first_order
from scipy.sparse.linalg import spsolve

from allroads.atlases.chains.program_chain import ProgramChain
from allroads.results import Result
from allroads.status import AtlasStatus, Status

INTERVAL = (0.025, 0.975)


@dataclass(frozen=True, eq=False, repr=False)
class PerState(Result):
    """A number for each state of a chain.

    Args:
        quantity: ``"committor"`` or ``"first passage time"``.
        states: The states.
        values: ``[N]``; NaN where the chain is refuted.
        low: Lower end of the 95 % interval, ``[N]``: the bootstrap over runs. Equal to ``values`` for a chain that was
            given.
        high: Upper end.
        status: ``ok``; ``refuted`` where the labels are no Markov chain, so that no number is given; ``too few
            changes`` where nothing could be tested.
    """

    quantity: str
    states: tuple[Hashable, ...]
    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    status: Status

    @property
    def value(self) -> float:
        """Mean over the states; NaN where the chain is refuted."""
        return float(self.values.mean())

    @property
    def error(self) -> None:
        """``None``: read ``low`` and ``high``."""
        return None

    @property
    def stats(self) -> dict[str, Any]:
        """The ``quantity`` and how many ``states``."""
        return {"quantity": self.quantity, "states": len(self.states)}

    def at(self, state: Hashable) -> float:
        """The number of one state."""
        return float(self.values[self.states.index(state)])


def per_state(
    quantity: str, chain: ProgramChain, solve: Callable[[np.ndarray], np.ndarray], resamples: int, seed: int
) -> PerState:
    """A quantity of a chain with its interval; NaN where the labels are no chain."""
    count = len(chain.states)
    if chain.status == AtlasStatus.REFUTED:
        nothing = np.full(count, np.nan)
        return PerState(quantity, chain.states, nothing, nothing, nothing, chain.status)
    values = solve(chain.transition)
    low, high = values, values
    if chain.runs and resamples:
        drawn = np.stack([solve(moves) for moves in chain.resampled(np.random.default_rng(seed), resamples)])
        low, high = np.quantile(drawn, INTERVAL, axis=0, method="inverted_cdf")
        low, high = np.minimum(low, values), np.maximum(high, values)
    return PerState(quantity, chain.states, values, low, high, chain.status)


def reaching(transition: np.ndarray, goals: np.ndarray, barred: np.ndarray | None = None) -> np.ndarray:
    """The states from which a goal can be reached without passing a barred state, ``[N]``; goals themselves too.

    Args:
        transition: ``[N, N]``.
        goals: Positions.
        barred: Positions that are not left.
    """
    back = (transition > 0).T.astype(np.int8)
    if barred is not None:
        back[:, barred] = 0
    count = len(transition)
    start = np.zeros((1, count + 1), np.int8)  # one more node, which leads to all goals
    start[0, goals] = 1
    graph = csr_array(np.vstack([np.hstack([back, np.zeros((count, 1), np.int8)]), start]))
    found = breadth_first_order(graph, count, return_predecessors=False)
    seen = np.zeros(count, bool)
    seen[found[found < count]] = True
    return seen


def solved(transition: np.ndarray, inner: np.ndarray, right: np.ndarray) -> np.ndarray:
    """``x`` with ``(1 − P) x = right`` on the inner states, ``[inner]``."""
    if not inner.any():
        return np.zeros(0)
    inside = csr_array(transition[np.ix_(inner, inner)])
    system = (eye_array(int(inner.sum()), format="csr") - inside).tocsc()
    return np.atleast_1d(np.asarray(spsolve(system, right)))
