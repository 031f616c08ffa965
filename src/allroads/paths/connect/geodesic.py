"""Short curves in function space."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.paths.connect.curves import chord, joined, weights
from allroads.paths.connect.expected import CHECKED
from allroads.paths.connect.method import CurveObjective, Fixed, Method, unchanged
from allroads.pfmap.charts import to_chart
from allroads.pfmap.objective import Examples

RIDGE = 0.01
"""Weight of length in parameter space, as a share of what the straight segment pays in function space."""


def geodesic(objective: CurveObjective, free: int) -> Method:
    """Lowers the energy ``∫ ‖d/dt φ(F(γ))‖²/N + ε ‖γ'‖² dt`` of a polygon; labels play no part.

    The curve of least energy is the shortest in the metric ``JᵀJ/N + ε``, where J is the Jacobian of the map in the
    chart φ, run through at constant speed. The metric of function space alone is degenerate where parameters outnumber
    outputs, so ``ε = 0.01 · E₁/‖b − a‖²``, with E₁ the first term on the straight segment. The first term is taken
    between points of the curve at even steps of t with a random offset: between them the image is taken as straight.
    """

    def image_energy(points: Any, ts: Any, inputs: Any) -> Any:
        images = jax.vmap(lambda point: to_chart(objective.values(point, inputs), objective.chart))(points)
        squares = (jnp.diff(images, axis=0) ** 2).reshape(len(points) - 1, -1).sum(axis=1) / images.shape[1]
        return (squares / jnp.diff(ts)).sum()

    def context(fixed: Fixed, data: Examples) -> Any:
        ts = jnp.linspace(0, 1, 2 * CHECKED - 1, dtype=fixed.ends.dtype)
        straight = fixed.ends[0] + ts[:, None] * (fixed.ends[1] - fixed.ends[0])
        squared = ((fixed.ends[1] - fixed.ends[0]) ** 2).sum()
        return RIDGE * image_energy(straight, ts, data.inputs) / jnp.maximum(squared, jnp.finfo(ts.dtype).tiny)

    def energy(free: Any, fixed: Fixed, data: Examples, key: Any) -> Any:
        offset = jax.random.uniform(key, (), free.dtype, 0.05, 0.95)
        inner = (jnp.arange(objective.samples) + offset) / objective.samples
        ts = jnp.concatenate([jnp.zeros(1, free.dtype), inner, jnp.ones(1, free.dtype)])
        control = joined(fixed.ends, free)
        length = (jnp.diff(control, axis=0) ** 2).sum(axis=1) / jnp.diff(fixed.knots)
        return (
            image_energy(weights(objective.kind, ts, fixed.knots) @ control, ts, data.inputs)
            + fixed.context * length.sum()
        )

    def along(free: np.ndarray, fixed: Fixed) -> np.ndarray:
        ts = np.linspace(0.0, 1.0, CHECKED)
        points: np.ndarray = weights(objective.kind, ts, fixed.knots) @ joined(fixed.ends, free)
        return points

    return Method(chord, context, jax.grad(energy), unchanged, along, lambda ends: objective.samples + 2)
