"""The share of draws in which an event came."""

from __future__ import annotations

import math

from allroads.distributions.clopper_pearson import clopper_pearson
from allroads.results import Measurement
from allroads.status import PriorStatus


def share(count: int, samples: int) -> Measurement:
    """How often an event came in independent draws, an estimate of its probability.

    Args:
        count: Draws in which it came.
        samples: All draws.

    Returns:
        The share; ``stats`` holds ``count``, ``samples`` and the 95 % interval of Clopper and Pearson, ``low`` to
        ``high``. ``error`` is its larger side. Without draws the value is NaN, and the interval is all that there is.

    References: [clopper1934]

    Example:
        >>> share(1, 4).value, share(0, 4).stats["low"], share(0, 0).stats["high"]
        (0.25, 0.0, 1.0)
    """
    if samples == 0:
        return Measurement(
            math.nan, None, PriorStatus.UNDERSAMPLED, {"count": 0, "samples": 0, "low": 0.0, "high": 1.0}
        )
    low, high = clopper_pearson(count, samples)
    value = count / samples
    stats = {"count": count, "samples": samples, "low": low, "high": high}
    return Measurement(value, max(value - low, high - value), PriorStatus.OK, stats)
