"""The symmetries of a network, derived and checked."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from allroads.pfmap.inputs import choose, read_inputs
from allroads.pfmap.jaxpr import traceable
from allroads.pfmap.network import Network, Params
from allroads.pfmap.precision import float64
from allroads.pfmap.symmetries.derive import derive
from allroads.pfmap.symmetries.group import Element, Symmetries

EXAMPLES = 16
"""Examples that a network is traced and checked on; more would show nothing new."""

TOLERANCE = 1e-10
"""Largest change of the outputs that rounding may make in double precision, relative to their size."""

SINGLE = 1e-4
"""The same for a network that computes in single precision whatever it is given."""


def symmetries(network: Network, params: Params, inputs: Any, seed: int = 0) -> Symmetries:
    """The permutations, sign flips and rescalings of parameters that leave a network's function as it is.

    They are derived from the jaxpr of ``network.apply``. Axes that are added, multiplied or contracted with each other
    move together. What touches inputs, outputs or the index itself is pinned. Permutations are found of hidden units,
    channels, heads, the units inside a head, the state of a recurrent network, and the residual stream. Sign flips are
    found where a function is odd, and positive rescalings where it is homogeneous. The result is then checked: random
    elements act on random parameters in double precision. Units whose motion changes an output are pinned and named.

    Args:
        network: The two pure functions.
        params: A point of it: its shapes count, and random parameters for the check are drawn around it.
        inputs: A few examples as the network takes them; 16 are used.
        seed: Of the check.

    Returns:
        A :class:`Symmetries`: ``units``, ``blocks``, what is ``pinned`` and why, primitives without a rule
        (``opaque``), and ``act``, ``random``, ``describe``.

    Raises:
        InputError: If the network cannot be traced, or a parameter is not real and finite.

    When it fails: symmetries that do not act on single axes are not found. Such are exchanges of parts that are written
    out one after another (heads in a Python loop, experts in a list). Such are rotations of linear and of query–key
    spaces, shifts of the inputs of softmax, and anything that holds on the given data alone. What a network's
    constants pin (the running statistics of a PyTorch batch norm) stays pinned.

    References:
        [ainsworth2023], [entezari2022]

    Example:
        >>> from allroads.networks.mlp import mlp
        >>> network = mlp((3,), 2, widths=(8,), activation="tanh")
        >>> found = symmetries(network, network.init(jax.random.key(0)), np.ones((4, 3)))
        >>> print(found.describe())
        layers/0/bias:0: 8 units; 1 sign
    """
    few = choose(read_inputs(inputs), slice(EXAMPLES))
    with traceable(network, "these inputs"):
        found = derive(network, params, few)
    found.flatten(params)
    return _checked(network, found, params, few, seed)


def _checked(network: Network, found: Symmetries, params: Params, inputs: Any, seed: int) -> Symmetries:
    """The symmetries that hold up, the largest error, and the names of those that do not."""
    rng = np.random.default_rng(seed)
    with float64():
        apply = jax.jit(network.apply)
        data = jax.tree.map(lambda x: jnp.asarray(x, np.float64) if x.dtype.kind == "f" else jnp.asarray(x), inputs)
        point = _generic_point(found, params, rng)
        before = np.asarray(apply(point, data))
        limit = TOLERANCE if before.dtype == np.float64 else SINGLE

        def change(element: Element) -> float:
            after = np.asarray(apply(found.act(element, point), data))
            if not np.array_equal(np.isfinite(before), np.isfinite(after)):
                return np.inf
            seen = np.isfinite(before)
            return float(np.abs(after - before)[seen].max(initial=0) / max(1.0, np.abs(before[seen]).max(initial=0)))

        whole = found.random(rng)
        error = change(whole)
        if error <= limit:
            return dataclasses.replace(found, error=error)
        bad = {k for k in found.movable if change(_restricted(whole, k)) > limit}
        bad |= {k for k in found.movable if set(found.units[k].within) & bad}
        bad = bad or set(found.movable)
        left = Element(
            {k: p for k, p in whole.permutations.items() if k not in bad},
            {key: s for key, s in whole.signs.items() if key[0] not in bad},
            {key: s for key, s in whole.scales.items() if key[0] not in bad},
        )
        if (error := change(left)) > limit:
            bad, error = set(found.movable), 0.0
    units = tuple(
        dataclasses.replace(u, movable=False, signs=(), scales=()) if k in bad else u for k, u in enumerate(found.units)
    )
    return dataclasses.replace(found, units=units, refused=tuple(found.units[k].name for k in sorted(bad)), error=error)


def _restricted(element: Element, k: int) -> Element:
    """The part of an element that moves one set of units."""
    return Element(
        {k: element.permutations[k]},
        {key: s for key, s in element.signs.items() if key[0] == k},
        {key: s for key, s in element.scales.items() if key[0] == k},
    )


def _generic_point(found: Symmetries, params: Params, rng: np.random.Generator) -> Params:
    """A generic point near the given one, in double precision: every number keeps its sign, zeros get one."""
    flat = found.flatten(params)
    moved = np.where(flat == 0, 0.1 * rng.normal(size=flat.size), flat * np.exp(0.3 * rng.normal(size=flat.size)))
    wide = jax.tree.map(lambda leaf: jnp.zeros(np.shape(leaf), np.float64), params)
    return found.unflatten(moved, wide)
