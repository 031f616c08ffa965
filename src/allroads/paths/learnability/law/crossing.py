"""The step at which a recorded loss first falls to a goal."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def first_crossing(steps: ArrayLike, losses: ArrayLike, goal: float) -> float | None:
    """Step at which a loss first falls to its goal; the log loss is linear in log(1 + step) between two records.

    Args:
        steps: Recorded steps, ascending.
        losses: Loss at each.
        goal: Goal, above 0.

    Returns:
        The step, ``None`` where no record is at the goal or below it.

    Example:
        >>> round(first_crossing([0, 1, 3], [1.0, 0.5, 0.125], 0.25), 6), first_crossing([0, 1], [1.0, 0.5], 0.25)
        (1.828427, None)
    """
    at, values = np.asarray(steps, float), np.maximum(np.asarray(losses, float), 1e-300)
    below = np.flatnonzero(values <= goal)
    if not below.size:
        return None
    last = int(below[0])
    if last == 0 or not np.isfinite(values[last - 1]):
        return float(at[last])
    (left, right), (high, low) = (logs[last - 1 : last + 1] for logs in (np.log1p(at), np.log(values)))
    return float(np.expm1(left + (right - left) * (high - np.log(goal)) / (high - low)))
