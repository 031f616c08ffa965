"""Points as vectors: how a pytree of parameters lies in one array."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.network import Params
from allroads.pfmap.symmetries.group import named_leaves


@dataclass(frozen=True)
class Layout:
    """Structure, shapes and precisions of one point; hashable, so that what is compiled for it can be kept.

    Args:
        tree: Structure of the parameters.
        shapes: Of every leaf, without member axes.
        dtypes: Of every leaf.
    """

    tree: Any
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[str, ...]

    @property
    def size(self) -> int:
        """Number P of parameters."""
        return sum(int(np.prod(shape)) for shape in self.shapes)

    @property
    def dtype(self) -> Any:
        """The highest of the precisions."""
        return jnp.result_type(*self.dtypes)

    def flatten(self, params: Params, axes: int = 0) -> np.ndarray:
        """The parameters side by side, ``[…, P]``, with ``axes`` leading axes, in the highest of their precisions."""
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(params)]
        return np.concatenate([leaf.reshape(*leaf.shape[:axes], -1).astype(self.dtype) for leaf in leaves], axis=-1)

    def unflatten(self, flat: Any) -> Params:
        """Parameters from ``[…, P]``, NumPy or JAX; leading axes stay."""
        ends = np.cumsum([0, *(int(np.prod(shape)) for shape in self.shapes)])
        parts = [flat[..., start:stop] for start, stop in itertools.pairwise(ends)]
        leaves = [
            part.reshape(*flat.shape[:-1], *shape).astype(dtype)
            for part, shape, dtype in zip(parts, self.shapes, self.dtypes, strict=True)
        ]
        return jax.tree.unflatten(self.tree, leaves)


def layout_of(a: Params, b: Params, a_population: bool, b_population: bool) -> Layout:
    """The common layout of two points, or of populations of them.

    Args:
        a: A point or a population.
        b: Another.
        a_population: Whether ``a`` has a leading member axis.
        b_population: Whether ``b`` has one.

    Raises:
        InputError: If they are not of one architecture, or a population has no member axis.
    """
    found = []
    for point, name, population in ((a, "a", a_population), (b, "b", b_population)):
        leaves = named_leaves(point)
        lengths = {np.shape(leaf)[0] if np.ndim(leaf) else None for _, leaf in leaves}
        if population and (len(lengths) > 1 or None in lengths or 0 in lengths):
            raise InputError(
                f"connect: {name} is no population: its arrays need one leading axis of the same length ≥ 1; "
                f"got lengths {sorted(lengths, key=str)}. Stack the members leaf by leaf."
            )
        shapes = tuple(tuple(np.shape(leaf)[population:]) for _, leaf in leaves)
        found.append((jax.tree.structure(point), shapes, tuple(str(jnp.result_type(leaf)) for _, leaf in leaves)))
    if found[0][:2] != found[1][:2]:
        raise InputError(
            f"connect: the two points are not of one architecture: a has {found[0][:2]}, b has "
            f"{found[1][:2]}. Connect ends of the same network."
        )
    (tree, shapes, own), (_, _, other) = found
    return Layout(tree, shapes, tuple(str(jnp.promote_types(p, q)) for p, q in zip(own, other, strict=True)))
