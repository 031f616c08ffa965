"""One representative of all points that symmetries turn into each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from allroads.pfmap.network import Params
from allroads.pfmap.symmetries.group import Element, Symmetries
from allroads.pfmap.symmetries.scales import balanced_scales


def canonical(found: Symmetries, params: Params) -> Params:
    """The canonical form of a point modulo the symmetries of its network: equal for points that they connect.

    Scales are balanced: the representative has the smallest norm. Then units are put in order, those that touch inputs
    and outputs first: by their weights to units that are in order already, and by the norms of their other weights.
    The sign of a unit is the one that makes the largest of its weights to ordered units positive.

    Args:
        found: The symmetries of the network.
        params: The point.

    Returns:
        The representative, shaped like ``params``; it computes the same function.

    Raises:
        InputError: If the point is not of this network, or not finite.

    When it fails: units with equal weights, such as two dead units, cannot be told apart. They stay in the order in
    which they came, and two points are then equal up to their exchange. Rounding moves a representative by as
    much as it moves the point, unless two weights that decide an order are nearly equal.

    Example:
        >>> import jax
        >>> from allroads.networks.mlp import mlp
        >>> from allroads.pfmap.symmetries import symmetries
        >>> network = mlp((3,), 2, widths=(8, 8))
        >>> params = network.init(jax.random.key(0))
        >>> found = symmetries(network, params, np.ones((1, 3)))
        >>> moved = found.act(found.random(np.random.default_rng(0)), params)
        >>> forms = [found.flatten(canonical(found, point)) for point in (params, moved)]
        >>> bool(np.abs(forms[0] - forms[1]).max() < 1e-5)
        True
    """
    flat, _ = balanced_scales(found, found.flatten(params))
    waiting = [k for k in found.movable if found.units[k].size > 1 or found.units[k].signs]
    while waiting:
        ready = [k for k in waiting if not set(found.units[k].within) & set(waiting)]
        k = max(ready, key=lambda k: (_weight_in_order(found, k, waiting), -k))
        flat = _moved(found, Element(signs=_signs(found, k, waiting, flat)), flat)
        flat = _moved(found, Element({k: _order(found, k, waiting, flat)}), flat)
        waiting.remove(k)
    return found.unflatten(flat, params)


def _moved(found: Symmetries, element: Element, flat: np.ndarray) -> np.ndarray:
    source, factor = found.gather(element)
    moved: np.ndarray = factor * flat[source]
    return moved


def _in_order(found: Symmetries, k: int, waiting: list[int], number: int) -> bool:
    """Whether a block leads from some units only to units that are in order already."""
    units = found.blocks[number].units
    return units.count(k) == 1 and not set(units) & set(waiting) - {k}


def _weight_in_order(found: Symmetries, k: int, waiting: list[int]) -> int:
    """How many parameters lead from a unit to units that are in order."""
    return sum(b.index.size for n, b in enumerate(found.blocks) if _in_order(found, k, waiting, n))


def _signs(found: Symmetries, k: int, waiting: list[int], flat: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
    """For each flip the sign that makes the largest of the weights that it alone flips positive.

    Weights count that lead to units in order, and to units inside these that no flip of their own touches: the largest
    of them does not depend on the order of the units inside.
    """
    signs: dict[tuple[int, int], np.ndarray] = {}
    generators = found.units[k].signs
    inside = {other for other in waiting if k in found.units[other].within}
    for way, positions in enumerate(generators):
        rows = [
            _by_unit(found, k, flat[found.blocks[n].index], found.blocks[n].units)
            for n, d in positions
            if sum((n, d) in other for other in generators) == 1
            and _in_order(found, k, [other for other in waiting if other not in inside], n)
            and not any(block == n for other in inside for flips in found.units[other].signs for block, _ in flips)
        ]
        if rows:
            flipped = np.concatenate(rows, axis=-1)
            largest = np.take_along_axis(flipped, np.abs(flipped).argmax(-1)[..., None], axis=-1)[..., 0]
            signs[k, way] = np.where(largest < 0, -1.0, 1.0)
    return signs


def _order(found: Symmetries, k: int, waiting: list[int], flat: np.ndarray) -> np.ndarray:
    """The permutation that sorts units by their weights in order, then by the norms of the others."""
    signed: list[np.ndarray] = []
    norms: list[np.ndarray] = []
    for block in (block for block in found.blocks if block.units.count(k) == 1):
        values = flat[block.index]
        loose = tuple(d for d, number in enumerate(block.units) if number in waiting and number != k)
        if loose:
            values = np.sqrt((values**2).sum(axis=loose, keepdims=True))
        (norms if loose else signed).append(_by_unit(found, k, values, block.units))
    keys = np.concatenate([*signed, *norms], axis=-1)
    flat_keys = keys.reshape(-1, *keys.shape[-2:])
    return np.stack([np.lexsort(key.T[::-1]) for key in flat_keys]).reshape(keys.shape[:-1])


def _by_unit(found: Symmetries, k: int, values: np.ndarray, units: tuple[int, ...]) -> np.ndarray:
    """``[*shape, n, everything else]``."""
    order: list[Any] = [*(units.index(other) for other in found.units[k].within), units.index(k)]
    front = np.moveaxis(values, order, range(len(order)))
    return front.reshape(*front.shape[: len(order)], -1)
