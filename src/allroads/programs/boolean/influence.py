"""An order of inputs: such as act together side by side, those of most influence first."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.cluster.hierarchy import linkage

ROWS, ASKED = 64, 60_000
"""Rows on which bits are flipped, fewer where more than so many would be asked; their shares of ones differ, so that
conjunctions of many bits are seen."""


def order_of(
    outputs: Callable[[np.ndarray], np.ndarray], width: int, seed: int, beside: np.ndarray | None = None
) -> np.ndarray:
    """Inputs in the order of a tree in which those that act together are near.

    Two inputs act together as far as flipping both moves the output otherwise than the two flips by themselves do:
    ``|f(x) − f(x ⊕ i) − f(x ⊕ j) + f(x ⊕ i ⊕ j)|``, a mean over rows. Diagrams are small where such inputs are near.
    No answer depends on the order.

    Args:
        outputs: From booleans ``[N, n]`` to numbers ``[N]``.
        width: Number n of inputs.
        seed: Decides the rows.
        beside: Other signs of acting together ``[n, n]``, such as weights into the same units.

    Returns:
        The inputs ``[n]``.

    Example:
        >>> found = order_of(lambda x: 2.0 * (x[:, 0] & x[:, 3]) + (x[:, 1] ^ x[:, 4]), 5, 0)
        >>> sorted(map(sorted, (found[:2].tolist(), found[2:4].tolist())))
        [[0, 3], [1, 4]]
    """
    rng = np.random.default_rng([seed, 20])
    count = min(ROWS, ASKED // (width * (width + 1) // 2) + 1)
    rows = rng.random((count, width)) < rng.random((count, 1))
    first, second = np.triu_indices(width, 1)
    flips = np.zeros((1 + width + len(first), width), bool)
    flips[1 + np.arange(width), np.arange(width)] = True
    flips[1 + width + np.arange(len(first)), first] = True
    flips[1 + width + np.arange(len(first)), second] = True
    each = np.stack([outputs(row ^ flips) for row in rows])
    alone = each[:, 1 : 1 + width] - each[:, :1]
    influence = np.abs(alone).mean(axis=0)
    joint = each[:, 1 + width :] - each[:, :1] - alone[:, first] - alone[:, second]
    together = _scaled(np.abs(joint).mean(axis=0))
    if beside is not None:
        together = 0.1 * together + _scaled(beside[first, second])
    if width < 3:
        return np.argsort(-influence, kind="stable")
    tree = linkage(np.round(-np.log(1e-6 + together) + 1.0, 6), "average")
    members, most = [[i] for i in range(width)], np.round(influence, 9).tolist()
    for a, b, *_ in tree.astype(int).tolist():
        a, b = (a, b) if most[a] >= most[b] else (b, a)
        members.append(members[a] + members[b])
        most.append(most[a])
    return np.array(members[-1])


def _scaled(values: np.ndarray) -> np.ndarray:
    largest = float(values.max(initial=0.0))
    found: np.ndarray = values / largest if largest > 0 else np.zeros_like(values)
    return found
