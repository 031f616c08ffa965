"""Integer expressions: text, length in bits and values at many points at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from allroads.programs.mealy.code import node_bits

OPERATIONS: dict[str, tuple[int, Callable[[Any, Any], Any]]] = {
    "+": (4, np.add),
    "-": (4, np.subtract),
    "*": (5, np.multiply),
    "//": (5, np.floor_divide),
    "%": (5, np.remainder),
    "min": (9, np.minimum),
    "max": (9, np.maximum),
    "^": (2, np.bitwise_xor),
    "&": (3, np.bitwise_and),
    "|": (1, np.bitwise_or),
    "==": (9, np.equal),
    "!=": (9, np.not_equal),
    "<": (9, np.less),
}
"""Each operation's rank, as Python binds it, and its values; a comparison is 0 or 1."""

ASSOCIATIVE = ("|", "^", "&", "+")
"""Operations whose right operand of the same rank needs no brackets."""

COMPARISONS = ("==", "!=", "<")
SYMMETRIC = (*ASSOCIATIVE, "*", "==", "!=", "min", "max")


@dataclass(frozen=True)
class Expression:
    """A variable, a whole number, or an operation on two expressions.

    Args:
        head: Name of the variable, the number, or a name in ``OPERATIONS``.
        left: First operand; ``None`` for a leaf.
        right: Second operand.

    Example:
        >>> s, two = Expression("s"), Expression(2)
        >>> e = Expression("%", Expression("+", Expression("*", two, s), Expression("x")), Expression(7))
        >>> str(e), e.values({"s": 5, "x": 1}).item()
        ('(2 * s + x) % 7', 4)
    """

    head: str | int
    left: Expression | None = None
    right: Expression | None = None

    def values(self, points: Mapping[str, Any]) -> np.ndarray:
        """Values at points, ``[P]``, given the values of the variables there."""
        if self.left is None or self.right is None:
            return np.asarray(points[self.head] if isinstance(self.head, str) else self.head, np.int64)
        with np.errstate(all="ignore"):
            found = OPERATIONS[str(self.head)][1](self.left.values(points), self.right.values(points))
        return np.asarray(found, np.int64)

    def bits(self, variables: int) -> float:
        """Length in bits: that of its nodes, see :func:`~allroads.programs.mealy.code.node_bits`.

        Args:
            variables: How many variables there are.

        Example:
            >>> round(Expression("s").bits(2), 3)
            3.524
        """
        own = node_bits(self.head, variables)
        return own + sum(part.bits(variables) for part in (self.left, self.right) if part is not None)

    def replaced(self, part: Expression, name: str) -> Expression:
        """The expression with a variable in place of one of its parts.

        Example:
            >>> s, x = Expression("s"), Expression("x")
            >>> str(Expression("*", Expression("+", s, x), x).replaced(Expression("+", s, x), "t"))
            't * x'
        """
        if self == part:
            return Expression(name)
        if self.left is None or self.right is None:
            return self
        return Expression(self.head, self.left.replaced(part, name), self.right.replaced(part, name))

    def parts(self) -> list[Expression]:
        """The expression and all its parts, larger ones first within each branch."""
        return [self, *(inner for part in (self.left, self.right) if part is not None for inner in part.parts())]

    def __str__(self) -> str:
        if self.left is None or self.right is None:
            return str(self.head)
        head = str(self.head)
        if head in ("min", "max"):
            return f"{head}({self.left}, {self.right})"
        if head in COMPARISONS:
            return f"int({self.left} {head} {self.right})"  # every other operation binds closer
        rank = OPERATIONS[head][0]
        return f"{self.left._within(rank)} {head} {self.right._within(rank + (head not in ASSOCIATIVE))}"

    def _within(self, rank: int) -> str:
        """Its text as an operand: in brackets where Python would bind it otherwise."""
        own = 9 if self.left is None else OPERATIONS[str(self.head)][0]
        return f"({self})" if own < rank else str(self)


def combine(head: str, left: Expression, right: Expression) -> Expression:
    """An operation on two expressions; in a product a number comes first, and equal terms become a product with 2.

    Example:
        >>> str(combine("*", Expression("s"), Expression(2)))
        '2 * s'
    """
    if head == "*" and isinstance(right.head, int) and right.left is None:
        left, right = right, left
    if head == "+" and right.head == "+" and right.left == left and right.right is not None:
        return Expression("+", combine("+", left, left), right.right)
    if head == "+" and left == right:
        return Expression("*", Expression(2), left)
    return Expression(head, left, right)
