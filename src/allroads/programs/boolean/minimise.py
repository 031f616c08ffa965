"""Minimisation of Boolean formulas: exact up to four variables, beyond them the best of several constructions."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import lru_cache

from allroads.errors import InputError
from allroads.programs.boolean.decompose import Decomposition, cofactor, decompositions
from allroads.programs.boolean.exact import MOST_EXACT, exact_formula, exact_sizes
from allroads.programs.boolean.normal_form import normal_form
from allroads.programs.boolean.sums import factored, or_sum, xor_sum
from allroads.programs.boolean.tree import (
    Node,
    depends_on,
    full_table,
    gate,
    negation,
    substitute,
    table_of,
    variable,
    variable_table,
)

MOST_BITS = 10
"""Variables that a function may depend on to be minimised."""

TRIED = {5: 5, 6: 3, 7: 2, 8: 2, 9: 1, 10: 1}
"""By the number of variables, how many of them an expansion is tried on."""

LOOKED = 400
"""Functions of more than four variables that one search goes into in full; the rest get a single expansion."""

Heavy = tuple[tuple[int, int], ...]
"""Variables that stand for formulas, with the gates of these."""

Way = tuple[int, Callable[[], Node]]
"""What a formula costs, and what builds it."""

PAIRED = {5: 16, 6: 3, 7: 1, 8: 1, 9: 1, 10: 1}
"""By the number of variables, how many blocks with two outputs are tried; at the top eight times as many."""


def minimise(table: int, bits: int) -> Node:
    """A short formula of a function, in two-input gates of any kind with negation free.

    Functions of up to four variables get a shortest formula. Others get the best of: disjoint decomposition into blocks
    of up to four variables (with one output, and with two); expansion by a variable (Shannon, and both of Davio);
    a factored OR of prime implicants, of the function and its negation; and a factored XOR of products. Parts of up to
    four variables are exact in each.

    Args:
        table: The table as a number, see :mod:`~allroads.programs.boolean.tree`.
        bits: n.

    Returns:
        The formula in normal form.

    Raises:
        InputError: If it depends on more than ten variables.

    When it fails: above four variables a formula may be longer than the shortest; a function on which nothing works,
    such as a random one, gets one longer than its table.

    References: [knuth2011] [ashenhurst1957]

    Example:
        Parity of six bits takes five gates.

        >>> minimise(sum((r.bit_count() & 1) << r for r in range(64)), 6).gates
        5
    """
    used = [i for i in range(bits) if depends_on(table, i, bits)]
    if len(used) > MOST_BITS:
        raise InputError(
            f"the function depends on {len(used)} bits; formulas are minimised up to {MOST_BITS}. Keep the formula "
            "that there is, or fix some of the bits."
        )
    whole = table
    for index in range(bits):  # the bits that it does not depend on go, so that tables are short
        if index not in used:
            whole = cofactor(whole, index, 0, bits)
    packed = _packed(whole, used)
    size = max(1, len(used))
    search = _Search(size)
    found = normal_form(search.best(packed, top=True))
    found = normal_form(_repaired(found, size))
    return normal_form(substitute(found, {k: variable(i) for k, i in enumerate(used)}))


def _packed(table: int, used: Sequence[int]) -> int:
    """The table over the variables that are used alone."""
    found = 0
    for row in range(1 << max(1, len(used))):
        place = sum((row >> k & 1) << i for k, i in enumerate(used))
        found |= (table >> place & 1) << row
    return found


def _repaired(node: Node, bits: int) -> Node:
    """The formula with every part of up to four variables replaced by a shortest one, where that is shorter."""
    if not node.args:
        return node
    if node.op == "~":
        return negation(_repaired(node.args[0], bits))
    table = table_of(node, bits)
    used = [i for i in range(bits) if depends_on(table, i, bits)]
    if len(used) <= MOST_EXACT:
        best = _exact(table, used)
        return best if best.gates < node.gates else node
    return gate(node.op, tuple(_repaired(arg, bits) for arg in node.args))


def _exact(table: int, used: Sequence[int], heavy: Heavy = ()) -> Node:
    """A shortest formula, or with heavy variables one of little cost."""
    return substitute(_exact_way(table, used, heavy)[1], {k: variable(i) for k, i in enumerate(used)})


def _exact_way(table: int, used: Sequence[int], heavy: Heavy) -> tuple[int, Node]:
    weights = tuple((used.index(index), weight) for index, weight in heavy)
    return _exact_heavy(_packed(table, used), max(1, len(used)), weights)


@lru_cache(maxsize=1 << 14)
def _exact_heavy(table: int, bits: int, heavy: Heavy) -> tuple[int, Node]:
    """Of shortest formulas with the variables exchanged, and of those that use a heavy one once, the least in cost."""
    found = [exact_formula(table, bits)]
    for i, _ in heavy:
        for j in set(range(bits)) - {i}:
            order = list(range(bits))
            order[i], order[j] = j, i
            moved = exact_formula(_packed(table, order), bits)
            found.append(substitute(moved, {k: variable(place) for k, place in enumerate(order)}))
        zero, one = (cofactor(table, i, value, bits) for value in (0, 1))
        inside = exact_formula(zero ^ one, bits)
        found.append(gate("^", (exact_formula(zero, bits), gate("&", (variable(i), inside)))))
    return min(((_cost(node, heavy), node) for node in map(normal_form, found)), key=lambda pair: pair[0])


def _cost(node: Node, heavy: Heavy) -> int:
    """Gates of a formula once its heavy variables are what they stand for."""
    return node.gates + sum(_occurrences(node, index) * weight for index, weight in heavy)


def _occurrences(node: Node, index: int) -> int:
    return int(node.index == index) + sum(_occurrences(arg, index) for arg in node.args)


class _Search:
    """The search for short formulas of functions of n variables, with what it has found."""

    def __init__(self, bits: int):
        self.bits, self.full, self.left = bits, full_table(bits), LOOKED
        self.found: dict[tuple[int, Heavy], Way] = {}

    def best(self, table: int, heavy: Heavy = (), top: bool = False) -> Node:
        """The best formula that is found."""
        return self.look(table, heavy, top)[1]()

    def look(self, table: int, heavy: Heavy = (), top: bool = False) -> Way:
        """The cost of the best formula that is found, and what builds it."""
        heavy = tuple((i, weight) for i, weight in heavy if depends_on(table, i, self.bits))
        if (table, heavy) not in self.found:
            self.found[table, heavy] = self._look(table, heavy, top)
        return self.found[table, heavy]

    def _look(self, table: int, heavy: Heavy, top: bool) -> Way:
        used = [i for i in range(self.bits) if depends_on(table, i, self.bits)]
        if len(used) <= MOST_EXACT and not heavy:
            packed, width = _packed(table, used), max(1, len(used))
            return int(exact_sizes(width)[packed]), lambda: _exact(table, used)
        if len(used) <= MOST_EXACT:
            return _exact_way(table, used, heavy)[0], lambda: _exact(table, used, heavy)
        self.left -= 1
        ways = self._split(table, tuple(used), heavy, MOST_EXACT if top else 2)
        if ways:
            return ways[0]
        ways = self._expansions(table, used, heavy)
        if self.left > 0 or top:
            ways += self._paired(table, tuple(used), heavy, top)
        if top:
            ways += [_built(node, heavy) for node in self._sums(table)]
        return min(ways, key=lambda way: way[0])

    def _split(self, table: int, used: tuple[int, ...], heavy: Heavy, widest: int) -> list[Way]:
        """By the first block with one output."""
        for width in range(2, widest + 1):
            for found in decompositions(table, used, width, self.bits):
                return [_built(self._joined(found, heavy, widest > 2), heavy)]
        return []

    def _paired(self, table: int, used: tuple[int, ...], heavy: Heavy, top: bool) -> list[Way]:
        """By blocks with two outputs."""
        ways: list[Way] = []
        most = PAIRED.get(len(used), 1) * (8 if top else 1)
        for width in (3, 4) if top and len(used) > 5 else (3,):
            for found in itertools.islice(decompositions(table, used, width, self.bits, most=4), most):
                ways.append(_built(self._joined(found, heavy, False), heavy))
        return ways

    def _joined(self, found: Decomposition, heavy: Heavy, top: bool) -> Node:
        """The formula of a decomposition: its blocks first, because they make variables heavy."""
        inner = {index: self.best(table, heavy) for index, table in found.inner}
        outer = [(i, weight) for i, weight in heavy if i not in inner]
        outer += [(i, _cost(node, heavy)) for i, node in inner.items()]
        return substitute(self.best(found.outer, tuple(sorted(outer)), top), inner)

    def _expansions(self, table: int, used: Sequence[int], heavy: Heavy) -> list[Way]:
        cases = []
        for index in used:
            halves = (cofactor(table, index, value, self.bits) for value in (0, 1))
            cases.append((sum(map(self._hardness, halves)), index))
        most = TRIED.get(len(used), 1) if self.left > 0 else 1
        return [way for _, index in sorted(cases)[:most] for way in self._by(index, table, heavy)]

    def _by(self, index: int, table: int, heavy: Heavy) -> list[Way]:
        """Formulas by the values of one variable."""
        x, w = variable(index), 1 + dict(heavy).get(index, 0)
        zero, one = (cofactor(table, index, value, self.bits) for value in (0, 1))

        def best(table: int) -> Node:
            return self.best(table, heavy)

        if zero in (0, self.full) or one in (0, self.full):
            kept = one if zero in (0, self.full) else zero
            op = "&" if 0 in (zero, one) else "|"
            sign = x if (kept == one) == (op == "&") else negation(x)
            return [(w + self.look(kept, heavy)[0], lambda: gate(op, (sign, best(kept))))]
        if zero ^ one == self.full:
            return [(w + self.look(zero, heavy)[0], lambda: gate("^", (x, best(zero))))]
        a, b, c = (self.look(t, heavy)[0] for t in (zero, one, zero ^ one))

        def chosen(sign: Node, table: int) -> Node:
            return gate("&", (sign, best(table)))

        ways: list[Way] = [
            (1 + w + a + c, lambda: gate("^", (best(zero), chosen(x, zero ^ one)))),
            (1 + w + b + c, lambda: gate("^", (best(one), chosen(negation(x), zero ^ one)))),
        ]
        if zero & one == zero:
            ways.append((1 + w + a + b, lambda: gate("|", (best(zero), chosen(x, one)))))
        elif zero & one == one:
            ways.append((1 + w + a + b, lambda: gate("|", (best(one), chosen(negation(x), zero)))))
        else:
            ways.append((1 + 2 * w + a + b, lambda: gate("|", (chosen(negation(x), zero), chosen(x, one)))))
        return ways

    def _sums(self, table: int) -> list[Node]:
        return [
            factored(or_sum(table, self.bits), "|"),
            negation(factored(or_sum(self.full ^ table, self.bits), "|")),
            factored(xor_sum(table, self.bits), "^"),
        ]

    def _hardness(self, table: int) -> int:
        """A guess at how long a formula is: terms of the XOR sum, or ones, or zeros, whichever are fewest."""
        terms = table
        for i in range(self.bits):
            terms ^= (terms & (self.full ^ variable_table(i, self.bits))) << (1 << i)
        return min(terms.bit_count(), table.bit_count(), (self.full ^ table).bit_count())


def _built(node: Node, heavy: Heavy) -> Way:
    return _cost(node, heavy), lambda: node
