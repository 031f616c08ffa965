"""The stochastic gradient Nosé–Hoover thermostat."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from blackjax.sgmcmc.diffusions import sgnht

from allroads.explorers.samplers.protocol import Draw, Posterior, Sampler

FRICTION = 1.0
"""Friction at the start and strength of the noise put in, in units of the stiffest mode's frequency."""


class _State(NamedTuple):
    position: Any
    momentum: Any
    friction: Any


def _init(position: Any, posterior: Posterior, key: Any) -> _State:
    momentum = jax.random.normal(key, position.shape, position.dtype)
    return _State(position, momentum, jnp.asarray(FRICTION, position.dtype))


def _draw(key: Any, state: _State, posterior: Posterior, step_size: Any, steps: Any) -> tuple[_State, Draw]:
    move = sgnht(alpha=FRICTION)

    def step(i: Any, carry: tuple) -> tuple:
        state, total = carry
        batch_key, noise_key = jax.random.split(jax.random.fold_in(key, i))
        ahead = state.position + step_size * state.momentum  # where the step goes; a slope taken there does not heat
        energy, slope = posterior.batch_slope(posterior.parted(ahead), batch_key)
        return _State(*move(noise_key, *state, -posterior.joined(slope), step_size)), total + energy

    state, total = jax.lax.fori_loop(0, steps, step, (state, jnp.zeros((), state.position.dtype)))
    return state, Draw(total / steps, jnp.ones((), total.dtype))


SGNHT = Sampler("sgnht", _init, _draw, stochastic=True, target=None, step_size=0.1)
"""Langevin dynamics of second order whose friction adapts until the momenta have temperature 1 [ding2014].

What the noise of batches heats, the friction takes out, as long as that noise is alike in all directions. Position
and momentum move in turn, the momentum by the slope at the new position; with the slope at the old one, a mode of
frequency ω would be heated at the rate ``ε ω²``.
"""
