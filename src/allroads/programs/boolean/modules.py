"""A formula of a function that is given as a decision diagram, by its modules."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from allroads.programs.boolean.decisions import Decisions
from allroads.programs.boolean.minimise import MOST_BITS, minimise
from allroads.programs.boolean.normal_form import normal_form
from allroads.programs.boolean.tree import ONE, ZERO, Node, gate, negation, substitute, variable

MOST_WORK = 20_000_000
"""Nodes times pairs of variables that may be gone through for one function."""

MOST_MINIMISED = 128
"""Nodes of the diagram of a function of up to ten variables above which no minimal formula is looked for."""

MOST_GATES = 512
"""Gates from which on a formula is not built."""


def formula_of(held: Decisions, root: int) -> Node | None:
    """A formula of a function; ``None`` where none of up to 512 gates is found.

    Variables that may be exchanged, up to negation of some, form a group. The function depends on the number of true
    ones in a group. Where it knows only two kinds of that number, the group becomes one variable, a count: AND, OR, XOR
    and "at least k" are such. This is repeated, and gives every read-once formula of two-input gates and counts back.
    A function of up to ten variables that are left is minimised. Otherwise it is split by the variable whose two
    cofactors have the smallest diagrams.

    When it fails: beyond 128 nodes no minimal formula is looked for. A threshold of unequal weights, or any function of
    many variables without modules, gets a long formula or none.

    References: [ashenhurst1957] [bryant1986]

    Example:
        >>> from allroads.programs.boolean.parse import parse
        >>> held = Decisions(range(14))
        >>> root = held.made(parse("(x0 + x1 + x2 + x3 + x4 >= 3) & (x5 | ~x6) ^ x7 & x8 & ~x13"))
        >>> found = formula_of(held, root)
        >>> held.made(found) == root, str(found)
        (True, '~(x7 & x8 & ~x13 ^ (~x5 & x6 | (x0 + x1 + x2 + x3 + x4 <= 2)))')
    """
    found = _Reader(held).read(root)
    return None if found is None else normal_form(found)


class _Reader:
    """Formulas of functions of one diagram, with the gates that are left."""

    def __init__(self, held: Decisions):
        self.held, self.left = held, MOST_GATES

    def read(self, root: int) -> Node | None:
        if root < 2:
            return ONE if root else ZERO
        names: dict[int, Node] = {}
        whole = self._small(root, names)
        while True:
            support = self.held.support(root)
            if len(self.held.nodes(root)) * len(support) ** 2 > MOST_WORK:
                return None
            after = root
            for group in self._groups(root, support):
                after = self._joined(after, group, names)
            if after == root:
                break
            root = after
        found = self._small(root, names) or self._split(root)
        if found is None:
            return whole
        found = substitute(found, names)
        if whole is not None and normal_form(whole).gates <= normal_form(found).gates:
            found = whole
        self.left -= found.gates
        return found if self.left > 0 else None

    def _groups(self, root: int, support: Sequence[int]) -> list[list[tuple[int, bool]]]:
        """Variables that may be exchanged, each with whether it is negated in it."""
        held, groups, taken = self.held, [], set()
        sides = {i: [held.restricted(root, i, value) for value in (0, 1)] for i in support}
        for place, i in enumerate(support):
            if i in taken:
                continue
            group = [(i, False)]
            for j in support[place + 1 :]:
                if j in taken:
                    continue
                a, b, c, d = (held.restricted(side, j, value) for side in sides[i] for value in (0, 1))
                if b == c or a == d:
                    group.append((j, b != c))
                    taken.add(j)
            if len(group) > 1:
                groups.append(group)
        return groups

    def _joined(self, root: int, group: list[tuple[int, bool]], names: dict[int, Node]) -> int:
        """The function with a group as one variable, its first; unchanged where its number matters in more ways."""
        held, columns = self.held, []
        for count in range(len(group) + 1):
            found = root
            for place, (index, negated) in enumerate(group):
                found = held.restricted(found, index, int((place < count) != negated))
            columns.append(found)
        kinds = list(dict.fromkeys(columns))
        if len(kinds) != 2:
            return root
        counts = tuple(count for count, column in enumerate(columns) if column == kinds[1])
        args = tuple(negation(literal) if negated else literal
                     for literal, negated in ((names.get(i, variable(i)), n) for i, n in group))  # fmt: skip
        names[group[0][0]] = normal_form(Node("+", args, counts=counts))
        return held.choice(held.variable(group[0][0]), kinds[1], kinds[0])

    def _small(self, root: int, names: dict[int, Node]) -> Node | None:
        """A minimised formula of up to ten variables; ``None`` for more."""
        support = self.held.support(root)
        if len(support) > MOST_BITS or len(self.held.nodes(root)) > MOST_MINIMISED:
            return None
        rows = np.zeros((1 << len(support), len(self.held.order)), bool)
        for place, index in enumerate(support):
            rows[:, index] = np.arange(len(rows)) >> place & 1
        packed = np.packbits(self.held.values(root, rows), bitorder="little")
        found = minimise(int.from_bytes(packed.tobytes(), "little"), max(1, len(support)))
        return substitute(found, {k: variable(i) for k, i in enumerate(support)})

    def _split(self, root: int) -> Node | None:
        """The function by the values of one variable."""
        held = self.held
        support = held.support(root)
        if self.left <= 0 or len(held.nodes(root)) > MOST_GATES:
            return None
        sides = {i: [held.restricted(root, i, value) for value in (0, 1)] for i in support}
        best = min(support, key=lambda i: sum(len(held.nodes(side)) for side in sides[i]))
        zero, one = sides[best]
        x = variable(best)
        if held.negation(zero) == one:
            below = self.read(zero)
            return None if below is None else gate("^", (x, below))
        parts = []
        for sign, side in ((negation(x), zero), (x, one)):
            below = self.read(side)
            if below is None:
                return None
            parts.append(gate("&", (sign, below)))
        if zero < 2:
            return gate("|", (x if zero else negation(x), parts[1].args[1])) if zero else parts[1]
        return gate("|", (parts[0], x)) if one == 1 else parts[0] if one == 0 else gate("|", tuple(parts))
