"""Free coordinates: the entries of the parameters that vary, as matrices, all others held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.network import Params

Mask = Any
"""``None``, a pytree of booleans like a point (one per array, or an array of its shape), or a function of an array's
path, as :func:`jax.tree_util.keystr` writes it, that gives a boolean."""


class Block(NamedTuple):
    """One stretch of the free coordinates, seen as a matrix.

    Attributes:
        leaf: Index of the parameter array that it belongs to.
        rows: Rows: the product of all axes but the last; all entries of a vector.
        columns: Columns: the last axis; 1 for a vector.
        entries: Flat indices of the free entries of the array; ``None`` where all are.
    """

    leaf: int
    rows: int
    columns: int
    entries: tuple[int, ...] | None

    @property
    def size(self) -> int:
        """Number of free coordinates in it."""
        return self.rows * self.columns


@dataclass(frozen=True)
class FreeParameters:
    """The free coordinates of a point; hashable, so that compiled code is used again.

    Args:
        structure: Of the pytree of parameters.
        blocks: The free coordinates.
    """

    structure: Any
    blocks: tuple[Block, ...]

    @property
    def dimension(self) -> int:
        """Number d of free coordinates."""
        return sum(block.size for block in self.blocks)

    def params(self, leaves: Any) -> Params:
        """The pytree of these arrays."""
        return jax.tree.unflatten(self.structure, leaves)

    def split(self, z: Any) -> list[Any]:
        """A flat vector ``[…, d]`` as the matrices of the blocks; one of NumPy without compiling anything."""
        if isinstance(z, np.ndarray):
            parts: Any = np.split(z, np.cumsum([block.size for block in self.blocks])[:-1], axis=-1)
        else:
            parts = jax.lax.split(z, [block.size for block in self.blocks], axis=z.ndim - 1)
        return [
            part.reshape(*z.shape[:-1], block.rows, block.columns)
            for part, block in zip(parts, self.blocks, strict=True)
        ]

    def displace(self, leaves: list[Any], steps: list[Any]) -> list[Any]:
        """The parameters with a matrix added to each block."""
        moved = list(leaves)
        for block, step in zip(self.blocks, steps, strict=True):
            leaf = moved[block.leaf]
            if block.entries is None:
                moved[block.leaf] = leaf + step.reshape(leaf.shape)
            else:
                entries = np.asarray(block.entries)
                moved[block.leaf] = leaf.reshape(-1).at[entries].add(step.reshape(-1)).reshape(leaf.shape)
        return moved

    def matrices(self, leaves: list[Any]) -> list[Any]:
        """The blocks of parameter-shaped arrays, as matrices."""
        parts = []
        for block in self.blocks:
            flat = leaves[block.leaf].reshape(-1)
            flat = flat if block.entries is None else flat[np.asarray(block.entries)]
            parts.append(flat.reshape(block.rows, block.columns))
        return parts


def join(parts: list[Any]) -> Any:
    """Matrices as one flat vector: the inverse of :meth:`FreeParameters.split`."""
    return jnp.concatenate([part.reshape(-1) for part in parts])


def free_parameters(params: Params, mask: Mask = None, *, stacked: bool = False) -> FreeParameters:
    """The coordinates that a mask leaves free.

    Args:
        params: A point, or with ``stacked`` points along a leading axis of every array.
        mask: The free parameters, of a single point; ``None``: all.
        stacked: Whether ``params`` has that axis.

    Raises:
        InputError: If the mask does not fit or leaves nothing free.

    Example:
        >>> free_parameters({"w": np.zeros((2, 3)), "b": np.zeros(3)}, lambda path: "w" in path).dimension
        6
    """
    leaves, structure = jax.tree.flatten(params)
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    shapes = [np.shape(leaf)[1:] if stacked else np.shape(leaf) for leaf in leaves]
    return FreeParameters(structure, tuple(_blocks(names, shapes, structure, mask)))


def _blocks(names: list[str], shapes: list[tuple[int, ...]], structure: Any, mask: Mask) -> list[Block]:
    blocks = []
    for index, (shape, free) in enumerate(zip(shapes, _free(names, shapes, structure, mask), strict=True)):
        size = int(np.prod(shape, dtype=int))
        if free.all() and size:
            rows = size // shape[-1] if len(shape) > 1 else size
            blocks.append(Block(index, rows, size // rows, None))
        elif free.any():
            entries = tuple(int(i) for i in np.flatnonzero(free))
            blocks.append(Block(index, len(entries), 1, entries))
    if not blocks:
        raise InputError("mask: it leaves no parameter free. Mark at least one True.")
    return blocks


def free_entries(params: Params, mask: Mask, called: str = "mask") -> list[np.ndarray]:
    """For each array of a point, which of its entries a mask leaves free, as booleans of its shape.

    Raises:
        InputError: If the mask does not fit or leaves nothing.
    """
    leaves, structure = jax.tree.flatten(params)
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    free = _free(names, [np.shape(leaf) for leaf in leaves], structure, mask, called)
    if not any(part.any() for part in free):
        raise InputError(f"{called}: it leaves no parameter. Mark at least one True.")
    return free


def _free(
    names: list[str], shapes: list[tuple[int, ...]], structure: Any, mask: Mask, called: str = "mask"
) -> list[np.ndarray]:
    if mask is None:
        return [np.ones(shape, bool) for shape in shapes]
    if callable(mask):
        flags = [mask(name) for name in names]
    else:
        flags, given = jax.tree.flatten(mask)
        if given != structure:
            raise InputError(f"{called}: expected a pytree like params, {structure}; got {given}.")
    free = []
    for name, shape, flag in zip(names, shapes, flags, strict=True):
        flag = np.asarray(flag)
        if flag.dtype != bool or flag.shape not in ((), shape):
            raise InputError(
                f"{called}: for the array {name} expected one boolean or booleans of shape {shape}; "
                f"got {flag.dtype} of shape {flag.shape}."
            )
        free.append(np.broadcast_to(flag, shape))
    return free
