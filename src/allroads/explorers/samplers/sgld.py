"""Stochastic gradient Langevin dynamics."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from allroads.explorers.samplers.protocol import Draw, Posterior, Sampler
from allroads.explorers.samplers.signs import signs


class _State(NamedTuple):
    position: Any


def _draw(key: Any, state: _State, posterior: Posterior, step_size: Any, steps: Any) -> tuple[_State, Draw]:
    """``z ← z − ε/2 ∇U_B(z) + √ε ξ`` with random signs ξ, ``steps`` times, each on a batch of its own."""

    def step(i: Any, carry: tuple) -> tuple:
        parts, total = carry
        batch_key, noise_key = jax.random.split(jax.random.fold_in(key, i))
        energy, slope = posterior.batch_slope(parts, batch_key)

        def moved(z: Any, slope: Any, noise: Any) -> Any:
            return z - step_size / 2 * slope + jnp.sqrt(step_size) * noise

        return jax.tree.map(moved, parts, slope, signs(noise_key, parts)), total + energy

    begun = posterior.parted(state.position), jnp.zeros((), state.position.dtype)
    parts, total = jax.lax.fori_loop(0, steps, step, begun)
    return _State(posterior.joined(parts)), Draw(total / steps, jnp.ones((), total.dtype))


SGLD = Sampler("sgld", lambda z, posterior, key: _State(z), _draw, stochastic=True, target=None, step_size=0.04)
"""Langevin dynamics on minibatches [welling2011].

On a quadratic loss the energy of a mode of curvature h is too large by the factor ``1/(1 − ε nβ h/4)``, so the step of
0.04 in units of the stiffest mode's width predicts 1 % at most; the noise of batches adds to it.
"""
