"""Navigability of a graph of programs that moves were seen to join, beside what other graphs would have."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.stats import t as student

from allroads.atlases.landscapes import Neighbourhoods, accessible
from allroads.checks import check_count
from allroads.errors import InputError
from allroads.results import Measurement, Result
from allroads.status import AtlasStatus

LEAST = 5
"""Programs below which nothing is said."""


@dataclass(frozen=True, repr=False)
class ProgramNavigability(Result):
    """Navigability ψ of a graph of programs beside two nulls; ``value`` is ψ.

    Args:
        navigability: ψ.
        shuffled: ψ where the ends of all moves are dealt anew: φ(q|p) is then the same for every p.
        rewired: ψ where as many pairs are joined at random.
        status: ``ok``, or ``too few changes`` where fewer pairs are joined than a connected graph has.
        stats: ``programs``, ``pairs`` (that moves join) and ``needed``.
    """

    navigability: Measurement
    shuffled: Measurement
    rewired: Measurement
    status: AtlasStatus
    stats: Mapping[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """ψ."""
        return self.navigability.value

    @property
    def error(self) -> float | None:
        """Half-width of its 95 % interval over draws."""
        return self.navigability.error


def program_navigability(
    counts: np.ndarray, draws: int = 500, *, graphs: int = 64, seed: int = 0
) -> ProgramNavigability:
    """ψ of programs that moves join: the chance that a path along which fitness never falls leads from one to another.

    Two programs are joined where a move led from one to the other, in either direction. A draw takes a target with
    fitness 1 and gives each other program one from U(0, 1). ψ is the mean share of the other programs from which such a
    path leads to the target. A program is one node here, so ψ is at most that of the points, see
    :func:`~allroads.navigability` for both.

    Args:
        counts: Moves from p to q ``[K, K]``, those that stay included.
        draws: Targets, each with an assignment of fitness of its own.
        graphs: Graphs of each null; each has as many draws as fit into ``draws``.
        seed: Decides all draws.

    Returns:
        A :class:`ProgramNavigability`. Intervals are over draws, and of the nulls over graphs. They leave out that more
        moves would join more pairs.

    Raises:
        InputError: If the counts are no square matrix of whole numbers of 0 or more.

    When it fails: with few moves per program. Pairs that are seldom joined are then missing, and ψ is too low.

    References: [greenbury2022]

    Example:
        Where every pair is joined each target is reached at once:

        >>> program_navigability(np.ones((6, 6), int), 20, graphs=2).value
        1.0
    """
    counts = np.asarray(counts)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or counts.dtype.kind not in "iu" or (counts < 0).any():
        raise InputError(
            f"counts: expected whole numbers [K, K] of 0 or more; got {counts.dtype} {list(counts.shape)}."
        )
    check_count("draws", draws, 2)
    check_count("graphs", graphs, 2)
    size = len(counts)
    own = _joined(counts)
    stats = {"programs": size, "pairs": len(own), "needed": max(size, LEAST) - 1}
    if size < LEAST or len(own) < size - 1:
        none = Measurement(math.nan, None, AtlasStatus.TOO_FEW)
        return ProgramNavigability(none, none, none, AtlasStatus.TOO_FEW, stats)
    rng, each = np.random.default_rng(seed), max(2, draws // graphs)
    every = np.stack(np.triu_indices(size, 1), axis=1)
    dealt = [_psi(_joined(_dealt(counts, rng)), size, each, rng).mean() for _ in range(graphs)]
    placed = [_psi(rng.choice(every, len(own), replace=False), size, each, rng).mean() for _ in range(graphs)]
    found = _mean(_psi(own, size, draws, rng))
    return ProgramNavigability(found, _mean(np.array(dealt)), _mean(np.array(placed)), AtlasStatus.OK, stats)


def _joined(counts: np.ndarray) -> np.ndarray:
    """Pairs that a move joins, each once ``[E, 2]``."""
    return np.argwhere(np.triu((counts + counts.T) > 0, 1))


def _dealt(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The ends of all moves dealt anew among them."""
    left, rows = counts.sum(0), []
    for moves in counts.sum(1):
        rows.append(rng.multivariate_hypergeometric(left, moves, method="marginals"))
        left = left - rows[-1]
    return np.array(rows)


def _psi(pairs: np.ndarray, size: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Share of the other programs that reach the target, of each draw."""
    graph = Neighbourhoods.of(pairs, size)
    found = np.empty(draws)
    for draw in range(draws):
        fitness, target = rng.random(size), int(rng.integers(size))
        fitness[target] = 1.0
        found[draw] = (accessible(graph, fitness, np.array([target])).sum() - 1) / (size - 1)
    return found


def _mean(shares: np.ndarray) -> Measurement:
    half = float(student.ppf(0.975, len(shares) - 1) * shares.std(ddof=1) / math.sqrt(len(shares)))
    return Measurement(float(shares.mean()), half, AtlasStatus.OK, {"draws": len(shares)})
