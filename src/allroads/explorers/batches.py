"""Minibatches that each member draws for itself, without replacement within an epoch."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp


def first_order(examples: int, batch_size: int | None) -> Any:
    """An order to be shuffled at the first step; empty where a step takes all examples."""
    return jnp.arange(0 if batch_size is None else examples)


def next_batch(key: Any, order: Any, index: Any, batch_size: int) -> tuple[Any, Any, Any]:
    """The examples of step ``index``: ``(key, order, chosen)``.

    An epoch is ``n // batch_size`` batches of one random order of the ``n`` examples; what is left over of an order
    is dropped, another part each epoch.

    Args:
        key: The member's key; it is split once an epoch.
        order: ``[n]``, the present order.
        index: The number of the step, from 0, the same for all members.
        batch_size: Examples a batch.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> key, order, seen = jax.random.key(0), jnp.arange(6), []
        >>> for step in range(3):
        ...     key, order, chosen = next_batch(key, order, step, 2)
        ...     seen += [int(i) for i in chosen]
        >>> sorted(seen)
        [0, 1, 2, 3, 4, 5]
    """
    batches = order.shape[0] // batch_size
    position = index % batches

    def shuffle(key: Any, order: Any) -> tuple[Any, Any]:
        key, draw = jax.random.split(key)
        return key, jax.random.permutation(draw, order)

    key, order = jax.lax.cond(position == 0, shuffle, lambda key, order: (key, order), key, order)
    return key, order, jax.lax.dynamic_slice_in_dim(order, position * batch_size, batch_size)
