"""Lines of a position-wise program: counts and fetches over positions, and formulas at one position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from allroads.errors import InputError
from allroads.programs.mealy.code import node_bits
from allroads.programs.mealy.expression import Expression

SCOPES = ("all", "upto", "before")
"""Positions k that a position q looks at: all, those with k ≤ q, or those with k < q."""

TESTS = {"==": np.equal, "<": np.less, ">": np.greater, "!=": np.not_equal}
"""Comparisons of a value at k with one at q."""

GIVEN: tuple[str, ...] = ("x", "i", "n")
"""Variables that every program has: the letter, its position from 0 on, and the length of the word."""

Operand = str | int
"""A variable, or a whole number that is the same everywhere."""


@dataclass(frozen=True)
class Selector:
    """The positions k that a position q looks at: those in scope whose key passes a test against q's query.

    Args:
        key: A variable, read at k.
        test: A name in :data:`TESTS`.
        query: A variable, read at q, or a number.
        scope: A name in :data:`SCOPES`.

    Raises:
        InputError: If there is no such test or scope.

    Example:
        >>> Selector("x", "==", "x").matrix({"x": np.array([[1, 0, 1]])}).astype(int)[0].tolist()
        [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
    """

    key: str
    test: str
    query: Operand
    scope: str = "all"

    def __post_init__(self) -> None:
        if self.test not in TESTS:
            raise InputError(f"test: expected one of {', '.join(TESTS)}; got {self.test!r}.")
        if self.scope not in SCOPES:
            raise InputError(f"scope: expected one of {', '.join(SCOPES)}; got {self.scope!r}.")
        if not isinstance(self.key, str):
            raise InputError(f"key: expected the name of a variable; got {self.key!r}.")

    def matrix(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Which position looks at which: ``[N, q, k]``, from values ``[N, T]``."""
        keys = values[self.key]
        queries = values[self.query] if isinstance(self.query, str) else np.full_like(keys, self.query)
        found = np.asarray(TESTS[self.test](keys[:, None, :], queries[:, :, None]))
        at = np.arange(keys.shape[1])
        within = {"all": True, "upto": at[None] <= at[:, None], "before": at[None] < at[:, None]}[self.scope]
        chosen: np.ndarray = found & within
        return chosen

    @property
    def reads(self) -> tuple[str, ...]:
        """The variables that it reads."""
        return (self.key, *((self.query,) if isinstance(self.query, str) else ()))

    def bits(self, variables: int) -> float:
        """Length in bits: key, query, and two bits each for test and scope."""
        return 4 + node_bits(self.key, variables) + node_bits(_natural(self.query), variables)

    def renamed(self, names: Mapping[str, str]) -> Selector:
        """The same with other names."""
        query = names.get(self.query, self.query) if isinstance(self.query, str) else self.query
        return Selector(names.get(self.key, self.key), self.test, query, self.scope)

    def text(self, end: str) -> str:
        """The loop over k and its condition, as Python."""
        query = f"{self.query}[q]" if isinstance(self.query, str) else str(self.query)
        loop = {"all": "range(len(xs))", "upto": "range(q + 1)", "before": "range(q)"}[self.scope]
        return f"for k in {loop}{end} if {self.key}[k] {self.test} {query}"


@dataclass(frozen=True)
class Count:
    """How many positions a selector selects.

    Example:
        >>> Count(Selector("x", "==", "x", "upto")).values({"x": np.array([[1, 0, 1]])}).tolist()
        [[1, 1, 2]]
    """

    selector: Selector

    def values(self, known: Mapping[str, np.ndarray]) -> np.ndarray:
        """Its values ``[N, T]`` given those of the variables."""
        found: np.ndarray = self.selector.matrix(known).sum(axis=2)
        return found

    @property
    def reads(self) -> tuple[str, ...]:
        """The variables that it reads."""
        return self.selector.reads

    def bits(self, variables: int) -> float:
        """Length in bits, the kind of line included."""
        return 1.6 + self.selector.bits(variables)

    def renamed(self, names: Mapping[str, str]) -> Count:
        """The same with other names."""
        return Count(self.selector.renamed(names))

    def __str__(self) -> str:
        return f"[sum(1 {self.selector.text('')}) for q in range(len(xs))]"


@dataclass(frozen=True)
class Fetch:
    """The value at the last position that a selector selects, or a number where it selects none.

    Example:
        >>> before = Fetch(Selector("i", "<", "i"), "x", 9)
        >>> before.values({"x": np.array([[1, 0, 2]]), "i": np.array([[0, 1, 2]])}).tolist()
        [[9, 1, 0]]
    """

    selector: Selector
    value: str
    default: int = 0

    def values(self, known: Mapping[str, np.ndarray]) -> np.ndarray:
        """Its values ``[N, T]`` given those of the variables."""
        chosen = self.selector.matrix(known)
        last = chosen.shape[2] - 1 - chosen[:, :, ::-1].argmax(axis=2)
        found: np.ndarray = np.where(
            chosen.any(axis=2), np.take_along_axis(known[self.value], last, axis=1), self.default
        )
        return found

    @property
    def reads(self) -> tuple[str, ...]:
        """The variables that it reads."""
        return (*self.selector.reads, self.value)

    def bits(self, variables: int) -> float:
        """Length in bits, the kind of line included."""
        own = node_bits(self.value, variables) + node_bits(_natural(self.default), variables)
        return 1.6 + self.selector.bits(variables) + own

    def renamed(self, names: Mapping[str, str]) -> Fetch:
        """The same with other names."""
        return Fetch(self.selector.renamed(names), names.get(self.value, self.value), self.default)

    def __str__(self) -> str:
        return f"[([{self.default}] + [{self.value}[k] {self.selector.text('')}])[-1] for q in range(len(xs))]"


@dataclass(frozen=True)
class Formula:
    """A formula of the values at one position.

    Example:
        >>> Formula(Expression("%", Expression("c"), Expression(2))).values({"c": np.array([[3, 4]])}).tolist()
        [[1, 0]]
    """

    expression: Expression

    def values(self, known: Mapping[str, np.ndarray]) -> np.ndarray:
        """Its values ``[N, T]`` given those of the variables."""
        shape = next(iter(known.values())).shape
        return np.broadcast_to(self.expression.values(known), shape)

    @property
    def reads(self) -> tuple[str, ...]:
        """The variables that it reads."""
        return tuple(dict.fromkeys(e.head for e in self.expression.parts() if isinstance(e.head, str) and not e.left))

    def bits(self, variables: int) -> float:
        """Length in bits, the kind of line included."""
        return 1.6 + self.expression.bits(variables)

    def renamed(self, names: Mapping[str, str]) -> Formula:
        """The same with other names."""
        return Formula(_renamed(self.expression, names))

    def __str__(self) -> str:
        marked = _renamed(self.expression, {name: f"{name}[q]" for name in self.reads})
        return f"[{marked} for q in range(len(xs))]"


Line = Count | Fetch | Formula
"""One line: a value for each position."""


def _renamed(e: Expression, names: Mapping[str, str]) -> Expression:
    if e.left is None or e.right is None:
        return Expression(names.get(e.head, e.head)) if isinstance(e.head, str) else e
    return Expression(e.head, _renamed(e.left, names), _renamed(e.right, names))


def _natural(value: Operand) -> Operand:
    """A number as a natural one: 0, −1, 1, −2, … are 0, 1, 2, 3 and so on."""
    if isinstance(value, str):
        return value
    return 2 * value if value >= 0 else -2 * value - 1
