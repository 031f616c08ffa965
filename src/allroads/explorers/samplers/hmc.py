"""Hamiltonian Monte Carlo, the reference sampler."""

from __future__ import annotations

from typing import Any

import blackjax
import jax
import jax.numpy as jnp

from allroads.explorers.samplers.protocol import Draw, Posterior, Sampler

JITTER = 0.3
"""Half-width of the range around the step size that most trajectories draw their own from, against resonance."""
SHORT, SHORTEST = 0.25, 0.001
"""Share of trajectories with much shorter steps, and the shortest: their logarithms are uniform up to the step size.

Valleys of a singular loss narrow along the way; a step tuned to their wide parts would never enter the narrow ones.
"""


def _draw(key: Any, state: Any, posterior: Posterior, step_size: Any, steps: Any) -> tuple[Any, Draw]:
    """One trajectory of ``steps`` leapfrog steps; its acceptance counts where the step is not a short one."""
    kind_key, jitter_key, key = jax.random.split(key, 3)
    uniform = jax.random.uniform(jitter_key, (), state.position.dtype)
    short = jax.random.bernoulli(kind_key, SHORT)
    factor = jnp.where(short, SHORTEST**uniform, 1 + JITTER * (2 * uniform - 1))
    kernel = blackjax.hmc.build_kernel()
    state, info = kernel(key, state, posterior.log_density, step_size * factor, jnp.ones_like(state.position), steps)
    quality = jnp.where(short, jnp.nan, info.acceptance_rate)
    return state, Draw(-state.logdensity - posterior.prior(posterior.parted(state.position)), quality)


HMC = Sampler(
    "hmc",
    lambda z, posterior, key: blackjax.hmc.init(z, posterior.log_density),
    _draw,
    stochastic=False,
    target=0.75,
    step_size=0.5,
)
"""Hamiltonian trajectories that a Metropolis test accepts or refuses: no discretisation bias [neal2011]."""
