"""Flights of many particles through a set that are reflected where they would leave it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

STEPS = 4
"""Steps of one flight."""
ACCEPTED = 0.7
"""Share of steps that should be accepted; their length is adapted to it."""
COST = 5
"""Evaluations of the height that one step counts for: one with its gradient, and two more."""


def reflected_flight(
    key: Any,
    start: tuple[Any, Any, Any],
    spread: Any,
    log_step: Any,
    inside: Callable[[Any], Any],
    looks: Callable[[Any], tuple[Any, Any]],
    slope: Callable[[Any], tuple[Any, Any]],
) -> tuple[tuple[Any, Any, Any], Any]:
    """A flight of each particle, which leaves the density inside the set as it is.

    A step goes straight on where that stays in the set; where it would leave, the velocity is reflected by the gradient
    of the height there and the particle takes a second step from that outer place; where the end is outside, less
    dense by chance, or not joined to the beginning, the particle stays and turns round. Each of the three is its own
    inverse under reversal of the velocity. A line renews one direction of d at a time, a flight in a round set all.

    Args:
        key: Decides the flights.
        start: Offsets ``[R, N, d]``, heights and log-densities ``[R, N]``.
        spread: ``[R, 1, d]``, unit of the velocity, of particles that do not move now.
        log_step: Log of the velocity's standard deviation in that unit.
        inside: ``heights -> flags``.
        looks: ``offsets -> heights, log_densities``.
        slope: ``offsets -> heights, gradients``.

    Returns:
        Places, heights and log-densities after the flight, and the share of accepted steps.

    References: [skilling2012]
    """
    keys = jax.random.split(key, 1 + STEPS)
    flight = jnp.exp(log_step) * jax.random.normal(keys[0], start[0].shape)

    def step(carry: Any, key: Any) -> tuple[Any, Any]:
        (place, at, density), flight = carry
        ahead = place + spread * flight
        height, gradient = slope(ahead)
        gradient = jnp.where(jnp.isfinite(gradient), gradient, 0.0) * spread
        normal = gradient / jnp.maximum(jnp.linalg.norm(gradient, axis=-1, keepdims=True), 1e-300)
        reflected = flight - 2 * (flight * normal).sum(-1, keepdims=True) * normal
        leaves = ~inside(height)[..., None]
        onward = jnp.where(leaves, reflected, flight)
        end = jnp.where(leaves, ahead + spread * reflected, ahead)
        end_height, end_density = looks(end)
        threshold = density + jnp.log(jax.random.uniform(key, density.shape, minval=1e-300))
        joined = inside(looks((place + end) / 2)[0])
        taken = inside(end_height) & (end_density >= threshold) & joined
        now = (
            jnp.where(taken[..., None], end, place),
            jnp.where(taken, end_height, at),
            jnp.where(taken, end_density, density),
        )
        return (now, jnp.where(taken[..., None], onward, -flight)), taken.mean()

    (end, _), taken = jax.lax.scan(step, (start, flight), keys[1:])
    return end, taken.mean()
