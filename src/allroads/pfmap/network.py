"""A network: two pure functions, and for recurrent ones their step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Params = Any
"""A pytree of arrays: one point of parameter space. A population has a leading member axis."""


@dataclass(frozen=True)
class Cell:
    """The inside of a recurrent network, one step at a time.

    Args:
        initial_state: ``initial_state(params, batch) -> state``, a pytree whose leaves lead with ``[batch]``.
        step: ``step(params, state, x) -> (state, output)`` with ``x`` one position of a batch, ``[batch, ...]``.

    Folding ``step`` over the positions of an input gives the same outputs as ``Network.apply``.
    """

    initial_state: Callable[[Params, int], Any]
    step: Callable[[Params, Any, Any], tuple[Any, Any]]


@dataclass(frozen=True)
class Network:
    """A network as two pure functions.

    Args:
        init: ``init(key) -> params``; draws a point of parameter space.
        apply: ``apply(params, inputs) -> outputs``; ``inputs`` lead with the example axis ``[N, ...]``, and so do
            ``outputs``: ``[N, C]``, or ``[N, T, C]`` for one output a position.
        cell: The step and state of a recurrent network, ``None`` for others.
        name: How reports call it.
        check: ``check(inputs)`` raises an ``InputError`` where values of concrete inputs cannot be used, such as a
            token outside the vocabulary; ``None`` where every value can.
        point: ``point(params) -> params`` reads what may stand for a point, such as a PyTorch state dict with its
            buffers; ``None`` where parameters have one form. See :func:`allroads.pfmap.arrays.as_point`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> line = Network(lambda key: {"w": jnp.zeros(3)}, lambda params, x: (x @ params["w"])[:, None])
        >>> line.apply(line.init(jax.random.key(0)), jnp.ones((2, 3))).shape
        (2, 1)
    """

    init: Callable[[Any], Params]
    apply: Callable[[Params, Any], Any]
    cell: Cell | None = None
    name: str = "network"
    check: Callable[[Any], None] | None = None
    point: Callable[[Any], Params] | None = None
