"""The group that acts on the parameters without changing the function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.network import Params


@dataclass(frozen=True, eq=False)
class Units:
    """Units that can be exchanged for one another.

    Args:
        name: The first parameter axis that they stand on, such as ``"layers/0/weight:1"``.
        size: How many, n.
        within: Numbers of the axes on which they depend, as heads are to the units inside a head: there is one
            permutation for each index of those. Empty for most.
        shape: Sizes of those axes; permutations are ``[*shape, n]``.
        movable: Whether they may be permuted. Fixed axes are listed too where others depend on them.
        signs: Sign flips: for each independent one, ``{(block, dimension): 1}`` of the parameters that it flips.
        scales: Positive scalings: for each independent one, ``{(block, dimension): power}``.
    """

    name: str
    size: int
    within: tuple[int, ...] = ()
    shape: tuple[int, ...] = ()
    movable: bool = True
    signs: tuple[Mapping[tuple[int, int], int], ...] = ()
    scales: tuple[Mapping[tuple[int, int], int], ...] = ()


@dataclass(frozen=True, eq=False)
class Block:
    """A part of a parameter array that is a plain product of units.

    Args:
        index: Where its elements lie in the flat parameters, one dimension for each entry of ``units``.
        units: What each dimension runs over, a number in ``Symmetries.units``; −1 where nothing moves it.
    """

    index: np.ndarray
    units: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Capture:
    """A part of an array inside the network that is a plain product of units.

    Args:
        path: Which array, as :func:`allroads.pfmap.jaxpr.intermediates` names it.
        block: Where its elements lie in the flat array, and what each dimension runs over.
        signs: For each dimension, the sign flips of its units, numbers in ``Units.signs``, that flip the array too.
    """

    path: str
    block: Block
    signs: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, eq=False)
class Element:
    """One element of the group: what ``Symmetries.act`` does to a point.

    Args:
        permutations: For each number of movable units, ``[*shape, n]``: new unit j is the old unit ``p[…, j]``.
        signs: For each (units, flip), ±1, ``[*shape, n]``, in the new order; missing ones are 1.
        scales: For each (units, scaling), positive, ``[*shape, n]``, in the new order; missing ones are 1.
    """

    permutations: Mapping[int, np.ndarray] = field(default_factory=dict)
    signs: Mapping[tuple[int, int], np.ndarray] = field(default_factory=dict)
    scales: Mapping[tuple[int, int], np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Symmetries:
    """The permutations, sign flips and rescalings of a network's parameters that leave its function as it is.

    Args:
        units: The sets of units, those that cannot move included where others depend on them.
        blocks: The parameters in blocks whose dimensions are units.
        shapes: Name and shape of every parameter array, in the order of the flat parameters.
        pinned: For every parameter axis with a part that cannot move, ``"name:axis" → reasons``.
        opaque: Primitives of JAX without a rule that touched units, with the parameter axes that they pinned.
        refused: Units whose derived symmetry changed the outputs in the numerical check; they were pinned.
        error: Largest change of the outputs in the check, relative to their size.
        captures: Blocks of the arrays inside the network that carry units.
    """

    units: tuple[Units, ...]
    blocks: tuple[Block, ...]
    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    pinned: Mapping[str, tuple[str, ...]]
    opaque: Mapping[str, tuple[str, ...]]
    refused: tuple[str, ...] = ()
    error: float = 0.0
    captures: tuple[Capture, ...] = ()

    @property
    def movable(self) -> tuple[int, ...]:
        """Numbers of the units that can be permuted, flipped or scaled."""
        return tuple(k for k, units in enumerate(self.units) if units.movable)

    @property
    def log10_order(self) -> float:
        """Decimal logarithm of how many permutations and sign flips there are."""
        total = 0.0
        for k in self.movable:
            units = self.units[k]
            copies = int(np.prod(units.shape, dtype=int))
            total += copies * (
                np.log10(np.arange(1, units.size + 1)).sum() + len(units.signs) * units.size * np.log10(2)
            )
        return float(total)

    def flatten(self, params: Params) -> np.ndarray:
        """The parameters side by side, ``[P]``, in double precision.

        Raises:
            InputError: If they are not those of this network, or not finite.
        """
        named = named_leaves(params)
        shapes = tuple((name, tuple(np.shape(leaf))) for name, leaf in named)
        if shapes != self.shapes:
            differing = next(
                ((x, y) for x, y in zip(shapes, self.shapes, strict=False) if x != y), (shapes, self.shapes)
            )
            raise InputError(
                f"the point is not of this architecture: it has {differing[0]} where {differing[1]} is expected. "
                "Compare points of the same network."
            )
        for name, leaf in named:
            if not np.isfinite(np.asarray(leaf)).all():
                raise InputError(f"parameter {name} is NaN or infinite; cut the run off before it diverged.")
        return np.concatenate([np.asarray(leaf, np.float64).ravel() for _, leaf in named] or [np.zeros(0)])

    def unflatten(self, flat: np.ndarray, like: Params) -> Params:
        """Flat parameters as a pytree with the shapes and precision of ``like``."""
        leaves, tree = jax.tree.flatten(like)
        ends = np.cumsum([np.size(leaf) for leaf in leaves])[:-1]
        parts = np.split(flat, ends)
        return jax.tree.unflatten(
            tree,
            [
                jax.numpy.asarray(part.reshape(np.shape(leaf)), leaf.dtype)
                for part, leaf in zip(parts, leaves, strict=True)
            ],
        )

    def gather(self, element: Element) -> tuple[np.ndarray, np.ndarray]:
        """An element as ``θ ↦ factor · θ[source]`` on flat parameters.

        Returns:
            ``source [P]`` and ``factor [P]``.
        """
        size = sum(block.index.size for block in self.blocks)
        source, factor = np.arange(size), np.ones(size)
        for number, block in enumerate(self.blocks):
            source[block.index] = block.index[self.source_indices(block, element.permutations)]
            factor[block.index] = self.factors(number, element)
        return source, factor

    def source_indices(self, block: Block, permutations: Mapping[int, np.ndarray]) -> tuple[np.ndarray, ...]:
        """The old index of every new one along each dimension of a block."""
        return tuple(
            np.arange(size).reshape([-1 if k == d else 1 for k in range(block.index.ndim)])
            if number not in permutations
            else self.broadcast(block.units, d, permutations[number])
            for d, (number, size) in enumerate(zip(block.units, block.index.shape, strict=True))
        )

    def broadcast(self, dimensions: tuple[int, ...], d: int, values: np.ndarray) -> np.ndarray:
        """Values ``[*shape, n]`` of the units on dimension ``d``, laid out along all the dimensions."""
        order = [*(dimensions.index(k) for k in self.units[dimensions[d]].within), d]
        shape = [1] * len(dimensions)
        for size, dimension in zip(values.shape, order, strict=True):
            shape[dimension] = size
        return values.transpose(np.argsort(order)).reshape(shape)

    def factors(self, number: int, element: Element) -> np.ndarray:
        """What the signs and scales of an element do to a block, in the new order."""
        block = self.blocks[number]
        result = np.ones(block.index.shape)
        for values, ways in ((element.signs, "signs"), (element.scales, "scales")):
            for (k, way), value in values.items():
                for (at, d), power in getattr(self.units[k], ways)[way].items():
                    if at == number:
                        result = result * self.broadcast(block.units, d, np.asarray(value, float)) ** power
        return result

    def act(self, element: Element, params: Params) -> Params:
        """A point moved by an element: another point with the same function.

        Raises:
            InputError: If the point is not of this architecture, or not finite.
        """
        source, factor = self.gather(element)
        return self.unflatten(factor * self.flatten(params)[source], params)

    def random(self, rng: np.random.Generator, spread: float = 0.5) -> Element:
        """A random element: uniform permutations and signs, log-normal scales with that standard deviation."""
        permutations, signs, scales = {}, {}, {}
        for k in self.movable:
            units = self.units[k]
            shape = (*units.shape, units.size)
            permutations[k] = rng.permuted(np.broadcast_to(np.arange(units.size), shape), axis=-1)
            for way in range(len(units.signs)):
                signs[k, way] = rng.choice([-1.0, 1.0], size=shape)
            for way in range(len(units.scales)):
                scales[k, way] = np.exp(spread * rng.normal(size=shape))
        return Element(permutations, signs, scales)

    def describe(self) -> str:
        """The group in a few lines, one for each set of units, and what is pinned by primitives without a rule."""
        lines = []
        for k in self.movable:
            units = self.units[k]
            inside = f", one permutation for each of {'×'.join(map(str, units.shape))}" if units.shape else ""
            more = [f"{len(w)} {n}" for n, w in (("sign", units.signs), ("scale", units.scales)) if w]
            lines.append(f"{units.name}: {units.size} units{inside}" + (f"; {', '.join(more)}" if more else ""))
        lines += [f"no rule for {name}: pins {', '.join(axes)}" for name, axes in self.opaque.items()]
        lines += [f"changed the outputs, so pinned: {name}" for name in self.refused]
        return "\n".join(lines) or "no symmetry was found"


def named_leaves(params: Params) -> list[tuple[str, Any]]:
    """Every array with its path, such as ``"layers/0/weight"``."""
    return [
        (
            "/".join(str(getattr(key, "key", getattr(key, "idx", getattr(key, "name", key)))) for key in path)
            or "params",
            x,
        )
        for path, x in jax.tree_util.tree_leaves_with_path(params)
    ]
