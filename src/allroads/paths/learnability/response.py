"""What an explorer makes of a gradient: its effective learning rates, read off the explorer itself."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from allroads.explorers.explorer import Explorer, Problem
from allroads.pfmap.network import Params

HORIZON = 64
"""Steps for which a gradient is held: longer than the memory of usual momenta, 1/(1 − 0.95) = 20 steps."""
_WEAKER = 0.1
"""Share to which the gradient then falls."""


class Response(NamedTuple):
    """How an explorer answers a constant gradient.

    Attributes:
        rates: Effective learning rate of each leaf, ``ρ_l = −⟨g_l, v_l⟩ / ‖g_l‖²`` with v the mean move a step;
            a pytree of scalars, 0 where the gradient vanishes.
        degree: p in ``‖v‖ ∝ ‖g‖^p`` when the gradient shrinks: 1 for gradient descent, 0 where its
            direction alone counts.
    """

    rates: Params
    degree: Any


def response(explorer: Explorer, params: Params, gradient: Params, key: Any) -> Response:
    """Let the explorer run on a linear loss: first with the gradient given, then with a tenth of it.

    Nothing is asked of an explorer but its step, so one that nobody has seen before is read as any other is. It costs
    128 steps without a network.

    Args:
        explorer: The explorer.
        params: Where it starts.
        gradient: The gradient that it sees, a pytree like ``params``.
        key: Its random key.

    When it fails: what depends on the gradient's noise, or changes within more than 64 steps, is not seen. Adam forgets
    squared gradients within 1000 steps: it counts as degree 0.85, and after more steps than that it is nearer to 0.

    Example:
        Gradient descent answers with its learning rate, and is of degree 1:

        >>> from allroads.explorers.gd import gd
        >>> found = response(gd(learning_rate=0.25), jnp.zeros(2), jnp.array([1.0, 3.0]), jax.random.key(0))
        >>> [round(float(number), 4) for number in (found.rates, found.degree)]
        [0.25, 1.0]
    """
    # An explorer that draws batches has something to draw; the loss does not look at it.
    examples = explorer.batch_size or 1
    nothing = jnp.zeros((examples, 1))

    def phase(state: Any, part: tuple) -> tuple[Any, Params]:
        begin, share = part

        def linear(point: Params, inputs: Any, labels: Any) -> Any:
            pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(point), strict=True)
            return share * sum(jnp.vdot(slope, leaf) for slope, leaf in pairs)

        problem = Problem(linear, nothing, nothing)
        end = begin + HORIZON // 2
        state = jax.lax.fori_loop(begin, end, lambda index, s: explorer.step(s, problem, index), state)
        return state, state.params

    begins = jnp.arange(4) * (HORIZON // 2)
    shares = jnp.asarray([1.0, 1.0, _WEAKER, _WEAKER], jnp.result_type(*jax.tree.leaves(gradient)))
    _, points = jax.lax.scan(phase, explorer.init(params, key, examples), (begins, shares))
    moves, slower = (jax.tree.map(lambda p, k=k: (p[k] - p[k - 1]) / (HORIZON // 2), points) for k in (1, 3))
    rates = jax.tree.map(lambda g, v: -jnp.vdot(g, v) / jnp.maximum(jnp.vdot(g, g), 1e-30), gradient, moves)
    ratio = jnp.sqrt(_squared(slower) / jnp.maximum(_squared(moves), 1e-30))
    return Response(jax.tree.map(lambda r: jnp.maximum(r, 0.0), rates), jnp.log(ratio) / jnp.log(_WEAKER))


def _squared(tree: Params) -> Any:
    return sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(tree))


@lru_cache(maxsize=32)
def compiled_response(explorer: Explorer) -> Any:
    """The compiled ``response(params, gradients, key)`` over a leading axis of the first two."""
    run = jax.vmap(lambda params, slope, key: response(explorer, params, slope, key), in_axes=(0, 0, None))
    return jax.jit(run)
