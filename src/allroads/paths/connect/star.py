"""A star: one centre from which straight segments of low loss lead to many points."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from allroads.paths.connect.expected import CHECKED
from allroads.paths.connect.method import CurveObjective, Fixed, Method, nothing, spread, unchanged
from allroads.pfmap.objective import Examples


def star(objective: CurveObjective, free: int) -> Method:
    """Lowers the mean over points and t of ``L((1−t) point + t centre)``; the only free point is the centre.

    References: [sonthalia2024]
    """

    def middle(ends: np.ndarray, knots: np.ndarray) -> np.ndarray:
        mean: np.ndarray = ends.mean(axis=0, keepdims=True)
        return mean

    def arms(centre: Any, fixed: Fixed, ts: Any) -> Any:
        return fixed.ends[:, None] + ts[:, None] * (centre - fixed.ends)[:, None]

    def mean_loss(free: Any, fixed: Fixed, data: Examples, key: Any) -> Any:
        points = arms(free[0], fixed, spread(key, objective.samples, free.dtype))
        losses = jax.vmap(objective.mean, (0, None))(points.reshape(-1, free.shape[-1]), data)
        return losses.mean()

    def along(free: np.ndarray, fixed: Fixed) -> np.ndarray:
        ts = np.linspace(0.0, 1.0, (CHECKED + 1) // 2)
        points: np.ndarray = arms(free[0], fixed, ts).reshape(-1, free.shape[-1])
        return points

    return Method(middle, nothing, jax.grad(mean_loss), unchanged, along, lambda ends: objective.samples * ends)
