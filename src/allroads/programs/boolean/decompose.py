"""Disjoint decomposition: a function as one of fewer inputs, some of which are functions of a block of variables."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from allroads.programs.boolean.tree import full_table, variable_table


@dataclass(frozen=True)
class Decomposition:
    """``f = g(h₁(A), h₂(A), B)`` with the variables split into a block A and the rest B.

    Args:
        outer: The table of g over all n bits; the variables of ``inner`` stand for the h.
        inner: For each variable of A that stands for an h, the table of that h over all n bits.
    """

    outer: int
    inner: tuple[tuple[int, int], ...]


def cofactor(table: int, index: int, value: int, bits: int) -> int:
    """The table with one variable set, still over n bits.

    Example:
        >>> f"{cofactor(0b0110, 0, 1, 2):04b}"
        '0011'
    """
    ones = variable_table(index, bits)
    shift = 1 << index
    if value:
        kept = table & ones
        return kept | kept >> shift
    kept = table & (full_table(bits) ^ ones)
    return kept | kept << shift


def columns(table: int, block: tuple[int, ...], bits: int) -> list[int]:
    """The cofactors by the values of a block of variables; bit j of the position is the value of ``block[j]``."""
    found = [table]
    for index in reversed(block):
        found = [cofactor(t, index, value, bits) for t in found for value in (0, 1)]
    return found


def decompositions(
    table: int, variables: tuple[int, ...], width: int, bits: int, most: int = 2
) -> Iterator[Decomposition]:
    """Decompositions with a block of one width.

    A block serves with one h where its columns are of two kinds, and with two where there are up to four (Ashenhurst,
    Curtis). With two, the kinds can be numbered in several ways, and a number that is not used is filled in both ways.

    Args:
        table: The table.
        variables: Those that it depends on.
        width: Number of variables of the block, 2 to 4.
        bits: n.
        most: Kinds of columns that are allowed, 2 or 4.

    References: [ashenhurst1957]

    Example:
        >>> first = next(decompositions(0b10000000, (0, 1, 2), 2, 3))  # and of three bits
        >>> [f"{table:08b}" for table in (first.outer, first.inner[0][1])]
        ['10100000', '10001000']
    """
    for block in itertools.combinations(variables, width):
        found = columns(table, block, bits)
        kinds = list(dict.fromkeys(found))
        if len(kinds) == 2:
            inner = _indicator(found, [kinds[1]], block, bits)
            yield Decomposition(_joined(kinds, block[:1], bits), ((block[0], inner),))
        elif 2 < len(kinds) <= most and width > 2:
            yield from _pairs(found, kinds, block, bits)


def _pairs(found: list[int], kinds: list[int], block: tuple[int, ...], bits: int) -> Iterator[Decomposition]:
    fills = [[]] if len(kinds) == 4 else [[kind] for kind in kinds]
    orders = {order for fill in fills for order in itertools.permutations(kinds + fill) if order[0] == kinds[0]}
    for order in sorted(orders):  # order[a + 2b] is the kind for h₁ = a, h₂ = b
        first = [kind for kind in (order[1], order[3]) if kind not in (order[0], order[2])]
        second = [kind for kind in (order[2], order[3]) if kind not in (order[0], order[1])]
        told = {(kind in first, kind in second) for kind in kinds}
        if len(told) < len(kinds):
            continue
        outer = [next(k for k in kinds if (k in first, k in second) == (bool(a), bool(b)))
                 if (bool(a), bool(b)) in told else order[a + 2 * b] for b in (0, 1) for a in (0, 1)]  # fmt: skip
        yield Decomposition(
            _joined(outer, block[:2], bits),
            tuple((block[j], _indicator(found, chosen, block, bits)) for j, chosen in enumerate((first, second))),
        )


def _indicator(found: list[int], ones: list[int], block: tuple[int, ...], bits: int) -> int:
    """The function of a block that is 1 where the column is one of some kinds."""
    return _joined([full_table(bits) if column in ones else 0 for column in found], block, bits)


def _joined(tables: list[int], selectors: tuple[int, ...], bits: int) -> int:
    """The function that is ``tables[k]`` where the selecting variables spell k."""
    whole = 0
    for place, table in enumerate(tables):
        for j, index in enumerate(selectors):
            table &= variable_table(index, bits) ^ (0 if place >> j & 1 else full_table(bits))
        whole |= table
    return whole
