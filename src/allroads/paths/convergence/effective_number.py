"""Effective number of functions or programs that members reach."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

from allroads.paths.convergence.collision import collision_probability
from allroads.results import Measurement
from allroads.status import ConvergenceStatus


def effective_number(labels: Sequence[Hashable]) -> Measurement:
    """Effective number ``1 / Σ p²`` of labels: as many equally probable ones would collide as often.

    It is the inverse of the collision probability, and so are the ends of its interval. Where no two members are alike
    the value is the lower end of the interval, with the status ``lower bound``.

    Args:
        labels: One per member, two or more.

    Returns:
        A :class:`~allroads.Measurement` with ``low`` and ``high`` in ``stats``; the upper end may be infinite.

    Raises:
        InputError: If there are fewer than two labels, or one is not hashable.

    References:
        [hoeffding1963]

    Example:
        >>> float(effective_number(["a"] * 8)), effective_number("abcdefgh").status.value
        (1.0, 'lower bound')
    """
    collision = collision_probability(labels)
    low, high = 1 / collision.stats["high"], _inverse(collision.stats["low"])
    stats = {**collision.stats, "low": low, "high": high}
    if collision.value == 0:
        return Measurement(low, math.inf, ConvergenceStatus.LOWER_BOUND, stats)
    return Measurement(1 / collision.value, (high - low) / 2, ConvergenceStatus.OK, stats)


def _inverse(probability: float) -> float:
    return 1 / probability if probability > 0 else math.inf
