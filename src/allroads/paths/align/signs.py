"""Sign flips that maximise a sum of signed terms, by elimination of one flip after another."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Flips = tuple[int, ...]
"""The sign flips that act together, by their numbers."""

LARGEST_TABLE = 8
"""Sign flips that are considered together at most; a further one is held at +1."""


def best_signs(
    parts: Mapping[Flips, np.ndarray], shape: tuple[int, ...], ways: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """The maximum of ``Σ_flips (Π_{w ∈ flips} s_w) · part_flips`` over signs s, elementwise, and the signs.

    One sign after another is eliminated: the terms that contain it are tabulated over the other signs in them, and the
    better of its two values is taken. The maximum is exact unless more than eight signs must be tabulated together.

    Args:
        parts: For each set of flips its term, broadcast to ``shape``.
        shape: Of the result.
        ways: How many flips there are.

    Returns:
        The maximum, and the signs ±1, one array per flip; a flip that occurs nowhere is +1.

    Example:
        The largest value of s₀ − 2 s₁ + 5 s₀ s₁ is 6, with both signs negative:

        >>> total, signs = best_signs({(0,): np.array(1.0), (1,): np.array(-2.0), (0, 1): np.array(5.0)}, (), 2)
        >>> float(total), [float(s) for s in signs]
        (6.0, [-1.0, -1.0])
    """
    tables = [(flips, _table(flips, np.broadcast_to(part, shape))) for flips, part in parts.items()]
    eliminated: list[tuple[int, Flips, np.ndarray]] = []
    left = {way for flips in parts for way in flips}
    while left:
        scopes = {way: {other for flips, _ in tables if way in flips for other in flips} for way in sorted(left)}
        way = min(scopes, key=lambda w: len(scopes[w]))
        rest = tuple(sorted(scopes[way] - {way}))
        near = [(flips, table) for flips, table in tables if way in flips]
        tables = [(flips, table) for flips, table in tables if way not in flips]
        left.remove(way)
        if len(rest) >= LARGEST_TABLE:
            tables += [(tuple(f for f in flips if f != way), table.take(0, flips.index(way))) for flips, table in near]
            continue
        joint = sum((_spread(flips, table, (way, *rest)) for flips, table in near), np.zeros(()))
        eliminated.append((way, rest, np.asarray(joint[1] > joint[0])))
        tables.append((rest, np.maximum(joint[0], joint[1])))
    signs = [np.ones(shape) for _ in range(ways)]
    for way, rest, negative in reversed(eliminated):
        for other in rest:
            negative = np.where(signs[other] < 0, negative[1], negative[0])
        signs[way] = np.where(negative, -1.0, 1.0)
    return sum((table for _, table in tables), np.zeros(shape)), signs


def _table(flips: Flips, part: np.ndarray) -> np.ndarray:
    """A term for every combination of its signs, ``[2, …, 2, *shape]``, +1 first."""
    for _ in flips:
        part = np.stack([part, -part])
    return part


def _spread(flips: Flips, table: np.ndarray, scope: Flips) -> np.ndarray:
    """A table with an axis for every flip of a scope."""
    order = sorted(range(len(flips)), key=lambda d: scope.index(flips[d]))
    table = table.transpose(*order, *range(len(flips), table.ndim))
    sizes = [2 if way in flips else 1 for way in scope]
    return table.reshape(*sizes, *table.shape[len(flips) :])


def with_signs(parts: Mapping[Flips, np.ndarray], given: Mapping[int, np.ndarray]) -> dict[Flips, np.ndarray]:
    """Terms with some of the signs given: those are multiplied in and no longer stand in the flips."""
    result: dict[Flips, np.ndarray] = {}
    for flips, part in parts.items():
        rest = tuple(way for way in flips if way not in given)
        signed = part
        for way in flips:
            if way in given:
                signed = given[way] * signed
        result[rest] = result[rest] + signed if rest in result else signed
    return result
