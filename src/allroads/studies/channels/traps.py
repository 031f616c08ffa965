"""Traps: whether runs wait longer where the loss is more degenerate."""

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
class Traps(Ranked):
    """Rank correlation of residence and learning coefficient over plateaus.

    Args:
        correlation: Spearman's ρ within runs; below 0, degenerate plateaus, those of a small coefficient, hold longest.
        status: ``ok``, or ``constant``.
        stats: ``p``, ``low``, ``high``, ``plateaus``, ``runs``, and ``left_out`` (plateaus that no run had left).
    """

    correlation: Measurement
    status: ChannelStatus
    stats: Mapping[str, Any] = field(default_factory=dict)


def traps(
    residence: Any,
    coefficients: Any,
    runs: Any = None,
    *,
    ended: Any = None,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    throw: bool = False,
) -> Traps:
    """Whether residence at plateaus goes with their local learning coefficient.

    A point is the more degenerate the smaller its coefficient. If degeneracy traps, residence falls as the coefficient
    rises, and ρ is below 0. Plateaus of several runs are ranked within each run, so that slow runs do not count.

    Args:
        residence: Times, ``[P]``, such as those of :func:`~allroads.studies.channels.plateaus`.
        coefficients: λ at each plateau, ``[P]``: known, or of :func:`~allroads.llc`.
        runs: A label of the run of each plateau, ``[P]``; default one run.
        ended: Whether the plateau was left, ``[P]``; others are left out, as their residence is not known. Default all.
        permutations: Of the coefficients within each run, for the p-value.
        seed: Decides them.
        throw: Raise a :class:`~allroads.MeasurementError` where the status is not ``ok``.

    Returns:
        A :class:`Traps`; see :func:`~allroads.studies.channels.ranks.rank_relation` for its interval.

    Raises:
        InputError: If fewer than four plateaus are left, or the arrays do not match.

    When it fails: a coefficient is a property of a minimum of the loss. At a saddle it is that of the loss with the
    directions of escape held still, and ``llc`` of the loss itself is then not defined.

    References: [bonett2000, phipson2010]

    Example:
        In each of three runs the plateau of the larger coefficient holds longer:

        >>> found = traps([5, 9, 50, 90, 2, 4], [1, 2, 1, 2, 1, 2], [0, 0, 1, 1, 2, 2])
        >>> found.value, found.stats["runs"]
        (1.0, 3)
    """
    arrays = [number_per_member("residence", residence), number_per_member("coefficients", coefficients)]
    shape = arrays[0].shape
    arrays += [
        np.zeros(shape, int) if runs is None else np.asarray(runs),
        np.ones(shape, bool) if ended is None else np.asarray(ended).astype(bool),
    ]
    if len(shape) != 1 or any(array.shape != shape for array in arrays):
        raise InputError(f"traps: expected one of each per plateau; got shapes {[array.shape for array in arrays]}.")
    held, values, labels, left = arrays
    if left.sum() < FEWEST:
        raise InputError(
            f"traps: {int(left.sum())} plateaus were left by their run; expected {FEWEST} or more. Run longer, or take "
            "more runs."
        )
    found = rank_relation(values[left], held[left], labels[left], permutations=permutations, seed=seed)
    stats = dict(found.stats) | {"left_out": int((~left).sum())}
    stats["plateaus"], stats["runs"] = stats.pop("members"), stats.pop("strata")
    return finish(Traps(found, ChannelStatus(found.status), stats), throw)
