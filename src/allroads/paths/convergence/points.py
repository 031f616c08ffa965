"""Points modulo symmetry: how near members lie once units are matched, and the barriers that are left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.budget import Budget
from allroads.paths.align import align
from allroads.paths.barrier import barrier
from allroads.paths.convergence.member_jackknife import mean_over_pairs
from allroads.pfmap.network import Network, Params
from allroads.pfmap.problem import Problem
from allroads.results import Measurement, Result
from allroads.status import ConvergenceStatus, Status


@dataclass(frozen=True, eq=False, repr=False)
class PointPairs(Result):
    """Members as points of parameter space, before and after the symmetries of the network are removed.

    The matrices are ``[M, M]`` or, between two populations, ``[M, M']``, NaN on the diagonal and where a budget ended
    first. The second of a pair is moved. Within a population each pair is taken once and written in both places.

    Args:
        distance: ``‖a − b‖`` with b moved near a by :func:`~allroads.align`.
        distance_before: ``‖a − b‖``.
        barrier: Barrier of the loss between a and the moved b; ``None`` without labels.
        barrier_before: Barrier between a and b.
        within: Whether rows and columns are the same members.
        status: ``ok``; ``not converged`` where a budget ended first; ``diverged`` where a barrier is infinite.
    """

    distance: np.ndarray
    distance_before: np.ndarray
    barrier: np.ndarray | None
    barrier_before: np.ndarray | None
    within: bool
    status: Status

    @property
    def nearer(self) -> Measurement:
        """Mean over pairs of the distance after alignment as a share of that before it."""
        with np.errstate(invalid="ignore"):
            ratio = np.where(self.distance_before > 0, self.distance / self.distance_before, np.nan)
        value, error = mean_over_pairs(ratio, within=self.within)
        status = ConvergenceStatus.DEGENERATE if np.isnan(value) and self.status.sound else self.status
        return Measurement(value, error, status)

    @property
    def value(self) -> float:
        """The share of the distance that alignment leaves."""
        return self.nearer.value

    @property
    def error(self) -> None:
        """``None``: read the interval of ``nearer``."""
        return None

    @property
    def stats(self) -> dict[str, Any]:
        """Mean barriers over pairs, before and after alignment."""
        given = {"barrier": self.barrier, "barrier_before": self.barrier_before}
        return {k: None if m is None else mean_over_pairs(m, within=self.within)[0] for k, m in given.items()}

    def __str__(self) -> str:
        return self.describe()

    def describe(self) -> str:
        """The pairs in one line."""
        text = f"alignment leaves {self.nearer.value:.3g} of the distance"
        if self.barrier is not None:
            text += f"; mean barrier {self.stats['barrier_before']:.3g} before it, {self.stats['barrier']:.3g} after it"
        return text + ("" if self.status.sound else f" ({self.status.value})")


def point_pairs(
    network: Network,
    left: Sequence[Params],
    right: Sequence[Params] | None,
    inputs: Any,
    problem: Problem | None,
    *,
    method: str,
    seed: int,
    clock: Budget,
    until: float,
) -> PointPairs:
    """Distances of pairs of points modulo the symmetries of their network, and barriers where there is a problem.

    Args:
        network: The network of all.
        left: Points.
        right: Points of the other population; ``None`` for the pairs within one.
        inputs: ``[n, …]``.
        problem: Its loss is that of the barriers.
        method: A method of :func:`~allroads.align`.
        seed: Of the alignment.
        clock: The call's budget.
        until: Seconds of it after which no further pair is aligned.
    """
    within, columns = right is None, left if right is None else right
    shape = len(left), len(columns)
    found = {name: np.full(shape, np.nan) for name in ("distance", "distance_before", "barrier", "barrier_before")}
    pairs = [(a, b) for a in range(shape[0]) for b in range(a + 1 if within else 0, shape[1])]
    done = 0
    for a, b in pairs:
        if clock.ended or clock.spent >= until:
            break
        clock.say(f"alignment, pair {done + 1:,} of {len(pairs):,}")
        with clock.interruptible():
            moved = align(network, left[a], columns[b], inputs, method=method, seed=seed, progress=False)
            numbers = {"distance": moved.distance, "distance_before": moved.distance_before}
            if problem is not None:
                numbers["barrier"] = barrier(problem, left[a], moved.params).height
                numbers["barrier_before"] = barrier(problem, left[a], columns[b]).height
            for name, number in numbers.items():
                found[name][a, b] = number
                if within:
                    found[name][b, a] = number
            done += 1
    status = ConvergenceStatus.NOT_CONVERGED if done < len(pairs) else ConvergenceStatus.OK
    if np.isinf(found["barrier"]).any() or np.isinf(found["barrier_before"]).any():
        status = ConvergenceStatus.DIVERGED
    barriers = {name: None if problem is None else found[name] for name in ("barrier", "barrier_before")}
    return PointPairs(found["distance"], found["distance_before"], **barriers, within=within, status=status)
