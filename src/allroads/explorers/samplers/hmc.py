"""Hamiltonian Monte Carlo, the reference sampler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from allroads.explorers.late import blackjax
from allroads.explorers.samplers.protocol import Draw, Posterior, Sampler

JITTER = 0.3
"""Half-width of the range around the step size that most trajectories draw their own from, against resonance."""
SHORT, SHORTEST = 0.25, 0.001
"""Share of trajectories with much shorter steps, and the shortest: their logarithms are uniform up to the step size.

Valleys of a singular loss narrow along the way; a step tuned to their wide parts would never enter the narrow ones.
"""


@dataclass(frozen=True)
class HMC(Sampler):
    """Hamiltonian trajectories with a Metropolis test: no discretisation bias, the reference [neal2011].

    Args:
        step_size: Of a leapfrog step; default tuned to an acceptance of ¾.

    Example:
        >>> HMC(step_size=0.1) == HMC(step_size=0.1), HMC().target_acceptance
        (True, 0.75)
    """

    name: ClassVar[str] = "hmc"
    target_acceptance: ClassVar[float | None] = 0.75
    default_step_size: ClassVar[float] = 0.5
    step_scaling: ClassVar[float] = 0.25
    trajectories: ClassVar[bool] = True

    def init(self, position: Any, posterior: Posterior, key: Any) -> Any:
        """The state at a flat position."""
        return blackjax().hmc.init(position, posterior.log_density)

    def draw(self, key: Any, state: Any, posterior: Posterior, step_size: Any, steps: Any) -> tuple[Any, Draw]:
        """One trajectory of ``steps`` leapfrog steps; its acceptance counts where the step is not a short one."""
        kind_key, jitter_key, key = jax.random.split(key, 3)
        uniform = jax.random.uniform(jitter_key, (), state.position.dtype)
        short = jax.random.bernoulli(kind_key, SHORT)
        factor = jnp.where(short, SHORTEST**uniform, 1 + JITTER * (2 * uniform - 1))
        kernel = blackjax().hmc.build_kernel()
        mass = jnp.ones_like(state.position)
        state, info = kernel(key, state, posterior.log_density, step_size * factor, mass, steps)
        acceptance = jnp.where(short, jnp.nan, info.acceptance_rate)
        return state, Draw(-state.logdensity - posterior.prior(posterior.split(state.position)), acceptance)

    def gradient(self, state: Any) -> Any:
        """The flat gradient of ``energy + prior`` at a state's position."""
        return -state.logdensity_grad
