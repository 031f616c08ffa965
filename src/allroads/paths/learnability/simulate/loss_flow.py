"""Flow time of a loss under the identity kernel: it makes losses comparable with the squared error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from allroads.pfmap.losses import PerExampleLoss

_STEP = 0.02
_LONGEST = 1e6


def identity_kernel_flow(per_example: PerExampleLoss) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """The function ``(outputs, labels, goal) -> (time, loss)`` of gradient flow under the identity kernel.

    It solves ``df/dt = −∂ Σ_n ℓ_n / ∂f`` from the outputs until the mean loss is ``goal``, by the classical
    Runge–Kutta method. The squared error of C outputs falls by ``e^{−4t/C}``.

    Args:
        per_example: ``(outputs, labels) -> losses [N]``.

    Returns:
        The time to the goal, and the loss at the start.
    """

    def flow(outputs: Any, labels: Any, goal: Any) -> tuple[Any, Any]:
        def mean(f: Any) -> Any:
            return per_example(f, labels).mean()

        velocity = jax.grad(lambda f: -per_example(f, labels).sum())

        def above_goal(carry: tuple[Any, ...]) -> Any:
            _, t, _, value, _ = carry
            return (value > goal) & (t < _LONGEST)

        def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            f, t, _, value, _ = carry
            h = _STEP * (1 + t)

            def stage(carry: tuple[Any, Any], given: tuple[Any, Any]) -> tuple[tuple[Any, Any], None]:
                slope, total = carry
                ahead, weight = given
                slope = velocity(f + ahead * h * slope)
                return (slope, total + weight * slope), None

            zeros = jnp.zeros_like(f)
            stages = jnp.array([0, 0.5, 0.5, 1], f.dtype), jnp.array([1, 2, 2, 1], f.dtype)
            (_, total), _ = jax.lax.scan(stage, (zeros, zeros), stages)  # a loop, so that the loss is compiled once
            moved = f + h / 6 * total
            return moved, t + h, t, mean(moved), value

        first = mean(outputs)
        zero = jnp.zeros((), first.dtype)
        _, t, before, value, last = jax.lax.while_loop(above_goal, step, (outputs, zero, zero, first, first))
        share = jnp.where(t > 0, jnp.log(last / goal) / jnp.log(last / value), 0.0)
        return before + share * (t - before), first

    return flow
