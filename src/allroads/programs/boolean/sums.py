"""Sums of products: short OR sums by prime implicants and short XOR sums by fixed polarity, both factored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from allroads.programs.boolean.tree import ONE, ZERO, Node, full_table, gate, negation, variable, variable_table

Product = frozenset[tuple[int, bool]]
"""A product of literals: pairs of a variable and whether it is negated."""


def prime_implicants(table: int, bits: int) -> list[Product]:
    """Prime implicants: the products that imply a function and from which no literal can be left out.

    All 3^n products are gone through, a variable at a time.

    References: [knuth2011]

    Example:
        >>> primes = prime_implicants(0b11101000, 3)  # majority
        >>> sorted(sorted(i for i, _ in prime) for prime in primes)
        [[0, 1], [0, 2], [1, 2]]
    """
    holds = as_rows(table, bits).reshape((2,) * bits)  # axis 0 is the last variable
    for axis in range(bits):
        zero, one = holds.take(0, axis), holds.take(1, axis)
        holds = np.stack([zero, one, zero & one], axis)
    prime = holds.copy()
    for axis in range(bits):
        wider = holds.take([2], axis)
        prime &= ~np.concatenate([wider, wider, np.zeros_like(wider)], axis)
    places = np.argwhere(prime)[:, ::-1]
    return [frozenset((i, v == 0) for i, v in enumerate(place) if v < 2) for place in places.tolist()]


def as_rows(table: int, bits: int) -> np.ndarray:
    """A table as booleans ``[2^n]``.

    Example:
        >>> as_rows(0b0110, 2).astype(int).tolist()
        [0, 1, 1, 0]
    """
    raw = np.frombuffer(table.to_bytes(max(1, (1 << bits) // 8), "little"), dtype=np.uint8)
    return np.unpackbits(raw, bitorder="little")[: 1 << bits].astype(bool)


def product_table(product: Product, bits: int) -> int:
    """The table of a product of literals."""
    found = full_table(bits)
    for index, negated in product:
        found &= variable_table(index, bits) ^ (full_table(bits) if negated else 0)
    return found


def or_sum(table: int, bits: int) -> list[Product]:
    """Prime implicants whose OR is a function, few and with few literals; chosen greedily, then thinned out.

    When it fails: the number of products need not be the least.

    Example:
        >>> len(or_sum(0b01101001, 3))  # parity needs four
        4
    """
    primes = sorted(prime_implicants(table, bits), key=lambda product: (len(product), sorted(product)))
    tables = [product_table(product, bits) for product in primes]
    chosen: list[int] = []
    left = table
    while left:
        best = max(range(len(primes)), key=lambda k: ((tables[k] & left).bit_count(), -len(primes[k])))
        chosen.append(best)
        left &= ~tables[best]
    for k in sorted(chosen, key=lambda k: -len(primes[k])):
        rest = 0
        for other in chosen:
            rest |= tables[other] if other != k else 0
        if rest == table:
            chosen.remove(k)
    return [primes[k] for k in chosen]


def xor_sum(table: int, bits: int) -> list[Product]:
    """Products whose XOR is a function, each variable always or never negated: the fewest over all 2^n polarities.

    Example:
        >>> sorted(map(sorted, xor_sum(0b1001, 2)))  # equality of two bits
        [[(0, True)], [(1, False)]]
    """
    rows = as_rows(table, bits)
    places = np.arange(1 << bits)
    best, fewest = (0, rows), len(rows) * bits + 1
    for polarity in range(1 << bits):
        terms = rows[places ^ polarity].copy()
        for i in range(bits):
            pairs = terms.reshape(-1, 2, 1 << i)
            pairs[:, 1] ^= pairs[:, 0]
        literals = int(np.maximum(np.bitwise_count(places[terms]), 1).sum())
        if literals < fewest:
            best, fewest = (polarity, terms), literals
    polarity, terms = best
    return [
        frozenset((i, bool(polarity >> i & 1)) for i in range(bits) if place >> i & 1)
        for place in np.flatnonzero(terms).tolist()
    ]


def factored(products: Sequence[Product], op: str) -> Node:
    """A sum of products with the commonest literal factored out, again and again.

    Args:
        products: The products; the empty one is the constant 1.
        op: ``"|"`` or ``"^"``.

    Example:
        >>> a, b, c = ((i, False) for i in range(3))
        >>> str(factored([frozenset({a, b}), frozenset({a, c})], "|"))
        'x0 & (x1 | x2)'
    """
    if len(products) <= 1:
        return gate("&", tuple(map(_literal, sorted(products[0])))) if products else ZERO
    counts = Counter(literal for product in products for literal in product)
    literal, most = min(counts.items(), key=lambda item: (-item[1], item[0])) if counts else ((0, False), 0)
    if most <= 1:
        return gate(op, tuple(factored([product], op) for product in products))
    inside = factored([product - {literal} for product in products if literal in product], op)
    outside = [product for product in products if literal not in product]
    first = _literal(literal) if inside == ONE else gate("&", (_literal(literal), inside))
    return gate(op, (first, factored(outside, op))) if outside else first


def _literal(literal: tuple[int, bool]) -> Node:
    index, negated = literal
    return negation(variable(index)) if negated else variable(index)
