"""Pace: how many steps an explorer takes for a way that gradient flow goes at its own speed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.explorers.explorer import Explorer, Problem
from allroads.paths.learnability.hop import Hop, slopes_along, way
from allroads.paths.learnability.response import HORIZON
from allroads.paths.learnability.spectrum import BATCH
from allroads.pfmap.network import Params

MOST = 4096
"""Steps that are followed; what is left then is taken at the mean speed so far."""
_GRID = np.concatenate([[0.0], np.geomspace(1e-4, 1.0, 127)])


def own_steps(explorer: Explorer, params: Params, targets: Sequence[tuple[Hop, ...]]) -> np.ndarray:
    """Steps of the explorer until the loss is at its goal on the way that hops tell, ``[T]``.

    A way counts steps of the size that the first have. Explorers that rescale gradients do not slow down as those fall,
    some at once (Muon), some when they forget what they were (Adam). So the explorer is run on a linear loss whose
    slope changes as the gradient does on the way that it has gone so far: one number a leaf, all leaves alike, weighted
    by their sizes.

    Args:
        explorer: The explorer; learning-rate schedules count from its first step.
        params: A point, for the shapes of the leaves.
        targets: Of each its hops, under the explorer's rates at its first steps.

    Returns:
        Steps, interpolated within one; infinite where the way is.

    Example:
        Gradient descent does not rescale, so that its steps are the hitting time:

        >>> from allroads.explorers.gd import gd
        >>> from allroads.paths.learnability.spectrum import ResidualSpectrum
        >>> half = ResidualSpectrum(np.array([0.5]), np.array([1.0]))
        >>> own_steps(gd(), {"w": np.zeros((2, 2))}, [(Hop(half, 1 / 16, 2.0, 0.0, 1.0, 0.0),)]).round(3).tolist()
        [2.0]
    """
    ways = np.array([way(hops) for hops in targets])
    found = ways.copy()
    (going,) = np.nonzero((ways > 0) & np.isfinite(ways))
    leaves, structure = jax.tree.flatten(params)
    run = compiled_pace(explorer, structure, tuple(np.shape(leaf) for leaf in leaves))
    for begin in range(0, len(going), BATCH):
        part = going[begin : begin + BATCH]
        filled = np.resize(part, BATCH)  # one shape for all
        shares = np.array([slopes_along(targets[i], _GRID * ways[i]) for i in filled])
        found[part] = np.asarray(run(jnp.asarray(ways[filled], jnp.float32), jnp.asarray(shares, jnp.float32)))[
            : len(part)
        ]
    return found


@lru_cache(maxsize=32)
def compiled_pace(explorer: Explorer, structure: Any, shapes: tuple[tuple[int, ...], ...]) -> Any:
    """The compiled ``(ways [T], shares of the first slope on the grid of each [T, G]) -> steps [T]``."""
    sizes = [float(np.prod(shape)) for shape in shapes]
    start = jax.tree.unflatten(structure, [jnp.zeros((1,) * len(shape), jnp.float32) for shape in shapes])
    examples = explorer.batch_size or 1
    nothing = jnp.zeros((examples, 1), jnp.float32)
    grid = jnp.asarray(_GRID, jnp.float32)

    def step(state: Any, share: Any, index: Any) -> Any:
        def linear(point: Params, inputs: Any, labels: Any) -> Any:
            return share * sum(leaf.sum() for leaf in jax.tree.leaves(point))

        return explorer.step(state, Problem(linear, nothing, nothing), index)

    def gone(before: Any, after: Any) -> Any:
        pairs = zip(jax.tree.leaves(before.params), jax.tree.leaves(after.params), sizes, strict=True)
        return sum(size * (a - b).sum() for a, b, size in pairs)

    def one(way: Any, shares: Any) -> Any:
        first = explorer.init(start, jax.random.key(0), examples)
        half = jax.lax.fori_loop(0, HORIZON // 2, lambda i, s: step(s, 1.0, i), first)
        whole = jax.lax.fori_loop(HORIZON // 2, HORIZON, lambda i, s: step(s, 1.0, i), half)
        unit = gone(half, whole) / (HORIZON // 2)

        def going(carry: tuple) -> Any:
            _, index, covered, _ = carry
            return (covered < way) & (index < MOST)

        def go(carry: tuple) -> tuple:
            state, index, covered, _ = carry
            share = jnp.maximum(jnp.interp(covered / way, grid, shares), 1e-12)
            after = step(state, share, index)
            return after, index + 1, covered + gone(state, after) / (share * unit), covered

        _, taken, covered, before = jax.lax.while_loop(going, go, (first, jnp.int32(0), *[jnp.zeros_like(way)] * 2))
        within = taken - 1 + (way - before) / jnp.maximum(covered - before, 1e-30)
        return jnp.where(covered >= way, within, taken * way / jnp.maximum(covered, 1e-30))

    return jax.jit(jax.vmap(one))
