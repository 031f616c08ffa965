"""Microcanonical Langevin Monte Carlo."""

from __future__ import annotations

from typing import Any

import blackjax
import jax
import jax.numpy as jnp

from allroads.explorers.samplers.protocol import Draw, Posterior, Sampler

ENERGY_VARIANCE = 5e-4
"""Variance of the energy error a step and dimension at which the bias is usually below a per cent [robnik2023]."""


def _draw(key: Any, state: Any, posterior: Posterior, step_size: Any, steps: Any) -> tuple[Any, Draw]:
    """``steps`` isokinetic steps; the momentum loses its memory over a length of ``√d``, the width of a Gaussian."""
    dimension = state.position.size
    kernel = blackjax.mclmc.build_kernel()
    length = jnp.sqrt(jnp.asarray(dimension, state.position.dtype))

    def step(i: Any, carry: tuple) -> tuple:
        state, squares = carry
        state, info = kernel(
            jax.random.fold_in(key, i),
            state,
            posterior.log_density,
            inverse_mass_matrix=jnp.ones_like(state.position),
            L=length,
            step_size=step_size * length,
        )
        return state, squares + info.energy_change**2

    state, squares = jax.lax.fori_loop(0, steps, step, (state, jnp.zeros((), state.position.dtype)))
    variance = squares / steps / dimension
    quality = 1 / (1 + variance / (3 * ENERGY_VARIANCE))
    return state, Draw(-state.logdensity - posterior.prior(posterior.parted(state.position)), quality)


MCLMC = Sampler(
    "mclmc",
    lambda z, posterior, key: blackjax.mclmc.init(z, posterior.log_density, key),
    _draw,
    stochastic=False,
    target=0.75,
    step_size=0.2,
)
"""Dynamics of constant speed in position space, without a Metropolis test [robnik2023]. Needs two dimensions.

``step_size`` is in units of ``√d``. The step is tuned to the energy error, not to an acceptance.
"""
