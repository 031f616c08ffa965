"""Holm's correction of p-values for their number."""

from __future__ import annotations

from typing import Any

import numpy as np


def holm(p: Any) -> np.ndarray:
    """P-values adjusted so that rejecting those up to α makes any false rejection at most α likely.

    The r-th smallest of m is multiplied by m − r + 1, is no smaller than those before it, and is at most 1. It holds
    for p-values that depend on each other in any way.

    Args:
        p: P-values of any shape; NaN stands for a test that was not made, and is not counted.

    Returns:
        The adjusted ones, in the same shape.

    References:
        [holm1979]

    Example:
        >>> holm([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]
    """
    given = np.asarray(p, np.float64)
    adjusted = np.full(given.size, np.nan)
    made = np.flatnonzero(~np.isnan(given.ravel()))
    order = made[np.argsort(given.ravel()[made], kind="stable")]
    raised = given.ravel()[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(raised), 1.0) if len(order) else raised
    return adjusted.reshape(given.shape)
