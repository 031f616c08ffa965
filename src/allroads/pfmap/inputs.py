"""Inputs of a network: one array, or a tuple or mapping of arrays that all lead with the examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from allroads.errors import InputError
from allroads.pfmap.arrays import as_array


def read_inputs(given: Any, what: str = "inputs") -> Any:
    """Inputs as NumPy arrays; a tuple stays a tuple, and a mapping becomes a ``dict``. What is traced stays as it is.

    Args:
        given: An array ``[N, …]`` of NumPy, JAX or PyTorch, nested lists of numbers, or a tuple or mapping of these.
        what: How errors call it.

    Raises:
        InputError: If an array is empty, no numbers or not finite, or the arrays have different lengths; names it.

    Example:
        >>> read_inputs({"ids": [[1, 2]], "mask": np.ones((1, 2))})["ids"].shape
        (1, 2)
        >>> read_inputs(([1.0, 2.0], [1.0]))
        Traceback (most recent call last):
        allroads.errors.InputError: inputs: inputs[0] has 2 examples and inputs[1] has 1; expected as many in each.
    """
    read = _read(given, what)
    named = [(what + jax.tree_util.keystr(path), len(leaf)) for path, leaf in jax.tree_util.tree_leaves_with_path(read)]
    if not named:
        raise InputError(f"{what}: there is no array in it; expected [N, …], or a tuple or mapping of such arrays.")
    for name, size in named:
        if size != named[0][1]:
            raise InputError(
                f"{what}: {named[0][0]} has {named[0][1]} examples and {name} has {size}; expected as many in each."
            )
    return read


def _read(given: Any, what: str) -> Any:
    if isinstance(given, Mapping):
        return {key: _read(part, f"{what}[{key!r}]") for key, part in given.items()}
    if isinstance(given, tuple):
        return tuple(_read(part, f"{what}[{k}]") for k, part in enumerate(given))
    return given if isinstance(given, Tracer) else checked_examples(given, what)


def checked_examples(given: Any, what: str, ignore: int | None = None) -> np.ndarray:
    """Data as a NumPy array that leads with at least one example; refuses what is not finite numbers."""
    try:
        array = as_array(given)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what}: expected an array of numbers that leads with the examples ({error}).") from error
    if array.ndim == 0 or array.size == 0:
        raise InputError(f"{what} have shape {array.shape}; expected [N, …] with at least one example.")
    if not (np.issubdtype(array.dtype, np.number) or array.dtype == bool or jnp.issubdtype(array.dtype, jnp.floating)):
        raise InputError(f"{what} have dtype {array.dtype}; expected numbers. Encode them as numbers.")
    if not np.issubdtype(array.dtype, np.integer) and array.dtype != bool:
        bad = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))
        if bad.size:
            raise InputError(
                f"{what}: NaN or infinite in {bad.size} of {len(array)} examples, the first at index {bad[0]}; drop or "
                "fix them."
            )
    return array


def number_of_examples(inputs: Any) -> int:
    """N of inputs that were read.

    Example:
        >>> number_of_examples({"ids": np.zeros((3, 2)), "mask": np.ones((3, 2))})
        3
    """
    return int(np.shape(jax.tree.leaves(inputs)[0])[0])


def choose(inputs: Any, index: Any) -> Any:
    """The examples at these places, or of this slice, of every array.

    Example:
        >>> choose((np.arange(3), np.arange(3) * 2), slice(1, None))
        (array([1, 2]), array([2, 4]))
    """
    return jax.tree.map(lambda array: array[index], inputs)


def as_batch(example: Any) -> Any:
    """One example as a batch of one.

    Example:
        >>> as_batch({"ids": jnp.arange(3)})["ids"].shape
        (1, 3)
    """
    return jax.tree.map(lambda array: array[None], example)
