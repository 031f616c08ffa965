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
            k1 = velocity(f)
            k2 = velocity(f + h / 2 * k1)
            k3 = velocity(f + h / 2 * k2)
            k4 = velocity(f + h * k3)
            moved = f + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            return moved, t + h, t, mean(moved), value

        first = mean(outputs)
        zero = jnp.zeros((), first.dtype)
        _, t, before, value, last = jax.lax.while_loop(above_goal, step, (outputs, zero, zero, first, first))
        share = jnp.where(t > 0, jnp.log(last / goal) / jnp.log(last / value), 0.0)
        return before + share * (t - before), first

    return flow
