"""Pace: how many steps an explorer takes for a way that gradient flow goes at its own speed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.explorers.explorer import Explorer
from allroads.paths.learnability.hop import Hop, slopes_along, way
from allroads.paths.learnability.response import filled, held, mean_rate, moves, started
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
        targets: Of each its hops, at rates from which what the gradient's length does to them is left out.

    Returns:
        Steps, interpolated within one; infinite where the way is.

    Example:
        Gradient descent does not rescale, so that its steps are the hitting time:

        >>> from allroads.explorers.gd import GD
        >>> from allroads.paths.learnability.spectrum import ResidualSpectrum
        >>> half = ResidualSpectrum(np.array([0.5]), np.array([1.0]))
        >>> own_steps(GD(), {"w": np.zeros((2, 2))}, [(Hop(half, 1 / 16, 2.0, 0.0, 1.0, 0.0),)]).round(3).tolist()
        [2.0]
    """
    ways = np.array([way(hops) for hops in targets])
    found = ways.copy()
    (going,) = np.nonzero((ways > 0) & np.isfinite(ways))
    leaves, structure = jax.tree.flatten(params)
    run = compiled_pace(explorer, structure, tuple(np.shape(leaf) for leaf in leaves))
    for begin in range(0, len(going), BATCH):
        part = going[begin : begin + BATCH]
        rows = np.resize(part, BATCH)  # one shape for all
        shares = np.array([slopes_along(targets[i], _GRID * ways[i]) for i in rows])
        steps = run(jnp.asarray(ways[rows], jnp.float32), jnp.asarray(shares, jnp.float32))
        found[part] = np.asarray(steps)[: len(part)]
    return found


@lru_cache(maxsize=32)
def compiled_pace(explorer: Explorer, structure: Any, shapes: tuple[tuple[int, ...], ...]) -> Any:
    """The compiled ``(ways [T], shares of the first slope on the grid of each [T, G]) -> steps [T]``."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    start = jax.tree.unflatten(structure, [jnp.zeros((1,) * len(shape), jnp.float32) for shape in shapes])
    grid = jnp.asarray(_GRID, jnp.float32)

    def one(way: Any, shares: Any) -> Any:
        first = started(explorer, start, filled(start, 1.0), jax.random.key(0))
        unit = mean_rate(held(explorer, first, filled(start, 1.0)), sizes)

        def going(carry: tuple) -> Any:
            _, index, covered, _ = carry
            return (covered < way) & (index < MOST)

        def go(carry: tuple) -> tuple:
            state, index, covered, _ = carry
            share = jnp.maximum(jnp.interp(covered / way, grid, shares), 1e-12)
            slope = filled(start, share)
            state, seen = moves(explorer, state, slope, slope, index, 1)
            return state, index + 1, covered + mean_rate(seen, sizes) / unit, covered

        _, taken, covered, before = jax.lax.while_loop(going, go, (first, jnp.int32(0), *[jnp.zeros_like(way)] * 2))
        within = taken - 1 + (way - before) / jnp.maximum(covered - before, 1e-30)
        return jnp.where(covered >= way, within, taken * way / jnp.maximum(covered, 1e-30))

    return jax.jit(jax.vmap(one))
