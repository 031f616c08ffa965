"""Double and single precision by context."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import lru_cache, wraps
from typing import Any, TypeVar

import jax

Made = TypeVar("Made")


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


@contextlib.contextmanager
def float32() -> Iterator[None]:
    """Compute in single precision inside the ``with`` block, also where double precision surrounds it.

    Example:
        >>> import jax.numpy as jnp
        >>> with float64(), float32():
        ...     jnp.ones(1).dtype.name
        'float32'
    """
    with jax.enable_x64(False):
        yield


@contextlib.contextmanager
def exact_products() -> Iterator[None]:
    """Products of single precision as exact as it is, inside the ``with`` block, on accelerators too.

    These round the factors to ten bits or fewer by default, which is enough to train and too little for a kernel, for
    curvature or for differences of losses. Where the user chose a precision of products, it stays; on a CPU there is
    nothing to do.

    Example:
        >>> with jax.default_matmul_precision("high"), exact_products():
        ...     jax.config.jax_default_matmul_precision
        'high'
    """
    if jax.default_backend() == "cpu" or jax.config.values["jax_default_matmul_precision"] is not None:
        yield
        return
    with jax.default_matmul_precision("highest"):
        yield


def kept_per_precision(make: Callable[..., Made]) -> Callable[..., Made]:
    """Keep what ``make`` gives for the same arguments, in double and in single precision apart.

    A function that JAX has traced in one precision cannot be traced in the other where it closes over arrays of NumPy.

    Example:
        >>> make = kept_per_precision(lambda name: [name])
        >>> with float64():
        ...     double = make("a")
        >>> make("a") is make("a"), make("a") is double
        (True, False)
    """
    keep = lru_cache(maxsize=64)(lambda dtype, arguments: make(*arguments))

    @wraps(make)
    def kept(*arguments: Any) -> Made:
        found: Made = keep(jax.dtypes.canonicalize_dtype(float), arguments)
        return found

    return kept
