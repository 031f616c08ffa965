"""Double precision by context."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import jax


@contextlib.contextmanager
def float64() -> Iterator[None]:
    """Compute in double precision inside the ``with`` block; nothing outside it changes.

    JAX turns 64-bit arrays into 32-bit ones outside such a block. Networks made, and functions compiled, inside it
    compute in double precision.

    Example:
        >>> import jax.numpy as jnp
        >>> with float64():
        ...     jnp.ones(1).dtype.name
        'float64'
        >>> jnp.ones(1).dtype.name
        'float32'
    """
    with jax.enable_x64(True):
        yield
