"""The race: whether runs that reach simpler functions fit sooner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from allroads.errors import InputError
from allroads.results import Measurement, finish
from allroads.status import ChannelStatus
from allroads.studies.channels.ranks import FEWEST, PERMUTATIONS, Ranked, number_per_member, rank_relation


@dataclass(frozen=True, repr=False)
class Race(Ranked):
    """Rank correlation of complexity and time to fit.

    Args:
        correlation: Spearman's ρ; above 0 the runs that reach simple functions fit sooner.
        complexity: The different complexities, rising, ``[L]``.
        counts: Runs that reached each, ``[L]``.
        median: Median of their times, ``[L]``.
        status: ``ok``, or ``constant``.
        stats: ``p``, ``low``, ``high``, and ``left_out`` (runs that never fit).
    """

    correlation: Measurement
    complexity: np.ndarray
    counts: np.ndarray
    median: np.ndarray
    status: ChannelStatus
    stats: Mapping[str, Any] = field(default_factory=dict)


def race(
    times: Any,
    complexity: Any,
    *,
    fitted: Any = None,
    data: Any = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    throw: bool = False,
) -> Race:
    """Whether runs that reach simpler functions fit sooner, on data that several functions fit.

    All runs have the same data, so the target does not decide: each run goes to one of the functions that fit. The race
    compares how long it took with how complex that function is. Runs on several data sets are ranked within each.

    Args:
        times: Steps or cost to the first fit, ``[M]``, such as those of
            :func:`~allroads.studies.channels.first_fit`.
        complexity: Of the function that each run computes at its first fit, ``[M]``.
        fitted: Which runs fit, ``[M]``; the others are left out. Default all.
        data: A label of the data set of each run, ``[M]``; default one.
        permutations: Of the complexities within each data set, for the p-value.
        seed: Decides them.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`Race`; see :func:`~allroads.studies.channels.ranks.rank_relation` for its interval.

    Raises:
        InputError: If no run fits, fewer than four do, or the arrays do not match.

    When it fails: a run that never fits has no function, so the race is among those that fit. A correlation does not
    say that simplicity makes runs fast: a start near a function is both soon there and likely to end there.

    References: [bonett2000, phipson2010]

    Example:
        Simple functions were reached in 10 steps, complex ones in 20:

        >>> found = race([10, 11, 12, 20, 21, 22], [1, 1, 1, 4, 4, 4])
        >>> round(found.value, 2), found.median.tolist(), round(found.stats["p"], 1)
        (0.88, [11.0, 21.0], 0.1)
    """
    when, codes = number_per_member("times", times), number_per_member("complexity", complexity)
    kept = np.ones(when.shape, bool) if fitted is None else np.asarray(fitted).astype(bool)
    labels = np.zeros(when.shape, int) if data is None else np.asarray(data)
    if not when.ndim == 1 or not when.shape == codes.shape == kept.shape == labels.shape:
        raise InputError(
            f"times and complexity: expected one of each per run; got shapes {when.shape}, {codes.shape}, {kept.shape} "
            f"and {labels.shape}."
        )
    if kept.sum() < FEWEST:
        raise InputError(
            f"race: {int(kept.sum())} of {len(kept)} runs fit; expected {FEWEST} or more. Allow more steps, run more "
            "members, or take easier data."
        )
    when, codes, labels = when[kept], codes[kept], labels[kept]
    found = rank_relation(codes, when, labels, permutations=permutations, seed=seed)
    levels = np.unique(codes)
    medians = np.array([np.median(when[codes == level]) for level in levels])
    counts = np.array([(codes == level).sum() for level in levels])
    stats = dict(found.stats) | {"left_out": int((~kept).sum())}
    return finish(Race(found, levels, counts, medians, ChannelStatus(found.status), stats), throw)
