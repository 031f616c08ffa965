"""A promise that a part keeps, and what is said of one that it breaks."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

TOLERANCE = 1e-9
"""Largest difference that rounding may make in double precision, relative to the largest number compared."""


def promise(kept: Any, part: str, name: str, expected: str, got: str, remedy: str) -> None:
    """Nothing where a promise is kept.

    Args:
        kept: Whether it is.
        part: Which part made it, such as ``explorer 'adam'``.
        name: The promise.
        expected: What it says.
        got: What was found.
        remedy: What to do.

    Raises:
        AssertionError: If it is not kept; says all five.

    Example:
        >>> promise(1 + 1 == 3, "network 'n'", "pure", "the same outputs", "others", "Draw nothing in apply.")
        Traceback (most recent call last):
        AssertionError: network 'n' breaks the promise "pure": expected the same outputs; got others.
        Draw nothing in apply.
    """
    if not kept:
        raise AssertionError(f'{part} breaks the promise "{name}": expected {expected}; got {got}.\n{remedy}')


def difference(found: Any, expected: Any, tolerance: float = TOLERANCE) -> str:
    """Where two pytrees of arrays differ by more than rounding, in words; empty where nowhere.

    Arrays are compared relative to the largest number of the expected one, and NaN equals NaN. Random keys are
    compared by their data.

    Example:
        >>> difference({"w": np.ones(2)}, {"w": np.array([1.0, 2.0])})
        "['w'] differs by 1"
        >>> difference(np.ones(2), np.ones(2) + 1e-12)
        ''
    """
    structures: list[Any] = [jax.tree.structure(tree) for tree in (found, expected)]
    if structures[0] != structures[1]:
        return f"structure {structures[0]}, not {structures[1]}"
    pairs = zip(jax.tree_util.tree_flatten_with_path(found)[0], jax.tree.leaves(expected), strict=True)
    for (path, one), other in pairs:
        name = jax.tree_util.keystr(path) or "it"
        a, b = plain(one), plain(other)
        if a.shape != b.shape:
            return f"{name} has shape {a.shape}, not {b.shape}"
        if a.dtype.kind != "f" or b.dtype.kind != "f":
            if not np.array_equal(a, b):
                return f"{name} is another"
            continue
        a, b = a.astype(float), b.astype(float)
        finite = np.isfinite(b)
        if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
            return f"{name} is not finite in other places"
        size = max(1.0, float(np.abs(b[finite]).max(initial=0.0)))
        gap = float(np.abs(a[finite] - b[finite]).max(initial=0.0))
        if math.isnan(gap) or gap > tolerance * size:
            return f"{name} differs by {gap:.3g}"
    return ""


def is_frozen(thing: Any) -> bool:
    """Whether a value is a frozen dataclass."""
    return bool(getattr(getattr(type(thing), "__dataclass_params__", None), "frozen", False))


def plain(leaf: Any) -> np.ndarray:
    """An array, or the data of random keys, as a NumPy array."""
    keys = isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if keys else leaf)


def copied(tree: Any) -> Any:
    """A pytree of arrays as it comes back from a file: every array is another object, random keys included."""

    def copy(leaf: Any) -> Any:
        keys = isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return jax.random.wrap_key_data(jnp.array(plain(leaf))) if keys else np.array(leaf)

    return jax.tree.map(copy, tree)
