"""Integer terms: sums, absolute values, minima, maxima and comparisons, as text, in bits and at many points at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from allroads.programs.mealy.code import natural_bits

ARITHMETIC = ("+", "-", "min", "max", "abs")
COMPARISONS = ("<", "==", "!=")
SYMMETRIC = ("+", "min", "max", "==", "!=")

VALUES: dict[str, Callable[..., Any]] = {
    "+": np.add,
    "-": np.subtract,
    "min": np.minimum,
    "max": np.maximum,
    "abs": np.abs,
    "<": np.less,
    "==": np.equal,
    "!=": np.not_equal,
}
"""Values of each operation; a comparison is 0 or 1."""


@dataclass(frozen=True)
class Term:
    """A variable, a whole number, or an operation on one or two terms.

    Args:
        head: Name of the variable, the number, or a name in ``VALUES``.
        args: The operands; none for a leaf.

    Example:
        >>> x, s = Term("x"), Term("s")
        >>> gap = Term("abs", (Term("-", (x, s)),))
        >>> str(gap), gap.values({"x": 2, "s": [5, -1]}).tolist()
        ('abs(x - s)', [3, 3])
    """

    head: str | int
    args: tuple[Term, ...] = ()

    def values(self, points: Mapping[str, Any]) -> np.ndarray:
        """Values at points, ``[P]``, given the values of the variables there."""
        if not self.args:
            return np.asarray(points[self.head] if isinstance(self.head, str) else self.head, np.int64)
        return np.asarray(VALUES[str(self.head)](*(part.values(points) for part in self.args)), np.int64)

    def at(self, point: Mapping[str, int]) -> int:
        """Its value at one point, in whole numbers of any size.

        Example:
            >>> Term("max", (Term("x"), Term(0))).at({"x": -(10**30)})
            0
        """
        if not self.args:
            return int(point[self.head]) if isinstance(self.head, str) else self.head
        a, *rest = (part.at(point) for part in self.args)
        b = rest[0] if rest else 0
        found = {
            "+": a + b,
            "-": a - b,
            "min": min(a, b),
            "max": max(a, b),
            "abs": abs(a),
            "<": int(a < b),
            "==": int(a == b),
            "!=": int(a != b),
        }
        return found[str(self.head)]

    def bits(self, variables: int) -> float:
        """Length in bits: that of its nodes, see :func:`node_bits`.

        Args:
            variables: How many variables there are.

        Example:
            >>> round(Term("abs", (Term("x"),)).bits(1), 3)
            5.908
        """
        return node_bits(self.head, variables) + sum(part.bits(variables) for part in self.args)

    def parts(self) -> list[Term]:
        """The term and all its parts."""
        return [self, *(inner for part in self.args for inner in part.parts())]

    @property
    def variables(self) -> frozenset[str]:
        """Names of its variables."""
        return frozenset(str(p.head) for p in self.parts() if not p.args and isinstance(p.head, str))

    def replaced(self, by: Mapping[str, Term]) -> Term:
        """The term with other terms in place of variables.

        Example:
            >>> str(Term("+", (Term("x"), Term("s"))).replaced({"s": Term("abs", (Term("x"),))}))
            'x + abs(x)'
        """
        if not self.args:
            return by.get(self.head, self) if isinstance(self.head, str) else self
        return Term(self.head, tuple(part.replaced(by) for part in self.args))

    def __str__(self) -> str:
        if not self.args:
            return str(self.head)
        if self.head in ("min", "max", "abs"):
            return f"{self.head}({', '.join(map(str, self.args))})"
        left, right = map(str, self.args)
        if self.head in COMPARISONS:
            return f"int({left} {self.head} {right})"
        return f"{left} {self.head} ({right})" if self._wraps(self.args[1]) else f"{left} {self.head} {right}"

    def _wraps(self, right: Term) -> bool:
        """Whether Python would read the right operand otherwise without brackets."""
        negative = not right.args and isinstance(right.head, int) and right.head < 0
        return negative or (self.head == "-" and bool(right.args) and right.head in ("+", "-"))


def node_bits(head: str | int, variables: int) -> float:
    """Length in bits of one node of a term: a variable, a number or an operation.

    Variables, *number* and arithmetic have four times the weight of comparisons. A number has its sign and its gamma
    code besides.

    Args:
        head: The node.
        variables: How many variables there are.

    Example:
        >>> round(node_bits("+", 2), 3), round(node_bits("<", 2), 3), round(node_bits(-7, 2), 3)
        (3.129, 5.129, 11.129)
    """
    weight = 1 if head in COMPARISONS else 4
    own = math.log2((4 * (variables + 1 + len(ARITHMETIC)) + len(COMPARISONS)) / weight)
    return own if isinstance(head, str) else own + number_bits(head)


def number_bits(value: int) -> float:
    """Length in bits of a whole number: the gamma code of its size, and a sign where it is not 0.

    Example:
        >>> number_bits(0), number_bits(-1), number_bits(7)
        (1, 4, 8)
    """
    return natural_bits(abs(value)) + (value != 0)


def tidy(term: Term) -> Term:
    """The same term in a normal form of signs and order: operands of symmetric operations sorted, numbers worked out.

    A minimum or maximum of several terms has them in order, each once. ``0 - a < 0 - b`` becomes ``b < a``
    and ``0 - a < k`` becomes ``-k < a``. ``abs(0 - a)`` becomes ``abs(a)``.

    Example:
        >>> c = Term("c")
        >>> str(tidy(Term("<", (Term("-", (Term(0), c)), Term(0))))), str(tidy(Term("==", (Term(0), c))))
        ('int(0 < c)', 'int(c == 0)')
        >>> x = Term("x")
        >>> str(tidy(Term("max", (x, Term("max", (c, x))))))
        'max(c, x)'
    """
    if not term.args:
        return term
    a, *rest = map(tidy, term.args)
    if not rest:  # an absolute value
        inner = _negated(a)
        a = a if inner is None else inner
        if a.head == "-":  # |a − b| in one order
            a = Term("-", tuple(sorted(a.args, key=_order)))
        return Term(abs(a.head)) if isinstance(a.head, int) else Term(term.head, (a,))
    b = rest[0]
    if isinstance(a.head, int) and isinstance(b.head, int):
        return Term(Term(term.head, (a, b)).at({}))
    if term.head in COMPARISONS and (_negated(a) is not None or _negated(b) is not None):
        left, right = _turned(a), _turned(b)
        if left is not None and right is not None:
            a, b = (right, left) if term.head == "<" else (left, right)
    if term.head in ("+", "-"):
        return _sum(term.head, a, b)
    if term.head in ("min", "max"):
        operands = sorted({*_operands(term.head, a), *_operands(term.head, b)}, key=_order)
        return reduce(lambda inner, outer: Term(term.head, (outer, inner)), operands[::-1])
    return Term(term.head, tuple(sorted((a, b), key=_order)) if term.head in SYMMETRIC else (a, b))


def _sum(head: str, a: Term, b: Term) -> Term:
    if b == Term(0):
        return a
    if head == "+" and a == Term(0):
        return b
    inner = _negated(b)
    if inner is not None:
        return _sum("-" if head == "+" else "+", a, inner)
    inner = _negated(a) if head == "+" else None
    if inner is not None:
        return _sum("-", b, inner)
    return Term(head, tuple(sorted((a, b), key=_order)) if head == "+" else (a, b))


def _operands(head: str | int, term: Term) -> list[Term]:
    """The operands of an associative operation, those of its parts of the same kind among them."""
    return [inner for part in term.args for inner in _operands(head, part)] if term.head == head else [term]


def _order(term: Term) -> tuple[bool, int, str]:
    """Numbers last, short terms before long ones."""
    return isinstance(term.head, int), len(term.parts()), str(term)


def _negated(term: Term) -> Term | None:
    """The operand of a negation ``0 - a``."""
    return term.args[1] if term.head == "-" and term.args[0] == Term(0) else None


def _turned(term: Term) -> Term | None:
    """Minus a term, where that is as short."""
    if not term.args:
        return Term(-term.head) if isinstance(term.head, int) else None
    return _negated(term)
