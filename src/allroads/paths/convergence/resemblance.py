"""Two representations compared by every measure, each beside its permutation null."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.budget import budgeted
from allroads.checks import check_count
from allroads.paths.convergence.comparison import Comparison, check_memory, checked_pair
from allroads.paths.convergence.measures import MEASURES, chosen_measures, in_order
from allroads.paths.convergence.tables import PairTable, Trial, pair_table
from allroads.results import Measurement, Result, finish
from allroads.status import ConvergenceStatus, Status


@dataclass(frozen=True, eq=False, repr=False)
class Resemblance(Result):
    """What two representations have in common.

    Args:
        measures: By name a :class:`~allroads.Measurement`: ``value``; ``error``, its half-width for inputs drawn from a
            larger set; and in ``stats`` the ``null`` mean, the ``excess`` over it and the p-value ``p``.
        permutations: Permutations of the inputs, the fewest of any measure.
        inputs: Number of inputs.
        status: ``ok``, or the first of the measures' statuses that is not.
    """

    measures: Mapping[str, Measurement]
    permutations: int
    inputs: int
    status: Status

    def __getitem__(self, measure: str) -> Measurement:
        return self.measures[measure]

    @property
    def value(self) -> float:
        """Debiased CKA, or where it was left out the first measure in the table of measures."""
        return next(iter(in_order(self.measures).values())).value

    @property
    def error(self) -> float | None:
        """Its half-width."""
        return next(iter(in_order(self.measures).values())).error

    @property
    def stats(self) -> dict[str, Any]:
        """The p-value of each measure."""
        return {name: found.stats["p"] for name, found in in_order(self.measures).items()}

    def __str__(self) -> str:
        return self.describe()

    def describe(self) -> str:
        """A line for each measure."""
        return "\n".join(
            f"{name}: {found.value:.3g} ± {found.error:.2g}, null {found.stats['null']:.3g}, p {found.stats['p']:.3g}"
            + ("" if found.status.sound else f" ({found.status.value})")
            for name, found in in_order(self.measures).items()
        )

    def __repr__(self) -> str:
        found = ", ".join(f"{name}={one.value:.3g}" for name, one in in_order(self.measures).items())
        return f"Resemblance({found}, status={self.status.value})"


def compare_representations(
    x: Any,
    y: Any,
    *,
    measures: Sequence[str] | str = MEASURES,
    k: int | None = None,
    permutations: int = 999,
    seed: int = 0,
    budget: float | None = None,
    progress: bool = True,
    throw: bool = False,
) -> Resemblance:
    """What two representations of the same inputs have in common, each measure beside its permutation null.

    The representations may come from different layers, widths or architectures, and from any library. The null
    shuffles the inputs of ``y``: it is what the measure gives when the inputs have nothing to do with each other. Two
    networks that saw the same inputs are beyond it for that reason alone, untrained ones too. Compare with those.

    Args:
        x: Activations ``[n, d]`` of one network on n inputs, NumPy, JAX or PyTorch.
        y: Activations ``[n, e]`` of the other on the same inputs.
        measures: ``"cka"`` (debiased), ``"procrustes"`` (an angle), ``"neighbours"`` (mutual), ``"rsa"``,
            ``"stitching"`` (from x to y); default all.
        k: Neighbours; default 10, or a quarter of fewer than 40 inputs.
        permutations: Default 999; the smallest p-value is 1 over one more.
        seed: Of the order of the inputs and the permutations.
        budget: Seconds that the call may take. Where it ends first the p-values rest on fewer permutations, and the
            status is ``not converged``. So does Ctrl-C.
        progress: Whether a bar, or a line every ten seconds, tells what is being done.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`Resemblance`. A measure that has no number, as of a constant representation, says why in its status.

    Raises:
        InputError: If the matrices are no representations of the same inputs, four or more and no more than fit; or k
            is n or more.
        UnknownNameError: If there is no such measure.

    When it fails: memory and time grow as n²; inputs that would need more than 4 GB are refused.

    References:
        [kornblith2019], [williams2021], [huh2024], [kriegeskorte2008], [bansal2021], [phipson2010]

    Example:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(60, 5))
        >>> found = compare_representations(x, 3 * x[:, ::-1], permutations=99)
        >>> round(found["cka"].value, 6), found["cka"].stats["p"], round(found["neighbours"].stats["null"], 2)
        (1.0, 0.01, 0.17)
    """
    with budgeted("compare_representations", budget, progress) as clock:
        first, second = checked_pair(x, y)
        check_count("permutations", permutations)
        check_count("seed", seed, 0)
        comparisons = chosen_measures(measures, k, len(first))
        check_memory(len(first), 2)
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(first))
        trial = Trial(permutations, 0.05, rng, clock)
        tables = compare_all(comparisons, [first[order]], [second[order]], trial)
        found = {name: _measurement(table) for name, table in tables.items()}
        status = worst(*(table.status for table in tables.values()))
        done = min(table.permutations for table in tables.values())
        return finish(Resemblance(found, done, len(first), status), throw)


def compare_all(
    comparisons: Sequence[Comparison],
    left: Sequence[np.ndarray],
    right: Sequence[np.ndarray] | None,
    trial: Trial,
    until: float = math.inf,
) -> dict[str, PairTable]:
    """A table for each measure; the time that is left until a moment is parted among those still to come."""
    found = {}
    for number, comparison in enumerate(comparisons):
        spent = trial.clock.spent
        left_over = min(trial.clock.left, max(until - spent, 0.0))
        found[comparison.name] = pair_table(
            comparison,
            left,
            right,
            trial,
            until=spent + left_over / (len(comparisons) - number),
        )
    return found


def worst(*statuses: Status) -> ConvergenceStatus:
    """The status that says most against the numbers."""
    order = (ConvergenceStatus.DIVERGED, ConvergenceStatus.DEGENERATE, ConvergenceStatus.NOT_CONVERGED)
    return next((status for status in order if status in statuses), ConvergenceStatus.OK)


def _measurement(table: PairTable) -> Measurement:
    value, error = float(table.values[0, 0]), float(table.errors[0, 0])
    stats = {
        "null": float(table.null_mean[0, 0]),
        "null_deviation": float(table.null_deviation[0, 0]),
        "excess": float(table.excess[0, 0]),
        "p": float(table.p[0, 0]),
        "permutations": table.permutations,
    }
    return Measurement(value, error, table.status, stats)
