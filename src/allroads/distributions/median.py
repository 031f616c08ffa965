"""The median of a few numbers with its interval from order statistics."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import binom


def median_interval(values: Any, level: float = 0.95) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Median of independent numbers, and an interval that holds that of their law with probability ``level`` or more.

    Its ends are order statistics. The number of those below the median is binomial, whatever the law [thompson1936].

    Args:
        values: ``[…, n]``; NaN is no number, an infinite one counts as beyond all others.
        level: The probability of holding the truth.

    Returns:
        Median, lower and upper end ``[…]``. All are NaN where there is no number; ends are infinite where there are too
        few, at 95 % fewer than six.

    References: [thompson1936]

    Example:
        >>> [end.tolist() for end in median_interval([1.0, 2.0, 3.0, 4.0, 5.0, 9.0])]
        [3.5, 1.0, 9.0]
        >>> [end.tolist() for end in median_interval([1.0, 2.0, 3.0])]
        [2.0, -inf, inf]
    """
    ordered = np.sort(np.asarray(values, float), axis=-1)  # NaN last
    counts = (~np.isnan(ordered)).sum(-1)
    found = np.full((3, *counts.shape), np.nan)
    for count in np.unique(counts[counts > 0]):
        at = counts == count
        ranked = ordered[at]
        lower = int(binom.ppf((1 - level) / 2, count, 0.5))  # P(fewer than `lower` lie below) ≤ (1 − level) / 2
        found[0, at] = (ranked[:, (count - 1) // 2] + ranked[:, count // 2]) / 2
        found[1, at] = ranked[:, lower - 1] if lower else -np.inf
        found[2, at] = ranked[:, count - lower] if lower else np.inf
    return found[0], found[1], found[2]
