"""Finite groups, and any other operation on a finite set, by their table."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from allroads.errors import InputError
from allroads.targets.checks import boolean, integer, numbers, one_of
from allroads.targets.magma import associativity_failure, properties
from allroads.targets.modular import LARGEST_ORDER, from_table
from allroads.targets.target import Target


def cyclic(n: int) -> Int[np.ndarray, "order order"]:
    """Addition modulo n.

    Example:
        >>> cyclic(3).tolist()
        [[0, 1, 2], [1, 2, 0], [2, 0, 1]]
    """
    return (np.arange(n)[:, None] + np.arange(n)) % n


def dihedral(n: int) -> Int[np.ndarray, "order order"]:
    """The 2n symmetries of the n-gon: element ``r + n·s`` turns by r after s reflections, ``t·r = r⁻¹·t``.

    Example:
        >>> dihedral(3).shape, int(dihedral(3)[3, 1])  # reflect∘turn = turn⁻¹∘reflect
        ((6, 6), 5)
    """
    turn, mirror = np.arange(2 * n) % n, np.arange(2 * n) // n
    turned = np.where(mirror[:, None] == 1, turn[:, None] - turn, turn[:, None] + turn) % n
    table: np.ndarray = turned + n * (mirror[:, None] ^ mirror)
    return table


def symmetric(n: int) -> Int[np.ndarray, "order order"]:
    """Composition ``(a∘b)(i) = a(b(i))`` of the n! permutations in lexicographic order.

    Example:
        >>> symmetric(3).shape, int(symmetric(3)[1, 1])  # a transposition is its own inverse
        ((6, 6), 0)
    """
    permutations = np.array(list(itertools.permutations(range(n))))
    places = n ** np.arange(n)[::-1]
    composed = permutations[:, permutations]  # [a, b, i] = a(b(i))
    return np.searchsorted(permutations @ places, composed @ places)


FAMILIES: dict[str, tuple[Callable[[int], np.ndarray], int, int]] = {
    "cyclic": (cyclic, 2, LARGEST_ORDER),
    "dihedral": (dihedral, 1, LARGEST_ORDER // 2),
    "symmetric": (symmetric, 2, 6),
}
"""Name: table, smallest and largest n."""


def group(
    *,
    family: str | None = None,
    n: int | None = None,
    table: Sequence[Sequence[int]] | None = None,
    group: bool = True,
    name: str | None = None,
    train_fraction: float | None = None,
    train_size: int | None = None,
    held_out_size: int | None = None,
    seed: int = 0,
) -> Target:
    """All pairs (a, b) of a finite set, and their product.

    Inputs are tokens ``[order², 2]`` in the order (0, 0), (0, 1), …; labels are classes ``0 … order−1``.

    Args:
        family: ``"cyclic"``, ``"dihedral"`` (order 2n) or ``"symmetric"`` (order n!, n ≤ 6).
        n: Its parameter.
        table: Or the caller's own table: ``table[a][b]`` is the product, elements are ``0 … order−1``.
        group: Whether the caller's table must be a group; false allows any operation.
        name: Display name, default the family and n.
        train_fraction: Share of the pairs that trains, default 0.5.
        train_size: How many pairs train, in place of the share.
        held_out_size: How many are held out, default the rest.
        seed: Decides the split.

    Returns:
        The target. Truth: the laws that hold, see :func:`allroads.targets.magma.properties`.

    Raises:
        InputError: If neither or both of family and table are given, or the table is no group and has to be
            one.

    Example:
        >>> target = group(family="symmetric", n=3)
        >>> target.truth["order"], target.truth["abelian"]
        (6, False)
    """
    truth: dict[str, Any] = {}
    if (family is None) == (table is None):
        raise InputError("give either family and n, or table.")
    if family is not None:
        make, low, high = FAMILIES[one_of("family of groups", family, FAMILIES)]
        n = integer(f"n of the {family} group", n, low, high)
        products, truth = make(n), {"family": family, "n": n}
    else:
        if n is not None:
            raise InputError("n belongs to a family; a table has its own size. Drop n.")
        products = _read_table(table)
        if boolean("group", group):
            _check_group(products)
    title = name or (f"{family} group {n}" if family else f"operation on {len(products)} elements")
    return from_table(title, products, truth, train_fraction, train_size, held_out_size, seed)


def _read_table(table: Any) -> np.ndarray:
    products = numbers("table", table)
    order = len(products)
    square = products.ndim == 2 and products.shape[0] == products.shape[1]
    if not square or products.dtype.kind not in "iu" or products.min() < 0 or products.max() >= order:
        raise InputError(
            f"a table of an operation on n elements is n × n whole numbers 0 … n−1; got shape "
            f"{products.shape} with entries {products.min()} … {products.max()}. Number the elements from 0."
        )
    integer("order of the table", order, 2, LARGEST_ORDER)
    return products.astype(np.int64)


def _check_group(table: np.ndarray) -> None:
    remedy = "fix the table, or say group=false to learn it all the same"
    failure = associativity_failure(table)
    if failure is not None:
        x, g, y = failure
        raise InputError(f"the table is no group: ({x}∘{g})∘{y} ≠ {x}∘({g}∘{y}); {remedy}.")
    known = properties(table)
    if known["identity"] is None:
        raise InputError(f"the table is no group: it has no identity element; {remedy}.")
    if not known["group"]:
        raise InputError(f"the table is no group: some element has no inverse; {remedy}.")
