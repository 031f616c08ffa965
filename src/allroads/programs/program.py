"""A program: a discrete object with source, a length in bits, a canonical form, parts and an edit distance."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from allroads.programs.diagram import Diagram
from allroads.programs.equivalence import Equivalence


class Program(ABC):
    """The base of the programs of every language: a frozen dataclass, compared by value.

    A program maps one example to one answer, in the terms of a :class:`~allroads.targets.target.Target`: an example is
    a row of numbers, or a list of symbols; the answer is one symbol or number, or the list of one per position.

    Lengths are in bits of a prefix code that the language states. They can be compared between languages, because each
    counts all that its source needs besides the fixed text of its language.
    """

    language: ClassVar[str]

    @property
    @abstractmethod
    def source(self) -> str:
        """Stand-alone Python that defines ``program(x)``; it imports nothing."""

    @property
    @abstractmethod
    def bits(self) -> float:
        """Description length in bits, by the code that the language states."""

    @property
    @abstractmethod
    def parts(self) -> frozenset[str]:
        """Names of the sub-programs: gates, transitions, coefficients or frequencies.

        Two programs share structure as far as they share parts: see :func:`shared_parts`.
        """

    @abstractmethod
    def __call__(self, example: Any) -> Any:
        """The answer to one example."""

    @abstractmethod
    def canonical(self) -> Program:
        """The normal form: programs with equal normal forms compute the same function by the same steps."""

    @abstractmethod
    def distance(self, other: Program) -> float:
        """Edit distance: the fewest elementary changes from one normal form to the other; infinite across languages."""

    @abstractmethod
    def equals(self, other: Program) -> Equivalence:
        """Whether both compute the same function, decided over the whole domain or for all lengths."""

    @property
    def diagram(self) -> Diagram | None:
        """The program as nodes and edges; ``None`` where its language has no drawing, or it would be too large."""
        return None

    def run(self, examples: Sequence[Any]) -> list[Any]:
        """The answers to many examples."""
        return [self(example) for example in examples]


def shared_parts(a: Program, b: Program) -> float:
    """Jaccard index of the parts of two programs: common parts over all parts; 1 where neither has any.

    Example:
        >>> from allroads.programs.boolean import Formula
        >>> shared_parts(Formula.parse("x0 & x1", 3), Formula.parse("(x0 & x1) | x2", 3))
        0.5
    """
    together = a.parts | b.parts
    return len(a.parts & b.parts) / len(together) if together else 1.0
