"""The Metropolis-adjusted Langevin algorithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from allroads.explorers.late import blackjax
from allroads.explorers.samplers.protocol import Draw, Posterior, Sampler


@dataclass(frozen=True)
class MALA(Sampler):
    """Langevin proposals with a Metropolis test: no discretisation bias [roberts1998].

    A proposal is ``z − σ²/2 ∇U + σ ξ``, and ``step_size`` is σ. The acceptance of 0.57 is optimal in many dimensions.

    Args:
        step_size: σ; default tuned to an acceptance of 0.57.

    Example:
        >>> MALA().name
        'mala'
    """

    name: ClassVar[str] = "mala"
    target_acceptance: ClassVar[float | None] = 0.57
    default_step_size: ClassVar[float] = 0.3
    step_scaling: ClassVar[float] = 1 / 6

    def init(self, position: Any, posterior: Posterior, key: Any) -> Any:
        """The state at a flat position."""
        return blackjax().mala.init(position, posterior.log_density)

    def draw(self, key: Any, state: Any, posterior: Posterior, step_size: Any, steps: Any) -> tuple[Any, Draw]:
        """``steps`` proposals, and the mean of their acceptances."""
        kernel = blackjax().mala.build_kernel()

        def step(i: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
            state, accepted = carry
            state, info = kernel(jax.random.fold_in(key, i), state, posterior.log_density, step_size**2 / 2)
            return state, accepted + info.acceptance_rate

        state, accepted = jax.lax.fori_loop(0, steps, step, (state, jnp.zeros((), state.position.dtype)))
        energy = -state.logdensity - posterior.prior(posterior.split(state.position))
        return state, Draw(energy, accepted / steps)

    def gradient(self, state: Any) -> Any:
        """The flat gradient of ``energy + prior`` at a state's position."""
        return -state.logdensity_grad
