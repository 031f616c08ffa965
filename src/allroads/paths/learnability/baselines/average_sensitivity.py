"""Baseline: average sensitivity of a Boolean target."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from allroads.targets.walsh import total_influence


def average_sensitivity(coefficients: Sequence[NDArray[np.float64]]) -> float:
    """Average sensitivity (total influence) ``Σ_S |S| f̂(S)²``; the largest over outputs, 0 of none.

    References: [odonnell2014]

    Example:
        >>> from allroads.paths.learnability.baselines.truth_table import walsh_coefficients
        >>> average_sensitivity(walsh_coefficients(np.arange(4), [1, -1, -1, 1]))  # the parity of two bits
        2.0
    """
    return float(max((total_influence(one) for one in coefficients), default=0))
