"""Activations by name."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from allroads.errors import UnknownNameError

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
    "sigmoid": jax.nn.sigmoid,
    "silu": jax.nn.silu,
    "square": jnp.square,
    "identity": lambda x: x,
}


def resolve_activation(name: str) -> Callable[[Any], Any]:
    """The elementwise function behind a name; ``gelu`` is the exact one, ``x Φ(x)``.

    Raises:
        UnknownNameError: If no activation has that name.

    Example:
        >>> float(resolve_activation("square")(3.0))
        9.0
    """
    if name not in ACTIVATIONS:
        raise UnknownNameError("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]
