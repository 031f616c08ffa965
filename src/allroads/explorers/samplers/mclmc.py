"""Microcanonical Langevin Monte Carlo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from allroads.explorers.late import blackjax
from allroads.explorers.samplers.protocol import Draw, Posterior, Sampler

ENERGY_VARIANCE = 5e-4
"""Variance of the energy error per step and dimension at which the bias is usually below a per cent [robnik2023]."""


@dataclass(frozen=True)
class MCLMC(Sampler):
    """Dynamics of constant speed in position space, without a Metropolis test [robnik2023]. Needs two dimensions.

    Args:
        step_size: In units of ``√d``; default tuned to the energy error, not to an acceptance.

    Example:
        >>> MCLMC().bias(0.1)
        0.01
    """

    name: ClassVar[str] = "mclmc"
    target_acceptance: ClassVar[float | None] = 0.75
    default_step_size: ClassVar[float] = 0.2
    gradients_per_step: ClassVar[int] = 2  # of the integrator of McLachlan

    def init(self, position: Any, posterior: Posterior, key: Any) -> Any:
        """The state at a flat position, its momentum drawn."""
        return blackjax().mclmc.init(position, posterior.log_density, key)

    def draw(self, key: Any, state: Any, posterior: Posterior, step_size: Any, steps: Any) -> tuple[Any, Draw]:
        """``steps`` isokinetic steps; the momentum decorrelates over a length of ``√d``, the width of a Gaussian."""
        dimension = state.position.size
        kernel = blackjax().mclmc.build_kernel()
        length = jnp.sqrt(jnp.asarray(dimension, state.position.dtype))

        def step(i: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
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
        acceptance = 1 / (1 + variance / (3 * ENERGY_VARIANCE))
        return state, Draw(-state.logdensity - posterior.prior(posterior.split(state.position)), acceptance)

    def bias(self, step_size: float) -> float:
        """One per cent, as the step is tuned to an energy error at which it is usually below that."""
        return 0.01

    def gradient(self, state: Any) -> Any:
        """The flat gradient of ``energy + prior`` at a state's position."""
        return -state.logdensity_grad
