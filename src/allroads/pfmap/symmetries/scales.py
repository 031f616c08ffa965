"""The scales of units, balanced."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from allroads.pfmap.symmetries.group import Element, Symmetries

SWEEPS = 200
"""Times that all units are gone through at most; the units of neighbouring layers depend on each other."""

NEWTON = 8
"""Newton steps for one set of units; one is exact where there are only two powers."""


def balanced_scales(found: Symmetries, flat: np.ndarray) -> tuple[np.ndarray, Element]:
    """The point with the smallest norm among those that rescaling reaches, and the scales that lead there.

    At it every unit has equal weight before and behind it: ``Σ power · ‖weights‖² = 0``. A unit whose weights on one
    side are all zero has no such scale and is left as it is.

    Args:
        found: The symmetries.
        flat: Flat parameters ``[P]``.

    Returns:
        The flat parameters there, and the element.

    References:
        [neyshabur2015]

    Example:
        A unit with weights 8 before and 2 behind it has 4 on both sides when balanced:

        >>> import jax.numpy as jnp
        >>> from allroads import Network
        >>> from allroads.pfmap.symmetries import symmetries
        >>> network = Network(lambda key: None, lambda p, x: jnp.maximum(x @ p["in"], 0) @ p["out"])
        >>> point = {"in": jnp.full((1, 1), 8.0), "out": jnp.full((1, 1), 2.0)}
        >>> found = symmetries(network, point, np.ones((1, 1)))
        >>> balanced_scales(found, found.flatten(point))[0].round(6).tolist()
        [4.0, 4.0]
    """
    logs = {
        (k, way): np.zeros((*found.units[k].shape, found.units[k].size))
        for k in found.movable
        for way in range(len(found.units[k].scales))
    }
    flat = flat.copy()
    for _ in range(SWEEPS):
        largest = 0.0
        for (k, way), log in logs.items():
            step = _balancing(found, k, way, flat)
            log += step
            largest = max(largest, float(np.abs(step).max()))
            for index, order, power in scaled_blocks(found, k, way):
                factor = np.exp(power * step)
                front = np.moveaxis(index, order, range(len(order)))
                flat[front] *= factor.reshape(*factor.shape, *[1] * (front.ndim - factor.ndim))
        if largest < 1e-13:
            break
    return flat, Element(scales={key: np.exp(log) for key, log in logs.items()})


def scaled_blocks(found: Symmetries, k: int, way: int) -> Iterator[tuple[np.ndarray, list[int], int]]:
    """The blocks that scale with some units: their indices, the dimensions of the units, and the power."""
    for (number, d), power in found.units[k].scales[way].items():
        block = found.blocks[number]
        yield block.index, [*(block.units.index(other) for other in found.units[k].within), d], power


def by_unit(values: np.ndarray, order: list[int]) -> np.ndarray:
    """The dimensions of the units first, all others as one."""
    front = np.moveaxis(values, order, range(len(order)))
    return front.reshape(*front.shape[: len(order)], -1)


def _balancing(found: Symmetries, k: int, way: int, flat: np.ndarray) -> np.ndarray:
    """The logarithm u of the factors at which ``Σ_p p e^{2pu} ‖weights‖²`` vanishes, unit by unit."""
    weight: dict[int, np.ndarray] = {}
    for index, order, power in scaled_blocks(found, k, way):
        weight[power] = weight.get(power, 0) + (by_unit(flat[index], order) ** 2).sum(-1)
    ahead, behind = ({p: w for p, w in weight.items() if p * side > 0} for side in (1, -1))
    shape = (*found.units[k].shape, found.units[k].size)
    bounded = (sum(ahead.values(), np.zeros(shape)) > 0) & (sum(behind.values(), np.zeros(shape)) > 0)
    u = np.zeros(shape)
    if not bounded.any():
        return u
    for _ in range(NEWTON):
        heights, slopes = [], []
        for side in (ahead, behind):
            terms = {p: np.where(bounded, abs(p) * np.exp(2 * p * u) * w, 1.0) for p, w in side.items()}
            total = sum(terms.values())
            heights.append(np.log(total))
            slopes.append(sum(2 * p * t for p, t in terms.items()) / total)
        u = np.where(bounded, u - (heights[0] - heights[1]) / (slopes[0] - slopes[1]), 0.0)
    return u
