"""The expected cost of a search that starts anew where a run fails, with its interval."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.stats import t as student

from allroads.checks import check_number
from allroads.errors import InputError
from allroads.points.prior import clopper_pearson
from allroads.results import Measurement
from allroads.status import ChannelStatus

CONFIDENCE = 0.95
"""Of the intervals."""
FEWEST = 4
"""Runs from which on a cost has an interval."""


def search_cost(spent: Any, fitted: Any, cutoff: float | None = None) -> Measurement:
    """``log₂`` of the expected cost until a fit, where a run that has not fitted by a cutoff gives way to a new one.

    Runs are independent, so the number of restarts is geometric. The cost is ``E[min(C, c)] / P(C ≤ c)`` for the
    cost C to a fit and the cutoff c: successes cost what they cost, and each failure costs c.

    Args:
        spent: What each run spent, up to its fit or to its end, ``[M]``, above 0.
        fitted: Whether it fitted, ``[M]``.
        cutoff: c, in the unit of ``spent``; default the most that a run spent.

    Returns:
        A :class:`~allroads.Measurement` in bits. ``stats`` holds ``low`` and ``high``, the ends of the 95 % interval;
        ``runs``, ``fitted``, and ``cutoff``. Statuses: ``lower bound`` where no run fits, and the value is the lower
        end; ``undersampled`` where too few runs fit to bound the cost from above.

    The interval is Fieller's for a ratio of means. Where no run fails it allows for the failures that so many runs can
    hide, each of which costs the cutoff.

    Raises:
        InputError: If there are fewer than four runs, the arrays do not match, or a number is out of range.

    When it fails: a cutoff that was chosen from the same runs makes the cost look too low; see
    :func:`restart_cutoff`. The interval supposes that means are nearly normal.

    References: [fieller1954]

    Example:
        Half of the runs fit for 4, the others give up after 12: a success and on average one failure.

        >>> found = search_cost([4, 4, 4, 4, 12, 12, 12, 12], [1, 1, 1, 1, 0, 0, 0, 0])
        >>> found.value, found.status.value  # log₂ (4 + 12)
        (4.0, 'ok')
        >>> search_cost([12] * 8, [0] * 8).status.value
        'lower bound'
    """
    cost, success = checked_runs(spent, fitted)
    if len(cost) < FEWEST:
        raise InputError(
            f"runs: expected {FEWEST} or more, got {len(cost)}. A cost has no interval then; run more members."
        )
    check_number("cutoff", cutoff, 0, open_low=True, absent=True)
    limit = float(cost.max() if cutoff is None else cutoff)
    success = success & (cost <= limit)
    x, y = np.minimum(cost, limit), success.astype(float)
    stats: dict[str, Any] = {"runs": len(x), "fitted": int(y.sum()), "cutoff": limit}
    if not success.any():
        low = math.log2(x.mean() / clopper_pearson(0, len(x), CONFIDENCE)[1])
        return Measurement(low, None, ChannelStatus.LOWER_BOUND, stats | {"low": low, "high": math.inf})
    least, most = _fieller(x, y)
    if success.all():
        share = clopper_pearson(len(y), len(y), CONFIDENCE)[0]
        most += (1 - share) / share * limit
    value, low = math.log2(x.mean() / y.mean()), math.log2(max(least, x.min()))
    high = math.log2(most) if most < math.inf else math.inf
    status = ChannelStatus.OK if most < math.inf else ChannelStatus.UNDERSAMPLED
    return Measurement(value, max(value - low, high - value), status, stats | {"low": low, "high": high})


def restart_cutoff(spent: Any, fitted: Any) -> float:
    """The cutoff with the least estimated cost, among the costs at which a run fitted.

    Choose it by some runs and measure by others: on the runs that it was chosen by, the cost looks too low.

    Args:
        spent: As in :func:`search_cost`.
        fitted: The same.

    Returns:
        The cutoff; the most that a run spent where none fits.

    Raises:
        InputError: As in :func:`search_cost`.

    Example:
        Three of four runs fit early, so waiting for the last does not pay: cutoffs of 3 and 90 cost 4 and 24.75.

        >>> restart_cutoff([3, 3, 3, 90], [1, 1, 1, 1])
        3.0
    """
    cost, success = checked_runs(spent, fitted)
    if not success.any():
        return float(cost.max())
    candidates = np.unique(cost[success])
    expected = [np.minimum(cost, c).mean() / (success & (cost <= c)).mean() for c in candidates]
    return float(candidates[int(np.argmin(expected))])


def checked_runs(spent: Any, fitted: Any) -> tuple[np.ndarray, np.ndarray]:
    """Costs as numbers and successes as truth values, one per run.

    Raises:
        InputError: If they do not match, or are no costs above 0.
    """
    cost, success = np.asarray(spent, float), np.asarray(fitted).astype(bool)
    if cost.ndim != 1 or success.shape != cost.shape or not len(cost):
        raise InputError(f"spent and fitted: expected one each per run; got shapes {cost.shape} and {success.shape}.")
    if not np.isfinite(cost).all() or (cost <= 0).any():
        raise InputError(
            "spent: expected finite numbers above 0, one per run; a run that never fits costs all it took."
        )
    return cost, success


def _fieller(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Fieller's interval of ``E x / E y``; the upper end is infinite where ``E y`` is not told from 0."""
    count = len(x)
    g = float(student.ppf((1 + CONFIDENCE) / 2, count - 1)) ** 2 / count
    (xx, xy), (_, yy) = np.cov(x, y)
    a, b, c = y.mean() ** 2 - g * yy, x.mean() * y.mean() - g * xy, x.mean() ** 2 - g * xx
    if a <= 0:
        # The interval is a half-line or everything; below it lies at most the smaller root.
        inside = b * b - a * c
        root = (b - math.sqrt(inside)) / a if inside > 0 and a < 0 else 0.0
        return max(root, 0.0), math.inf
    spread = math.sqrt(max(b * b - a * c, 0.0))
    return (b - spread) / a, (b + spread) / a
