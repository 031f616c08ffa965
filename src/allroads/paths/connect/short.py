"""Short curves of low loss: polygons that leave the straight segment no more than the loss asks for."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from allroads.paths.connect.curves import joined
from allroads.paths.connect.expected import CHECKED, expected
from allroads.paths.connect.method import CurveObjective, Fixed, Method
from allroads.pfmap.objective import Examples

PRICE = 0.01
"""What doubling the squared length may cost in mean loss, as a share of what the straight segment costs."""


def short(objective: CurveObjective, free: int) -> Method:
    """Lowers ``∫ L(γ(t)) dt + μ (∫ ‖γ'‖² dt / ‖b − a‖² − 1)`` over the corners of a polygon.

    ``μ = 0.01 · max(0, ∫ L(straight) dt − (L(a) + L(b))/2)``: a shorter curve is taken where it costs little, measured
    by what the straight one would. The second term is 0 on the straight segment alone, and at constant speed it is
    the square of the length over the distance, less 1.

    References: [lin2024]
    """
    plain = expected(objective, free)

    def context(fixed: Fixed, data: Examples) -> Any:
        ts = jnp.linspace(0, 1, 2 * CHECKED - 1, dtype=fixed.ends.dtype)
        losses = jax.lax.map(lambda t: objective.mean(fixed.ends[0] + t * (fixed.ends[1] - fixed.ends[0]), data), ts)
        squared = ((fixed.ends[1] - fixed.ends[0]) ** 2).sum()
        excess = jnp.maximum(losses.mean() - (losses[0] + losses[-1]) / 2, 0.0)
        return PRICE * excess / jnp.maximum(squared, jnp.finfo(ts.dtype).tiny)

    def energy(free: Any, fixed: Fixed) -> Any:
        return ((jnp.diff(joined(fixed.ends, free), axis=0) ** 2).sum(axis=1) / jnp.diff(fixed.knots)).sum()

    def direction(free: Any, fixed: Fixed, data: Examples, key: Any) -> Any:
        return plain.direction(free, fixed, data, key) + fixed.context * jax.grad(energy)(free, fixed)

    return plain._replace(context=context, direction=direction)
