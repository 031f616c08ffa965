"""A measure over all pairs of members, beside its permutation null."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from allroads.budget import Budget
from allroads.paths.convergence.comparison import Comparison, is_constant
from allroads.paths.convergence.holm import holm
from allroads.paths.convergence.input_jackknife import input_errors
from allroads.paths.convergence.member_jackknife import mean_over_pairs
from allroads.paths.convergence.null import ROUNDING, enough_permutations, permutation_null
from allroads.results import Measurement, Result
from allroads.status import ConvergenceStatus, Status


def varies(x: np.ndarray) -> bool:
    """Whether a representation is not the same for all inputs."""
    return not is_constant(x)


@dataclass(frozen=True, eq=False, repr=False)
class PairTable(Result):
    """One measure of all pairs of members, with what it would be if the inputs of one of them were shuffled.

    The matrices are ``[M, M]``, or ``[M, M']`` between two populations. Within a population a member's comparison with
    itself stands on the diagonal of ``values``; the diagonals of the other matrices are NaN, as are pairs that have no
    number, for a reason that the status says.

    Args:
        measure: Name.
        values: The measure.
        errors: Half-widths of its 95 % intervals, for inputs drawn from a larger set. Infinite with few inputs.
        null_mean: Mean over permutations of the inputs.
        null_deviation: Standard deviation over them.
        p: Share of the permutations that are as near or nearer, the observed order counted as one of them.
        adjusted: ``p`` corrected by Holm for the number of pairs.
        beyond: Whether the pair is nearer than chance: ``adjusted`` is at most ``level``.
        permutations: How many there were.
        level: The level of ``beyond``.
        nearer: ``+1`` where larger values mean nearer, ``-1`` for distances.
        within: Whether rows and columns are the same members.
        directed: Whether the measure from a row to a column is another than back.
        status: What became of the table.
    """

    measure: str
    values: np.ndarray
    errors: np.ndarray = field(repr=False)
    null_mean: np.ndarray
    null_deviation: np.ndarray = field(repr=False)
    p: np.ndarray = field(repr=False)
    adjusted: np.ndarray
    beyond: np.ndarray
    permutations: int
    level: float
    nearer: int = field(repr=False)
    within: bool = field(repr=False)
    directed: bool = field(repr=False)
    status: Status

    @property
    def excess(self) -> np.ndarray:
        """How much nearer than the mean of the null: ``values − null_mean``, with the other sign for distances."""
        found: np.ndarray = self.nearer * (self.values - self.null_mean)
        return found

    @property
    def mean(self) -> Measurement:
        """Mean of the measure over pairs; ``error`` for members drawn from a larger set."""
        return self._mean(self.values)

    @property
    def mean_excess(self) -> Measurement:
        """Mean of ``excess`` over pairs; ``error`` for members drawn from a larger set."""
        return self._mean(self.excess)

    @property
    def share(self) -> float:
        """Share of the pairs that are nearer than chance at the level, corrected.

        NaN where no pair has a number, or there are too few permutations for the correction to find any pair.
        """
        tested = ~np.isnan(self.adjusted)
        return float(self.beyond[tested].mean()) if tested.any() and self._enough else math.nan

    @property
    def _pairs(self) -> int:
        """How many pairs have a number; each once where the direction does not count."""
        return int((~np.isnan(self.adjusted)).sum()) // (2 if self.within and not self.directed else 1)

    @property
    def _enough(self) -> bool:
        return self._pairs / (1 + self.permutations) <= self.level * (1 + ROUNDING)

    @property
    def value(self) -> float:
        """The share of pairs beyond the null."""
        return self.share

    @property
    def error(self) -> None:
        """``None``: the share is a count. The pairs' own intervals are in ``errors``."""
        return None

    @property
    def stats(self) -> dict[str, Any]:
        """Mean over pairs of the measure, of its null and of the excess, and how many pairs there are."""
        mean, excess = self.mean, self.mean_excess
        return {
            "pairs": self._pairs,
            "mean": mean.value,
            "null": self._mean(self.null_mean).value,
            "excess": excess.value,
            "excess_error": excess.error,
        }

    def _mean(self, matrix: np.ndarray) -> Measurement:
        value, error = mean_over_pairs(matrix, within=self.within)
        status = ConvergenceStatus.DEGENERATE if math.isnan(value) and self.status.sound else self.status
        return Measurement(value, error, status)

    def __str__(self) -> str:
        return self.describe()

    def describe(self) -> str:
        """The table in one line."""
        mean, null, excess = self.mean, self._mean(self.null_mean).value, self.mean_excess
        if not self._pairs:
            told = "no pair has a number"
        elif self._enough:
            told = f"{self.share:.0%} of {self._pairs} pairs beyond the null"
        else:
            told = f"{self.permutations} permutations are too few to tell any of {self._pairs} pairs from the null"
        return (
            f"{self.measure}: mean {mean.value:.3g}, null {null:.3g}, excess {excess.value:.3g} ± {excess.error:.2g}, "
            + told
            + ("" if self.status.sound else f" ({self.status.value})")
        )


class Trial(NamedTuple):
    """How pairs are tested.

    Attributes:
        permutations: How many; ``None`` for as many as the correction needs.
        level: Of the correction.
        rng: Draws the orders.
        clock: The call's budget.
    """

    permutations: int | None
    level: float
    rng: np.random.Generator
    clock: Budget


def pair_table(
    comparison: Comparison,
    left: Sequence[np.ndarray],
    right: Sequence[np.ndarray] | None,
    trial: Trial,
    *,
    until: float = math.inf,
    usable: Callable[[np.ndarray], bool] = varies,
) -> PairTable:
    """A measure of all pairs, beside its null.

    Args:
        comparison: The measure.
        left: Representations of the same inputs, in random order.
        right: Those of the other population; ``None`` for the pairs within one.
        trial: How pairs are tested.
        until: Seconds of the budget after which this table takes no further permutation.
        usable: Whether a finite representation can be compared.
    """
    within, rows, columns = right is None, list(left), list(left if right is None else right)
    possible = _pairs(len(rows), len(columns), within, comparison.symmetric)
    finite = all(np.isfinite(x).all() for x in (*rows, *columns))
    first = _prepared(comparison, rows, usable)
    second = first if within else _prepared(comparison, columns, usable)
    values = {(a, b): comparison.value(first[a], second[b]) for a, b in possible if a in first and b in second}
    pairs = [pair for pair, value in values.items() if not math.isnan(value)]
    observed = np.array([values[pair] for pair in pairs])
    asked = enough_permutations(len(possible), trial.level) if trial.permutations is None else trial.permutations
    errors, null, done = np.full(len(pairs), np.inf), None, asked
    if pairs:
        half = (trial.clock.spent + min(until, trial.clock.seconds)) / 2
        with trial.clock.interruptible():
            errors = input_errors(comparison, rows, rows if within else columns, pairs, trial.clock, half)
        null = permutation_null(
            comparison, first, second, pairs, observed, len(rows[0]), asked, trial.rng, trial.clock, until
        )
        done = null.permutations
    if not finite:
        status = ConvergenceStatus.DIVERGED
    elif len(pairs) < len(possible):
        status = ConvergenceStatus.DEGENERATE
    else:
        status = ConvergenceStatus.NOT_CONVERGED if done < asked else ConvergenceStatus.OK
    mirrored = within and comparison.symmetric
    shape = len(rows), len(columns)

    def matrix(numbers: np.ndarray) -> np.ndarray:
        return _matrix(shape, pairs, numbers, mirrored)

    itself = np.array([comparison.value(first[a], first[a]) if a in first else np.nan for a in range(len(rows))])
    table = matrix(observed)
    if within:
        np.fill_diagonal(table, itself)
    p = null.p if null else np.zeros(0)
    adjusted = holm(p)
    return PairTable(
        measure=comparison.name,
        values=table,
        errors=matrix(errors),
        null_mean=matrix(null.mean if null else p),
        null_deviation=matrix(null.deviation if null else p),
        p=matrix(p),
        adjusted=matrix(adjusted),
        beyond=np.nan_to_num(matrix((adjusted <= trial.level * (1 + ROUNDING)).astype(float))).astype(bool),
        permutations=done,
        level=trial.level,
        nearer=comparison.nearer,
        within=within,
        directed=not comparison.symmetric,
        status=status,
    )


def _pairs(rows: int, columns: int, within: bool, symmetric: bool) -> list[tuple[int, int]]:
    """All pairs; within a population each once, or in both directions where the direction counts."""
    if within and symmetric:
        return list(itertools.combinations(range(rows), 2))
    return [(a, b) for a in range(rows) for b in range(columns) if not (within and a == b)]


def _prepared(
    comparison: Comparison, given: Sequence[np.ndarray], usable: Callable[[np.ndarray], bool]
) -> dict[int, Any]:
    return {a: comparison.prepare(x) for a, x in enumerate(given) if np.isfinite(x).all() and usable(x)}


def _matrix(
    shape: tuple[int, int], pairs: Sequence[tuple[int, int]], numbers: np.ndarray, mirrored: bool
) -> np.ndarray:
    """Numbers of pairs as a matrix; NaN where there is none."""
    found = np.full(shape, np.nan)
    for (a, b), number in zip(pairs, numbers, strict=True):
        found[a, b] = number
        if mirrored:
            found[b, a] = number
    return found
