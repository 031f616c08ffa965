"""Masks: which of a point's numbers are free, the others being held."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.network import Params

Mask = Any
"""``None``, a pytree of booleans like a point (one per array, or an array of its shape), or a function of an array's
path, as :func:`jax.tree_util.keystr` writes it, giving a boolean."""


def free_entries(params: Params, mask: Mask, called: str = "mask") -> list[np.ndarray]:
    """For each array of a point, which of its entries a mask leaves free, as booleans of its shape.

    Args:
        params: The point.
        mask: See :data:`Mask`.
        called: How errors call it.

    Raises:
        InputError: If the mask does not fit or leaves nothing.

    Example:
        >>> free_entries({"a": np.ones(2), "b": np.ones(1)}, lambda path: "a" in path)
        [array([ True,  True]), array([False])]
    """
    structure: Any
    given: Any
    leaves, structure = jax.tree.flatten(params)
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    if mask is None:
        flags: list[Any] = [True for _ in leaves]
    elif callable(mask):
        flags = [mask(name) for name in names]
    else:
        flags, given = jax.tree.flatten(mask)
        if given != structure:
            raise InputError(f"{called}: expected a pytree like params, {structure}; got {given}.")
    free = []
    for name, leaf, flag in zip(names, leaves, flags, strict=True):
        flag, shape = np.asarray(flag), np.shape(leaf)
        if flag.dtype != bool or flag.shape not in ((), shape):
            raise InputError(
                f"{called}: for the array {name} expected one boolean or booleans of shape {shape}; "
                f"got {flag.dtype} of shape {flag.shape}."
            )
        free.append(np.broadcast_to(flag, shape))
    if not any(part.any() for part in free):
        raise InputError(f"{called}: it leaves no parameter free. Mark at least one True.")
    return free


def free_index(params: Params, mask: Mask) -> np.ndarray | None:
    """Places of the free entries in the flat parameters, as ``ravel_pytree`` lays them; ``None`` without a mask.

    Raises:
        InputError: As :func:`free_entries`.
    """
    if mask is None:
        return None
    return np.flatnonzero(np.concatenate([part.ravel() for part in free_entries(params, mask)]))
