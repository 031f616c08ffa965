"""Rounding a point to the coarsest grid that keeps its loss: the search that sizes and compressed lengths rest on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from allroads.checks import check_count
from allroads.pfmap.objective import Examples, Objective
from allroads.points.description.grids import WIDTHS, Grid, codes, decoded, make_grids
from allroads.points.description.point import Point


@dataclass(frozen=True)
class Rounding:
    """One way of rounding a point, at the width where it is smallest.

    Args:
        bits: Size of the point: codes, scales and what is kept.
        width: Bits a code; ``None`` where the point is smallest as it is stored.
        loss: Loss of the rounded point.
        codes: Integer codes, an array a tensor that is on a grid; empty where the width is ``None`` or 0.
        overhead: The part of ``bits`` that is not codes.
    """

    bits: int
    width: int | None
    loss: float
    codes: tuple[np.ndarray, ...]
    overhead: int


@dataclass(frozen=True)
class Search:
    """What was tried and what was found.

    Args:
        roundings: To nearest first, then one a stochastic draw.
        losses: Loss at every width of ``WIDTHS``, ``[1 + draws, widths]``.
    """

    roundings: tuple[Rounding, ...]
    losses: Float[np.ndarray, "roundings widths"]


def find_roundings(point: Point, delta: float, scales: str, draws: int, seed: int) -> Search:
    """Try every width with every rounding, and take the smallest size whose loss rises by at most δ.

    Raises:
        InputError: If ``draws`` is not a whole number ≥ 0.
        UnknownNameError: If there are no such scales.
    """
    check_count("draws", draws, 0)
    grids = make_grids(point.leaves, scales)
    units = [None if grid.unit is None else grid.unit.astype(leaf.dtype) for leaf, grid in _pairs(point, grids)]
    losses_at = _losses(point.objective, point.tree)
    tried, found = [], []
    for draw in range(1 + draws):
        noise = _noise(point, seed, draw)
        losses = np.asarray(losses_at(point.leaves, units, noise, point.data), np.float64)
        fits = losses <= point.allowed(delta, losses[0])
        sizes = [_size(point, grids, width) for width, fit in zip(WIDTHS, fits, strict=True) if fit]
        best = min([*sizes, (point.stored_bits * point.count, None, 0)], key=lambda size: size[0])
        tried.append(losses)
        found.append(_rounding(point, units, noise, best, losses))
    return Search(tuple(found), np.stack(tried))


def spread(values: list[float]) -> float | None:
    """Root mean square distance of the values of stochastic roundings from the first, that to nearest.

    Example:
        >>> spread([4.0, 7.0, 1.0]), spread([4.0])
        (3.0, None)
    """
    return float(np.sqrt(np.mean(np.square(np.subtract(values[1:], values[0]))))) if len(values) > 1 else None


def _pairs(point: Point, grids: list[Grid]) -> Iterator[tuple[Any, Grid]]:
    return zip(point.leaves, grids, strict=True)


def _size(point: Point, grids: list[Grid], width: int) -> tuple[int, int, int]:
    """Bits, the width, and the overhead among the bits. With no bits a code there is nothing to scale."""
    on_grid = sum(leaf.size for leaf, grid in _pairs(point, grids) if grid.unit is not None)
    stored = sum(grid.scales for grid in grids if grid.unit is None or width > 0)
    overhead = point.stored_bits * stored
    return width * on_grid + overhead, width, overhead


def _noise(point: Point, seed: int, draw: int) -> list[Any]:
    """½ for draw 0, uniform for the others; the same at every width."""
    if draw == 0:
        return [np.full((), 0.5, leaf.dtype) for leaf in point.leaves]
    rng = np.random.default_rng([seed, draw])
    return [np.asarray(rng.random(leaf.shape), leaf.dtype) for leaf in point.leaves]


def _rounding(
    point: Point, units: list[Any], noise: list[Any], found: tuple[int, int | None, int], losses: np.ndarray
) -> Rounding:
    bits, width, overhead = found
    if not width:
        return Rounding(bits, width, point.loss if width is None else float(losses[0]), (), overhead)
    rounded = [
        np.asarray(codes(leaf, unit, width, part)).astype(np.int32)
        for leaf, unit, part in zip(point.leaves, units, noise, strict=True)
        if unit is not None
    ]
    return Rounding(bits, width, float(losses[WIDTHS.index(width)]), tuple(rounded), overhead)


@lru_cache(maxsize=64)
def _losses(objective: Objective, tree: Any) -> Any:
    """``losses(leaves, units, noise, data)`` by width, one rounded point in memory at a time."""

    def losses(leaves: list[Any], units: list[Any], noise: list[Any], data: Examples) -> Any:
        def at(width: Any) -> Any:
            rounded = [
                leaf if unit is None else decoded(codes(leaf, unit, width, part), unit, width)
                for leaf, unit, part in zip(leaves, units, noise, strict=True)
            ]
            return objective.mean(jax.tree.unflatten(tree, rounded), data)

        return jax.lax.map(at, jnp.asarray(WIDTHS))

    return jax.jit(losses)
