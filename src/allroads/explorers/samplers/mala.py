"""The Metropolis-adjusted Langevin algorithm."""

from __future__ import annotations

from typing import Any

import blackjax
import jax
import jax.numpy as jnp

from allroads.explorers.samplers.protocol import Draw, Posterior, Sampler


def _draw(key: Any, state: Any, posterior: Posterior, step_size: Any, steps: Any) -> tuple[Any, Draw]:
    kernel = blackjax.mala.build_kernel()

    def step(i: Any, carry: tuple) -> tuple:
        state, accepted = carry
        state, info = kernel(jax.random.fold_in(key, i), state, posterior.log_density, step_size**2 / 2)
        return state, accepted + info.acceptance_rate

    state, accepted = jax.lax.fori_loop(0, steps, step, (state, jnp.zeros((), state.position.dtype)))
    return state, Draw(-state.logdensity - posterior.prior(posterior.parted(state.position)), accepted / steps)


MALA = Sampler(
    "mala",
    lambda z, posterior, key: blackjax.mala.init(z, posterior.log_density),
    _draw,
    stochastic=False,
    target=0.57,
    step_size=0.3,
)
"""Langevin proposals that a Metropolis test accepts or refuses: no discretisation bias [roberts1998].

A proposal is ``z − σ²/2 ∇U + σ ξ``, and ``step_size`` is σ. The acceptance of 0.57 is optimal in many dimensions.
"""
