"""A finite group by its table: identity, inverses, conjugacy classes and a few generators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from allroads.targets.magma import properties

Rows = tuple[tuple[int, ...], ...]
"""A table: ``rows[a][b]`` is the product of a and b."""


@dataclass(frozen=True, eq=False)
class FiniteGroup:
    """What follows from the table of a finite group.

    Args:
        table: Products ``[n, n]``.
        identity: The neutral element.
        inverse: Inverse of each element, ``[n]``.
        classes: Conjugacy class of each element, ``[n]``. Classes are sorted by the order of their elements, then by
            their size, then by their first element.
        sizes: Size of each class.
    """

    table: np.ndarray
    identity: int
    inverse: np.ndarray
    classes: np.ndarray
    sizes: np.ndarray

    @property
    def order(self) -> int:
        """Number n of elements."""
        return len(self.table)

    @property
    def quotients(self) -> np.ndarray:
        """``[n, n]``: g h⁻¹ for each g and h."""
        found: np.ndarray = self.table[:, self.inverse]
        return found

    @property
    def representatives(self) -> np.ndarray:
        """First element of each class."""
        return np.array([int(np.flatnonzero(self.classes == c)[0]) for c in range(len(self.sizes))])


@lru_cache(maxsize=64)
def finite_group(rows: Rows) -> FiniteGroup:
    """The group of a table, whose laws are taken for granted: see :func:`why_no_group`.

    Example:
        >>> from allroads.targets.groups import symmetric
        >>> group = finite_group(as_rows(symmetric(3)))
        >>> group.identity, group.sizes.tolist(), group.classes.tolist()
        (0, [1, 3, 2], [0, 1, 1, 2, 2, 1])
    """
    table = np.array(rows)
    n = len(table)
    identity = int((table == np.arange(n)).all(axis=1).argmax())
    inverse = (table == identity).argmax(axis=1)
    conjugates = table[table, inverse[:, None]]  # [h, g] = h g h⁻¹
    first = conjugates.min(axis=0)
    orders, power = np.ones(n, int), np.arange(n)
    while (power != identity).any():
        moving = power != identity
        orders[moving] += 1
        power = np.where(moving, table[power, np.arange(n)], power)
    found = np.unique(first)
    found = found[np.lexsort((found, np.bincount(first)[found], orders[found]))]
    classes = np.empty(n, int)
    for place, representative in enumerate(found):
        classes[first == representative] = place
    return FiniteGroup(table, identity, inverse, classes, np.bincount(classes))


def as_rows(table: Any) -> Rows:
    """A table as nested tuples of whole numbers."""
    return tuple(tuple(int(value) for value in row) for row in table)


def why_no_group(table: np.ndarray) -> str:
    """The law of groups that a table of products breaks; empty where it breaks none.

    Example:
        >>> why_no_group((np.arange(3)[:, None] - np.arange(3)) % 3)
        'its table is not associative'
    """
    known = properties(table)
    if not known["latin_square"]:
        return "its table has an element twice in a row or column"
    if not known["associative"]:
        return "its table is not associative"
    return "" if known["group"] else "its table has no identity"


def generated(table: np.ndarray, elements: Sequence[int] | np.ndarray) -> np.ndarray:
    """Members of the subgroup that elements generate, ``[n]`` of booleans.

    Example:
        >>> generated((np.arange(6)[:, None] + np.arange(6)) % 6, [4]).tolist()
        [True, False, True, False, True, False]
    """
    reached = np.zeros(len(table), bool)
    elements = np.asarray(elements)
    reached[elements] = True
    size = 0
    while size != reached.sum():
        size = int(reached.sum())
        reached[table[np.ix_(np.flatnonzero(reached), elements)]] = True
    return reached


@lru_cache(maxsize=64)
def few_generators(rows: Rows) -> tuple[int, ...]:
    """Generators found greedily: each is the first that enlarges the generated subgroup most.

    Example:
        >>> from allroads.targets.groups import symmetric
        >>> len(few_generators(as_rows(symmetric(4)))), few_generators(((0,),))
        (2, (0,))
    """
    table, size = np.array(rows), 0
    chosen: list[int] = []
    while size < len(table):
        sizes = [int(generated(table, [*chosen, g]).sum()) for g in range(len(table))]
        chosen.append(int(np.argmax(sizes)))
        size = max(sizes)
    return tuple(chosen)
