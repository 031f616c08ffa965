"""Terms made of what the units do on data."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from allroads.paths.align.terms import Term
from allroads.pfmap.inputs import number_of_examples
from allroads.pfmap.jaxpr import evaluate
from allroads.pfmap.network import Network, Params
from allroads.pfmap.symmetries import Block, Symmetries
from allroads.pfmap.symmetries.symmetries import EXAMPLES

LARGEST = 1024
"""Examples used at most."""


def activation_terms(network: Network, found: Symmetries, a: Params, b: Params, inputs: Any) -> list[Term]:
    """The arrays inside the network at two points, each unit with mean 0 and norm 1 over the data.

    The products of two units are then their correlations. A unit that does not vary is zero and matches nothing.
    """
    paths = sorted({capture.path for capture in found.captures})
    captured = _capturing(network, tuple(paths))
    values = [_in_batches(captured, point, inputs) for point in (a, b)]
    finite = {path for path in paths if all(np.isfinite(v[path]).all() for v in values)}  # masked scores are not
    terms = []
    for capture in found.captures:
        if capture.path in finite:
            units = (-1, *capture.block.units)
            at_a, at_b = (
                _standardised(v[capture.path].reshape(len(v[capture.path]), -1)[:, capture.block.index], units)
                for v in values
            )
            terms.append(Term(Block(np.zeros(0, int), units), at_a, at_b, ((), *capture.signs)))
    return terms


@lru_cache(maxsize=64)
def _capturing(network: Network, paths: tuple[str, ...]) -> Callable[[Params, Any], dict[str, Any]]:
    """``(point, inputs) -> the captured arrays``, compiled."""
    return jax.jit(lambda point, x: evaluate(network.apply, point, x, capture=paths)[1])


def _in_batches(captured: Callable[[Params, Any], dict[str, Any]], point: Params, inputs: Any) -> dict[str, np.ndarray]:
    """The captured arrays, on batches of the size that the network was traced with."""
    size = min(EXAMPLES, number_of_examples(inputs))
    count = min(LARGEST, number_of_examples(inputs)) // size
    parts = [
        captured(point, jax.tree.map(lambda x, i=i: np.asarray(x)[i * size : (i + 1) * size], inputs))
        for i in range(count)
    ]
    return {path: np.stack([np.asarray(part[path], np.float64) for part in parts]) for path in parts[0]}


def _standardised(values: np.ndarray, units: tuple[int, ...]) -> np.ndarray:
    over = tuple(d for d, k in enumerate(units) if k < 0)
    centred = values - values.mean(axis=over, keepdims=True)
    norm = np.sqrt((centred**2).sum(axis=over, keepdims=True))
    constant = norm <= 1e-9 * np.sqrt((values**2).sum(axis=over, keepdims=True)) + 1e-300
    result: np.ndarray = np.divide(centred, norm, out=np.zeros_like(centred), where=~constant)
    return result
