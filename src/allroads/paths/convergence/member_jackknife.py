"""Uncertainty of a mean over pairs of members: members are left out in turn."""

from __future__ import annotations

import numpy as np
from scipy.stats import t as student


def mean_over_pairs(values: np.ndarray, *, within: bool) -> tuple[float, float]:
    """Mean over pairs of members, with the half-width of its 95 % interval for members drawn from a larger set.

    Pairs that share a member are not independent, so members are left out and not pairs.

    Args:
        values: ``[M, M']``, one number per pair; NaN where there is none.
        within: Whether rows and columns are the same members; the diagonal is then left out.

    Returns:
        The mean, NaN without any pair; and the half-width, infinite with fewer than three members (of two populations:
        with fewer than two members in one).

    When it fails: pairs that are all equal give the half-width 0, however few they are.

    References:
        [efron1981]

    Example:
        Members of whom one pair of three differs:

        >>> mean, error = mean_over_pairs(np.array([[1, 1, 1], [1, 1, 0], [1, 0, 1.0]]), within=True)
        >>> round(mean, 3), error > 0.3
        (0.667, True)
    """
    held = ~np.isnan(values)
    if within:
        held &= ~np.eye(len(values), dtype=bool)
    if not held.any():
        return float("nan"), float("inf")
    known = np.where(held, values, 0.0)
    total, count = known.sum(), held.sum()
    sums = [(known.sum(axis=1), held.sum(axis=1)), (known.sum(axis=0), held.sum(axis=0))]
    if within:
        sums = [(sums[0][0] + sums[1][0], sums[0][1] + sums[1][1])]
    variance, fewest = 0.0, len(known)
    for parts, counts in sums:
        parts, counts = parts[counts > 0], counts[counts > 0]
        if len(parts) < 2 or (count - counts).min() <= 0:
            return float(total / count), float("inf")
        without = (total - parts) / (count - counts)
        variance += (len(parts) - 1) / len(parts) * ((without - without.mean()) ** 2).sum()
        fewest = min(fewest, len(parts))
    return float(total / count), float(student.ppf(0.975, fewest - 1) * np.sqrt(variance))
