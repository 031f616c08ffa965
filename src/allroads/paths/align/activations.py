"""Terms made of what the units do on data."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from allroads.paths.align.terms import Term
from allroads.pfmap.network import Network, Params
from allroads.pfmap.symmetries import Block, Symmetries
from allroads.pfmap.symmetries.captured import inside
from allroads.pfmap.symmetries.symmetries import EXAMPLES

LARGEST = 1024
"""Examples used at most."""


def activation_terms(network: Network, found: Symmetries, a: Params, b: Params, inputs: Any) -> list[Term]:
    """The arrays inside the network at two points, each unit with mean 0 and norm 1 over the data.

    The products of two units are then their correlations. A unit that does not vary is zero and matches nothing.
    """
    run = inside(network, frozenset(count for count, _ in found.captures))
    seen = [_batches(run, point, inputs) for point in (a, b)]
    terms = []
    for count, block in found.captures:
        units = (-1, *block.units)
        if not all(np.isfinite(s[count]).all() for s in seen):
            continue  # masked scores and the like
        values = [_standardised(s[count].reshape(len(s[count]), -1)[:, block.index], units) for s in seen]
        flips = tuple((0,) if k >= 0 and found.units[k].signs else () for k in units)
        terms.append(Term(Block(np.zeros(0, int), units), values[0], values[1], flips))
    return terms


def _batches(run: Any, point: Params, inputs: Any) -> dict[int, np.ndarray]:
    """Everything that is looked at, on batches of the size that the network was traced with."""
    size = min(EXAMPLES, len(jax.tree.leaves(inputs)[0]))
    count = min(LARGEST, len(jax.tree.leaves(inputs)[0])) // size
    parts = [
        run(point, jax.tree.map(lambda x, i=i: np.asarray(x)[i * size : (i + 1) * size], inputs)) for i in range(count)
    ]
    return {key: np.stack([np.asarray(part[key], np.float64) for part in parts]) for key in parts[0]}


def _standardised(values: np.ndarray, units: tuple[int, ...]) -> np.ndarray:
    over = tuple(d for d, k in enumerate(units) if k < 0)
    centred = values - values.mean(axis=over, keepdims=True)
    norm = np.sqrt((centred**2).sum(axis=over, keepdims=True))
    still = norm <= 1e-9 * np.sqrt((values**2).sum(axis=over, keepdims=True)) + 1e-300
    return np.divide(centred, norm, out=np.zeros_like(centred), where=~still)
