"""The probability of all that was not drawn."""

from __future__ import annotations

import math

import numpy as np

from allroads.results import Measurement
from allroads.status import PriorStatus

NORMAL = 1.959964
"""Standard deviations on each side of 95 % of a normal distribution."""


def missing_mass(counts: np.ndarray) -> Measurement:
    """The probability of all functions that were not drawn: the share of draws whose function came once [good1953].

    The error is the half-width of Esty's normal interval [esty1983], and 3 / samples at least, which is what remains
    possible where no function came once.

    References: [good1953, esty1983]

    Example:
        >>> missing_mass(np.array([5, 3, 1, 1])).value
        0.2
    """
    total = int(counts.sum())
    if total == 0:
        return Measurement(math.nan, None, PriorStatus.UNDERSAMPLED, {"once": 0, "twice": 0})
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    value = once / total
    deviation = math.sqrt(once * (1 - value) + 2 * twice) / total
    return Measurement(value, max(NORMAL * deviation, 3 / total), PriorStatus.OK, {"once": once, "twice": twice})
