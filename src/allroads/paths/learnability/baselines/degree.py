"""Baseline: Fourier degree of a Boolean target."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from allroads.targets import walsh


def degree(coefficients: Sequence[NDArray[np.float64]]) -> float:
    """Fourier degree, the size of the largest set with a nonzero coefficient; the largest over outputs, 0 of none.

    References: [odonnell2014]

    Example:
        >>> from allroads.paths.learnability.baselines.truth_table import walsh_coefficients
        >>> degree(walsh_coefficients(np.arange(4), [1, -1, -1, 1]))  # the parity of two bits
        2.0
    """
    return float(max((walsh.degree(one) for one in coefficients), default=0))
