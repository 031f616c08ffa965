"""The free points of many curves, moved side by side in one compiled loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from allroads.compiled import quickly_compiled
from allroads.paths.connect.method import CurveObjective, Fixed, Method
from allroads.pfmap.objective import Examples

DECAY = 0.3
"""Last share of the steps, over which the rate falls to zero."""


class State(NamedTuple):
    """Where training is, with a leading member axis.

    Attributes:
        free: The free points, ``[M, K − 2, P]``.
        moments: Of Adam.
        broken: Whether a step was not finite; it was not taken, ``[M]``.
    """

    free: Any
    moments: Any
    broken: Any


class Training(NamedTuple):
    """A method, compiled for one number of free points.

    Attributes:
        method: The method.
        start: ``start(free, ends, knots, data) -> (State, Fixed)``.
        advance: ``advance(state, fixed, numbers, total, rates, data, seed) -> State``: the steps with these
            numbers, of ``total``.
    """

    method: Method
    start: Callable[..., tuple[State, Fixed]]
    advance: Callable[..., State]


@lru_cache(maxsize=64)
def compiled_training(
    make: Callable[[CurveObjective, int], Method], objective: CurveObjective, free: int, batch_size: int | None
) -> Training:
    """Adam with its usual moments, for members side by side.

    Every member sees the same batches and the same t, so what becomes of one does not depend on the others. The rate of
    each member is constant and falls to zero over the last 30 % of the steps.
    """
    method, rule = make(objective, free), optax.scale_by_adam()
    direction = jax.vmap(method.direction, (0, 0, None, None))
    constrain = jax.vmap(method.constrain)

    @partial(jax.jit, compiler_options=quickly_compiled())
    def start(free: Any, ends: Any, knots: Any, data: Examples) -> tuple[State, Fixed]:
        knots = jnp.broadcast_to(knots, (len(free), *knots.shape))
        context = jax.vmap(method.context, (0, None))(Fixed(ends, knots, ()), data)
        return State(free, rule.init(free), jnp.zeros(len(free), bool)), Fixed(ends, knots, context)

    @partial(jax.jit, compiler_options=quickly_compiled())
    def advance(state: State, fixed: Fixed, numbers: Any, total: Any, rates: Any, data: Examples, seed: Any) -> State:
        examples = data.labels.shape[0]

        def step(state: State, number: Any) -> tuple[State, None]:
            of_rows, of_curve = jax.random.split(jax.random.fold_in(jax.random.key(seed), number))
            batch = data
            if batch_size is not None and batch_size < examples:
                rows = jax.random.randint(of_rows, (batch_size,), 0, examples)
                batch = data.batch(rows)
            against = direction(state.free, fixed, batch, of_curve)
            moves, moments = rule.update(against, state.moments)
            rate = jnp.minimum(1.0, (1 - number / total) / DECAY).astype(rates.dtype) * rates
            free = constrain(state.free - rate[:, None, None] * moves, fixed)
            fine = jnp.isfinite(free).all(axis=(1, 2)) & jnp.isfinite(against).all(axis=(1, 2))
            new = State(free, moments, state.broken | ~fine)
            return jax.tree.map(lambda new, old: _where(fine, new, old), new, state)._replace(broken=new.broken), None

        return jax.lax.scan(step, state, numbers)[0]

    return Training(method, start, advance)


def _where(fine: Any, new: Any, old: Any) -> Any:
    """The new array of every member whose step was finite; what has no member axis is new for all."""
    return jnp.where(fine.reshape(-1, *[1] * (new.ndim - 1)), new, old) if new.ndim else new
