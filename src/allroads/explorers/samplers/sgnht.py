"""The stochastic gradient Nosé–Hoover thermostat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from allroads.explorers.late import blackjax
from allroads.explorers.samplers.protocol import Draw, Posterior, StochasticSampler

FRICTION = 1.0
"""Friction at the start and strength of the noise put in, in units of the stiffest mode's frequency."""


class _State(NamedTuple):
    position: Any
    momentum: Any
    friction: Any


@dataclass(frozen=True)
class SGNHT(StochasticSampler):
    """Langevin dynamics of second order whose friction adapts until the momenta have temperature 1 [ding2014].

    The friction takes out what the noise of batches heats, as long as that noise is alike in all directions. The
    momentum moves by the gradient at the new position. With the gradient at the old one, a mode of frequency ω would be
    heated at the rate ``ε ω²``.

    Args:
        step_size: ε; default 0.1.
        batch_size: Examples per gradient.

    Example:
        >>> SGNHT().bias(0.1)
        0.05
    """

    name: ClassVar[str] = "sgnht"
    default_step_size: ClassVar[float] = 0.1

    def init(self, position: Any, posterior: Posterior, key: Any) -> _State:
        """The state at a flat position, its momentum drawn."""
        momentum = jax.random.normal(key, position.shape, position.dtype)
        return _State(position, momentum, jnp.asarray(FRICTION, position.dtype))

    def draw(self, key: Any, state: Any, posterior: Posterior, step_size: Any, steps: Any) -> tuple[_State, Draw]:
        """``steps`` steps of position and momentum in turn."""
        move = blackjax("sgmcmc.diffusions").sgnht(alpha=FRICTION)

        def step(i: Any, carry: tuple[_State, Any]) -> tuple[_State, Any]:
            state, total = carry
            batch_key, noise_key = jax.random.split(jax.random.fold_in(key, i))
            ahead = state.position + step_size * state.momentum  # a gradient taken there does not heat
            energy, gradient = posterior.batch_gradient(posterior.split(ahead), batch_key)
            return _State(*move(noise_key, *state, -posterior.join(gradient), step_size)), total + energy

        state, total = jax.lax.fori_loop(0, steps, step, (state, jnp.zeros((), state.position.dtype)))
        return state, Draw(total / steps, jnp.ones((), total.dtype))

    def bias(self, step_size: float) -> float:
        """``ε/2``."""
        return step_size / 2
