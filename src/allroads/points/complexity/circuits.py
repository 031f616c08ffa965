"""Circuit size: the fewest two-input gates when results may be used more than once."""

from __future__ import annotations

from functools import cache

import numpy as np

from allroads.points.complexity.formulas import formula_lengths
from allroads.points.complexity.symmetries import npn_classes, substituted, substitutions, variables


@cache
def circuit_sizes(bits: int) -> np.ndarray:
    """Exact circuit size of every function of n ≤ 4 bits: gates of two inputs of any kind, negation free.

    A formula is a circuit, so the formula length in the basis ``"any"`` bounds the size from above. All circuits with
    fewer gates than the longest formula (7 for n = 4) are then gone through: the functions that their gates compute, as
    sets, up to permuting and negating bits; the last two gates on each set need not be stored.

    Args:
        bits: n, at most 4.

    Returns:
        Sizes ``[2^(2^n)]`` at the position of each function's code.

    References: [knuth2011]

    Example:
        The majority of three bits takes four gates.

        >>> int(circuit_sizes(3)[0b11101000])
        4
    """
    classes, representatives = npn_classes(bits)
    size = formula_lengths(bits, "any")[representatives]
    longest = int(size.max())
    bits_of_all = variables(bits)
    sets = np.zeros((1, 0), dtype=np.uint16)
    for gates in range(1, longest):
        nodes = np.concatenate([np.broadcast_to(bits_of_all, (len(sets), bits)), sets], axis=1)
        which, added = _new_gates(nodes)
        _lower(size, classes[added], gates)
        if gates == longest - 2:
            for node in nodes.T:
                _lower(size, classes[_joined(added, node[which])], gates + 1)
            break
        sets = _distinct(np.concatenate([sets[which], added[:, None]], axis=1), bits)
    by_table: np.ndarray = size[classes]
    return by_table


def _joined(g: np.ndarray, h: np.ndarray) -> np.ndarray:
    """All gates on g and h ``[...]`` that are 0 in row 0, as g and h are: ``[5, ...]``; the others negate these."""
    return np.stack([g & h, g & ~h, ~g & h, g | h, g ^ h])


def _new_gates(nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every function that one more gate adds to each set of nodes ``[sets, nodes]``: (set, function) pairs."""
    first, second = np.triu_indices(nodes.shape[1], 1)
    gates = _joined(nodes[:, first], nodes[:, second])  # [5, sets, pairs]
    which = np.broadcast_to(np.arange(len(nodes))[:, None], gates.shape)
    fresh = gates != 0
    for node in nodes.T:
        fresh &= gates != node[:, None]
    pairs = np.unique(which[fresh].astype(np.int64) << 16 | gates[fresh])
    return pairs >> 16, (pairs & 0xFFFF).astype(np.uint16)


def _distinct(sets: np.ndarray, bits: int) -> np.ndarray:
    """One of each kind of sets ``[sets, k ≤ 4]`` that differ by the names and signs of bits."""
    sets = _unpacked(np.unique(_packed(sets)), sets.shape[1])
    least = _packed(sets)
    full = np.uint16((1 << (1 << bits)) - 1)
    for rows in substitutions(bits):
        moved = substituted(sets, rows)
        np.minimum(least, _packed(np.where(moved & 1, moved ^ full, moved)), out=least)
    return _unpacked(np.unique(least), sets.shape[1])


def _packed(sets: np.ndarray) -> np.ndarray:
    """Each set as one number, whatever its order."""
    ordered = np.sort(sets, axis=1).astype(np.uint64)
    packed = np.zeros(len(sets), dtype=np.uint64)
    for column in ordered.T:
        packed = packed << np.uint64(16) | column
    return packed


def _unpacked(packed: np.ndarray, count: int) -> np.ndarray:
    columns = [packed >> np.uint64(16 * i) & np.uint64(0xFFFF) for i in range(count)]
    return np.stack(columns, axis=1).astype(np.uint16)


def _lower(size: np.ndarray, found: np.ndarray, gates: int) -> None:
    """Lower the size of the classes that were found with so many gates."""
    reached = np.zeros(len(size), dtype=bool)
    reached[found] = True
    np.minimum(size, gates, out=size, where=reached)
