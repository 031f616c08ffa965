"""What an explorer makes of a gradient: its effective learning rates, read off the explorer itself."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from allroads.explorers.explorer import Explorer, Problem
from allroads.pfmap.network import Params

HORIZON = 64
"""Steps for which a gradient is held: longer than the memory of usual momenta, 1/(1 − 0.95) = 20 steps."""


def response(explorer: Explorer, params: Params, gradient: Params, key: Any) -> Params:
    """Effective learning rate of each leaf, ``ρ_l = −⟨g_l, v_l⟩ / ‖g_l‖²`` with v the mean move a step.

    The explorer runs on a linear loss; the mean is over the second half of 64 steps. Nothing is asked of it but its
    step, so one that nobody has seen before is read as any other is. It costs no evaluation of a network. How it goes
    on when gradients fall is told by :func:`~allroads.paths.learnability.pace.own_steps`.

    Args:
        explorer: The explorer.
        params: Where it starts.
        gradient: The gradient that it sees, a pytree like ``params``.
        key: Its random key.

    Returns:
        A pytree of scalars, 0 where the gradient vanishes.

    When it fails: what depends on the gradient's noise is not seen.

    Example:
        Gradient descent answers with its learning rate:

        >>> from allroads.explorers.gd import gd
        >>> round(float(response(gd(learning_rate=0.25), jnp.zeros(2), jnp.array([1.0, 3.0]), jax.random.key(0))), 4)
        0.25
    """
    # An explorer that draws batches has something to draw; the loss does not look at it.
    examples = explorer.batch_size or 1
    nothing = jnp.zeros((examples, 1))

    def linear(point: Params, inputs: Any, labels: Any) -> Any:
        pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(point), strict=True)
        return sum(jnp.vdot(slope, leaf) for slope, leaf in pairs)

    problem = Problem(linear, nothing, nothing)

    def phase(state: Any, begin: Any) -> tuple[Any, Params]:
        end = begin + HORIZON // 2
        state = jax.lax.fori_loop(begin, end, lambda index, s: explorer.step(s, problem, index), state)
        return state, state.params

    _, points = jax.lax.scan(phase, explorer.init(params, key, examples), jnp.arange(2) * (HORIZON // 2))
    moves = jax.tree.map(lambda p: (p[1] - p[0]) / (HORIZON // 2), points)
    rates = jax.tree.map(lambda g, v: -jnp.vdot(g, v) / jnp.maximum(jnp.vdot(g, g), 1e-30), gradient, moves)
    return jax.tree.map(lambda r: jnp.maximum(r, 0.0), rates)


@lru_cache(maxsize=32)
def compiled_response(explorer: Explorer) -> Any:
    """The compiled ``response(params, gradients, key)`` over a leading axis of the first two."""
    run = jax.vmap(lambda params, slope, key: response(explorer, params, slope, key), in_axes=(0, 0, None))
    return jax.jit(run)
