"""Curves of low mean loss: the control points of a Bezier curve or of a polygon, trained."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from allroads.paths.connect.curves import chord, joined, weights
from allroads.paths.connect.method import CurveObjective, Fixed, Method, nothing, spread, unchanged
from allroads.pfmap.objective import Examples

CHECKED = 13
"""Points of a curve at which it is seen whether the loss still falls."""


def expected(objective: CurveObjective, free: int) -> Method:
    """Lowers ``∫ L(γ(t)) dt`` over the free control points, with t drawn anew in every step.

    The unit interval is cut in as many parts as there are samples, with one t in each.

    References: [garipov2018]
    """

    def mean_loss(free: Any, fixed: Fixed, data: Examples, key: Any) -> Any:
        ts = spread(key, objective.samples, free.dtype)
        points = weights(objective.kind, ts, fixed.knots) @ joined(fixed.ends, free)
        return jax.vmap(objective.mean, (0, None))(points, data).mean()

    def along(free: np.ndarray, fixed: Fixed) -> np.ndarray:
        ts = np.linspace(0.0, 1.0, CHECKED)
        points: np.ndarray = weights(objective.kind, ts, fixed.knots) @ joined(fixed.ends, free)
        return points

    return Method(chord, nothing, jax.grad(mean_loss), unchanged, along, lambda ends: objective.samples)
