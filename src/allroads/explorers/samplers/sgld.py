"""Stochastic gradient Langevin dynamics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from allroads.explorers.samplers.protocol import Draw, Posterior, StochasticSampler
from allroads.explorers.samplers.signs import random_signs


class _State(NamedTuple):
    position: Any


@dataclass(frozen=True)
class SGLD(StochasticSampler):
    """Langevin dynamics on minibatches [welling2011].

    On a quadratic loss the energy of a mode of curvature h is too large by the factor ``1/(1 − ε nβ h/4)``. The default
    step of 0.04 in units of the stiffest mode's width predicts 1 % at most; the noise of batches adds to it.

    Args:
        step_size: ε; default 0.04.
        batch_size: Examples per gradient.

    Example:
        >>> round(SGLD().bias(0.04), 4)
        0.0101
    """

    name: ClassVar[str] = "sgld"
    default_step_size: ClassVar[float] = 0.04

    def init(self, position: Any, posterior: Posterior, key: Any) -> _State:
        """The state at a flat position."""
        return _State(position)

    def draw(self, key: Any, state: Any, posterior: Posterior, step_size: Any, steps: Any) -> tuple[_State, Draw]:
        """``z ← z − ε/2 ∇U_B(z) + √ε ξ`` with random signs ξ, ``steps`` times, each on a batch of its own."""

        def step(i: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
            parts, total = carry
            batch_key, noise_key = jax.random.split(jax.random.fold_in(key, i))
            energy, gradient = posterior.batch_gradient(parts, batch_key)

            def moved(z: Any, gradient: Any, noise: Any) -> Any:
                return z - step_size / 2 * gradient + jnp.sqrt(step_size) * noise

            return jax.tree.map(moved, parts, gradient, random_signs(noise_key, parts)), total + energy

        start = posterior.split(state.position), jnp.zeros((), state.position.dtype)
        parts, total = jax.lax.fori_loop(0, steps, step, start)
        return _State(posterior.join(parts)), Draw(total / steps, jnp.ones((), total.dtype))

    def bias(self, step_size: float) -> float:
        """``1/(1 − ε/4) − 1``, that of a mode of curvature 1."""
        return step_size / 4 / max(1 - step_size / 4, 1e-9)
