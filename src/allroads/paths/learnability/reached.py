"""When a recorded loss fell to a goal."""

from __future__ import annotations

from typing import Any

import numpy as np


def reached(steps: Any, losses: Any, goal: float) -> float | None:
    """The step at which a loss fell to its goal: between two records log loss is taken as linear in log(1 + step).

    Args:
        steps: Recorded steps, ascending.
        losses: The loss at each.
        goal: The goal, above 0.

    Returns:
        The step, ``None`` where no record is at the goal or below it.

    Example:
        >>> round(reached([0, 1, 3], [1.0, 0.5, 0.125], 0.25), 6), reached([0, 1], [1.0, 0.5], 0.25)
        (1.828427, None)
    """
    steps, losses = np.asarray(steps, float), np.maximum(np.asarray(losses, float), 1e-300)
    below = np.flatnonzero(losses <= goal)
    if not below.size:
        return None
    last = int(below[0])
    if last == 0 or not np.isfinite(losses[last - 1]):
        return float(steps[last])
    (left, right), (high, low) = (values[last - 1 : last + 1] for values in (np.log1p(steps), np.log(losses)))
    return float(np.expm1(left + (right - left) * (high - np.log(goal)) / (high - low)))
