"""A Boolean formula as a program: an expression with the reading of its inputs and of its answer."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from allroads.checks import check_count
from allroads.errors import InputError
from allroads.programs.boolean.decisions import MOST_DECISIONS, Decisions
from allroads.programs.boolean.diagram import circuit
from allroads.programs.boolean.edit_distance import edit_distance
from allroads.programs.boolean.encoding import Encoding, as_encoding
from allroads.programs.boolean.evaluate import values_of
from allroads.programs.boolean.minimise import minimise
from allroads.programs.boolean.normal_form import normal_form, sub_formulas
from allroads.programs.boolean.parse import parse as parse_expression
from allroads.programs.boolean.source import source_of
from allroads.programs.boolean.sums import as_rows
from allroads.programs.boolean.tree import Node, compared, nodes, table_of
from allroads.programs.diagram import Diagram
from allroads.programs.equivalence import Equivalence
from allroads.programs.program import Program

MOST_INPUTS = 64
"""Inputs that a formula may have."""

MOST_TABLED = 16
"""Inputs up to which a formula has a table, of 65 536 rows then; beyond it formulas are compared as diagrams."""


@dataclass(frozen=True)
class Formula(Program):
    """A Boolean formula of n inputs, in AND, OR and XOR of two or more operands, NOT, counts, and constants.

    A count such as ``x0 + x1 + x2 >= 2`` is 1 at some numbers of true operands.

    Length: ``(1 + log₂ 3) g + (2 + log₂(n + 1)) l`` bits. The normal form has g two-input gates and l leaves,
    ``l = g + 1``. It is the length of a prefix code, in preorder. Gate or leaf takes one bit, and the kind of a gate
    ``log₂ 3``. The sign of a leaf takes one bit, and its variable ``log₂(n + 1)``. The constant counts as a variable.
    Inside a formula the constant announces a count of k operands: ``log₂ n`` bits say k. Two bits say how its number is
    compared, and then ``log₂(k + 1)`` with which number, or k + 1 with which numbers. One bit more tells a formula that
    is one count from one that is a constant. The reading of inputs and answer is added, see
    :class:`~allroads.programs.boolean.encoding.Encoding`.
    :attr:`table_bits` is the table by the same code.

    Args:
        root: The expression.
        inputs: Number n of inputs, up to 64; the expression need not use all of them.
        encoding: How inputs are read as bits: ``"bits"`` (1 is 1), ``"signs"`` (−1 is 1), or a pair of values. The
            pair stands for 0 and for 1; a sign is ``(−1)^b``.
        answers: The answers that stand for 0 and for 1.

    Raises:
        InputError: If the expression names a variable that is no input, or a reading cannot be used.

    Example:
        >>> formula = Formula.parse("x0 & (x1 ^ ~x2)", 3)
        >>> formula.table.tolist(), formula.gates, formula([1, 1, 1])
        ([0, 1, 0, 0, 0, 0, 0, 1], 2, 1)
        >>> print(formula.source)
        def program(x):
            x0, x1, x2 = (v > 0.5 for v in x[:3])
            return int(x0 & (not (x1 ^ x2)))
    """

    language: ClassVar[str] = "boolean"

    root: Node
    inputs: int
    encoding: str | tuple[Any, Any] = "bits"
    answers: tuple[Any, Any] = (0, 1)

    def __post_init__(self) -> None:
        check_count("inputs", self.inputs)
        if self.inputs > MOST_INPUTS:
            raise InputError(f"inputs: a formula has up to {MOST_INPUTS} inputs; got {self.inputs}. Leave some out.")
        highest = max((node.index for node in nodes(self.root)), default=-1)
        if highest >= self.inputs:
            raise InputError(
                f"formula {str(self.root)[:80]!r} names x{highest} and has {self.inputs} inputs, x0 … "
                f"x{self.inputs - 1}; raise the number of inputs or use one of these."
            )
        as_encoding(self.encoding, self.answers)

    @classmethod
    def parse(
        cls, text: str, bits: int, *, encoding: str | tuple[Any, Any] = "bits", answers: tuple[Any, Any] = (0, 1)
    ) -> Formula:
        """The formula of a text such as ``"x0 & (x1 ^ ~x2)"``, with the steps that it is written in.

        Raises:
            InputError: If the text is no formula of so many bits.

        Example:
            >>> Formula.parse("~(x0 | x1)", 2)
            Formula('~(x0 | x1)', 2)
        """
        return cls(parse_expression(text), bits, encoding, answers)

    @classmethod
    def of_table(
        cls,
        table: Any,
        bits: int,
        *,
        encoding: str | tuple[Any, Any] = "bits",
        answers: tuple[Any, Any] = (0, 1),
    ) -> Formula:
        """A short formula of a function: see :func:`~allroads.programs.boolean.minimise.minimise`.

        Args:
            table: Zeros and ones ``[2^n]``; row r has bit i equal to ``(r >> i) & 1``.
            bits: n; the function may depend on ten of them.
            encoding: As above.
            answers: As above.

        Raises:
            InputError: If the table does not have ``2^n`` entries of 0 and 1.

        Example:
            >>> Formula.of_table([0, 1, 1, 0], 2)
            Formula('x0 ^ x1', 2)
        """
        check_count("bits", bits)
        rows = np.asarray(table)
        if rows.shape != (1 << min(bits, MOST_TABLED),) or not np.isin(rows, (0, 1)).all():
            raise InputError(
                f"table: expected 2^{bits} zeros and ones, up to {MOST_TABLED} bits; got shape {rows.shape}."
            )
        return cls(minimise(as_number(rows), bits), bits, encoding, answers)

    def __repr__(self) -> str:
        more = "" if self.encoding == "bits" else f", encoding={self.encoding!r}"
        more += "" if self.answers == (0, 1) else f", answers={self.answers!r}"
        return f"Formula({str(self.root)!r}, {self.inputs}{more})"

    @cached_property
    def number(self) -> int:
        """The table as a number: bit r is the value in row r.

        Raises:
            InputError: If it has more than 16 inputs.
        """
        if self.inputs > MOST_TABLED:
            raise InputError(
                f"the table of {self.inputs} inputs has 2^{self.inputs} rows, and tables have up to 2^{MOST_TABLED}; "
                "use run and equals, which need none."
            )
        return table_of(self.root, self.inputs)

    @property
    def table(self) -> np.ndarray:
        """The table ``[2^n]`` of zeros and ones; row r has bit i equal to ``(r >> i) & 1``."""
        return as_rows(self.number, self.inputs).astype(int)

    @property
    def gates(self) -> int:
        """Number of two-input gates; negations are free, and a count of k operands is taken as k − 1 gates."""
        return self.root.gates

    @cached_property
    def reading(self) -> Encoding:
        """How inputs are read and answers given."""
        return as_encoding(self.encoding, self.answers)

    @property
    def bits(self) -> float:
        """Length of the normal form in bits, by the code above."""
        normal = normal_form(self.root)
        counts = Counter(node.op for node in nodes(normal))
        leaves = counts["x"] + counts["0"] + counts["1"]
        counted = [node for node in nodes(normal) if node.op == "+"]
        gates = normal.gates - sum(len(node.args) - 1 for node in counted)
        more = sum(self._leaf_bits + math.log2(self.inputs) + _compared_bits(node) for node in counted)
        more += normal.op in "+01~" and (normal.op != "~" or normal.args[0].op == "+")  # alone: a count or a constant
        return gates * (1 + math.log2(3)) + leaves * self._leaf_bits + more + self.reading.bits

    @property
    def table_bits(self) -> float:
        """Length of the table: ``2^n`` bits, and a leaf for each of the n inputs that it is looked up by."""
        return (1 << self.inputs) + self.inputs * self._leaf_bits + self.reading.bits

    @property
    def _leaf_bits(self) -> float:
        return 2 + math.log2(self.inputs + 1)

    @property
    def source(self) -> str:
        """Stand-alone Python that defines ``program(x)``; parts that occur more than once have names."""
        return source_of(normal_form(self.root), self.inputs, self.reading)

    @property
    def parts(self) -> frozenset[str]:
        """The gates in normal form, each as the formula below it, up to negation; without gates the leaf itself."""
        return frozenset(map(str, sub_formulas(self.root)))

    @property
    def diagram(self) -> Diagram | None:
        """Its circuit; ``None`` above 48 nodes."""
        return circuit(self.root)

    def __call__(self, example: Any) -> Any:
        """The answer to one example of n values."""
        return self.run([example])[0]

    def run(self, examples: Sequence[Any]) -> list[Any]:
        """The answers to many examples, each with n values.

        Raises:
            InputError: If an example has another number of values, or a value that the reading does not know.
        """
        rows = [self.reading.row(example, self.inputs) for example in examples]
        if self.inputs <= MOST_TABLED:
            table = self.table
            return [self.answers[table[row]] for row in rows]
        bits = np.array([[row >> i & 1 for i in range(self.inputs)] for row in rows], bool).reshape(-1, self.inputs)
        return [self.answers[int(value)] for value in values_of(self.root, bits)]

    def canonical(self) -> Formula:
        """The formula in normal form: see :func:`~allroads.programs.boolean.normal_form.normal_form`."""
        return replace(self, root=normal_form(self.root))

    def distance(self, other: Program) -> float:
        """Tree edit distance of the normal forms; infinite to programs of other languages.

        Example:
            >>> Formula.parse("x0 & x1", 2).distance(Formula.parse("x1 & x0 | 0", 2))
            0.0
        """
        if not isinstance(other, Formula):
            return math.inf
        return float(edit_distance(normal_form(self.root), normal_form(other.root)))

    def equals(self, other: Program) -> Equivalence:
        """Whether both give the same answer to each of the ``2^n`` inputs.

        Above 16 inputs both are made into decision diagrams, which are equal for equal functions. Up to 16 inputs the
        counterexample is the first row.

        When it fails: above 16 inputs, functions whose diagrams have more than 200,000 nodes raise an InputError.

        Formulas of different numbers of inputs, or that read inputs in different ways, have different domains and are
        not equal.

        Example:
            >>> found = Formula.parse("x0 | x1", 2).equals(Formula.parse("x0 ^ x1", 2))
            >>> found.equal, found.counterexample, found.answers
            (False, [1, 1], (1, 0))
        """
        same = isinstance(other, Formula) and (self.inputs, self.reading.values) == (other.inputs, other.reading.values)
        if not isinstance(other, Formula) or not same:
            return Equivalence(False, "exhaustive", 0, stats={"why": "the domains differ"})
        if self.inputs > MOST_TABLED:
            return _as_diagrams(self, other)
        mine, theirs = ([f.answers[value] for value in f.table] for f in (self, other))
        for row, pair in enumerate(zip(mine, theirs, strict=True)):
            if pair[0] != pair[1]:
                example = self.reading.example(row, self.inputs)
                return Equivalence(False, "exhaustive", 1 << self.inputs, counterexample=example, answers=pair)
        return Equivalence(True, "exhaustive", 1 << self.inputs)


def _compared_bits(node: Node) -> float:
    """What a count is compared with: the kind, and a number or a set of numbers."""
    most = len(node.args)
    return 2 + (most + 1 if compared(node).startswith("in") else math.log2(most + 1))


def _as_diagrams(mine: Formula, other: Formula) -> Equivalence:
    """Equality of two formulas by decision diagrams."""
    occurring = dict.fromkeys(node.index for f in (mine, other) for node in nodes(f.root) if node.op == "x")
    held = Decisions((*occurring, *(i for i in range(mine.inputs) if i not in occurring)))
    a, b = (held.made(formula.root, MOST_DECISIONS) for formula in (mine, other))
    if mine.answers == other.answers:
        apart = held.apply("^", a, b, MOST_DECISIONS)
    elif mine.answers == other.answers[::-1]:
        apart = held.negation(held.apply("^", a, b, MOST_DECISIONS))
    else:
        both = set(mine.answers) & set(other.answers)
        ones = [
            [side if f.answers[1] == one else held.negation(side) for f, side in ((mine, a), (other, b))]
            for one in both
        ]
        apart = held.negation(held.apply("&", ones[0][0], ones[0][1]) if ones else 0)
    row = held.model(apart)
    if row is None:
        return Equivalence(True, "exhaustive", 1 << mine.inputs)
    example = mine.reading.example(row, mine.inputs)
    return Equivalence(
        False, "exhaustive", 1 << mine.inputs, counterexample=example, answers=(mine(example), other(example))
    )


def as_number(rows: Any) -> int:
    """A table of zeros and ones ``[2^n]`` as a number whose bit r is the value in row r.

    Example:
        >>> as_number([0, 1, 1, 0])
        6
    """
    packed = np.packbits(np.asarray(rows).astype(bool), bitorder="little")
    return int.from_bytes(packed.tobytes(), "little")
