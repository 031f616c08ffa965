"""Explorers that follow gradients: an optax transformation on the loss of a batch."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import optax

from allroads.errors import InputError
from allroads.explorers.batches import first_order, next_batch
from allroads.explorers.explorer import Explorer, Problem, State
from allroads.pfmap.network import Params


def gradient_explorer(
    name: str, transformation: optax.GradientTransformation, batch_size: int | None = None
) -> Explorer:
    """An explorer whose step is ``θ ← θ + transformation(∇L_B(θ))``.

    Args:
        name: How reports call it.
        transformation: Any optax transformation that ends in a descent direction.
        batch_size: Size of the batch B; ``None``: all examples.

    Raises:
        InputError: If the batch size is not a positive whole number.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> halving = gradient_explorer("gd", optax.sgd(0.25))
        >>> problem = Problem(lambda params, x, y: jnp.sum(params**2), jnp.zeros((1, 1)), jnp.zeros((1, 1)))
        >>> state = halving.init(jnp.array([8.0]), jax.random.key(0), 1)
        >>> [float(v) for v in halving.step(state, problem, 0).params]  # 8 − ¼·2·8
        [4.0]
    """
    if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
        raise InputError(
            f"explorer {name!r}: batch_size must be a positive whole number or absent; got {batch_size!r}."
        )

    def init(params: Params, key: jax.Array, examples: int) -> State:
        zero = jnp.zeros((), jnp.int32)
        order = first_order(examples, batch_size)
        dtype = jnp.result_type(*jax.tree.leaves(params))
        return State(params, transformation.init(params), key, order, jnp.asarray(jnp.inf, dtype), zero, zero)

    def step(state: State, problem: Problem, index: jax.Array | int) -> State:
        key, order, inputs, labels = state.key, state.order, problem.inputs, problem.labels
        if batch_size is not None:
            key, order, chosen = next_batch(key, order, index, batch_size)
            inputs, labels = inputs[chosen], labels[chosen]
        loss, gradient = jax.value_and_grad(problem.loss)(state.params, inputs, labels)
        updates, memory = transformation.update(gradient, state.memory, state.params)
        params = optax.apply_updates(state.params, updates)
        return State(params, memory, key, order, loss, state.gradients + 1, state.forwards)

    return Explorer(name, init, step, batch_size)


def check_rates(name: str, **rates: float) -> None:
    """Refuse rates that are negative or not finite.

    Raises:
        InputError: Naming the explorer and the rate.
    """
    for key, value in rates.items():
        if not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
            raise InputError(f"explorer {name!r}: {key} must be a finite number ≥ 0; got {value!r}.")
