"""Baseline: leap complexity of a Boolean target."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from allroads.targets import walsh


def leap(coefficients: Sequence[NDArray[np.float64]]) -> float:
    """Leap complexity: new bits that the worst set adds, in the best order; the largest over outputs, 0 of none.

    References: [abbe2023]

    Example:
        >>> from allroads.paths.learnability.baselines.truth_table import walsh_coefficients
        >>> leap(walsh_coefficients(np.arange(4), [1, -1, -1, 1]))  # the parity of two bits
        2.0
    """
    return float(max((walsh.leap(walsh.support(one)) for one in coefficients), default=0))
