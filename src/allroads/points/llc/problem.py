"""The question that the estimator is asked, checked: a loss, its data, points, and which coordinates are free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.losses import PerExampleLoss, resolve_loss
from allroads.pfmap.network import Network, Params


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
class Question:
    """A loss over the free coordinates of a network's parameters; hashable, so that compiled code is used again.

    Args:
        network: The network.
        loss: Per-example loss.
        blocks: The free coordinates.
    """

    network: Network
    loss: PerExampleLoss
    blocks: tuple[Block, ...]

    @property
    def dimension(self) -> int:
        """Number d of free coordinates."""
        return sum(block.size for block in self.blocks)

    def losses(self, leaves: Any, structure: Any, inputs: Any, labels: Any) -> Any:
        """Loss of each example."""
        return self.loss(self.network.apply(jax.tree.unflatten(structure, leaves), inputs), labels)

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


class Data(NamedTuple):
    """Examples, as arrays on the device."""

    inputs: Any
    labels: Any


def checked_question(
    network: Network, params: Params, loss: str | PerExampleLoss, inputs: Any, labels: Any, mask: Any, points: bool
) -> tuple[Question, Params, Data]:
    """The question, the parameters and the data, in double precision inside :func:`~allroads.float64`, else in single.

    Args:
        network: The network.
        params: A point, or with ``points`` a stack of points with one leading axis.
        loss: Name or callable.
        inputs: ``[n, …]``.
        labels: ``[n, …]``.
        mask: ``None``, or a pytree of booleans like a point (a boolean for an array, or an array of its shape), or a
            function of the path of an array, as :func:`jax.tree_util.keystr` writes it, giving a boolean.
        points: Whether ``params`` is a stack.

    Raises:
        InputError: For parameters that are not floating-point or not finite, no data, a mask that does not fit or
            leaves nothing free.
    """
    arrays, structure = jax.tree.flatten(params)
    if not arrays:
        raise InputError("params: there is no array in it, so there is nothing to vary.")
    names = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    for name, leaf in zip(names, arrays, strict=True):
        if not jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.floating):
            raise InputError(
                f"params: the array at {name or 'the top'} has type {jnp.asarray(leaf).dtype}; expected floating-point "
                "numbers. Convert it, or bind it inside apply if it is not to be varied."
            )
        if not np.isfinite(np.asarray(leaf)).all():
            raise InputError(f"params: the array at {name or 'the top'} holds NaN or infinity.")
    arrays = [jnp.asarray(np.asarray(leaf), float) for leaf in arrays]
    shapes = [leaf.shape[1:] if points else leaf.shape for leaf in arrays]
    if len({leaf.shape[:1] for leaf in arrays}) != 1 and points:
        raise InputError("params: a stack of points needs the same leading axis on every array.")
    count = len(np.asarray(inputs))
    if count == 0 or len(np.asarray(labels)) != count:
        raise InputError(f"inputs and labels: expected as many of each, at least one; got {count} and {len(labels)}.")
    inputs, labels = np.asarray(inputs), np.asarray(labels)
    data = Data(*(jnp.asarray(a, float if np.issubdtype(a.dtype, np.floating) else None) for a in (inputs, labels)))
    blocks = tuple(_blocks(names, shapes, structure, mask))
    return Question(network, resolve_loss(loss), blocks), jax.tree.unflatten(structure, arrays), data


def _blocks(names: list[str], shapes: list[tuple[int, ...]], structure: Any, mask: Any) -> list[Block]:
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


def free_entries(params: Params, mask: Any, called: str = "mask") -> list[np.ndarray]:
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
    names: list[str], shapes: list[tuple[int, ...]], structure: Any, mask: Any, called: str = "mask"
) -> list[np.ndarray]:
    if mask is None:
        return [np.ones(shape, bool) for shape in shapes]
    if isinstance(mask, Callable):
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
