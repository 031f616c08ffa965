"""What holds for a binary operation, given by its table."""

from __future__ import annotations

from typing import Any

import numpy as np


def properties(table: np.ndarray) -> dict[str, Any]:
    """Which laws a finite binary operation ``a∘b = table[a, b]`` obeys.

    Args:
        table: Integers in ``0 … n−1``, ``[n, n]``.

    Returns:
        ``order`` n, ``commutative``, ``associative``, ``latin_square`` (each row and column is a
        permutation), ``identity`` (the two-sided neutral element or ``None``), ``group``, ``abelian`` (a
        commutative group).

    Example:
        >>> addition = properties((np.arange(5)[:, None] + np.arange(5)) % 5)
        >>> addition["group"], addition["abelian"], addition["identity"]
        (True, True, 0)
        >>> properties((np.arange(5)[:, None] - np.arange(5)) % 5)["latin_square"]
        True
    """
    n = len(table)
    everything = np.arange(n)
    neutral = (table == everything).all(axis=1) & (everything == table.T).all(axis=1)
    latin = all((np.sort(side, axis=1) == everything).all() for side in (table, table.T))
    commutative = bool((table == table.T).all())
    associative = associativity_failure(table) is None
    group = bool(associative and latin and neutral.any())
    return {
        "order": n,
        "commutative": commutative,
        "associative": associative,
        "latin_square": bool(latin),
        "identity": int(neutral.argmax()) if neutral.any() else None,
        "group": group,
        "abelian": group and commutative,
    }


def associativity_failure(table: np.ndarray) -> tuple[int, int, int] | None:
    """A triple with ``(x∘g)∘y ≠ x∘(g∘y)``, or ``None`` where the operation is associative.

    Light's test: the g for which the law holds for all x, y are closed under ∘, so it is enough to try
    generators.

    Example:
        >>> associativity_failure((np.arange(3)[:, None] + np.arange(3)) % 3) is None
        True
        >>> associativity_failure((np.arange(3)[:, None] - np.arange(3)) % 3)
        (0, 0, 1)
    """
    for g in generators(table):
        wrong = table[table[:, g]] != table[:, table[g]]
        if wrong.any():
            x, y = np.argwhere(wrong)[0]
            return int(x), g, int(y)
    return None


def generators(table: np.ndarray) -> list[int]:
    """Elements that generate all others by products, found greedily in their order.

    Example:
        >>> generators((np.arange(6)[:, None] + np.arange(6)) % 6)
        [0, 1]
    """
    reached = np.zeros(len(table), dtype=bool)
    chosen = []
    for g in range(len(table)):
        if reached[g]:
            continue
        chosen.append(g)
        reached[g] = True
        size = 0
        while size != reached.sum():
            size = reached.sum()
            members = np.flatnonzero(reached)
            reached[table[np.ix_(members, members)]] = True
    return chosen
