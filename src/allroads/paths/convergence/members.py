"""Members of a population, as people have them."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from allroads.errors import InputError
from allroads.pfmap.arrays import as_point, as_population
from allroads.pfmap.network import Network, Params


def as_members(network: Network, population: Any, what: str, least: int) -> Params:
    """A population as one pytree whose arrays lead with the member axis.

    Args:
        network: The network of all members.
        population: Such a pytree, or a list or tuple of points. A list that has the structure of a point of the network
            is a pytree.
        what: How errors call it.
        least: Members at least.

    Raises:
        InputError: If members are no points of the network, have different shapes, or are too few.

    Example:
        >>> line = Network(lambda key: np.zeros(3), lambda w, x: (x @ w)[:, None])
        >>> as_members(line, [np.zeros(3), np.ones(3)], "population", 2).shape
        (2, 3)
    """
    single = _point(network)
    structure: Any = None if single is None else jax.tree.structure(single)
    if isinstance(population, list | tuple) and jax.tree.structure(population) != structure:
        members: Params = as_population(population, network)
    else:
        members = as_point(population, what, network)
    leading = {np.shape(leaf)[:1] for leaf in jax.tree.leaves(members)}
    if len(leading) != 1 or leading == {()}:
        raise InputError(
            f"{what}: expected points along one leading axis of every array, or a list of points; the arrays lead with "
            f"{sorted(size[0] if size else 'nothing' for size in leading)}."
        )
    count = next(iter(leading))[0]
    shapes = None if single is None else [tuple(leaf.shape) for leaf in jax.tree.leaves(single)]
    given = [tuple(np.shape(leaf)[1:]) for leaf in jax.tree.leaves(members)]
    if shapes is not None and given != shapes:
        raise InputError(
            f"{what}: members have arrays of shapes {given}; a point of network {network.name!r} has {shapes}. Give "
            "points of this network along a leading axis, or a list of them."
        )
    if count < least:
        raise InputError(f"{what}: got {count} members; expected {least} or more. Train more runs.")
    return members


def _point(network: Network) -> Any | None:
    """The shapes of a point; ``None`` where they do not follow from ``network.init``."""
    try:
        return jax.eval_shape(lambda key: network.init(key), jax.random.key(0))
    except Exception:  # a user's init may do anything
        return None


def member(members: Params, at: int) -> Params:
    """One member."""
    return jax.tree.map(lambda leaf: leaf[at], members)
