"""The Jacobian of the parameter–function map, whole, where every example's outputs are its own."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from allroads.pfmap.inputs import as_batch, choose, number_of_examples
from allroads.pfmap.network import Network, Params

_BLOCK = 64
"""Examples differentiated side by side."""


@functools.lru_cache(maxsize=64)
def jacobian_function(network: Network) -> Any:
    """The compiled ``jacobian(params, inputs)``, ``[N·C, P]``, of a network that treats its examples one by one.

    A row is an output, example by example; a column is a parameter, in the order of :func:`jax.tree.leaves`. The
    caller has made sure that no example's outputs depend on another: see
    :func:`~allroads.pfmap.kernel.examples_apart`.

    Example:
        >>> import numpy as np
        >>> line = Network(lambda key: jnp.zeros(2), lambda w, x: (x @ w)[:, None])
        >>> jacobian_function(line)(jnp.zeros(2), jnp.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
        [[1.0, 2.0], [3.0, 4.0]]
    """

    def jacobian(params: Params, inputs: Any) -> Any:
        flat, unravel = ravel_pytree(params)

        def outputs(vector: Any, example: Any) -> Any:
            return network.apply(unravel(vector), as_batch(example)).ravel()

        def block(first: Any) -> Any:
            chosen = jnp.minimum(first + jnp.arange(size), count - 1)  # past the end the last is repeated
            return jax.vmap(jax.jacrev(outputs), in_axes=(None, 0))(flat, choose(inputs, chosen))

        count = number_of_examples(inputs)
        size = min(_BLOCK, count)
        rows = jax.lax.map(block, jnp.arange(0, count, size))
        return rows.reshape(-1, len(flat))[: rows.shape[2] * count]

    return jax.jit(jacobian)
